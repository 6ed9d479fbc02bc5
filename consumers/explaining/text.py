"""An explanation in words and tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from stream.features import BIAS, CAST

if TYPE_CHECKING:
    from rich.console import RenderableType

    from consumers.explaining.report import Report
    from stream.explanation import Pull, Standing

#: So many features are shown of an artwork.
MOST_PULLS = 8
#: Who chooses by each policy, as a sentence goes on.
_POLICIES = {
    "personal": "gets what suits",
    "popular": "gets the best for everyone",
    "explore": "gets any, by chance",
    "app": "is left to the app",
}


def told(report: Report) -> RenderableType:
    """For a terminal."""
    parts: list[RenderableType] = [*_head(report), Text(""), _artworks(report)]
    if report.member is None:
        if report.tendencies:
            parts += [Text(""), _tendencies(report)]
    else:
        shown = dict.fromkeys([report.favourite, report.member.artwork_id or report.favourite])
        for artwork_id in shown:
            if artwork_id != report.against:
                parts += [Text(""), _pulls(report, report.standing(artwork_id))]
    return Group(*parts)


def moment(ms: int) -> str:
    """A time as people write it.

    >>> moment(1_760_000_000_000)
    '2025-10-09 08:53:20 UTC'
    """
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def feature_name(feature: str, people: dict[str, float] | None = None) -> str:
    """A feature as people call it.

    >>> feature_name("bias"), feature_name("cast", {"Robin Williams": 1.0}), feature_name("romance")
    ('everybody', 'its people (Robin Williams)', 'romance')
    """
    if feature == BIAS:
        return "everybody"
    if feature == CAST:
        return "its people" + (f" ({', '.join(people)})" if people else "")
    return feature


def _head(report: Report) -> list[RenderableType]:
    shown = sum(one.impressions for one in report.counts)
    earned = sum(one.reward for one in report.counts)
    rate = f", {earned / shown:.3f} earned of each" if shown else ""
    where = "" if report.canvas is None else f" on {report.canvas}"
    lines: list[RenderableType] = [
        Text.assemble((report.name, "bold"), f" ({report.title_id}){where}"),
        Text(
            f"learned from {shown:,} impressions{rate}; version {report.version:,}, through "
            f"{moment(report.learned_through_ms)}",
            style="dim",
        ),
    ]
    if report.member is not None:
        member = report.member
        known = ", ".join(f"{name} {value:.2f}" for name, value in _largest(member.context))
        liked = ", ".join(f"{name} {value:.2f}" for name, value in _largest(member.people))
        lines.append(Text(f"{member.member_id} {_POLICIES[member.policy]} (policy {member.policy})"))
        lines.append(Text(f"likes {'; '.join(filter(None, (known, liked))) or 'nothing that is known'}"))
        if member.artwork_id is not None:
            lines.append(
                Text.assemble("now sees ", (member.artwork_id, "bold"), f", chance {member.propensity:.3f}")
            )
    since = moment(report.since_ms) + (" or earlier" if report.since_is_earliest else "")
    best = report.standing(report.favourite).best
    lines.append(
        Text.assemble("most is expected of ", (report.favourite, "bold"), f": since {since}, {best:.0%} sure")
    )
    return lines


def _largest(shares: dict[str, float], most: int = 6) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:most]


def _artworks(report: Report) -> Table:
    """How each stands."""
    has_prior = any(one.prior is not None for one in report.standings)
    table = Table(box=None, pad_edge=False)
    table.add_column("artwork")
    for name in ("shown", "expected", "±", *(("by tags alone",) if has_prior else ()), "best", "chosen"):
        table.add_column(name, justify="right")
    counts = {one.artwork_id: one.impressions for one in report.counts}
    for one in sorted(report.standings, key=lambda standing: -standing.mean):
        row = [
            escape(one.artwork_id),
            f"{counts[one.artwork_id]:,}",
            f"{one.mean:.3f}",
            f"{one.sd:.3f}",
            *(("" if one.prior is None else f"{one.prior:.3f}",) if has_prior else ()),
            f"{one.best:.0%}",
            f"{one.chance:.1%}",
        ]
        table.add_row(*row, style="bold" if one.artwork_id == report.favourite else "")
    return table


def _pulls(report: Report, standing: Standing) -> Table:
    """What decides for one artwork, or against it."""
    others = "the mean of the others" if report.against is None else report.against
    table = Table(box=None, pad_edge=False, title=f"{escape(standing.artwork_id)} against {escape(others)}")
    table.title_justify = "left"
    table.add_column("what")
    for name in ("has", "effect", "±", "sure", "by tags alone"):
        table.add_column(name, justify="right")
    table.add_column("")
    people = next(one.people for one in report.counts if one.artwork_id == standing.artwork_id)
    shown = standing.pulls[:MOST_PULLS]
    widest = max((abs(pull.effect) for pull in shown), default=0.0) or 1.0
    for pull in shown:
        table.add_row(
            escape(feature_name(pull.feature, people)),
            "" if pull.feature == BIAS else f"{pull.value:.2f}",
            f"{pull.effect:+.3f}",
            f"{pull.sd:.3f}",
            f"{pull.sure:.0%}",
            "" if pull.prior is None else f"{pull.prior:+.3f}",
            _bar(pull, widest),
        )
    return table


def _bar(pull: Pull, widest: float, cells: int = 10) -> Text:
    """An effect as a bar to the right, or to the left."""
    length = round(cells * abs(pull.effect) / widest)
    if pull.effect < 0:
        return Text(" " * (cells - length) + "█" * length + "│", style="red")
    return Text(" " * cells + "│" + "█" * length, style="green")


def _tendencies(report: Report) -> Table:
    """Which artwork each feature speaks for."""
    table = Table(box=None, pad_edge=False, title="what members like, and what it speaks for")
    table.title_justify = "left"
    table.add_column("who likes")
    table.add_column("sees rather")
    for name in ("effect", "±", "sure", "by tags alone"):
        table.add_column(name, justify="right")
    for one in report.tendencies[: 2 * MOST_PULLS]:
        table.add_row(
            escape(feature_name(one.feature)),
            escape(one.artwork_id),
            f"{one.effect:+.3f}",
            f"{one.sd:.3f}",
            f"{one.sure:.0%}",
            "" if one.prior is None else f"{one.prior:+.3f}",
        )
    return table
