"""A broker for the tests that need one, and settings that keep each test to its own topics.

``KEYART_TEST_BOOTSTRAP`` names a cluster to use. Without it Apache Kafka is started where Java and Maven work, and
the embedded broker where they do not; the summary at the end says which, and why. Where
``KEYART_TEST_REQUIRE_KAFKA`` is 1 the lack of Apache Kafka is a failure.
"""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaProducer
from kafka.errors import KafkaError
from members import Member
from processes import Process
from wire import Wire

from benchmarks.apache import ApacheBroker, NoApacheKafka, version
from consumers.embedded import EmbeddedBroker
from stream.kafka import Admin
from stream.settings import UNLIMITED, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_USED = pytest.StashKey[str]()


@dataclass(frozen=True)
class Broker:
    """What the tests run on.

    Attributes
    ----------
    bootstrap
        Its ``host:port``.
    kind
        ``apache`` or ``embedded``, or ``given`` for a cluster named by the environment.
    why
        How it came to be this one.
    """

    bootstrap: str
    kind: str
    why: str


@pytest.fixture(scope="session")
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The broker of this session."""
    started: ApacheBroker | EmbeddedBroker | None = None
    given = os.environ.get("KEYART_TEST_BOOTSTRAP")
    if given:
        found = Broker(given, "given", "KEYART_TEST_BOOTSTRAP names it")
    else:
        try:
            started = ApacheBroker()
            started.start()
            found = Broker(started.bootstrap, "apache", f"Apache Kafka {version()} from Maven")
        except NoApacheKafka as reason:
            if os.environ.get("KEYART_TEST_REQUIRE_KAFKA") == "1":
                pytest.fail(f"Apache Kafka is required and cannot be had: {reason}", pytrace=False)
            started = EmbeddedBroker()
            started.start()
            found = Broker(started.bootstrap, "embedded", f"Apache Kafka cannot be had: {reason}")
    used = f"{found.kind} broker at {found.bootstrap} ({found.why})"
    _say(request.config, used)
    yield found
    if started is not None:
        if request.session.testsfailed:
            _say(request.config, f"{used}\nthe end of its output:\n{started.output()}")
        started.close()


def _say(config: pytest.Config, used: str) -> None:
    """Which broker it is: for the summary of this process, or of the one that runs several such as this."""
    config.stash[_USED] = used
    if hasattr(config, "workeroutput"):
        config.workeroutput["broker"] = used


@pytest.fixture
def settings(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Settings with short cadences, without a limit to the past (the tests' stories lie there), and own topics."""
    for variable in [name for name in os.environ if name.startswith("KEYART_") and "_TEST_" not in name]:
        monkeypatch.delenv(variable)
    nothing = tmp_path_factory.mktemp("config") / "empty.toml"
    nothing.touch()
    monkeypatch.setenv("KEYART_CONFIG", str(nothing))
    ours = Settings(
        bootstrap_servers=broker.bootstrap,
        topic_prefix=f"test-{uuid.uuid4().hex[:12]}.",
        partitions=3,
        session_seconds=6,
        checkpoint_seconds=0.5,
        publish_seconds=0.1,
        reward_seconds=0.1,
        max_behind_days=0,
        **UNLIMITED,  # few members see and play much here; tests of the limits set them
        token_secrets=("a secret for the tests",),
    )
    with Admin(ours) as admin:
        admin.create()
    return ours


@pytest.fixture
def private_broker() -> Iterator[ApacheBroker]:
    """An Apache Kafka of this test's own, to be killed."""
    with ApacheBroker() as ours:
        yield ours


@pytest.fixture
def wire(settings: Settings) -> Iterator[Wire]:
    """The plain client, on this test's topics."""
    ours = Wire(settings)
    yield ours
    ours.close()


@pytest.fixture
def transactional(settings: Settings) -> Iterator[Callable[[str], KafkaProducer]]:
    """Makes plain producers of transactions, by a name that is this test's own."""
    made: list[KafkaProducer] = []

    def make(name: str) -> KafkaProducer:
        producer = KafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            transactional_id=settings.topic_prefix + name,
            retry_backoff_ms=20,
        )
        made.append(producer)
        producer.init_transactions()
        return producer

    yield make
    for producer in made:
        with suppress(KafkaError):
            producer.close(timeout=1)


@pytest.fixture
def keyart(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Process]]:
    """Starts ``keyart`` processes; ends those that a test leaves behind, and shows what they wrote if it fails."""
    started: list[Process] = []

    def start(settings: Settings, *arguments: str) -> Process:
        folder = tmp_path / f"process-{len(started)}"
        folder.mkdir()
        started.append(Process(settings, folder, *arguments))
        return started[-1]

    yield start
    for process in started:
        if process.running:
            process.kill()
        request.node.add_report_section("teardown", process.name, process.output())


@pytest.fixture
def join(settings: Settings) -> Iterator[Callable[..., Member]]:
    """Makes members of the learners' group, with some settings changed; they leave at the end."""
    members: list[Member] = []

    def make(**changes: Any) -> Member:
        members.append(Member(settings.model_copy(update=changes)))
        return members[-1]

    yield make
    for member in members:
        member.reader.close()


@pytest.fixture(autouse=True)
def _apache_kafka_alone(request: pytest.FixtureRequest) -> None:
    """Skip what the embedded broker cannot show.

    It has no proof of exactly-once to give, and takes the end of a partition for the place after the first record
    of its last batch: whoever restores from it may be told that records are missing.
    """
    if request.node.get_closest_marker("apache_kafka") is not None:
        used = request.getfixturevalue("broker")
        if used.kind == "embedded":
            pytest.skip(f"needs Apache Kafka; {used.why}")


def pytest_report_header() -> str:
    """Which broker will be tried."""
    given = os.environ.get("KEYART_TEST_BOOTSTRAP")
    return f"broker: {given or f'Apache Kafka {version()}, else the embedded one; the summary says which'}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which broker it was."""
    used = config.stash.get(_USED, None)
    if used is not None:
        terminalreporter.section("broker")
        terminalreporter.write_line(used)
