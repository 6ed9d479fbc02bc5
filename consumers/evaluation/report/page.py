"""The page: what was found, put into a template that asks for nothing from anywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from consumers.evaluation.report.charts import Bar, curves, forest
from consumers.evaluation.report.titles import titles
from consumers.evaluation.table import NAMES, NO_REPLAY, interval, lift, sentence, titled
from stream.evaluation.results import ESTIMATORS, LOGGED

if TYPE_CHECKING:
    from stream.evaluation.results import Evaluated

_COLOURS = 8
_HOUR_MS, _DAY_MS = 3_600_000.0, 86_400_000.0
#: What a policy does, for who has not heard of it.
_DOES = {
    "uniform": "shows any artwork, each as often",
    "best": "shows everybody the artwork that has earned most so far",
    "thompson": "shows everybody the best artwork, and tries the others while it is not sure",
    "ours": "Keyart with its settings as they are: a choice for each member",
}


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
    clear = {policy: number for policy, number in colours.items() if policy not in found.doubted}
    lines, aged = ({name: by[name] for name in clear} for by in (found.stretches, found.ages))
    return Template(here.joinpath("report.html").read_text("utf-8")).substitute(
        css=here.joinpath("report.css").read_text("utf-8"),
        name=escape(name),
        about=escape(_about(found)),
        summary="".join(f"<li>{_summed(found, policy)}</li>" for policy in found.policies),
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
        keys=_keys(clear),
        learning=curves(
            *(lines, colours, [(i + 0.5) / stretches for i in range(stretches)], _times(found)),
            title="Mean reward along the log, by policy",
        ),
        ages=curves(
            *(aged, colours, [(i + 0.5) / ages for i in range(ages)], _ages(found)),
            title="Mean reward by the age of titles, by policy",
        ),
        titles=titles(found),
        left_out=_left_out(found),
        replay="" if found.replay_fits else f"Replay {NO_REPLAY}.",
        model=_model(found),
    )


def _about(found: Evaluated) -> str:
    first, last = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (found.roster.first, found.roster.last))
    return (
        "What other ways of choosing artwork would have earned, worked out from "
        f"{found.rows:,} impressions of {len(found.roster.titles):,} titles, shown from {first.day} "
        f"{first:%B %Y %H:%M} to {last.day} {last:%B %Y %H:%M} UTC, {found.taken:,} of which earned something."
    )


def _summed(found: Evaluated, policy: str) -> str:
    """What is sure of a policy, coloured if it is more or less."""
    if policy == LOGGED:
        value = found.estimate(LOGGED).interval.value
        return f"<b>{LOGGED}</b>, what was shown, earned {value:.4f} an impression." if np.isfinite(value) else "-"
    does = f' <span class="note">{escape(_DOES[policy])}</span>' if policy in _DOES else ""
    return f"<b>{escape(policy)}</b>{does}<br>{_verdict(found, policy)}"


def _verdict(found: Evaluated, policy: str) -> str:
    gain = found.estimate(policy).lift
    if policy in found.doubted or not np.isfinite(gain.low):
        return f'<span class="note">{escape(sentence(found, policy)).capitalize()}.</span>'
    sure = f"with 95 % confidence {_between(gain.low, gain.high)}"
    if not (gain.above(0.0) or gain.below(0.0)):
        return f"No clear difference to what was logged: {sure}."
    kind = "" if found.spoilt else "more" if gain.above(0.0) else "less"
    return f'<span class="{kind}">{_change(gain.value)} than was logged</span>, {sure}.'


def _change(gain: float) -> str:
    """A gain in words.

    >>> _change(0.298), _change(-0.05)
    ('29.8 % more', '5.0 % less')
    """
    return f"{abs(100.0 * gain):.1f} % {'less' if gain < 0 else 'more'}"


def _between(low: float, high: float) -> str:
    """An interval in words.

    >>> _between(0.2, 0.3), _between(-0.3, -0.2), _between(-0.1, 0.2)
    ('20.0 to 30.0 % more', '20.0 to 30.0 % less', 'between 10.0 % less and 20.0 % more')
    """
    if (low < 0) != (high < 0):
        return f"between {_change(low)} and {_change(high)}"
    near, far = sorted((abs(low), abs(high)))
    return f"{100.0 * near:.1f} to {_change(far if high > 0 else -far)}"


def _findings(found: Evaluated) -> str:
    if not found.findings:
        return '<li class="fine"><b>Yes.</b> No check found anything against it.</li>'
    said = '<li class="wrong"><b>No.</b> Do not go by these numbers: the log is wrong, or not what it seems.</li>'
    return (said if found.spoilt else "") + "".join(
        f'<li class="{"wrong" if finding.wrong else "unsure"}"><b>{escape(finding.check)}</b>: '
        f"{escape(finding.sentence)}.</li>"
        for finding in found.findings
    )


def _bars(found: Evaluated, colours: dict[str, int]) -> list[Bar]:
    bars = []
    for policy in found.policies:
        estimate = found.estimate(policy)
        text = f"{estimate.interval.value:.4f}" if policy == LOGGED else lift(estimate.lift).partition(" [")[0]
        doubted = policy in found.doubted
        bars.append(
            Bar(policy, colours[policy], estimate.interval, "not to go by" if doubted else text, faint=doubted)
        )
    return bars


def _table(found: Evaluated) -> str:
    rows = []
    for policy in found.policies:
        for number, estimator in enumerate(("mean",) if policy == LOGGED else ESTIMATORS):
            name = "" if number else titled(found, policy)
            written = "".join(f"<td>{escape(cell)}</td>" for cell in (name, *_cells(found, policy, estimator)))
            first = "" if number else ' class="first"'
            rows.append(f"<tr{first}>{written}</tr>")
    heads = ("policy", "by", "take rate", "mean reward", "lift over logged", "worth")
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cells(found: Evaluated, policy: str, estimator: str) -> tuple[str, ...]:
    if estimator == "replay" and not found.replay_fits:
        return NAMES[estimator], "-", "-", "-", "-"
    take, mean = (found.estimate(policy, estimator, measure) for measure in ("take rate", "mean reward"))
    return (
        NAMES[estimator],
        interval(take.interval),
        interval(mean.interval),
        "" if policy == LOGGED else lift(mean.lift),
        f"{mean.effective_samples:,.0f}",
    )


def _keys(colours: dict[str, int]) -> str:
    items = (f'<li><span class="k c{number}"></span>{escape(name)}</li>' for name, number in colours.items())
    return f'<ul class="keys">{"".join(items)}</ul>'


def _left_out(found: Evaluated) -> str:
    names = [policy for policy in found.policies if policy in found.doubted]
    return f"Left out, as the log says too little of them: {', '.join(map(escape, names))}." if names else ""


def _times(found: Evaluated) -> list[tuple[float, str]]:
    """What is written below the learning curve: it is even in impressions, whenever they were."""
    return [(at, f"{at * found.roster.rows:,.0f}") for at in (0.25, 0.5, 0.75)] + [(0.95, "impressions")]


def _ages(found: Evaluated) -> list[tuple[float, str]]:
    edges = found.age_edges_ms
    return [(i / (len(edges) - 1), _span(float(edge))) for i, edge in enumerate(edges)]


def _span(milliseconds: float) -> str:
    """An age in few characters.

    >>> _span(90 * 60_000), _span(40 * 3_600_000), _span(3.47 * 86_400_000), _span(12 * 86_400_000)
    ('1.5 h', '40 h', '3.5 d', '12 d')
    """
    if milliseconds >= 2 * _DAY_MS:
        return f"{round(milliseconds / _DAY_MS, 1):g} d"
    if milliseconds >= _HOUR_MS:
        return f"{milliseconds / _HOUR_MS:.2g} h"
    return f"{milliseconds / 60_000:.2g} min" if milliseconds else "0"


def _model(found: Evaluated) -> str:
    features = len(found.roster.features)
    if found.model_features < features:
        return "The reward model knows how good each artwork is, but no contexts: there are too many artworks."
    return "The reward model is linear in the context, with weights of its own for each artwork."
