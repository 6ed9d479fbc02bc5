"""The Open Bandit Dataset as a log to evaluate: a click earns 1 at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.evaluation.source import Earned
from stream.evaluation.log import Logged
from stream.records import Impression

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from producers.openbandit import OpenBanditLog
    from stream.records import Title
    from stream.settings import Settings


class OpenBandit:
    """A campaign's rows under one behaviour, as :mod:`producers.openbandit` makes impressions of them."""

    shares: Mapping[str, float] | None = None

    def __init__(self, log: OpenBanditLog, settings: Settings) -> None:
        self.name = f"Open Bandit Dataset, {log.campaign}, {log.behaviour}"
        self._log = log
        self._settings = settings

    def everything(self) -> Iterator[Title | Logged | Earned]:
        """Titles, impressions, clicks."""
        yield from self._log.titles(self._settings)
        for event in self._log.events(self._settings):
            if isinstance(event, Impression):
                yield _logged(event)
            else:
                yield Earned(event.play_id, 1.0, event.played_ms)

    def impressions(self) -> Iterator[Logged]:
        """In the file's order."""
        return (_logged(event) for event in self._log.events(self._settings) if isinstance(event, Impression))


def _logged(impression: Impression) -> Logged:
    return Logged(
        impression_id=impression.impression_id,
        shown_ms=impression.shown_ms,
        member_id=impression.member_id,
        title_id=impression.title_id,
        artwork_id=impression.artwork_id,
        context=impression.context,
        policy=impression.policy,
        propensity=impression.propensity,
    )
