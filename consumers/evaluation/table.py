"""What was found, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stream.evaluation.results import ESTIMATORS, LOGGED, Estimate

if TYPE_CHECKING:
    from stream.evaluation.intervals import Interval
    from stream.evaluation.results import Evaluated

#: How estimators are written.
NAMES = {
    "dr": "doubly robust",
    "switch_dr": "switch-DR",
    "snips": "SNIPS",
    "ips": "IPS",
    "replay": "replay",
    "dm": "direct method",
    "mean": "as it was",
}


def table(found: Evaluated) -> Table:
    """Every policy by every estimator: take rate, mean reward, and the lift of the latter over the logged."""
    shown = Table(box=SIMPLE, pad_edge=False, header_style="bold")
    shown.add_column("policy", no_wrap=True)
    shown.add_column("by", no_wrap=True)
    for name in ("take rate", "mean reward", "lift over logged", "worth"):
        shown.add_column(name, justify="right", no_wrap=True)
    for policy in found.policies:
        names = ("mean",) if policy == LOGGED else ESTIMATORS
        for number, estimator in enumerate(names):
            take = found.estimate(policy, estimator, "take rate")
            mean = found.estimate(policy, estimator, "mean reward")
            shown.add_row(
                policy if not number else "",
                NAMES[estimator],
                interval(take.interval),
                interval(mean.interval),
                "" if policy == LOGGED else lift(mean.lift),
                f"{mean.effective_samples:,.0f}",
                style="" if not number else "dim",
                end_section=number == len(names) - 1,
            )
    return shown


def interval(found: Interval) -> str:
    """An estimate and where the truth lies.

    >>> from stream.evaluation.intervals import Interval
    >>> interval(Interval(0.1, 0.091, 0.1123))
    '0.1000 [0.0910, 0.1123]'
    """
    if not np.isfinite(found.value):
        return "–"
    ends = f" [{found.low:.4f}, {found.high:.4f}]" if np.isfinite(found.low) else ""
    return f"{found.value:.4f}{ends}"


def lift(found: Interval) -> str:
    """A lift in per cent, and where the truth lies.

    >>> from stream.evaluation.intervals import Interval
    >>> lift(Interval(0.1, -0.05, 0.25))
    '+10.0 % [-5.0, +25.0]'
    """
    if not np.isfinite(found.value):
        return "–"
    ends = f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]" if np.isfinite(found.low) else ""
    return f"{100 * found.value:+.1f} %{ends}"


def summary(found: Evaluated) -> list[str]:
    """The most important things in sentences: what is sure of each policy, by the doubly robust estimate."""
    return [sentence(found.estimate(policy)) for policy in found.policies if policy != LOGGED]


def sentence(estimate: Estimate) -> str:
    """What is sure of a policy."""
    gain = estimate.lift
    if not np.isfinite(gain.low):
        return f"{estimate.policy}: the log does not say what it would earn"
    if gain.above(0.0):
        verdict = "more than was logged"
    elif gain.below(0.0):
        verdict = "less than was logged"
    else:
        verdict = "no clear difference to what was logged"
    return f"{estimate.policy}: {verdict}, {lift(gain)}"


def findings(found: Evaluated) -> list[Text]:
    """What speaks against believing it, and what could not be checked."""
    lines = []
    for finding in found.findings:
        style = "bold red" if finding.wrong else "yellow"
        lines.append(Text.assemble((f"{finding.check}: ", style), finding.sentence))
    if not lines:
        lines.append(Text("no check found anything against it", style="green"))
    lines += [Text(f"not checked: {name}: {why}", style="dim") for name, why in sorted(found.unchecked.items())]
    return lines
