"""Draws docs/page.png: the page beside a demo that has run for a minute, in Chromium (``make picture``)."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from browser import Browser, Tab, find_chromium

if TYPE_CHECKING:
    from collections.abc import Iterable

KEYART = Path(sys.executable).with_name("keyart")
PICTURE = Path(__file__).parent.parent / "docs" / "page.png"
#: As much of the page as a reader needs: two people, the artwork of each, why, and what it is worth.
WIDTH, HEIGHT = 1200, 1330
LEARNING_SECONDS = 60.0
SHOWN = "document.querySelector('#status')?.textContent.includes('different artwork')"
MEASURED = "/ to /.test(document.querySelector('#strip [data-key=lift] .small')?.textContent)"
DRAWN = "[...document.images].every(img => !img.src || img.loading === 'lazy' || img.naturalWidth > 0)"


def draw(picture: Path = PICTURE) -> None:
    """Run a demo, look at its page, and keep what it looks like."""
    program = find_chromium()
    if program is None:
        sys.exit("there is no Chromium here: apt-get install chromium")
    demo = subprocess.Popen([str(KEYART), "demo", "--seconds", "240"], stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    try:
        url = page_of(demo.stdout)
        time.sleep(LEARNING_SECONDS)
        with Browser(program) as browser, Tab(browser, width=WIDTH, height=HEIGHT) as tab:
            tab.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
            tab.open(url)
            for condition in (SHOWN, MEASURED, DRAWN):
                tab.until(condition, condition)
            tab.screenshot(picture)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)


def page_of(said: Iterable[str]) -> str:
    """Where the page of a demo is, once its audience has come."""
    told = ""
    for line in said:
        told += line
        found = re.search(r"page for people on\s+(http://\S+)", told)
        if found and "played of shown" in line:
            return found[1]
    sys.exit("the demo has ended before its page could be seen")


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:2]))
