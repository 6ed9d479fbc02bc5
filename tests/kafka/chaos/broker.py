"""An Apache Kafka that is killed, stopped, frozen and started again, while its controller lives on.

A transaction coordinator that works while its partitions have no leader takes them for deleted (seen in 4.4.0):
markers of open transactions are never written, and readers of committed records wait for ever. With replicas
there is always a leader; with a single one it takes care. So the controller is a process of its own, as in
production, and has noticed that the broker is gone before it is started again; it does not think so of one that
is merely slow; and a broker that is stopped does not hand its partitions over first, as there is nobody to take
them.
"""

from __future__ import annotations

import shutil
import subprocess

from waiting import until

from benchmarks.apache import ApacheBroker, NoApacheKafka
from consumers.embedded import start_tied

_STOP_SECONDS = 60.0
_SESSION_SECONDS = 9.0
#: What a controller says when it gives up a broker that it has not heard of for so long.
_NOTICED = "because its session has timed out"


class MortalBroker(ApacheBroker):
    """One broker and its controller."""

    def __init__(self) -> None:
        super().__init__()
        self._controller: subprocess.Popen[bytes] | None = None
        self._missed = 0

    def kill(self) -> None:
        """End the broker as a power cut would; its log stays. See :meth:`restart`."""
        self._missed = self._times_missed() + 1
        super().kill()

    def restart(self) -> None:
        """Start it again with what its log holds, once the controller has noticed that it was gone."""
        until(lambda: self._times_missed() >= self._missed, "the controller notices that the broker is gone")
        super().restart()

    def _times_missed(self) -> int:
        """How often the controller has noticed that a broker was gone."""
        return (self._folder / "output.log").read_text(errors="replace").count(_NOTICED)

    def stop(self) -> None:
        """End the broker cleanly; its log stays. See :meth:`restart`."""
        assert self._process is not None
        self._missed = self._times_missed() + 1
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.close()
            raise
        self._process = None

    def revive(self) -> None:
        """Whatever has been done to it: at work again."""
        if self._process is None or self._process.poll() is not None:
            self.restart()
        else:
            self.thaw()

    def close(self) -> None:
        """End both, and remove their logs."""
        self._end_controller()
        super().close()

    def _configure(self) -> None:
        self._end_controller()
        super()._configure()
        meta = (self._folder / "data" / "meta.properties").read_text().splitlines()
        cluster_id = next(line.split("=", 1)[1] for line in meta if line.startswith("cluster.id="))
        shutil.rmtree(self._folder / "controller", ignore_errors=True)
        with (self._folder / "output.log").open("ab") as log:
            formatted = subprocess.run(
                self._controlling("kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c"),
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if formatted.returncode:
            raise NoApacheKafka(f"the controller's log cannot be formatted:\n{self.output()}")

    def _run(self) -> None:
        if self._controller is None:
            with (self._folder / "output.log").open("ab") as log:
                self._controller = start_tied(self._controlling("kafka.Kafka"), log)
        super()._run()

    def _end_controller(self) -> None:
        if self._controller is not None:
            self._controller.kill()
            self._controller.wait()
            self._controller = None

    def _more_properties(self, client: str, controller: str) -> dict[str, object]:
        shared = {
            "controller.quorum.voters": f"2@{controller}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        }
        controlling = shared | {
            "process.roles": "controller",
            "node.id": 2,
            "listeners": f"CONTROLLER://{controller}",
            "log.dirs": self._folder / "controller",
            "broker.session.timeout.ms": round(1000 * _SESSION_SECONDS),
        }
        lines = "".join(f"{name}={value}\n" for name, value in controlling.items())
        (self._folder / "controller.properties").write_text(lines)
        return shared | {
            "process.roles": "broker",
            "listeners": f"PLAINTEXT://{client}",
            "broker.heartbeat.interval.ms": 500,
            "controlled.shutdown.enable": "false",
        }

    def _controlling(self, *arguments: str) -> list[str]:
        """A command of the controller's; it tells of brokers that it misses."""
        java, *rest = self._java(*arguments)[:-1]
        tells = "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.controller.ReplicationControlManager=info"
        return [java, tells, *rest, str(self._folder / "controller.properties")]
