"""Apache Kafka for tests and benchmarks: its jars from Maven, one node in KRaft mode, on free local ports."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from consumers.embedded import free_port, start_tied, wait_until_answering
from stream.errors import BrokerUnavailable
from stream.kafka import Admin

if TYPE_CHECKING:
    from stream.settings import Settings

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
#: Kept between sessions; git does not see it.
CACHE = HERE.parent.parent / ".kafka"

_DOWNLOAD_SECONDS = 600
_START_SECONDS = 90
_ATTEMPTS = 3


class NoApacheKafka(Exception):
    """Apache Kafka cannot be had here; says why."""


def version() -> str:
    """The version that the pom pins."""
    pinned = ET.parse(POM).find(".//{*}kafka.version")
    assert pinned is not None
    return str(pinned.text)


def jars() -> Path:
    """The folder with Kafka and everything it needs, downloaded once.

    A download is moved into place when it is complete, so that a broken one is never used; of two sessions at the
    same time one waits for the other.
    """
    place = CACHE / f"{version()}-{hashlib.sha256(POM.read_bytes()).hexdigest()[:8]}"
    if place.is_dir():
        return place
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            raise NoApacheKafka(f"there is no {tool!r} on the path")
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Maven's own store is not made for two at a time
        return place if place.is_dir() else _download(place)


def _download(place: Path) -> Path:
    with tempfile.TemporaryDirectory(prefix="part-", dir=CACHE) as part:
        try:
            done = subprocess.run(
                ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={part}/jars"],
                capture_output=True,
                text=True,
                timeout=_DOWNLOAD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoApacheKafka(f"Maven did not finish within {_DOWNLOAD_SECONDS} s") from None
        if done.returncode:
            said = next((line for line in done.stdout.splitlines() if "ERROR" in line), done.stderr.strip())
            raise NoApacheKafka(f"Maven failed: {said}")
        Path(part, "jars").rename(place)
    return place


class ApacheBroker:
    """One node, controller and broker in one process, with its log in a temporary folder."""

    #: Few threads and the first compiler alone: two cores are shared with the workers under test.
    options: ClassVar[tuple[str, ...]] = (
        *("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
    )

    def __init__(self) -> None:
        self._jars = jars()
        if shutil.which("java") is None:
            raise NoApacheKafka("there is no 'java' on the path")
        self._folder = Path(tempfile.mkdtemp(prefix="keyart-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.bootstrap = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> None:
        """Format the log, start the node, wait until it answers."""
        for attempt in range(1, _ATTEMPTS + 1):
            self._configure()
            try:
                self._run()
            except BrokerUnavailable as error:
                taken = "Address already in use" in self.output(100_000)  # between our looking and its binding
                if not taken or attempt == _ATTEMPTS:
                    said = self.output()
                    self.close()
                    raise NoApacheKafka(f"it does not start: {error}\n{said}") from None
                self.kill()
            except BaseException:
                self.close()
                raise
            else:
                return

    @property
    def pid(self) -> int | None:
        """Its process."""
        return None if self._process is None else self._process.pid

    def settings(self, like: Settings) -> Settings:
        """Settings for this node, otherwise like others, and the topics they need."""
        ours = like.model_copy(update={"bootstrap_servers": self.bootstrap})
        with Admin(ours) as admin:
            admin.create()
        return ours

    def restart(self) -> None:
        """Start the node again on the same ports, with what its log holds."""
        self._run()

    def kill(self) -> None:
        """End the node as a power cut would; its log stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the node's clock: it answers nothing, and nobody's connection breaks. See :meth:`thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the node and remove its log: nothing on it is wanted, so nothing is shut down politely."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def output(self, most_bytes: int = 4000) -> str:
        """The end of what the node has written."""
        log = self._folder / "output.log"
        return log.read_bytes()[-most_bytes:].decode(errors="replace") if log.exists() else ""

    def _configure(self) -> None:
        port, controller = free_port(), free_port()
        self.bootstrap = f"127.0.0.1:{port}"
        shutil.rmtree(self._folder / "data", ignore_errors=True)
        properties = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._folder / "data",
            # One node, and few partitions of the internal topics: it starts and answers sooner.
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 2,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 2,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1000,
            # A transaction that outlived its time is looked for this often.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 200,
            # A missing topic must be noticed, not made up.
            "auto.create.topics.enable": "false",
            # Some tests write records that are older than their topic keeps them, and read them a moment later.
            "log.retention.check.interval.ms": 24 * 60 * 60 * 1000,
            "log.initial.task.delay.ms": 24 * 60 * 60 * 1000,
            "log.index.size.max.bytes": 1024 * 1024,
            "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
            "num.network.threads": 2,
            "num.io.threads": 2,
        }
        properties |= self._more_properties(f"127.0.0.1:{port}", f"127.0.0.1:{controller}")
        lines = "".join(f"{name}={value}\n" for name, value in properties.items())
        (self._folder / "server.properties").write_text(lines)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        with (self._folder / "output.log").open("ab") as log:
            formatted = subprocess.run(
                # An id may begin with a dash, and must not be taken for an option then.
                self._java(
                    *("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"),
                    *(*self._more_format_options(), "-c"),
                ),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if formatted.returncode:
            raise NoApacheKafka(f"its log cannot be formatted:\n{self.output()}")

    def _run(self) -> None:
        with (self._folder / "output.log").open("ab") as log:
            self._process = start_tied(self._java("kafka.Kafka"), log)
        wait_until_answering(self._process, self.bootstrap, _START_SECONDS, **self._login())

    # --- what another kind of node has otherwise

    def _more_properties(self, client: str, controller: str) -> dict[str, object]:
        """Told where clients and where controllers reach it."""
        return {}

    def _more_format_options(self) -> tuple[str, ...]:
        return ()

    def _login(self) -> dict[str, object]:
        """The settings of whoever asks whether the node answers."""
        return {}

    def _java(self, *arguments: str) -> list[str]:
        return [
            *("java", *self.options),
            *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self._jars}{os.sep}*"),
            *(*arguments, str(self._folder / "server.properties")),
        ]
