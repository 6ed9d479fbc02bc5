"""Every setting in one frozen object, read once at start and passed down.

``keyart.toml`` (or the file that ``KEYART_CONFIG`` names) holds settings by their names below; an environment
variable ``KEYART_<NAME>`` overrides it. A secret may also be in a file that ``KEYART_<NAME>_FILE`` names. Nothing
reads the environment anywhere else.
"""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from stream import security
from stream.errors import ConfigurationError
from stream.features import CAST_PREFIX, RESERVED
from stream.records import MAX_FEATURES, MAX_NAME

ENV_PREFIX = "KEYART_"
CONFIG_VARIABLE = "KEYART_CONFIG"
DEFAULT_CONFIG_FILE = "keyart.toml"
#: Settings that are never shown, and that a file may hold.
SECRETS = frozenset({"sasl_password", "ssl_key_password", "token_secrets", "http_api_keys"})

_HOST_PORT = re.compile(r"(\[[0-9a-fA-F:]+\]|[^\s:,]+):([0-9]{1,5})")

#: Names separated by commas in the environment, a list in the file.
Names = Annotated[tuple[str, ...], NoDecode]
Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=24 * 60 * 60)]

#: What one member can teach is not limited with these: for simulations, where few people stand for many.
UNLIMITED: dict[str, Any] = {
    "impressions_per_hour": 0,
    "plays_per_day": 0,
    "title_once": False,
    "flood_plays": 0,
}


class Settings(BaseSettings):
    """What is in force. See :func:`load` for how it comes together."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a fault of secrets must not show them
        toml_file=DEFAULT_CONFIG_FILE,
    )

    # --- Kafka
    bootstrap_servers: str = Field("127.0.0.1:9092", description="Kafka brokers to start from, host:port, …")
    topic_prefix: str = Field(
        "keyart.", pattern=r"^[a-zA-Z0-9._-]*$", max_length=100, description="Put before every topic and group"
    )
    partitions: int = Field(9, ge=1, le=10_000, description="Partitions of a topic that keyart topics creates")
    replication_factor: int = Field(
        -1,
        ge=-1,
        le=100,
        description="Copies of a topic that keyart topics creates; -1: the brokers' default.replication.factor",
    )
    connect_seconds: Seconds = Field(15, description="How long to try to reach the cluster at start")
    session_seconds: Seconds = Field(10, description="A worker silent for so long loses its partitions")
    poll_seconds: Seconds = Field(60, description="A worker that does not poll for so long loses its partitions")
    transaction_seconds: Seconds = Field(
        10, description="Kafka aborts a transaction that is older; delivery and request limits follow from it"
    )
    max_poll_records: int = Field(5000, ge=1, description="Most records a worker handles at once")
    worker_id: str = Field(
        "",
        pattern=r"^[a-zA-Z0-9._-]*$",
        max_length=100,
        description="A name this worker keeps across restarts, unique in its group; empty: host and process",
    )

    # --- Kafka's security
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How brokers are spoken to: with TLS (SSL) or not, with a login (SASL) or not"
    )
    sasl_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "", description="How to log in"
    )
    sasl_username: str = Field("", max_length=256, description="Who logs in, with PLAIN and SCRAM")
    sasl_password: SecretStr = Field(SecretStr(""), description="The password of sasl_username")
    sasl_token_file: str = Field(
        "", description="File with the token for OAUTHBEARER, read for every connection: it may be renewed"
    )
    ssl_ca_file: str = Field(
        "", description="Certificates (PEM) of the authorities that brokers are trusted by; empty: the system's"
    )
    ssl_certificate_file: str = Field("", description="This client's certificate (PEM), if brokers ask for one")
    ssl_key_file: str = Field("", description="Its private key (PEM), if it is not in the same file")
    ssl_key_password: SecretStr = Field(SecretStr(""), description="What opens that key, if it is encrypted")

    # --- Tokens
    token_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that sign play tokens: the first signs, every one is accepted (to rotate)"
    )

    # --- Event time
    max_ahead_seconds: Annotated[float, Field(ge=0, le=24 * 60 * 60)] = Field(
        300, description="An event further ahead of when it was written becomes a dead letter; 0: no limit"
    )
    max_behind_days: Annotated[float, Field(ge=0, le=36500)] = Field(
        7, description="An event further behind when it was written becomes a dead letter; 0: no limit"
    )

    # --- Learning
    features: Names = Field((), description="Context features to learn from; empty: the catalogue's themes")
    shared_prior: bool = Field(True, description="Artworks start from what the whole catalogue teaches")
    prior_precision: float = Field(
        10.0, gt=0, le=1e9, description="Without it: prior precision of every weight (1/variance)"
    )
    noise_precision: float = Field(
        20.0, gt=0, le=1e9, description="Without it: precision of a reward around its mean (1/variance)"
    )
    half_life_days: float = Field(
        0, ge=0, le=36500, description="How fast the learner forgets, in event time; 0: it does not"
    )
    drift_detection: bool = Field(
        False, description="A busy title whose reward turns forgets most of what it learned before"
    )
    hold: Share = Field(
        0.01,
        description="A title's choices stay as they are until that would cost this part of its take rate; 0: they "
        "follow the evidence at once",
    )
    checkpoint_seconds: Seconds = Field(5, description="How often a learner commits what it learned")
    publish_seconds: Seconds = Field(0.5, description="How often changed titles are published")
    duplicate_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        60, description="An impression repeated within so long (event time) counts once"
    )
    impressions_per_hour: int = Field(
        1,
        ge=0,
        le=100,
        description="Impressions of one title that a member can teach the learner in an hour (event time); 0: all",
    )
    max_jump: float = Field(
        1.0, gt=0, description="A snapshot that moves an artwork's expected reward by more is refused"
    )

    # --- Viewing
    reward_seconds: Seconds = Field(0.5, description="How often a viewing worker commits rewards and tastes")
    min_seconds: float = Field(120, ge=0, description="Watched less than this: no reward")
    full_fraction: float = Field(0.3, gt=0, le=1, description="Watched this part of the runtime: full reward")
    attribution_hours: Annotated[float, Field(gt=0, le=24 * 30)] = Field(
        24, description="A play later than this after its impression earns it nothing"
    )
    late_hours: Annotated[float, Field(ge=0, le=24 * 30)] = Field(
        1, description="How much later than that a play's record may arrive and still count"
    )
    plays_per_day: int = Field(
        10,
        ge=0,
        le=100,
        description="So many impressions of one member and day (UTC) can earn anything by their plays, those "
        "worth most; 0: all",
    )
    title_once: bool = Field(True, description="Of those of one title only one; false: every one")
    flood_plays: int = Field(
        50,
        ge=0,
        le=1000,
        description="A member with more plays than that in a day (UTC) earns nothing on it; 0: nobody does",
    )
    taste_half_life_days: float = Field(90, gt=0, description="How fast a taste forgets")

    # --- Choosing
    explore_share: Share = Field(0.02, description="Members who get a uniform choice")
    popular_share: Share = Field(0.05, description="Members who get the best single artwork for everyone")
    app_share: Share = Field(
        0,
        description="Members who get the app's own choice, to compare with; 1: everybody (an apprentice)",
    )
    uniform_floor: Share = Field(0.01, description="Share of uniform choice within the other two policies")
    exploration: float = Field(
        0.1, ge=0, le=10, description="Width of the Thompson draw; 1 is the textbook's, 0 chooses greedily"
    )
    sticky_days: Annotated[float, Field(gt=0, le=365)] = Field(
        7, description="The draws of a member and a title stay the same for so long"
    )
    page_variety: Annotated[float, Field(ge=0, le=10)] = Field(
        0, description="How much a page avoids artwork that looks alike, in parts of a title's mean score; 0: not"
    )

    # --- Serving
    http_host: str = Field("127.0.0.1", description="Address the serving node listens on")
    http_port: int = Field(8080, ge=0, le=65535, description="Port the serving node listens on; 0: any free one")
    http_max_bytes: int = Field(64 * 1024, ge=1024, description="Largest request body the node reads")
    http_api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Keys that callers show (Authorization: Bearer …), each accepted; none: anybody may call"
    )
    max_block_seconds: Annotated[float, Field(ge=0)] = Field(
        0.05, description="The longest an event producer keeps its caller waiting"
    )

    # --- Watching
    metrics_host: str = Field("127.0.0.1", description="Address for a worker's /metrics")
    metrics_port: int = Field(0, ge=0, le=65535, description="Port for a worker's /metrics; 0: none")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: readable on a terminal, JSON elsewhere"
    )

    @field_validator("features", "token_secrets", "http_api_keys", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Commas separate names in the environment, where there are no lists."""
        return (
            tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        )

    @field_validator("bootstrap_servers")
    @classmethod
    def _check_bootstrap(cls, value: str) -> str:
        for part in value.split(","):
            found = _HOST_PORT.fullmatch(part.strip())
            if found is None or not 0 < int(found[2]) <= 65535:
                raise ValueError(f"{part.strip()!r} is not host:port")
        return ",".join(part.strip() for part in value.split(","))

    @field_validator("replication_factor")
    @classmethod
    def _check_copies(cls, value: int) -> int:
        if value == 0:
            raise ValueError("a topic has at least one copy; -1 leaves it to the brokers")
        return value

    @field_validator("features")
    @classmethod
    def _check_features(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a feature is listed twice")
        if len(value) > MAX_FEATURES:
            raise ValueError(f"at most {MAX_FEATURES} features")
        if reserved := RESERVED & set(value):
            raise ValueError(f"{min(reserved)!r} is Keyart's own feature")
        for name in value:
            if not 0 < len(name) <= MAX_NAME:
                raise ValueError(f"{name[:20]!r} is no name: it needs 1 to {MAX_NAME} characters")
            if name.startswith(CAST_PREFIX):
                raise ValueError(f"{name!r} is a person, not a feature: people are learned as 'cast'")
        return value

    @field_validator("token_secrets", "http_api_keys")
    @classmethod
    def _check_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < 16 for secret in value):
            raise ValueError("a secret needs at least 16 characters")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Settings:
        if self.explore_share + self.popular_share > 1:
            raise ValueError("explore_share and popular_share together exceed 1")
        if self.transaction_seconds < 2:
            raise ValueError("transaction_seconds is below 2: a commit needs time to be retried")
        return self

    @model_validator(mode="after")
    def _check_security(self) -> Settings:
        security.check(self)
        return self

    @property
    def uses_sasl(self) -> bool:
        """Whether clients log in."""
        return self.security_protocol.startswith("SASL_")

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted, and brokers verified."""
        return self.security_protocol.endswith("SSL")

    @property
    def worker_name(self) -> str:
        """This worker's name in logs, transactions and dead letters."""
        return self.worker_id or f"{socket.gethostname()}-{os.getpid()}"

    def require_token_secrets(self) -> tuple[bytes, ...]:
        """The token keys, the signing one first.

        Raises
        ------
        ConfigurationError
            There is none: without a key anyone could claim plays.
        """
        if not self.token_secrets:
            raise ConfigurationError(
                "token_secrets is not set: give at least one secret of 16 characters or more in "
                f"{ENV_PREFIX}TOKEN_SECRETS, the same on every serving node and app"
            )
        return tuple(secret.get_secret_value().encode() for secret in self.token_secrets)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win over the environment, the environment over the file."""
        del dotenv_settings, file_secret_settings
        path = Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG_FILE)
        from_files = InitSettingsSource(settings_cls, _secrets_in_files())
        return init_settings, from_files, env_settings, TomlConfigSettingsSource(settings_cls, path)


def load(**overrides: Any) -> Settings:
    """Read the settings in force: arguments, then ``KEYART_…``, then the file, then the defaults.

    Raises
    ------
    ConfigurationError
        A setting is unknown or wrong; the message names it.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    if named and not Path(named).is_file():
        raise ConfigurationError(f"{CONFIG_VARIABLE} names {named!r}, which is not a file")
    _refuse_unknown_variables()
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_sentence(fault) for fault in error.errors())) from None
    except (ValueError, OSError) as error:  # the file is not TOML, or may not be read
        raise ConfigurationError(f"{named or DEFAULT_CONFIG_FILE}: {error}") from None


def file_variable(secret: str) -> str:
    """The variable that names the file with a secret.

    >>> file_variable("sasl_password")
    'KEYART_SASL_PASSWORD_FILE'
    """
    return f"{ENV_PREFIX}{secret.upper()}_FILE"


def _secrets_in_files() -> dict[str, str]:
    """The secrets that variables name files for: what is mounted into a container is in no process's environment.

    The newline at a file's end is not part of a secret; where there may be several, each has a line.
    """
    found = {}
    for name in sorted(SECRETS):
        path = os.environ.get(file_variable(name))
        if not path:
            continue
        if os.environ.get(ENV_PREFIX + name.upper()):
            raise ConfigurationError(
                f"{ENV_PREFIX}{name.upper()} and {file_variable(name)} are both set: give one of the two"
            )
        try:
            text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ConfigurationError(f"{file_variable(name)}: {path!r} cannot be read ({why})") from None
        several = isinstance(Settings.model_fields[name].default, tuple)
        found[name] = ",".join(text.splitlines()) if several else text
    return found


def _refuse_unknown_variables() -> None:
    """A misspelt variable would otherwise be ignored, and its writer would believe it is in force."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_VARIABLE}
    known |= {file_variable(name) for name in SECRETS}
    for variable in sorted(os.environ):
        if variable.startswith(ENV_PREFIX) and variable not in known | TEST_VARIABLES:
            raise ConfigurationError(f"{variable} is not a setting; keyart config lists those that are")


#: Variables with our prefix that the test suite reads and that are no settings.
TEST_VARIABLES = frozenset(
    {
        "KEYART_TEST_BOOTSTRAP",
        "KEYART_TEST_REQUIRE_BROWSER",
        "KEYART_TEST_REQUIRE_KAFKA",
        "KEYART_TEST_REQUIRE_PROMETHEUS",
    }
)


def _sentence(fault: Any) -> str:
    """One validation fault as a clause that names the setting and does not repeat a secret."""
    name = str(fault["loc"][0]) if fault["loc"] else ""
    reason = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "extra_forbidden":
        return f"{name} is not a setting; keyart config lists those that are"
    if not name:
        return str(reason)
    got = "" if name in SECRETS else f" (got {fault['input']!r})"
    return f"{name}: {reason[:1].lower()}{reason[1:]}{got}"


def describe(settings: Settings) -> str:
    """The settings as the lines of a ``keyart.toml``, each with what it means; secrets are masked.

    A masked line is a comment: a file made of these lines must not put the mask itself in force.
    """
    lines = []
    for name, info in Settings.model_fields.items():
        value = getattr(settings, name)
        masked = name in SECRETS and (bool(value) if isinstance(value, tuple) else security.given(value))
        or_file = f" or {file_variable(name)}" if name in SECRETS else ""
        lines.append(f"# {info.description}  [{ENV_PREFIX}{name.upper()}{or_file}]")
        lines.append(f"{'# ' if masked else ''}{name} = {_toml(value)}")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, SecretStr):
        return f'"{value}"'  # stars, or nothing
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(part) for part in value) + "]"
    # TOML's strings are JSON's, but for surrogate pairs and the one control character that JSON lets pass.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
