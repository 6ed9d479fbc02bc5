"""One evaluation from end to end: open the log, value the policies, say what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.evaluation.lineup import lineup
from consumers.evaluation.source import Wanted, open_log
from stream.evaluation.checks import Checks
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Columns, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consumers.evaluation.source import Opened, Progress, Source
    from stream.evaluation.policies import Policy
    from stream.evaluation.results import Evaluated
    from stream.settings import Settings


def evaluate(
    source: Source,
    settings: Settings,
    policies: Sequence[str] = (),
    changes: dict[str, str] | None = None,
    *,
    wanted: Wanted | None = None,
    seed: int = 0,
    progress: Callable[[str], Progress] = lambda _what: lambda _done, _total: None,
) -> Evaluated:
    """Value policies by a log.

    Parameters
    ----------
    source
        The log.
    settings
        Those of Keyart as a policy.
    policies
        By name; none: every one that Keyart knows.
    changes
        Settings of one more Keyart.
    wanted
        Which impressions; None: all of them.
    seed
        Of draws and resamples.
    progress
        Called with what is being done, gives what is called while it is.

    Raises
    ------
    InputError, ConfigurationError
        See :func:`~consumers.evaluation.lineup.lineup` and :func:`~consumers.evaluation.source.open_log`.
    """
    log = open_log(source, wanted or Wanted(), progress("reading rewards"))
    return value(log, lineup(policies, changes or {}, settings, log.roster), settings, seed, progress("judging"))


def value(
    log: Opened, policies: Sequence[Policy], settings: Settings, seed: int = 0, progress: Progress | None = None
) -> Evaluated:
    """Value policies by a log that was read once; see :func:`evaluate`."""
    if progress is not None:
        log.progress = progress
    evaluation = Evaluation(log.roster, policies, checks_of(log, settings), seed=seed)
    return evaluation.run(batches(log.impressions(), Columns(log.roster, log.rewards)))


def checks_of(log: Opened, settings: Settings) -> Checks:
    """The checks that watch a log while it is read for the second time."""
    return Checks(
        log.roster,
        log.end_ms,
        split=log.split,
        shares=log.source.shares,
        flood_plays=settings.flood_plays,
        left_out=log.left_out,
    )
