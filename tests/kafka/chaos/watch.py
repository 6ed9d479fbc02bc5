"""A serving node that is asked all the while: whether it answers, how fast, and that it never goes back."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from processes import Process
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stream.settings import Settings

_EVERY_SECONDS = 0.2


class Watch:
    """A ``keyart serving`` process and a thread that asks it for choices.

    Attributes
    ----------
    asked, failed
        How often, and how often there was no choice for every title.
    slowest
        The longest that an answer took, in seconds.
    newest
        The version of each title's snapshot in the last answer.
    went_back
        How often a title was served from an older snapshot than before.
    """

    def __init__(self, settings: Settings, folder: Path, titles: Sequence[str]) -> None:
        self.asked = self.failed = self.went_back = 0
        self.slowest = 0.0
        self.newest: dict[str, int] = {}
        self._titles = list(titles)
        folder.mkdir(parents=True)
        self._process = Process(settings.model_copy(update={"http_port": 0}), folder, "serving")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        def announced() -> str:
            assert self._process.running, self._process.output()
            told = re.search(r"serving on (http://\S+)", self._process.output())
            return told[1] if told else ""

        self._url = until(announced, "the node announces itself", 60)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._closing.set()
        self._thread.join(30)
        if self._process.running:
            self._process.kill()

    def _run(self) -> None:
        member = 0
        while not self._closing.wait(_EVERY_SECONDS):
            begun = time.monotonic()
            self.asked += 1
            try:
                choices = self._ask(f"member-{member % 50}")
            except OSError:
                self.failed += 1
                continue
            member += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)
            self.failed += len(choices) < len(self._titles)
            for choice in choices:
                title_id, version = choice["title_id"], choice["snapshot_version"] or 0
                self.went_back += version < self.newest.get(title_id, 0)
                self.newest[title_id] = version

    def _ask(self, member_id: str) -> list[dict[str, Any]]:
        body = json.dumps({"member_id": member_id, "title_ids": self._titles}).encode()
        asking = urllib.request.Request(
            f"{self._url}/choose", data=body, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(asking, timeout=10) as answer:
            choices: list[dict[str, Any]] = json.load(answer)["choices"]
        return choices
