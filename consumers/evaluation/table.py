"""What was found, on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from stream.evaluation.results import ESTIMATORS, LOGGED

if TYPE_CHECKING:
    from consumers.evaluation.tuning import Tuned
    from stream.evaluation.intervals import Interval
    from stream.evaluation.results import Evaluated

#: How estimators are written.
NAMES = {
    "dr": "DR",
    "switch_dr": "switch-DR",
    "snips": "SNIPS",
    "ips": "IPS",
    "replay": "replay",
    "dm": "DM",
    "mean": "as it was",
}
NO_REPLAY = "says nothing of this log, it is for uniform choice among equally many artworks"


def table(found: Evaluated) -> Table:
    """Every policy by every estimator: take rate, mean reward, and the lift of the latter over the logged."""
    # On a narrow terminal a policy's name is folded, and no number cut off.
    shown = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    shown.add_column("policy", overflow="fold")
    for name in ("taken", "mean reward", "lift over logged", "worth"):
        shown.add_column(name, justify="right", no_wrap=True)
    for policy in found.policies:
        names = ("mean",) if policy == LOGGED else ESTIMATORS
        if policy != LOGGED:
            shown.add_row(titled(found, policy), style="bold")
        for number, estimator in enumerate(names):
            mean = found.estimate(policy, estimator, "mean reward")
            if estimator == "replay" and not found.replay_fits:
                shown.add_row(f"  {NAMES[estimator]}", "-", "-", "-", "-", style="dim")
                continue
            shown.add_row(
                policy if policy == LOGGED else f"  {NAMES[estimator]}",
                brief(found.estimate(policy, estimator, "take rate").interval),
                interval(mean.interval),
                "" if policy == LOGGED else lift(mean.lift),
                f"{mean.effective_samples:,.0f}",
                style="bold" if policy == LOGGED else "" if not number else "dim",
                end_section=number == len(names) - 1,
            )
    return shown


def brief(found: Interval) -> str:
    """An estimate without its interval."""
    return f"{found.value + 0.0:.4f}" if np.isfinite(found.value) else "-"


def interval(found: Interval) -> str:
    """An estimate and where the truth lies.

    >>> from stream.evaluation.intervals import Interval
    >>> interval(Interval(0.1, 0.091, 0.1123))
    '0.1000 [0.0910, 0.1123]'
    """
    if not np.isfinite(found.value):
        return "-"
    value, low, high = (round(end, 4) + 0.0 for end in found)  # no minus before a zero
    return f"{value:.4f} [{low:.4f}, {high:.4f}]" if np.isfinite(low) else f"{value:.4f}"


def lift(found: Interval) -> str:
    """A lift in per cent, and where the truth lies.

    >>> from stream.evaluation.intervals import Interval
    >>> lift(Interval(0.1, -0.05, 0.25))
    '+10.0 % [-5.0, +25.0]'
    """
    if not np.isfinite(found.value):
        return "-"
    value, low, high = (round(100 * end, 1) + 0.0 for end in found)
    return f"{value:+.1f} % [{low:+.1f}, {high:+.1f}]" if np.isfinite(low) else f"{value:+.1f} %"


def titled(found: Evaluated, policy: str) -> str:
    """A policy's name, and whether it is one of those that the log says too little of."""
    return f"{policy} (not to go by)" if policy in found.doubted else policy


def summary(found: Evaluated) -> list[str]:
    """The most important things in sentences: what is sure of each policy, by the doubly robust estimate."""
    lines = [f"{policy}: {sentence(found, policy)}" for policy in found.policies if policy != LOGGED]
    if not found.replay_fits:
        lines.append(f"replay: {NO_REPLAY}")
    if found.spoilt:
        lines.append(f"but this log is not to be believed as it stands: {', '.join(found.spoilt)}")
    return lines


def sentence(found: Evaluated, policy: str) -> str:
    """What is sure of a policy."""
    gain = found.estimate(policy).lift
    if not np.isfinite(gain.low):
        return "the log does not say what it would earn"
    if policy in found.doubted:
        return "not to go by: the log hardly shows what it would have shown (overlap)"
    if gain.above(0.0):
        verdict = "more than was logged"
    elif gain.below(0.0):
        verdict = "less than was logged"
    else:
        verdict = "no clear difference to what was logged"
    return f"{verdict}, {lift(gain)}"


def findings(found: Evaluated | Tuned) -> list[Text]:
    """What speaks against believing it, and what could not be checked."""
    lines = []
    for finding in found.findings:
        style = "bold red" if finding.wrong else "yellow"
        lines.append(Text.assemble((f"{finding.check}: ", style), finding.sentence))
    if not lines:
        lines.append(Text("no check found anything against it", style="green"))
    unchecked = getattr(found, "unchecked", {})
    lines += [Text(f"not checked: {name}: {why}", style="dim") for name, why in sorted(unchecked.items())]
    return lines
