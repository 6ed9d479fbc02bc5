"""What the demo shows, counts and hands to its processes; the demo itself is in tests/kafka/test_demo.py."""

from __future__ import annotations

import io
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from consumers.demo import CATALOGUE, demo_settings, environment
from consumers.demo.processes import ProcessEnded, Processes
from consumers.demo.scene import DemoRules, Liked, Scene, Shown
from consumers.demo.tally import Freshness
from consumers.demo.view import Frame, Screen, closing_words, line, picture
from consumers.demo.watch import empty_summary
from producers.catalogue import load_catalogue
from stream.choosing.choice import Choice, key_of, policy_of
from stream.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME = Frame(
    elapsed=30.0,
    rates={"explore": [0.1, 0.1], "popular": [None, 0.2], "personal": [0.1, 0.3]},
    overall={"explore": 0.1, "popular": 0.15, "personal": 0.2},
    compared="Good Will Hunting",
    liked={"romance": Liked("the-couple", 0.9, 40), "comedy": Liked("robin-williams", 0.8, 40)},
    spread="Stranger Things",
    shares=[Shown("eleven", 0.6, "sci-fi"), Shown("first-love", 0.4, "romance"), Shown("the-lab", 0.0, "")],
    fresh=(0.4, 0.9),
    events_per_second=700.0,
    impressions=12_345,
    plays=2_000,
    rewards=1_000,
    snapshots=500,
    dead_letters=7,
)


def settles(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether a condition comes to hold in time."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def drawn(what: Any, width: int = 100) -> str:
    """What a terminal would show."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(what)
    return console.file.getvalue()  # type: ignore[attr-defined]


# --- the picture


def test_the_picture_tells_what_was_learned() -> None:
    """It names the policies with their rates and what they are worth, who gets what, and how quick the loop is."""
    text = drawn(picture(FRAME))
    for words in (
        *("explore", "10.0 %", "popular", "+50%", "personal", "+100%"),
        *("romance lovers", "the-couple", "90% of 40", "comedy lovers", "robin-williams"),
        *("eleven", "60%", "sci-fi lovers", "the-lab", "12,345 impressions", "7 dead letters", "0.40 s", "0.90 s"),
    ):
        assert words in text
    narrow = drawn(picture(replace(FRAME, rates=dict.fromkeys(FRAME.rates, [0.2] * 24))), width=80)
    assert len(narrow.splitlines()) == len(text.splitlines()), "it fits a terminal of 80 columns"
    assert "…" not in narrow


def test_the_picture_can_be_drawn_before_anything_is_known() -> None:
    """With no rate, no taste and no artwork there are dashes and no error."""
    nothing = replace(FRAME, rates={}, overall={}, liked={}, shares=[], fresh=(None, None))
    assert "+" not in drawn(picture(nothing))
    assert "explore -, popular -, personal -" in line(nothing)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_gets_a_picture_and_a_file_gets_lines(terminal: bool) -> None:
    """Where nobody looks on, a frame is a plain line every few seconds."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, height=50)
    with Screen(console, "http://127.0.0.1:8080", "1,500 members", 60.0) as screen:
        for elapsed in (0.0, 1.0, 4.0, 5.0, 6.0):
            screen.show(replace(FRAME, elapsed=elapsed))
    if terminal:
        assert "1,500 members" in out.getvalue()
        assert "█" in out.getvalue()
    else:
        lines = out.getvalue().splitlines()
        assert [words.split()[0] for words in lines] == ["0", "5"]
        assert "\x1b" not in out.getvalue()


def test_the_closing_words() -> None:
    """The summary in words: counts, what choosing was worth, who gets what, and what is not yet learned."""
    summary = empty_summary() | {
        "impressions": 1000,
        "take_rate": {"explore": 0.1, "popular": 0.12, "personal": 0.2},
        "chosen": {"gwh": {"romance": "the-couple", "comedy": "robin-williams", "war": "park-bench"}},
        "freshness_seconds": {"p50": 0.4, "p99": 0.9},
    }
    words = closing_words(summary, {"gwh": "Good Will Hunting"})
    assert "1,000 impressions" in words
    assert "worth +100% over choosing by chance" in words
    assert "Good Will Hunting: most romance lovers get the-couple, most comedy lovers get robin-williams." in words
    assert "not yet learned everything" not in words
    assert "not yet learned everything" in closing_words(summary | {"learned_everything": False}, {"gwh": "GWH"})
    assert closing_words(empty_summary(), {}) == "Stopped before anything was shown."


# --- the scene


class SameForAll:
    """Chooses by the member's leading theme, and counts how often it was asked."""

    def __init__(self, artworks: dict[str, str]) -> None:
        self.asked: list[str] = []
        self._artworks = artworks

    def choose(self, member_id: str, title_id: str) -> Choice:
        """The same for everybody of a persona."""
        self.asked.append(member_id)
        return Choice(title_id, self._artworks[member_id], 1.0, "personal", {}, None, "i", "t")

    def taste(self, member_id: str) -> dict[str, float]:
        """Nothing."""
        return {}


def test_what_a_persona_likes_is_what_most_of_its_personal_members_get() -> None:
    """Members of other policies are not asked, and no more members than wanted."""
    scene = Scene(load_catalogue(CATALOGUE), DemoRules(members=600))
    settings = Settings(explore_share=0.3, popular_share=0.3)
    artworks = dict(zip(scene.world.member_ids, scene.world.persona_of, strict=True))
    chooser = SameForAll(artworks)
    liked = scene.liked(chooser, settings, scene.compared, ("romance", "comedy"), 10)
    assert liked == {"romance": Liked("romance", 1.0, 10), "comedy": Liked("comedy", 1.0, 10)}
    assert {policy_of(key_of(member), 0.3, 0.3) for member in chooser.asked} == {"personal"}
    assert (scene.compared, scene.spread) == ("good-will-hunting", "stranger-things")


def test_shares_of_the_second_title_and_who_gets_them() -> None:
    """All of its artworks, by their share of the latest choices, each with the taste that stands out."""
    scene = Scene(load_catalogue(CATALOGUE), DemoRules(members=50))
    assert [one.share for one in scene.shares()] == [0.0] * 9

    def see(artwork_id: str, theme: str, policy: Any = "personal") -> None:
        scene.see(Choice(scene.spread, artwork_id, 1.0, policy, {theme: 0.6, "drama": 0.4}, None, "i", "t"))

    see("eleven", "sci-fi")
    see("eleven", "sci-fi")
    see("eleven", "romance")
    see("first-love", "romance")
    see("the-lab", "thriller", policy="explore")
    assert scene.shares()[:3] == [
        Shown("eleven", 0.75, "sci-fi"),
        Shown("first-love", 0.25, "romance"),
        Shown("bikes-at-dusk", 0.0, scene.shares()[2].theme),
    ]


# --- freshness


def test_an_impression_is_fresh_until_a_snapshot_holds_it() -> None:
    """It waits for a snapshot that counts as many impressions as were sent, and is learned through its time."""
    served: dict[str, Any] = {}
    fresh = Freshness(served.get)
    choice = Choice("t", "a", 1.0, "personal", {}, None, "i", "t")
    try:
        fresh.sent(choice, 100)
        fresh.sent(choice, 200)
        assert fresh.percentile(0.5) is None
        served["t"] = SimpleNamespace(impressions=_Sum(2), learned_through_ms=150)
        assert settles(lambda: fresh.waiting == 1)
        served["t"] = SimpleNamespace(impressions=_Sum(1), learned_through_ms=300)
        fresh.sent(choice, 210)
        assert fresh.waiting == 2
        served["t"] = SimpleNamespace(impressions=_Sum(3), learned_through_ms=300)
        assert settles(lambda: fresh.waiting == 0)
        assert 0 < fresh.percentile(0.5) <= fresh.percentile(0.99) < 30  # type: ignore[operator]
    finally:
        fresh.close()


class _Sum:
    """Stands for an array of counts."""

    def __init__(self, total: int) -> None:
        self._total = total

    def sum(self) -> int:
        """All of them."""
        return self._total


# --- settings and processes


def test_another_process_gets_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that the demo gives its processes makes exactly its own settings of it."""
    monkeypatch.setenv("KEYART_UNIFORM_FLOOR", "0.05")
    ours = demo_settings("127.0.0.1:1234")
    assert ours.uniform_floor == 0.05
    for name, value in environment(ours).items():
        monkeypatch.setenv(name, value)
    assert load() == ours
    assert ours.bootstrap_servers == "127.0.0.1:1234"


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    """A command that ends with an error ends the waiting: which one, its code, and what it said."""
    with Processes({"KEYART_PARTITIONS": "none"}) as processes:
        done = processes.run("topics", "topics")
        with pytest.raises(
            ProcessEnded, match=r"the demo's topics ended early, with code 78; it said:\n.*partitions"
        ):
            processes.wait_until(done, seconds=60, stopped=lambda: False)


def test_waiting_ends_when_told_to_stop_or_out_of_time() -> None:
    """A stop is no error; time that runs out is one, and says how long it was."""
    stop = threading.Event()
    stop.set()
    with Processes({}) as processes:
        assert not processes.wait_until(lambda: False, seconds=60, stopped=stop.is_set)
        assert processes.wait_until(lambda: True, seconds=60, stopped=stop.is_set)
        with pytest.raises(ProcessEnded, match=r"within 0\.05 s"):
            processes.wait_until(lambda: False, seconds=0.05, stopped=lambda: False)


def test_what_it_depends_on_is_looked_at_too() -> None:
    """When the broker is gone the processes' check says so."""

    def gone() -> None:
        raise ProcessEnded("the broker ended")

    with Processes({}, also=gone) as processes, pytest.raises(ProcessEnded, match="the broker ended"):
        processes.check()
