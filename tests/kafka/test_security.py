"""Kafka with everything locked: TLS, logins and access control, each process with no more rights than it needs."""

from __future__ import annotations

import json
import os
import re
import shlex
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import traffic
from kafka import KafkaProducer
from kafka.errors import TopicAuthorizationFailedError
from secured import (
    ADMIN,
    AWKWARD,
    CERTIFIED,
    SHORTER,
    SecuredBroker,
    acls,
    make_certificates,
    password_of,
    unsigned_token,
)
from waiting import until
from wire import Wire

from benchmarks.apache import NoApacheKafka
from consumers.doctor import gather
from producers import EventProducer
from producers.catalogue import publish_catalogue
from producers.members import forget
from stream import access, doctor, topics
from stream.codec import decode
from stream.errors import BrokerUnavailable, ConfigurationError, TopicError
from stream.kafka import Admin, AtomicWriter, Committer, GroupReader, Output
from stream.records import Title
from stream.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from processes import Process

TITLES = traffic.catalogue(titles=2, artworks=2)
KEY = "the key of the apps"


@pytest.fixture(scope="module")
def secured() -> Iterator[SecuredBroker]:
    """The broker of these tests."""
    try:
        broker = SecuredBroker()
        broker.start()
    except NoApacheKafka as reason:
        if os.environ.get("KEYART_TEST_REQUIRE_KAFKA") == "1":
            pytest.fail(f"Apache Kafka is required and cannot be had: {reason}", pytrace=False)
        pytest.skip(f"needs Apache Kafka: {reason}")
    yield broker
    broker.close()


@pytest.fixture
def logged_in(secured: SecuredBroker, tmp_path: Path) -> Callable[..., Settings]:
    """Makes settings of a user of this test's topics."""
    prefix = f"{tmp_path.name}."

    def settings_of(user: str, **changes: Any) -> Settings:
        given: dict[str, Any] = {
            "bootstrap_servers": secured.bootstrap,
            "topic_prefix": prefix,
            "partitions": 2,
            "connect_seconds": 10,
            "checkpoint_seconds": 0.5,
            "publish_seconds": 0.1,
            "reward_seconds": 0.1,
            "max_behind_days": 0,
            "token_secrets": ("a secret for the tests",),
        }
        return Settings(**given | secured.login(user) | changes)

    return settings_of


@pytest.fixture
def of_role(secured: SecuredBroker, logged_in: Callable[..., Settings]) -> Callable[..., Settings]:
    """Makes settings of a role's user, who may what the role needs."""
    allowed = set()

    def settings_of(role: str, **changes: Any) -> Settings:
        if role not in allowed:
            secured.allow(logged_in(ADMIN, sasl_mechanism="PLAIN"), role)
            allowed.add(role)
        return logged_in(access.user_of(role), **changes)

    return settings_of


def plain_options(settings: Settings) -> dict[str, Any]:
    """A login as the plain client takes it, without any of our code."""
    return {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": settings.ssl_ca_file,
        "sasl_mechanism": settings.sasl_mechanism,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": settings.sasl_password.get_secret_value(),
    }


# --- logins


@pytest.mark.parametrize(
    ("user", "changes"),
    [
        (ADMIN, lambda *_: {"sasl_mechanism": "PLAIN"}),
        (AWKWARD, lambda *_: {}),
        (SHORTER, lambda secured, _: secured.shorter_login()),
        (CERTIFIED, lambda secured, _: secured.certificate()),
        (
            ADMIN,
            lambda secured, _: {
                "sasl_mechanism": "PLAIN",
                "ssl_certificate_file": str(secured.certificates / "client.pem"),
            },
        ),
        (ADMIN, lambda _, token: by_token(token)),
    ],
    ids=[
        "PLAIN",
        "SCRAM with a name that needs care",
        "SCRAM-SHA-256",
        "a certificate with an encrypted key",
        "a certificate beside a password",
        "OAUTHBEARER",
    ],
)
def test_logins(
    secured: SecuredBroker,
    logged_in: Callable[..., Settings],
    tmp_path: Path,
    user: str,
    changes: Callable[[SecuredBroker, Path], dict[str, Any]],
) -> None:
    """Whoever may log in gets an answer, over TLS, whichever way it is."""
    token = tmp_path / "token"
    token.write_text(unsigned_token(user, time.time()) + "\n")
    with Admin(logged_in(user, **changes(secured, token))) as admin:
        assert admin.partition_counts() == {}


def by_token(token: Path) -> dict[str, Any]:
    """What differs where one shows a token."""
    return {
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_username": "",
        "sasl_password": "",
        "sasl_token_file": str(token),
    }


def test_a_token_is_read_anew_for_every_login(logged_in: Callable[..., Settings], tmp_path: Path) -> None:
    """One that has expired is refused; what renews it need not restart anybody."""
    token = tmp_path / "token"
    token.touch()
    settings = logged_in(ADMIN, **by_token(token))
    for content, complaint in (
        (unsigned_token(ADMIN, time.time() - 7200), "invalid_token"),
        ("", "holds no token"),
        (None, "cannot be read \\(No such file or directory\\)"),
        (unsigned_token(ADMIN, time.time()), None),
    ):
        if content is None:
            token.unlink()
        else:
            token.write_text(content)
        if complaint is None:
            Admin(settings).close()
        else:
            with pytest.raises(ConfigurationError, match=complaint) as caught:
                Admin(settings)
            assert not content or content not in str(caught.value)


REFUSED = [
    ({"sasl_password": "not the password"}, "user 'nobody' (SCRAM-SHA-512) do not agree: Authentication failed"),
    ({"sasl_username": "stranger"}, "user 'stranger' (SCRAM-SHA-512) do not agree: Authentication failed"),
    ({"sasl_mechanism": "PLAIN"}, "user 'nobody' (PLAIN) do not agree: Authentication failed"),
    ({"sasl_mechanism": "SCRAM-SHA-256"}, "do not agree: this way to log in is not enabled there"),
    ({"ssl_ca_file": ""}, "do not agree: its certificate is not trusted ("),
]


@pytest.mark.parametrize(("changes", "says"), REFUSED, ids=[says[:40] for _, says in REFUSED])
def test_who_is_refused_is_told_so_and_does_not_try_for_ever(
    logged_in: Callable[..., Settings], changes: dict[str, Any], says: str
) -> None:
    """One sentence, that is about settings and not about a broker that is away, and holds no password."""
    settings = logged_in("nobody", connect_seconds=60, **changes)
    assert says in refusal(settings)


def refusal(settings: Settings) -> str:
    """What somebody is told who is refused."""
    began = time.monotonic()
    with pytest.raises(ConfigurationError) as caught:
        Admin(settings)
    assert time.monotonic() - began < 10  # of 60 it would be given
    said = str(caught.value)
    secret = settings.sasl_password.get_secret_value()
    assert not secret or secret not in said
    assert "\n" not in said
    return said


@pytest.mark.parametrize("shown", ["none", "of an authority elsewhere"])
def test_who_shows_no_certificate_that_is_trusted_is_told_so(
    secured: SecuredBroker, logged_in: Callable[..., Settings], tmp_path: Path, shown: str
) -> None:
    """A broker says so within TLS, after its handshake: no connection is only lost."""
    own = ""
    if shown != "none":
        make_certificates(tmp_path / "elsewhere", CERTIFIED)
        own = str(tmp_path / "elsewhere" / f"{CERTIFIED}.pem")
    given = secured.certificate() | {"ssl_certificate_file": own, "ssl_key_file": "", "ssl_key_password": ""}
    said = refusal(logged_in(CERTIFIED, connect_seconds=60, **given))
    assert "this client (SSL) do not agree: it asks for a certificate that it trusts (" in said
    assert said.endswith("certificate_file right?")


@pytest.mark.parametrize(
    ("password", "says"),
    [
        (
            "not the password",
            "ssl_key_password does not open the key '{}': give the one that it was encrypted with",
        ),
        ("", "ssl_key_password is not set, but the key '{}' is encrypted: give its password"),
    ],
    ids=["the wrong one", "none"],
)
def test_an_encrypted_key_needs_its_password(secured: SecuredBroker, password: str, says: str) -> None:
    """Whoever has another, or none, is told so before anybody is asked."""
    given = secured.login(CERTIFIED) | secured.certificate() | {"ssl_key_password": password}
    with pytest.raises(ConfigurationError) as caught:
        load(**given)
    assert str(caught.value) == says.format(given["ssl_key_file"])


def test_a_key_must_belong_to_its_certificate(secured: SecuredBroker) -> None:
    """Opened or not: a key of another certificate is not taken for a wrong password."""
    given = secured.login(CERTIFIED) | secured.certificate()
    given["ssl_certificate_file"] = str(secured.certificates / "client.crt")
    with pytest.raises(ConfigurationError, match=r"cannot be used .*; are both PEM, and do they belong together"):
        load(**given)


def test_a_broker_that_is_spoken_to_in_the_wrong_way(logged_in: Callable[..., Settings]) -> None:
    """Who speaks without TLS gets no answer at all: the sentence names that setting as well."""
    settings = logged_in("nobody", connect_seconds=1, security_protocol="SASL_PLAINTEXT", ssl_ca_file="")
    with pytest.raises(BrokerUnavailable, match="KEYART_SECURITY_PROTOCOL right"):
        Admin(settings)


# --- rights


def test_the_loop_runs_with_no_more_rights_than_needed(
    secured: SecuredBroker,
    of_role: Callable[..., Settings],
    logged_in: Callable[..., Settings],
    keyart: Callable[..., Process],
) -> None:
    """Every process has its own user: topics, catalogue, workers, node, app, forgetting; no password is logged.

    One worker is known by its certificate, and one logs in by the other SCRAM.
    """
    loud = {"log_level": "debug"}
    logins = {"viewing": secured.certificate(), "learner": secured.shorter_login()}
    with Admin(of_role("topics")) as creating:
        creating.create()
        creating.repair()
        creating.verify()
    publish_catalogue(
        of_role("catalogue"), [decode(Title, json.dumps(title).encode()) for title in TITLES.values()]
    )
    workers = [
        keyart(of_role(job, worker_id="slot-1", **loud, **login), job, "--ready") for job, login in logins.items()
    ]
    node = keyart(of_role("serving", http_port=0, http_api_keys=(KEY,), **loud), "serving")
    admin = logged_in(ADMIN, sasl_mechanism="PLAIN")
    wire = Wire(admin, **plain_options(admin))
    for worker in workers:
        worker.wait_ready()

    url = until(lambda: re.search(r"serving on (http://\S+)", node.output()), "the node announces itself")[1]
    asked = {"member_id": "ann", "title_ids": sorted(TITLES)}
    headers = {"Authorization": f"Bearer {KEY}"}
    tokens = []
    for _ in range(3):
        answer = httpx2.post(f"{url}/choose", json=asked, headers=headers, timeout=20)
        tokens += [choice["token"] for choice in answer.json()["choices"]]
    with EventProducer(of_role("app")) as events:
        for token in tokens:
            assert events.impression_token(token)
            assert events.play(token, 3000.0)
        events.flush(20)
        assert events.dropped == {}
    until(lambda: "ann" in wire.latest("tastes"), "the taste is there")
    until(
        # Of each title the first impression of the hour, and one reward.
        lambda: sum(title["version"] for title in wire.latest("snapshots").values()) >= 2 * len(TITLES),
        "it is learned",
    )
    assert wire.read("dead-letters") == []

    forget(of_role("forget"), ["ann"])
    until(lambda: "ann" not in wire.latest("tastes"), "the member is forgotten")
    writer = AtomicWriter(of_role("dead-letters"), f"{admin.topic_prefix}dead-letters.replay")
    assert writer.write([Output(topics.REWARDS, b"k", b"{}"), Output(topics.DEAD_LETTERS, b"k", b"{}", 0)]) == 2
    writer.close()
    with Admin(of_role("dead-letters")) as looking:
        looking.verify((topics.DEAD_LETTERS, topics.CATALOGUE, topics.PLAYS, topics.IMPRESSIONS, topics.REWARDS))
    until(lambda: len(wire.read("dead-letters")) > 1, "what was put back is dead again")

    for process in (*workers, node):
        process.terminate()
        process.succeed(15)
    wire.close()
    said = "".join(process.output() for process in (*workers, node))
    assert "Traceback" not in said
    assert not re.search(r"to-be-kept-quiet|a secret for the tests|" + KEY, said)


def refused_writes(settings: Settings) -> set[str]:
    """The topics that this user cannot write to, tried one by one with the plain client."""
    producer = KafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        enable_idempotence=False,  # which would ask for more
        max_block_ms=10_000,
        retry_backoff_ms=10,
        **plain_options(settings),
    )
    refused = set()
    for topic in topics.ALL:
        try:
            producer.send(topic.full_name(settings.topic_prefix), b"{}", key=b"k", partition=0).get(10)
        except TopicAuthorizationFailedError:
            refused.add(topic.name)
    producer.close(timeout=5)
    return refused


def test_nobody_writes_what_is_not_theirs(of_role: Callable[..., Settings]) -> None:
    """The app cannot write to the learner's changelog, nor anybody else to a topic of somebody else's."""
    with Admin(of_role("topics")) as admin:
        admin.create()
    users = {role: of_role(role) for role in access.ROLES}
    with ThreadPoolExecutor(len(users)) as pool:
        refused = dict(zip(users, pool.map(refused_writes, users.values()), strict=True))
    everything = {topic.name for topic in topics.ALL}
    inputs = {"impressions", "plays"}
    assert {role: everything - names for role, names in refused.items()} == {
        "viewing": {"rewards", "tastes", "viewing-changelog", "dead-letters"},
        "learner": {"snapshots", "shared-prior", "learner-changelog", "dead-letters"},
        "serving": inputs,
        "app": inputs,
        "catalogue": {"catalogue"},
        "replay": {"catalogue", *inputs},
        "dead-letters": {"rewards", "dead-letters", *inputs},
        "forget": {"plays"},
        "evaluate": set(),
        "doctor": set(),
        "topics": set(),
    }


def test_a_worker_without_its_rights_says_which_are_missing(
    of_role: Callable[..., Settings], logged_in: Callable[..., Settings], keyart: Callable[..., Process]
) -> None:
    """It ends with one sentence, about a topic it may not see, a group, transactions, or records not its own."""
    with Admin(of_role("topics")) as admin:
        admin.create()
    process = keyart(logged_in("nobody"), "viewing")
    assert process.wait(30) == 78
    assert re.fullmatch(
        r"keyart: topic '\S+plays' does not exist on \S+, or user 'nobody' \(SCRAM-SHA-512\) may not see it: run "
        r"keyart topics\n",
        process.output(),
    )
    settings = of_role("viewing")
    not_allowed = (
        "does not allow it to user 'keyart-viewing' .* keyart topics --acls lists what each process needs"
    )
    reader = GroupReader(settings, "learner", (topics.PLAYS,))
    with pytest.raises(ConfigurationError, match=not_allowed):
        until(lambda: reader.poll(0.1), "the group is refused")
    reader.close()
    with pytest.raises(ConfigurationError, match=not_allowed):
        Committer(settings, f"{settings.topic_prefix}learner.slot")
    committer = Committer(settings, f"{settings.topic_prefix}viewing.slot")
    with pytest.raises(ConfigurationError, match=not_allowed):
        committer.commit([Output(topics.SNAPSHOTS, b"k", b"{}")], {}, _Membership())
    committer.close()
    with pytest.raises(TopicError, match="may not see it"):
        forget(logged_in("nobody"), ["ann"])


def test_the_doctor_says_what_is_refused(
    of_role: Callable[..., Settings], logged_in: Callable[..., Settings]
) -> None:
    """It names what it may not see and what a role may not do; with its own rights it sees everything."""
    with Admin(of_role("topics")) as admin:
        admin.create()

    def found(settings: Settings, role: str | None = None) -> dict[str, str]:
        return {one.code: one.what for one in doctor.findings(gather(settings, role=role))}

    nobody = found(logged_in("nobody"))
    assert "we may not describe it" in nobody["permission_refused"]
    assert "topic_missing" not in nobody
    said = [one.what for one in doctor.findings(gather(of_role("learner"), role="learner"))]
    assert any(re.fullmatch(r"topic '\S+plays': we may not describe it", one) for one in said)
    assert not any("and our user may not" in one for one in said)
    # A learner's rights are not a viewing worker's: what it may see and not do is named.
    lacking = found(of_role("learner"), role="viewing")["permission_missing"]
    assert lacking == "viewing has to Write and DescribeConfigs topic 'rewards', and our user may not" or (
        lacking == "viewing has to Write topic 'rewards', and our user may not"
    )
    own = found(of_role("doctor"), role="doctor")
    assert own["permissions"] == "all that keyart-doctor needs"
    assert own["topics"].startswith("10 topics")
    wrong = found(logged_in(access.user_of("learner"), sasl_password="not the password"))
    assert "do not agree" in wrong["login_refused"]


class _Membership:
    generation_id = 1


# --- the table


def test_the_documentation_has_the_table() -> None:
    """What is given in these tests is what docs/security.md says is needed."""
    page = Path(__file__).parent.parent.parent / "docs" / "security.md"
    assert access.table() in page.read_text()


def test_the_printed_commands_give_what_was_tested(logged_in: Callable[..., Settings]) -> None:
    """``keyart topics --acls`` prints, for ``kafka-acls``, the very rights that these tests run with."""
    settings = logged_in(ADMIN, sasl_mechanism="PLAIN")
    printed = set()
    for line in access.commands(settings):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[:6] == [
            *("kafka-acls", "--bootstrap-server", settings.bootstrap_servers),
            *("--command-config", "admin.properties", "--add"),
        ]
        options = list(zip(words[6::2], words[7::2], strict=True))
        (principal,) = (value for option, value in options if option == "--allow-principal")
        (pattern,) = (value for option, value in options if option == "--resource-pattern-type")
        for kind in access.Kind:
            for name in (value for option, value in options if option == kind.value):
                for operation in (value for option, value in options if option == "--operation"):
                    printed.add((principal, kind.name, name, pattern, operation.lower()))
    given = {
        (
            *(acl.principal, acl.resource_pattern.resource_type.name, acl.resource_pattern.resource_name),
            acl.resource_pattern.pattern_type.name.lower(),
            acl.operation.name.lower().replace("_", ""),
        )
        for role in access.ROLES
        for acl in acls(settings.topic_prefix, role)
    }
    assert printed == given
    assert password_of(ADMIN) not in "".join(access.commands(settings))
