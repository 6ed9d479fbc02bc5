"""Whether the right policy comes out on top, from a log of uniform choice alone and by the audience's truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE
from rich.table import Table

from benchmarks.evaluation.logs import Known, explored
from stream.evaluation.checks import Checks
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Columns, batches
from stream.evaluation.ours import Ours
from stream.evaluation.policies import BestSingle, Uniform
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stream.evaluation.results import Evaluated


class Row(NamedTuple):
    """A policy's take rate: the truth, and the doubly robust estimate with its interval."""

    policy: str
    truth: float
    value: float
    low: float
    high: float


def measure(seed: int, impressions: int) -> tuple[list[Row], Evaluated]:
    """Value uniform, best single and contextual choice by what uniform choice has shown; least truth first."""
    log = explored(seed, impressions)
    settings = Settings.model_construct()
    policies = [
        Known(policy, log)
        for policy in (Uniform(), BestSingle("best", log.roster), Ours("ours", settings, log.roster))
    ]
    evaluation = Evaluation(log.roster, policies, Checks(log.roster, log.end_ms), seed=seed)
    found = evaluation.run(batches(log.impressions, Columns(log.roster, log.rewards)))
    rows = [Row(one.name, one.truth, *found.estimate(one.name, measure="take rate").interval) for one in policies]
    return sorted(rows, key=lambda row: row.truth), found


def table(rows: Iterable[Row], title: str) -> Table:
    """As it is printed."""
    shown = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    shown.add_column("policy", no_wrap=True)
    for name in ("true take rate", "by the log"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(row.policy, f"{row.truth:.4f}", f"{row.value:.4f} [{row.low:.4f}, {row.high:.4f}]")
    return shown
