"""Titles whose reward has turned: River's ADWIN on what became of each title's impressions.

A busy title is watched by the hour. An hour's outcomes are handed to the detector once its rewards have had time
to come, so an impression whose reward is under way is not mistaken for a refusal. ADWIN keeps a window of outcomes
and looks for a cut that makes its two halves differ by more than chance allows (Bifet and Gavaldà, *Learning from
Time-Changing Data with Adaptive Windowing*, 2007): a title with few impressions never gives it reason to.
"""

from __future__ import annotations

import numpy as np
from river.drift import ADWIN

_HOUR_MS = 60 * 60 * 1000
#: Rewards have so long to come before an hour is judged by them.
_SETTLE_MS = _HOUR_MS
#: The chance of a false alarm at each look.
_DELTA = 0.002
#: The most outcomes of an hour that are looked at one by one; more say the same as a sample of so many.
_MOST = 2000
#: What an alarm leaves of the weight of everything that was learned before it.
KEPT = 0.1


class RewardWatch:
    """One title's detector.

    It lives in memory: after a restart it begins anew, and what an earlier alarm made of the title's memory stays.
    """

    def __init__(self) -> None:
        self._detector = ADWIN(delta=_DELTA)
        self._hours: dict[int, list[float]] = {}  # impressions and reward of those not judged yet
        self._judged = -1
        self._carried = 0.0

    def shown(self, shown_ms: int) -> None:
        """An impression."""
        self._add(shown_ms, 1.0, 0.0)

    def rewarded(self, shown_ms: int, credit: float) -> None:
        """What an impression of that time has earned."""
        self._add(shown_ms, 0.0, credit)

    def _add(self, shown_ms: int, impressions: float, reward: float) -> None:
        hour = shown_ms // _HOUR_MS
        if hour > self._judged:
            sums = self._hours.setdefault(hour, [0.0, 0.0])
            sums[0] += impressions
            sums[1] += reward

    def turned(self, now_ms: int) -> bool:
        """Whether the outcomes that are complete by now are worse than those before.

        That they are better is what learning does, and no reason to forget.

        Parameters
        ----------
        now_ms
            Event time through which rewards have been read.
        """
        last = (now_ms - _SETTLE_MS) // _HOUR_MS - 1
        if last <= self._judged or not self._hours:
            return False
        found = False
        for hour in sorted(hour for hour in self._hours if hour <= last):
            found |= self._judge(*self._hours.pop(hour))
        self._judged = last
        return found

    def _judge(self, impressions: float, reward: float) -> bool:
        """Hand over an hour's outcomes as 0 and 1, the rewards spread evenly among the impressions."""
        count = round(min(impressions, _MOST))
        if count == 0:
            return False
        rate = min(max(reward / impressions, 0.0), 1.0)
        steps = np.floor(self._carried + rate * np.arange(count + 1))
        self._carried = (self._carried + rate * count) % 1.0
        found, before = False, self._detector.estimation
        for outcome in np.diff(steps).tolist():
            self._detector.update(outcome)
            found |= self._detector.drift_detected
        return found and self._detector.estimation < before
