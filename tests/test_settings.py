"""Settings: where they come from, and that a wrong one is named in one sentence."""

from __future__ import annotations

import os
import tomllib

import pytest
from pydantic import ValidationError

from stream.errors import ConfigurationError
from stream.security import UNSECURED
from stream.settings import DEFAULT_CONFIG_FILE, ENV_PREFIX, SECRETS, Settings, describe, file_variable, load

SECRET, OTHER = "correct horse battery", "staple of the second key"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A directory without a configuration file, and an environment without settings."""
    for name in os.environ:
        if name.startswith(ENV_PREFIX):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestSources:
    """Arguments, then the environment, then the file, then defaults."""

    def test_defaults_are_the_contracts(self):
        """What the design promises when nothing is set."""
        found = load()
        assert (found.topic_prefix, found.checkpoint_seconds, found.publish_seconds) == ("keyart.", 5, 0.5)
        assert (found.min_seconds, found.full_fraction, found.attribution_hours) == (120, 0.3, 24)
        assert (found.explore_share, found.popular_share, found.duplicate_seconds) == (0.02, 0.05, 60)
        assert found.taste_half_life_days == 90

    def test_each_overrides_the_next(self, elsewhere, monkeypatch):
        """The file over the defaults, the environment over the file, arguments over both."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_text("partitions = 4\nmin_seconds = 30\nhttp_port = 1\n")
        monkeypatch.setenv("KEYART_MIN_SECONDS", "45")
        monkeypatch.setenv("KEYART_HTTP_PORT", "2")
        found = load(http_port=3)
        assert (found.partitions, found.min_seconds, found.http_port) == (4, 45, 3)
        assert found.replication_factor == -1

    def test_a_file_of_another_name(self, elsewhere, monkeypatch):
        """KEYART_CONFIG names the file; set to nothing, it is the one in the directory."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_text("partitions = 4\n")
        (elsewhere / "other.toml").write_text("partitions = 5\n")
        monkeypatch.setenv("KEYART_CONFIG", "other.toml")
        assert load().partitions == 5
        monkeypatch.setenv("KEYART_CONFIG", "")
        assert load().partitions == 4

    @pytest.mark.parametrize("given", ["a, b,,c ", "a,b,c"])
    def test_names_in_the_environment_are_separated_by_commas(self, monkeypatch, given):
        """Spaces around them and empty ones do not count."""
        monkeypatch.setenv("KEYART_FEATURES", given)
        assert load().features == ("a", "b", "c")

    def test_names_in_the_file_are_a_list(self, elsewhere):
        """And may hold what a comma would split."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_text('features = ["a, b", "c"]\n')
        assert load().features == ("a, b", "c")

    def test_settings_cannot_be_changed(self):
        """One frozen object is passed down."""
        with pytest.raises(ValidationError, match="frozen"):
            load().partitions = 3


REFUSED = [
    ("bootstrap_servers", "localhost", "bootstrap_servers: 'localhost' is not host:port (got 'localhost')"),
    ("bootstrap_servers", "", "bootstrap_servers: '' is not host:port (got '')"),
    ("bootstrap_servers", "a:1,,b:2", "bootstrap_servers: '' is not host:port (got 'a:1,,b:2')"),
    ("bootstrap_servers", "a:0", "bootstrap_servers: 'a:0' is not host:port (got 'a:0')"),
    ("bootstrap_servers", "a:65536", "bootstrap_servers: 'a:65536' is not host:port (got 'a:65536')"),
    ("bootstrap_servers", "a:٩٠٩٢", "bootstrap_servers: 'a:٩٠٩٢' is not host:port (got 'a:٩٠٩٢')"),
    ("bootstrap_servers", "http://a:1", "bootstrap_servers: 'http://a:1' is not host:port (got 'http://a:1')"),
    ("topic_prefix", "key art", "topic_prefix: string should match pattern"),
    ("topic_prefix", "a\n", "topic_prefix: string should match pattern"),
    ("partitions", "0", "partitions: input should be greater than or equal to 1 (got '0')"),
    ("partitions", "many", "partitions: input should be a valid integer"),
    ("replication_factor", "0", "replication_factor: a topic has at least one copy; -1 leaves it to the brokers"),
    ("worker_id", "a/b", "worker_id: string should match pattern"),
    ("session_seconds", "inf", "session_seconds: input should be a finite number (got 'inf')"),
    ("poll_seconds", "nan", "poll_seconds: input should be a finite number (got 'nan')"),
    ("connect_seconds", "1e300", "connect_seconds: input should be less than or equal to 86400 (got '1e300')"),
    ("checkpoint_seconds", "0", "checkpoint_seconds: input should be greater than 0 (got '0')"),
    ("transaction_seconds", "1", "transaction_seconds is below 2: a commit needs time to be retried"),
    ("features", "a,b,a", "features: a feature is listed twice (got 'a,b,a')"),
    ("features", "a,bias", "features: 'bias' is Keyart's own feature (got 'a,bias')"),
    ("features", "cast", "features: 'cast' is Keyart's own feature (got 'cast')"),
    ("features", "cast:Ann", "features: 'cast:Ann' is a person, not a feature: people are learned as 'cast'"),
    ("features", "n" * 129, "features: 'nnnnnnnnnnnnnnnnnnnn' is no name: it needs 1 to 128 characters"),
    ("features", ",".join(f"f{n}" for n in range(65)), "features: at most 64 features"),
    ("prior_precision", "-1", "prior_precision: input should be greater than 0 (got '-1')"),
    ("noise_precision", "1e10", "noise_precision: input should be less than or equal to 1000000000"),
    ("max_jump", "inf", "max_jump: input should be a finite number (got 'inf')"),
    ("full_fraction", "0", "full_fraction: input should be greater than 0 (got '0')"),
    ("attribution_hours", "1000", "attribution_hours: input should be less than or equal to 720 (got '1000')"),
    ("explore_share", "1.5", "explore_share: input should be less than or equal to 1 (got '1.5')"),
    ("popular_share", "0.99", "explore_share and popular_share together exceed 1"),
    ("log_level", "loud", "log_level: input should be 'debug', 'info', 'warning' or 'error' (got 'loud')"),
    ("http_port", "65536", "http_port: input should be less than or equal to 65535 (got '65536')"),
]


def complaint():
    """What load says; one line, as the command line prints it."""
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 78
    return str(caught.value)


class TestRefused:
    """Configuration errors stop at start, with the setting's name."""

    @pytest.mark.parametrize(("name", "value", "says"), REFUSED, ids=[f"{n}={v[:12]}" for n, v, _ in REFUSED])
    def test_a_bad_value_is_one_sentence(self, monkeypatch, name, value, says):
        """From the environment: the setting, what it should be, and what it was."""
        monkeypatch.setenv(ENV_PREFIX + name.upper(), value)
        assert complaint().startswith(says)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("partitions = 'x'", "partitions: input should be a valid integer"),
            ("partitions = [1]", "partitions: input should be a valid integer"),
            ("features = ['a', '']", "features: '' is no name"),
            ("features = ['a', 3]", "features: input should be a valid string"),
            ("features = {a = 1}", "features: input should be a valid tuple"),
            ("partition = 3", "partition is not a setting; keyart config lists those that are"),
            ("[kafka]\npartitions = 3", "kafka is not a setting"),
            ("partitions = ", "keyart.toml: "),
            ("\x00", "keyart.toml: "),
        ],
    )
    def test_in_the_file(self, elsewhere, text, says):
        """From the file likewise; a file that is not TOML is named."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_text(text)
        assert complaint().startswith(says)

    def test_a_file_that_is_no_text(self, elsewhere):
        """Bytes that are no UTF-8 are the file's fault."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_bytes(b"partitions = 3 # \xff")
        assert complaint().startswith("keyart.toml: ")

    def test_several_at_once(self, monkeypatch):
        """All that is wrong is said at once."""
        monkeypatch.setenv("KEYART_PARTITIONS", "x")
        monkeypatch.setenv("KEYART_HTTP_PORT", "y")
        assert [part.split(":")[0] for part in complaint().split("; ")] == ["partitions", "http_port"]

    @pytest.mark.parametrize("name", ["KEYART_PARTITION", "KEYART_", "KEYART_CONFIGURATION"])
    def test_a_misspelt_variable(self, monkeypatch, name):
        """A variable with our prefix that is no setting is refused, or its writer would think it in force."""
        monkeypatch.setenv(name, "3")
        assert complaint() == f"{name} is not a setting; keyart config lists those that are"

    @pytest.mark.parametrize("name", ["absent.toml", "."])
    def test_a_configuration_that_is_no_file(self, monkeypatch, name):
        """KEYART_CONFIG must name a file."""
        monkeypatch.setenv("KEYART_CONFIG", name)
        assert complaint() == f"KEYART_CONFIG names {name!r}, which is not a file"


LOGIN = {
    "security_protocol": "SASL_SSL",
    "sasl_mechanism": "SCRAM-SHA-512",
    "sasl_username": "ann",
    "sasl_password": SECRET,
}
WITHOUT_LOGIN = "is set, but security_protocol is PLAINTEXT, which is without a login: make it SASL_SSL"
WITHOUT_TLS = "which is without TLS: make it SSL or SASL_SSL"
HALF_SECURED = [
    ({"sasl_mechanism": "PLAIN"}, f"sasl_mechanism {WITHOUT_LOGIN}"),
    ({"sasl_username": "ann"}, f"sasl_username {WITHOUT_LOGIN}"),
    ({"sasl_password": SECRET}, f"sasl_password {WITHOUT_LOGIN}"),
    ({"sasl_token_file": "token"}, f"sasl_token_file {WITHOUT_LOGIN}"),
    (
        LOGIN | {"security_protocol": "SSL"},
        "sasl_mechanism is set, but security_protocol is SSL, which is without",
    ),
    (LOGIN | {"sasl_mechanism": ""}, "sasl_mechanism is not set, but security_protocol is SASL_SSL: give PLAIN, "),
    (
        LOGIN | {"sasl_username": ""},
        "sasl_username is not set, but sasl_mechanism is SCRAM-SHA-512, which needs it",
    ),
    (
        LOGIN | {"sasl_password": ""},
        "sasl_password is not set, but sasl_mechanism is SCRAM-SHA-512, which needs it",
    ),
    (
        LOGIN | {"sasl_token_file": "x"},
        "sasl_token_file is set, but sasl_mechanism is SCRAM-SHA-512, which does not",
    ),
    (LOGIN | {"sasl_mechanism": "OAUTHBEARER"}, "sasl_token_file is not set, but sasl_mechanism is OAUTHBEARER"),
    (
        LOGIN | {"sasl_mechanism": "OAUTHBEARER", "sasl_token_file": "x"},
        "sasl_username is set, but sasl_mechanism is OAUTHBEARER, which does not use it",
    ),
    (
        {"security_protocol": "SASL_SSL", "sasl_mechanism": "OAUTHBEARER", "sasl_token_file": "absent"},
        "sasl_token_file: 'absent' is not a file",
    ),
    (LOGIN | {"sasl_username": "a\0b"}, "sasl_username and sasl_password cannot hold a null character"),
    ({"sasl_mechanism": "GSSAPI"}, "sasl_mechanism: input should be '', 'PLAIN', 'SCRAM-SHA-256', "),
    ({"security_protocol": "TLS"}, "security_protocol: input should be 'PLAINTEXT', 'SSL', "),
    ({"ssl_ca_file": "ca.pem"}, f"ssl_ca_file is set, but security_protocol is PLAINTEXT, {WITHOUT_TLS}"),
    (
        LOGIN | {"security_protocol": "SASL_PLAINTEXT", "ssl_certificate_file": "x"},
        f"ssl_certificate_file is set, but security_protocol is SASL_PLAINTEXT, {WITHOUT_TLS}",
    ),
    ({"ssl_key_password": SECRET}, f"ssl_key_password is set, but security_protocol is PLAINTEXT, {WITHOUT_TLS}"),
    ({"security_protocol": "SSL", "ssl_ca_file": "absent.pem"}, "ssl_ca_file: 'absent.pem' is not a file"),
    (
        {"security_protocol": "SSL", "ssl_ca_file": "no.pem"},
        "ssl_ca_file: no certificate can be read from 'no.pem' (",
    ),
    (
        {"security_protocol": "SSL", "ssl_certificate_file": "absent.pem"},
        "ssl_certificate_file: 'absent.pem' is not ",
    ),
    (
        {"security_protocol": "SSL", "ssl_certificate_file": "no.pem"},
        "ssl_certificate_file: 'no.pem' and its key 'no.pem' cannot be used (",
    ),
    (
        {"security_protocol": "SSL", "ssl_certificate_file": "no.pem", "ssl_key_file": "absent.key"},
        "ssl_key_file: 'absent.key' is not a file",
    ),
    (
        {"security_protocol": "SSL", "ssl_key_file": "no.pem"},
        "ssl_key_file is set, but ssl_certificate_file is not: a key proves nothing without it",
    ),
    (
        {"security_protocol": "SSL", "ssl_key_password": SECRET},
        "ssl_key_password is set, but ssl_certificate_file is not: a key proves nothing without it",
    ),
]


class TestSecurity:
    """A login and TLS are checked together: half of one would be none, unnoticed."""

    @pytest.mark.parametrize(("given", "says"), HALF_SECURED, ids=[says[:50] for _, says in HALF_SECURED])
    def test_half_of_it_is_refused(self, elsewhere, given, says):
        """One sentence that names the setting and what to do, and no secret."""
        (elsewhere / "no.pem").write_text("no certificate")
        with pytest.raises(ConfigurationError) as caught:
            load(**given)
        assert str(caught.value).startswith(says)
        assert "\n" not in str(caught.value)
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
    def test_a_whole_login(self, mechanism):
        """User and password, over TLS with the system's authorities."""
        found = load(**LOGIN | {"sasl_mechanism": mechanism})
        assert found.uses_sasl
        assert found.uses_tls

    def test_a_login_by_token(self, elsewhere):
        """A file is all it needs."""
        (elsewhere / "token").write_text("abc")
        found = load(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_token_file="token")
        assert found.uses_sasl

    def test_it_can_be_turned_off_in_one_go(self):
        """What needs a broker without any of it, as the demo does, can say so, whatever is in force."""
        assert load(**LOGIN | UNSECURED) == load()
        assert set(UNSECURED) == {
            name for name in Settings.model_fields if name.startswith(("sasl", "ssl", "secu"))
        }


class TestSecretsInFiles:
    """A secret may be in a file that a variable names, as container platforms mount them."""

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_a_password(self, elsewhere, monkeypatch, end):
        """All that is in it, but for the newline at its end."""
        (elsewhere / "password").write_text(f" a,b \N{SNOWMAN}{end}", encoding="utf-8", newline="")
        monkeypatch.setenv("KEYART_SASL_PASSWORD_FILE", str(elsewhere / "password"))
        login = {name: value for name, value in LOGIN.items() if name != "sasl_password"}
        assert load(**login).sasl_password.get_secret_value() == " a,b \N{SNOWMAN}"
        assert load(**LOGIN).sasl_password.get_secret_value() == SECRET  # arguments win

    @pytest.mark.parametrize("name", ["token_secrets", "http_api_keys"])
    def test_several_keys(self, elsewhere, monkeypatch, name):
        """Each has a line; the file wins over keyart.toml."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_text(f'{name} = ["the key of the toml file"]\n')
        (elsewhere / "keys").write_text(f"{SECRET}\n{OTHER}\n")
        monkeypatch.setenv(file_variable(name), "keys")
        assert [key.get_secret_value() for key in getattr(load(), name)] == [SECRET, OTHER]

    def test_not_two_places_for_one_secret(self, elsewhere, monkeypatch):
        """Nobody has to guess which is in force."""
        (elsewhere / "keys").write_text(SECRET)
        monkeypatch.setenv("KEYART_TOKEN_SECRETS", OTHER)
        monkeypatch.setenv("KEYART_TOKEN_SECRETS_FILE", "keys")
        assert (
            complaint() == "KEYART_TOKEN_SECRETS and KEYART_TOKEN_SECRETS_FILE are both set: give one of the two"
        )
        monkeypatch.setenv("KEYART_TOKEN_SECRETS_FILE", "")
        assert load().require_token_secrets() == (OTHER.encode(),)

    @pytest.mark.parametrize(
        ("content", "why"), [(None, "No such file or directory"), (b"\xff", "it is not UTF-8")]
    )
    def test_a_file_that_cannot_be_read(self, elsewhere, monkeypatch, content, why):
        """The variable is named, not keyart.toml."""
        if content is not None:
            (elsewhere / "keys").write_bytes(content)
        monkeypatch.setenv("KEYART_TOKEN_SECRETS_FILE", "keys")
        assert complaint() == f"KEYART_TOKEN_SECRETS_FILE: 'keys' cannot be read ({why})"

    def test_what_is_no_secret_has_no_file(self, monkeypatch):
        """A variable for it is a mistake."""
        monkeypatch.setenv("KEYART_PARTITIONS_FILE", "x")
        assert complaint() == "KEYART_PARTITIONS_FILE is not a setting; keyart config lists those that are"


class TestSecrets:
    """Keys and passwords are never repeated."""

    @pytest.mark.parametrize("value", ["short", f"{SECRET},short", f"short, {SECRET}"])
    def test_a_refused_secret_is_not_printed(self, monkeypatch, value):
        """The error names the setting and says nothing of its value."""
        monkeypatch.setenv("KEYART_TOKEN_SECRETS", value)
        assert complaint() == "token_secrets: a secret needs at least 16 characters"

    @pytest.mark.parametrize("name", sorted(SECRETS))
    @pytest.mark.parametrize("value", ["1234567890123456", "[1234567890123456]", '{a = "1234567890123456"}'])
    def test_a_secret_of_the_wrong_kind_is_not_printed(self, elsewhere, name, value):
        """Nor if it is no text."""
        (elsewhere / DEFAULT_CONFIG_FILE).write_text(f"{name} = {value}")
        assert "1234567890123456" not in complaint()

    @pytest.mark.parametrize("given", [{"token_secrets": ["too short"]}, {"sasl_password": "too short"}])
    def test_an_app_that_makes_settings_by_itself_is_not_shown_one_either(self, given):
        """The error of the library beneath holds no value."""
        with pytest.raises(ValidationError) as caught:
            Settings(**given)
        assert "too short" not in str(caught.value)

    def test_they_are_masked_everywhere(self, elsewhere, monkeypatch):
        """In descriptions and in representations; whoever signs gets the bytes, the signing key first."""
        monkeypatch.setenv("KEYART_TOKEN_SECRETS", f"{SECRET}, {OTHER}")
        monkeypatch.setenv("KEYART_HTTP_API_KEYS", SECRET)
        found = load(**LOGIN)
        for text in (describe(found), repr(found), str(found), str(found.model_dump()), found.model_dump_json()):
            assert SECRET not in text
            assert OTHER not in text
        assert '# sasl_password = "**********"\n' in describe(found)
        assert found.require_token_secrets() == (SECRET.encode(), OTHER.encode())

    def test_without_any(self):
        """Whoever needs a key is told which variable to set."""
        with pytest.raises(ConfigurationError, match="KEYART_TOKEN_SECRETS"):
            load().require_token_secrets()


class TestDescription:
    """What ``keyart config`` prints is a keyart.toml."""

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"features": ("drama", "\U0001f3ad", 'quo"te', "back\\slash", "new\nline", "del\x7f", "é")},
            {"max_jump": 1e-9, "prior_precision": 5e8, "session_seconds": 0.1, "worker_id": "a.b-c_1"},
            {"bootstrap_servers": "a:1, [::1]:2", "log_format": "json", "explore_share": 0, "popular_share": 1},
        ],
        ids=["defaults", "any text", "any number", "others"],
    )
    def test_it_can_be_loaded_again(self, elsewhere, changes):
        """Printed and loaded, every setting is what it was."""
        found = load(**changes)
        (elsewhere / DEFAULT_CONFIG_FILE).write_text(describe(found), encoding="utf-8")
        assert load() == found

    def test_it_explains_every_setting(self):
        """Each with its meaning and its variable."""
        text = describe(load())
        assert set(tomllib.loads(text)) == set(Settings.model_fields)
        for name, field in Settings.model_fields.items():
            assert field.description
            variable = ENV_PREFIX + name.upper()
            variables = f"{variable} or {variable}_FILE" if name in SECRETS else variable
            assert f"# {field.description}  [{variables}]\n{name} = " in text

    def test_masked_secrets_are_no_secrets(self, elsewhere, monkeypatch):
        """A printed configuration does not put the mask in force as a key."""
        monkeypatch.setenv("KEYART_TOKEN_SECRETS", SECRET)
        monkeypatch.setenv("KEYART_HTTP_API_KEYS", SECRET)
        (elsewhere / DEFAULT_CONFIG_FILE).write_text(describe(load()))
        monkeypatch.delenv("KEYART_TOKEN_SECRETS")
        monkeypatch.delenv("KEYART_HTTP_API_KEYS")
        assert load() == Settings()


class TestWorkerName:
    """A worker's name in logs, transactions and dead letters."""

    def test_given(self):
        """The one it keeps across restarts, if it has one."""
        assert load(worker_id="slot-1").worker_name == "slot-1"

    def test_otherwise_host_and_process(self):
        """A name no other process has."""
        assert load().worker_name.endswith(f"-{os.getpid()}")
