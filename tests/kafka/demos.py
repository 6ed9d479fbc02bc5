"""The demo as people run it: one command, and the processes that it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from waiting import until

KEYART = Path(sys.executable).with_name("keyart")


class Demo:
    """A demo on its way, and the processes it has started."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.summary_file = folder / "summary.json"
        self._log = folder / "output.log"
        (folder / "tmp").mkdir()
        self.leftovers = folder / "tmp"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("KEYART_")}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(KEYART), "demo", "--json", str(self.summary_file), *arguments],
                env=environment | {"TMPDIR": str(self.leftovers), "KEYART_HTTP_PORT": "0"},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def output(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def children(self) -> dict[int, str]:
        """Its processes by id, with their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if (
                    entry.name.isdigit()
                    and int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == self.process.pid
                ):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def wait_started(self) -> dict[int, str]:
        """Its processes, once it has started all of them and the audience has been shown something."""

        def shown() -> bool:
            assert self.process.poll() is None, self.output()
            return "played of shown" in self.output()

        until(shown, "the demo runs", 120)
        return self.children()

    def wait(self, seconds: float = 120) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the demo does not end within {seconds:g} s:\n{self.output()}") from None

    @property
    def summary(self) -> dict[str, Any]:
        """What it wrote."""
        return json.loads(self.summary_file.read_text())
