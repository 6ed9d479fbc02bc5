"""An explanation as a picture: an SVG document, drawn by hand, for light and dark pages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from consumers.explaining.text import MOST_PULLS, feature_name, moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from consumers.explaining.report import Report

_WIDTH, _ROW, _LEFT, _RIGHT = 760, 26, 240, 700
_NOTE = "soft small"
_STYLE = """
text{font:13px system-ui,sans-serif;fill:#1c2330}.head{font-size:19px;font-weight:600}.small{font-size:11px}
.soft{fill:#5b6575}.axis{stroke:#c6ccd6}.for{fill:#1f7a4d}.against{fill:#b3402e}.dot{fill:#2459b3}
.prior{fill:none;stroke:#5b6575;stroke-width:1.5}.spread{stroke:#2459b3;stroke-width:2}.doubt{stroke:#1c2330}
.ground{fill:#fff}.bold{font-weight:600}
@media (prefers-color-scheme:dark){text{fill:#e6e9ef}.soft{fill:#a3acba}.axis{stroke:#454d5a}.for{fill:#46b37b}
.against{fill:#e0735f}.dot{fill:#7aa5ee}.prior{stroke:#a3acba}.spread{stroke:#7aa5ee}.doubt{stroke:#e6e9ef}
.ground{fill:#14181f}}
"""


class _Bar:
    """A line of a chart: a number with its deviation, and what the prior alone says."""

    def __init__(self, name: str, note: str, value: float, sd: float, prior: float | None, *, bold: bool) -> None:
        self.name, self.note, self.value, self.sd, self.prior, self.bold = name, note, value, sd, prior, bold


def picture(report: Report) -> str:
    """Draw it: how each artwork stands, and what decides.

    Parameters
    ----------
    report
        For a member the effects on the favourite are drawn, without one what each feature speaks for.

    Returns
    -------
    An SVG document.
    """
    stands = [
        _Bar(
            one.artwork_id,
            f"{one.mean:.3f}, {one.best:.0%} the best",
            one.mean,
            one.sd,
            one.prior,
            bold=one.artwork_id == report.favourite,
        )
        for one in sorted(report.standings, key=lambda one: -one.mean)
    ]
    effects, heading = _effects(report)
    top = 84
    parts = [*_chart(stands, top, "Expected reward of each artwork", is_effect=False)]
    second = top + 44 + _ROW * len(stands) + 30
    parts += _chart(effects, second, heading, is_effect=True)
    height = second + 44 + _ROW * len(effects) + 34
    who = "" if report.member is None else f" for {report.member.member_id}"
    since = moment(report.since_ms) + (" or earlier" if report.since_is_earliest else "")
    through = moment(report.learned_through_ms)
    size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(report.name + who)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" width="{_WIDTH}" height="{height}"/>',
            _text(24, 36, report.name + who, "head"),
            _text(
                24, 58, f"most is expected of {report.favourite}, since {since}; learned through {through}", _NOTE
            ),
            *parts,
            _text(
                24,
                height - 14,
                "lines: one standard deviation either way; rings: what the catalogue's tags alone say",
                _NOTE,
            ),
            "</svg>",
            "",
        ]
    )


def _effects(report: Report) -> tuple[list[_Bar], str]:
    if report.member is None:
        found = [
            _Bar(
                f"{feature_name(one.feature)} → {one.artwork_id}",
                f"{one.effect:+.3f}, {one.sure:.0%} sure",
                one.effect,
                one.sd,
                one.prior,
                bold=False,
            )
            for one in report.tendencies[: 2 * MOST_PULLS]
        ]
        return found, "What members like, and what it speaks for"
    people = next(one.people for one in report.counts if one.artwork_id == report.favourite)
    found = [
        _Bar(
            feature_name(pull.feature, people),
            f"{pull.effect:+.3f}, {pull.sure:.0%} sure",
            pull.effect,
            pull.sd,
            pull.prior,
            bold=False,
        )
        for pull in report.standing(report.favourite).pulls[:MOST_PULLS]
    ]
    others = "the mean of the others" if report.against is None else report.against
    return found, f"What decides for {report.favourite}, against {others}"


def _chart(bars: Sequence[_Bar], top: int, heading: str, *, is_effect: bool) -> Iterator[str]:
    """Bars on one scale, from nought for effects."""
    yield _text(24, top + 14, heading, "bold")
    if not bars:
        return
    ends = [
        end
        for bar in bars
        for end in (bar.value - bar.sd, bar.value + bar.sd, bar.value if bar.prior is None else bar.prior)
    ]
    low, high = min(ends), max(ends)
    if is_effect:
        low, high = min(low, 0.0), max(high, 0.0)
    room = (high - low) * 0.04 or 0.01
    low, high = low - room, high + room

    def x(value: float) -> float:
        return round(_LEFT + (value - low) / (high - low) * (_RIGHT - _LEFT - 120), 1)

    foot = top + 30 + _ROW * len(bars)
    if is_effect:
        yield f'<line class="axis" x1="{x(0)}" y1="{top + 26}" x2="{x(0)}" y2="{foot}"/>'
    for number, bar in enumerate(bars):
        y = top + 30 + _ROW * number + _ROW // 2
        yield _text(_LEFT - 12, y + 4, _cut(bar.name), "bold" if bar.bold else "", anchor="end")
        if is_effect:
            left, right = sorted((x(0), x(bar.value)))
            kind = "for" if bar.value >= 0 else "against"
            width = round(right - left, 1)
            yield f'<rect class="{kind}" x="{left}" y="{y - 7}" width="{width}" height="14" rx="2"/>'
        spread = "doubt" if is_effect else "spread"
        left, right = x(bar.value - bar.sd), x(bar.value + bar.sd)
        yield f'<line class="{spread}" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>'
        if not is_effect:
            yield f'<circle class="dot" cx="{x(bar.value)}" cy="{y}" r="5"/>'
        if bar.prior is not None:
            yield f'<circle class="prior" cx="{x(bar.prior)}" cy="{y}" r="4"/>'
        yield _text(_RIGHT + 36, y + 4, bar.note, _NOTE, anchor="end")


def _cut(name: str, most: int = 30) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _text(x: float, y: float, said: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(said)}</text>'
