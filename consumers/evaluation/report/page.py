"""The page: what was found, put into a template that asks for nothing from anywhere."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from consumers.evaluation.report.charts import Bar, curves, forest
from consumers.evaluation.table import NAMES, interval, lift, sentence
from stream.evaluation.results import ESTIMATORS, LOGGED
from stream.posters import poster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.evaluation.results import Evaluated, Shift, TitleLift

_COLOURS = 8
#: Titles on each side, and the impressions that a title needs to be among them.
_TITLES, _LEAST_ROWS = 6, 200
_HOUR_MS, _DAY_MS = 3_600_000.0, 86_400_000.0


def page(found: Evaluated, name: str) -> str:
    """The report as HTML.

    Parameters
    ----------
    found
        What was found.
    name
        What the log is called.
    """
    here = files(__package__ or "consumers.evaluation.report")
    colours = {policy: number % _COLOURS for number, policy in enumerate(found.policies)}
    stretches = len(found.stretches[LOGGED].value)
    ages = len(found.ages[LOGGED].value)
    learned = {policy: line for policy, line in found.stretches.items() if policy in colours}
    return Template(here.joinpath("report.html").read_text("utf-8")).substitute(
        css=here.joinpath("report.css").read_text("utf-8"),
        name=escape(name),
        about=escape(_about(found, name)),
        summary="".join(f"<li>{_summed(found, policy)}</li>" for policy in found.policies if policy != LOGGED),
        findings=_findings(found),
        unchecked="".join(
            f'<p class="note">Not checked: {escape(check)} ({escape(why)}).</p>'
            for check, why in sorted(found.unchecked.items())
        ),
        forest=forest(
            _bars(found, colours),
            found.estimate(LOGGED).interval.value,
            "logged",
            "Doubly robust estimates of the mean reward, by policy",
        ),
        table=_table(found),
        keys=_keys(colours),
        learning=curves(
            *(learned, colours, [(i + 0.5) / stretches for i in range(stretches)], _times(found)),
            title="Mean reward along the log, by policy",
        ),
        ages=curves(
            *(found.ages, colours, [(i + 0.5) / ages for i in range(ages)], _ages(found)),
            title="Mean reward by the age of titles, by policy",
        ),
        titles=_titles(found),
        model=_model(found),
    )


def _about(found: Evaluated, name: str) -> str:
    first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (found.roster.first, found.roster.last))
    return (
        f"{found.rows:,} impressions of {len(found.roster.titles):,} titles from {first:%d %B %Y %H:%M} to "
        f"{last:%d %B %Y %H:%M} UTC, {found.taken:,} of which earned something: {name}. What each policy "
        "would have "
        "earned, had it chosen the artwork."
    )


def _summed(found: Evaluated, policy: str) -> str:
    """The sentence about a policy, coloured by what is sure."""
    gain = found.estimate(policy).lift
    kind = "more" if gain.above(0.0) else "less" if gain.below(0.0) else ""
    name, _, rest = sentence(found.estimate(policy)).partition(f"{policy}: ")
    return f'{escape(name)}<b>{escape(policy)}</b>: <span class="{kind}">{escape(rest)}</span>'


def _findings(found: Evaluated) -> str:
    if not found.findings:
        return '<li class="fine"><b>Yes.</b> No check found anything against it.</li>'
    return "".join(
        f'<li class="{"wrong" if finding.wrong else "unsure"}"><b>{escape(finding.check)}</b>: '
        f"{escape(finding.sentence)}.</li>"
        for finding in found.findings
    )


def _bars(found: Evaluated, colours: dict[str, int]) -> list[Bar]:
    bars = []
    for policy in found.policies:
        estimate = found.estimate(policy)
        text = f"{estimate.interval.value:.4f}" if policy == LOGGED else lift(estimate.lift).partition(" [")[0]
        bars.append(Bar(policy, colours[policy], estimate.interval, text))
    return bars


def _table(found: Evaluated) -> str:
    rows = []
    for policy in found.policies:
        for number, estimator in enumerate(("mean",) if policy == LOGGED else ESTIMATORS):
            take = found.estimate(policy, estimator, "take rate")
            mean = found.estimate(policy, estimator, "mean reward")
            cells = (
                "" if number else policy,
                NAMES[estimator],
                interval(take.interval),
                interval(mean.interval),
                "" if policy == LOGGED else lift(mean.lift),
                f"{mean.effective_samples:,.0f}",
            )
            written = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
            first = "" if number else ' class="first"'
            rows.append(f"<tr{first}>{written}</tr>")
    heads = ("policy", "by", "take rate", "mean reward", "lift over logged", "worth")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _keys(colours: dict[str, int]) -> str:
    items = (f'<li><span class="k c{number}"></span>{escape(name)}</li>' for name, number in colours.items())
    return f'<ul class="keys">{"".join(items)}</ul>'


def _times(found: Evaluated) -> list[tuple[float, str]]:
    """What is written below the learning curve: it is even in impressions, whenever they were."""
    return [(at, f"{at * found.roster.rows:,.0f}") for at in (0.25, 0.5, 0.75)] + [(0.95, "impressions")]


def _ages(found: Evaluated) -> list[tuple[float, str]]:
    edges = found.age_edges_ms
    return [(i / (len(edges) - 1), _span(float(edge))) for i, edge in enumerate(edges)]


def _span(milliseconds: float) -> str:
    """An age in few characters.

    >>> _span(90 * 60_000), _span(40 * 3_600_000), _span(12 * 86_400_000)
    ('1.5 h', '40 h', '12 d')
    """
    if milliseconds >= 3 * _DAY_MS:
        return f"{milliseconds / _DAY_MS:.3g} d"
    if milliseconds >= _HOUR_MS:
        return f"{milliseconds / _HOUR_MS:.2g} h"
    return f"{milliseconds / 60_000:.2g} min" if milliseconds else "0"


def _titles(found: Evaluated) -> str:
    """The titles at which a policy differs most from what was logged: Keyart, or the last that was asked for."""
    policy = "ours" if "ours" in found.titles else found.policies[-1]
    lifts = [one for one in found.titles.get(policy, ()) if one.rows >= _LEAST_ROWS and np.isfinite(one.gain.low)]
    winners = [one for one in lifts if one.gain.value > 0][:_TITLES]
    losers = [one for one in reversed(lifts) if one.gain.value < 0][:_TITLES]
    if lifts and not winners and not losers:
        return '<p class="note">It differs at no title.</p>'
    if not lifts:
        return f'<p class="note">No title has {_LEAST_ROWS} impressions or more to judge it by.</p>'
    about = (
        f"<p>Where <b>{escape(policy)}</b> differs most from what was logged, among titles with at least "
        f"{_LEAST_ROWS} "
        "impressions: their mean reward, and the artwork that it would have shown less often (left) and "
        "more often "
        "(right), with its share of the impressions.</p>"
    )
    return about + _side("Winners", winners, found) + _side("Losers", losers, found)


def _side(name: str, lifts: Sequence[TitleLift], found: Evaluated) -> str:
    if not lifts:
        return f'<h3>{name}</h3><p class="note">None.</p>'
    return f'<h3>{name}</h3><div class="titles">{"".join(_title(one, found) for one in lifts)}</div>'


def _title(one: TitleLift, found: Evaluated) -> str:
    title_id, canvas, _ = found.roster.offers[one.offer]
    title = found.roster.titles[title_id]
    kind = "more" if one.gain.above(0.0) else "less" if one.gain.below(0.0) else ""
    where = f" ({escape(canvas)})" if canvas else ""
    return (
        f'<section class="title"><h4>{escape(title.name)}{where}</h4>'
        f'<p>{one.logged:.4f} → {one.policy:.4f}, <span class="{kind}">{one.gain.value:+.4f}</span> '
        f"[{one.gain.low:+.4f}, {one.gain.high:+.4f}], {one.rows:,} impressions</p>"
        f'<div class="pair">{_picture(one, one.less, found)}{_picture(one, one.more, found)}'
        "</div></section>"
    )


def _picture(one: TitleLift, artwork: Shift, found: Evaluated) -> str:
    title_id, _, ids = found.roster.offers[one.offer]
    title = found.roster.titles[title_id]
    name = ids[artwork.place]
    drawn = next(poster(title, each) for each in title.artworks if each.artwork_id == name)
    address = "data:image/svg+xml;base64," + b64encode(drawn.encode()).decode()
    return (
        f'<div><img src="{address}" alt="{escape(name)}" width="400" height="600">'
        f"{escape(name)}, {artwork.logged:.0%} → {artwork.policy:.0%}</div>"
    )


def _model(found: Evaluated) -> str:
    features = len(found.roster.features)
    if found.model_features < features:
        return "The reward model knows how good each artwork is, but no contexts: there are too many artworks."
    return "The reward model is linear in the context, with weights of its own for each artwork."
