"""The workers under chaos, and a supervisor that starts each again as soon as it has ended."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Self

from processes import Process
from waiting import until

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from stream.settings import Settings

#: Ended well; gave up, to be started again; no broker answered.
_FORGIVEN = {0, 69, 75}
_GONE_SECONDS = 10.0


class Slot:
    """The place of one worker, which processes take one after the other.

    Attributes
    ----------
    deeds
        What has been done to it, for the exit codes to be understood.
    """

    def __init__(self, settings: Settings, folder: Path, kind: str, number: int, *, named: bool) -> None:
        self.name = f"{kind}-{number}"
        self.kind = kind
        self._settings = settings.model_copy(update={"worker_id": self.name}) if named else settings
        self._folder = folder
        self._started = 0
        self.process = self._start()
        self.expected: set[int] = set()

    def _start(self) -> Process:
        folder = self._folder / f"{self.name}-{self._started}"
        folder.mkdir(parents=True)
        self._started += 1
        return Process(self._settings, folder, self.kind, "--ready")

    @property
    def ready(self) -> bool:
        """Whether its present process owns its partitions."""
        return self.process.ready

    def tend(self) -> tuple[int, str] | None:
        """Start it again if it has ended; says how it ended, and its last words."""
        if self.process.running:
            return None
        code, output = self.process.wait(1), self.process.output()
        expected, self.expected = code in self.expected | _FORGIVEN, set()
        words = "" if expected and "Traceback" not in output else output[-2000:]
        self.process = self._start()
        return code, words


class Fleet:
    """Learners and viewing workers, tended by a thread as a supervisor does.

    Some have a name that they keep and come back to their partitions at once; the others are missed for a session
    first. Both are to be right.

    Attributes
    ----------
    ended
        How often each exit code was seen.
    complaints
        What no process should have said or ended with.
    slowest
        Of the processes that were asked to leave, how long the slowest took, in seconds.
    """

    def __init__(
        self, settings: Settings, folder: Path, *, learners: int = 3, viewers: int = 2, rng: random.Random
    ) -> None:
        self.ended: Counter[int] = Counter()
        self.complaints: list[str] = []
        self.slowest = 0.0
        self._rng = rng
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self.slots = [
            Slot(settings, folder, kind, number, named=number % 2 == 0)
            for kind, many in (("learner", learners), ("viewing", viewers))
            for number in range(many)
        ]
        self._thread = threading.Thread(target=self._tend, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._thread.join(60)
        for slot in self.slots:
            if slot.process.running:
                slot.process.kill()

    def _tend(self) -> None:
        while not self._closing.wait(0.05):
            with self._lock:
                for slot in self.slots:
                    self._settle(slot)

    def _settle(self, slot: Slot) -> None:
        ended = slot.tend()
        if ended is not None:
            code, words = ended
            self.ended[code] += 1
            if words:
                self.complaints.append(f"{slot.name} ended with {code}: {words}")

    def wait_ready(self, seconds: float = 90.0) -> None:
        """Wait until all are at work."""
        until(lambda: all(slot.ready for slot in self.slots), "every worker is ready", seconds)

    def last_words(self, most: int = 1500) -> str:
        """The end of what each present process has written."""
        return "\n".join(f"--- {slot.name}\n{slot.process.output()[-most:]}" for slot in self.slots)

    def victim(self, kinds: tuple[str, ...] = ("learner", "viewing")) -> Slot:
        """Any of them; most often one that has its partitions already."""
        slot = self._rng.choice([slot for slot in self.slots if slot.kind in kinds])
        if self._rng.random() < 0.85:
            deadline = time.monotonic() + 20
            while not slot.ready and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(self._rng.random() * 1.5)  # anywhere in its cadences
        return slot

    def kill(self, slot: Slot) -> None:
        """End its process as the kernel does."""
        with self._lock:
            slot.expected.add(-signal.SIGKILL)
            slot.process.kill()
            self._settle(slot)

    def stop(self, slot: Slot) -> None:
        """Ask its process to leave, and time it."""
        with self._lock:
            process = slot.process
            slot.expected.add(-signal.SIGTERM)  # before it has a handler
            process.terminate()
        begun = time.monotonic()
        while process.running and time.monotonic() < begun + 20:
            time.sleep(0.02)
        took = time.monotonic() - begun
        self.slowest = max(self.slowest, took)
        if took >= _GONE_SECONDS:
            self.complaints.append(f"{slot.name} took {took:.1f} s to leave:\n{process.output()[-2000:]}")
            slot.expected.add(-signal.SIGKILL)
            process.kill()

    def close(self) -> None:
        """Ask all to leave, and see that they do, within 10 seconds and with nothing to complain of."""
        self.wait_ready()  # one that has only begun to start has no way of leaving yet
        self._closing.set()
        self._thread.join(60)
        begun = time.monotonic()
        for slot in self.slots:
            slot.process.terminate()
        for slot in self.slots:
            code = slot.process.wait(15)
            self.ended[code] += 1
            if code or "Traceback" in slot.process.output():
                self.complaints.append(f"{slot.name} left with {code}: {slot.process.output()[-2000:]}")
        took = time.monotonic() - begun
        self.slowest = max(self.slowest, took)
        if took >= _GONE_SECONDS:
            self.complaints.append(f"it took {took:.1f} s until all had left")
