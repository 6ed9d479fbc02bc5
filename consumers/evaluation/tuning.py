"""Other settings of Keyart, tried on a log: recommended only if that is no luck.

Today's settings and each trial are valued at once, progressively and doubly robustly, on the same impressions.
What counts is the difference of a trial to today's, of the same members. Of several trials the best looks better
than it is, so the 95 % intervals hold for all of them at once (Bonferroni): of m trials each has one of
1 - 0.05 / m. Intervals have two ends, and only the lower one recommends: where no trial is any better, at most one
log in forty sees one recommended.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from consumers.evaluation.lineup import changed_name
from consumers.evaluation.run import checks_of
from consumers.evaluation.source import Wanted, open_log
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Columns, batches
from stream.evaluation.ours import Ours
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from consumers.evaluation.source import Opened, Progress, Source
    from stream.evaluation.checks import Finding
    from stream.evaluation.intervals import Interval
    from stream.settings import Settings

#: What is tried if nothing is named: exploration, forgetting, how soon choices follow the evidence, and the prior.
TRIALS: tuple[dict[str, str], ...] = (
    {"exploration": "0.03"},
    {"exploration": "0.3"},
    {"exploration": "1"},
    {"half_life_days": "7"},
    {"half_life_days": "30"},
    {"hold": "0"},
    {"shared_prior": "false", "prior_precision": "10"},
    {"shared_prior": "false", "prior_precision": "100"},
)
_TODAY = "ours"


class Trial(NamedTuple):
    """Settings that were tried.

    Attributes
    ----------
    settings
        What differs from today's.
    value
        The mean reward by them.
    difference
        How much more that is than today's, and where the truth lies with 95 % confidence in all trials at once.
    effective_samples
        How many rows of their own the log is worth for them.
    """

    settings: dict[str, str]
    value: float
    difference: Interval
    effective_samples: float

    @property
    def better(self) -> bool:
        """Whether both the mean and the lower bound beat today's."""
        return self.difference.value > 0.0 and self.difference.above(0.0)


class Tuned(NamedTuple):
    """What trying found.

    Attributes
    ----------
    today
        The mean reward by today's settings.
    trials
        Best first.
    recommended
        The best of those that are better for sure; None: there is none, or the log is not to be believed.
    findings
        What speaks against believing the log.
    """

    today: float
    trials: Sequence[Trial]
    recommended: Trial | None
    findings: Sequence[Finding]

    @property
    def toml(self) -> str:
        """The change to ``keyart.toml``."""
        return "" if self.recommended is None else toml_of(self.recommended.settings)


def tune(
    source: Source,
    settings: Settings,
    trials: Sequence[dict[str, str]] = TRIALS,
    *,
    wanted: Wanted | None = None,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda _what: lambda _done, _total: None,
) -> Tuned:
    """Try settings on a log; parameters as :func:`~consumers.evaluation.run.evaluate` has them.

    Raises
    ------
    ConfigurationError
        A setting of a trial is wrong.
    """
    log = open_log(source, wanted or Wanted(), progress("reading rewards"))
    log.progress = progress("judging")
    return try_settings(log, settings, trials, seed)


def try_settings(log: Opened, settings: Settings, trials: Sequence[dict[str, str]], seed: int = 0) -> Tuned:
    """Try settings on a log that was read once; see :func:`tune`."""
    names = [changed_name(changes) for changes in trials]
    policies = [Ours(_TODAY, settings, log.roster)]
    for name, changes in zip(names, trials, strict=True):
        wanted = load(**changes)
        update = {setting: getattr(wanted, setting) for setting in changes}
        policies.append(Ours(name, settings.model_copy(update=update), log.roster))
    evaluation = Evaluation(log.roster, policies, checks_of(log, settings), seed=seed)
    found = evaluation.run(batches(log.impressions(), Columns(log.roster, log.rewards)))
    tried = [
        Trial(
            changes,
            found.estimate(name).interval.value,
            evaluation.difference(name, _TODAY, at_once=len(trials)),
            found.estimate(name).effective_samples,
        )
        for name, changes in zip(names, trials, strict=True)
    ]
    tried.sort(key=lambda trial: -trial.difference.value)
    # Of two policies alone it matters whether the log says anything of them.
    doubted = {finding.policy for finding in found.findings if finding.check == "overlap"}
    spoilt = any(finding.wrong and finding.check != "overlap" for finding in found.findings) or _TODAY in doubted
    better = [trial for trial in tried if trial.better and changed_name(trial.settings) not in doubted]
    return Tuned(
        found.estimate(_TODAY).interval.value, tried, better[0] if better and not spoilt else None, found.findings
    )


def toml_of(changes: Mapping[str, str]) -> str:
    """Settings as lines of ``keyart.toml``.

    >>> print(toml_of({"exploration": "0.3", "shared_prior": "false", "features": "drama,comedy"}))
    exploration = 0.3
    shared_prior = false
    features = ["drama", "comedy"]
    """
    wanted = load(**changes).model_dump(mode="json")
    return "\n".join(f"{name} = {json.dumps(wanted[name])}" for name in changes)
