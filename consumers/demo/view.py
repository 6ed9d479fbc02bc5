"""What the demo shows while it runs and at its end: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group
from rich.live import Live
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from consumers.demo.scene import PERSONAS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console, RenderableType

    from consumers.demo.scene import Liked, Shown

_SPARKS = "▁▂▃▄▅▆▇█"
_BAR = 28
_LINE_SECONDS = 5.0
#: Policies in the order of what they know, and what each does.
POLICIES = {
    "explore": "any artwork, by chance",
    "popular": "the best for everyone",
    "personal": "the best for this member",
}
_STYLE = {"explore": "dim", "popular": "cyan", "personal": "bold green"}


@dataclass(frozen=True)
class Frame:
    """Everything that is shown at one moment.

    Attributes
    ----------
    elapsed
        Seconds since the audience came.
    rates
        By policy, the take rate of each stretch of time so far, None where nothing was shown.
    overall
        By policy, the take rate since the beginning.
    compared, liked
        A title's name, and what most members of some personas get of it now.
    spread, shares
        A title's name, and its artworks by their share of what `personal` members were shown lately.
    fresh
        Seconds until an impression has its effect: the median and the 99th percentile.
    events_per_second
        What the audience has just sent.
    impressions, plays, rewards, snapshots, dead_letters
        What is on the topics.
    """

    elapsed: float
    rates: Mapping[str, Sequence[float | None]]
    overall: Mapping[str, float | None]
    compared: str
    liked: Mapping[str, Liked]
    spread: str
    shares: Sequence[Shown]
    fresh: tuple[float | None, float | None]
    events_per_second: float
    impressions: int
    plays: int
    rewards: int
    snapshots: int
    dead_letters: int


class Screen:
    """Shows frames: a picture that renews itself on a terminal, a line every few seconds elsewhere.

    Parameters
    ----------
    console
        Where.
    url
        Where the serving node listens.
    audience
        Who is there, in a few words.
    seconds
        For how long; None: until Ctrl-C.
    """

    def __init__(self, console: Console, url: str, audience: str, seconds: float | None) -> None:
        self._console = console
        self._url = url
        self._audience = audience
        self._seconds = seconds
        self._until = "until Ctrl-C" if seconds is None else f"of {seconds:.0f} s"
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._next_line = 0.0

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._live is not None:
            self._live.stop()  # the last frame stays

    def show(self, frame: Frame) -> None:
        """Show this moment."""
        if self._live is not None:
            elapsed = min(frame.elapsed, self._seconds or frame.elapsed)
            head = Text.assemble(
                (self._audience, "bold"), (f"   {elapsed:.0f} s {self._until}   {self._url}", "dim")
            )
            self._live.update(Group(head, picture(frame)), refresh=True)
        elif frame.elapsed >= self._next_line:
            self._next_line = frame.elapsed + _LINE_SECONDS
            self._console.print(line(frame), highlight=False, soft_wrap=True, markup=False)


def line(frame: Frame) -> str:
    """A frame in one line."""
    rates = ", ".join(f"{policy} {_percent(frame.overall.get(policy))}" for policy in POLICIES)
    liked = ", ".join(f"{persona} lovers get {one.artwork_id}" for persona, one in frame.liked.items())
    return (
        f"{frame.elapsed:4.0f} s  played of shown: {rates} | {frame.compared}: {liked} | "
        f"fresh in {_seconds(frame.fresh[0])} | {frame.events_per_second:.0f} events/s, "
        f"{frame.dead_letters} dead letters"
    )


def picture(frame: Frame) -> RenderableType:
    """A frame as tables."""
    return Group(
        _title("Of what was shown, how much was played?", "as time went on, and in all"),
        _indent(_rates(frame)),
        _title(f"{frame.compared}: what suits whom", "what most of these members get now"),
        _indent(_liked(frame)),
        _title("The loop", "counted on the topics"),
        _indent(_loop(frame)),
        _title(f"{frame.spread}: no artwork suits all", "shown to personal members lately"),
        _indent(_shares(frame)),
    )


def _title(text: str, hint: str) -> RenderableType:
    return Padding(Text.assemble((text, "bold"), (f"   {hint}", "dim")), (1, 0, 0, 0))


def _indent(what: RenderableType) -> RenderableType:
    return Padding(what, (0, 0, 0, 2))


def _rates(frame: Frame) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    known = [rate for rates in frame.rates.values() for rate in rates if rate is not None]
    most = max(known, default=0.0)
    base = frame.overall.get("explore")
    for policy, does in POLICIES.items():
        rate = frame.overall.get(policy)
        more = ""
        if policy != "explore" and base and rate is not None:
            more = f"{rate / base - 1.0:+.0%}"
        table.add_row(
            Text(policy, _STYLE[policy]),
            Text(does, "dim"),
            Text(spark(frame.rates.get(policy, []), most), _STYLE[policy]),
            Text(_percent(rate), _STYLE[policy], justify="right"),
            Text(more, _STYLE[policy]),
        )
    return table


def _liked(frame: Frame) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for persona, one in frame.liked.items():
        table.add_row(
            Text(f"{persona} lovers", "magenta"),
            Text(one.artwork_id, "bold"),
            Text(f"{one.share:.0%} of {one.members} asked", "dim"),
        )
    return table


def _shares(frame: Frame) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    most = max((one.share for one in frame.shares), default=1.0) or 1.0
    for one in frame.shares:
        table.add_row(
            one.artwork_id,
            Text("█" * round(_BAR * one.share / most) or "▏", "green"),
            Text(f"{one.share:.0%}", justify="right"),
            Text(f"{one.theme} lovers" if one.share and one.theme else "", "magenta"),
        )
    return table


def _loop(frame: Frame) -> RenderableType:
    p50, p99 = frame.fresh
    return Group(
        Text(f"{frame.impressions:,} impressions   {frame.plays:,} plays   {frame.rewards:,} rewards"),
        Text(
            f"{frame.snapshots:,} snapshots   {frame.dead_letters:,} dead letters   "
            f"{frame.events_per_second:.0f} events/s"
        ),
        Text.assemble(
            "an event changes what is chosen after ",
            (_seconds(p50), "bold"),
            f", 99 of 100 within {_seconds(p99)}",
        ),
    )


def spark(values: Sequence[float | None], most: float) -> str:
    """A line of small bars from 0 to ``most``.

    >>> spark([0.0, 0.5, None, 1.0], 1.0)
    '▁▅ █'
    """
    last = len(_SPARKS) - 1
    return "".join(" " if v is None else _SPARKS[round(last * v / most) if most else 0] for v in values)


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f} %"


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f} s"


def closing_words(summary: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The summary for people.

    Parameters
    ----------
    summary
        What ``--json`` writes.
    names
        Title names by id.
    """
    rates, fresh = summary["take_rate"], summary["freshness_seconds"]
    if not summary["impressions"]:
        return "Stopped before anything was shown."
    words = (
        f"On the topics: {summary['impressions']:,} impressions ({summary['rewards']:,} of them rewarded), "
        f"{summary['plays']:,} plays, {summary['snapshots']:,} snapshots, "
        f"{summary['dead_letters']:,} dead letters "
        f"({summary['audience']['malformed']:,} malformed records were sent on purpose)."
    )
    lines = ["", words, f"Played of shown: {', '.join(f'{p} {_percent(rates[p])}' for p in POLICIES)}."]
    if rates["explore"] and rates["personal"]:
        gain = rates["personal"] / rates["explore"] - 1.0
        lines.append(f"Choosing for each member was worth {gain:+.0%} over choosing by chance.")
    for title_id, personas in summary["chosen"].items():
        got = [f"{persona} lovers get {personas[persona]}" for persona in PERSONAS if persona in personas]
        if got:
            lines.append(f"{names[title_id]}: most {', most '.join(got)}.")
    lines.append(
        f"An impression changed what was chosen after {_seconds(fresh['p50'])} (median), "
        f"{_seconds(fresh['p99'])} (99th percentile)."
    )
    if not summary["learned_everything"]:
        lines.append("When the demo ended, the loop had not yet learned everything that was sent.")
    return "\n".join(lines)
