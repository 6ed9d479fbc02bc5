"""Whether a log's contexts know what was to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stream.evaluation.checks.finding import Finding, share

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch
    from stream.evaluation.roster import Roster

    Floats = NDArray[np.float64]

#: Nobody's taste says half of whether they will play: rates are a few per cent, and people are free.
_CORRELATION, _EXPLAINED = 0.5, 0.5
#: Contexts that have just changed may be so much more frequent, in odds, where something was then earned; and by
#: so many standard errors.
_ODDS, _CLEAR = 5.0, 6.0
#: Rewarded impressions that are enough to judge by.
_ENOUGH = 20
#: Clocks may differ by so much.
_SKEW_MS, _BEFORE = 5 * 60_000, 0.001
_MEMBERS = 1 << 18


class Future:
    """Looks for the future in contexts, in three ways.

    A feature, or the reward model, that tells rewards from refusals as nothing honest can: somebody wrote the
    outcome into it. Contexts that have changed since the member's last impression just where a reward follows: a
    taste was looked up after the play that it is to predict. Rewards that were known before their impressions.
    """

    def __init__(self, roster: Roster) -> None:
        self.unchecked: dict[str, str] = {}
        self._features = roster.features
        d = len(roster.features)
        self._rows = 0
        self._x, self._xx, self._xy = np.zeros(d), np.zeros(d), np.zeros((2, d))
        self._y, self._yy, self._left = np.zeros(2), np.zeros(2), np.zeros(2)
        self._rewarded = self._before = 0
        self._table: Floats = np.zeros((2, 2))  # changed or not, earned or not
        self._known: NDArray[np.uint64] = np.zeros(_MEMBERS, dtype=np.uint64)
        self._last: Floats = np.zeros(_MEMBERS)
        self._signature = np.random.default_rng(5).uniform(1.0, 2.0, d)

    def see(self, batch: Batch, expected: Floats) -> None:
        """Correlate, and compare contexts with members' last ones."""
        x, rows = batch.context, np.arange(len(batch))
        self._rows += len(batch)
        self._x += x.sum(axis=0)
        self._xx += np.einsum("nj,nj->j", x, x)
        for i, outcome in enumerate((batch.taken, batch.reward)):
            self._y[i] += outcome.sum()
            self._yy[i] += outcome @ outcome
            self._xy[i] += outcome @ x
            self._left[i] += ((outcome - expected[i, rows, batch.place]) ** 2).sum()
        rewarded = batch.reward > 0
        self._rewarded += int(rewarded.sum())
        self._before += int((batch.reward_ms[rewarded] < batch.shown_ms[rewarded] - _SKEW_MS).sum())
        self._compare(batch)

    def _compare(self, batch: Batch) -> None:
        """Which contexts are not what they were at the member's last impression."""
        now = batch.context @ self._signature
        order = np.argsort(batch.member, kind="stable")
        member, signature = batch.member[order], now[order]
        taken = batch.reward[order] > 0
        first = np.append(True, member[1:] != member[:-1])[: len(order)]
        place = (member % np.uint64(_MEMBERS)).astype(np.intp)
        before = np.append(0.0, signature[:-1])[: len(order)]
        before[first] = self._last[place[first]]
        comparable = ~first | (self._known[place] == member)
        changed = signature != before
        cells = 2 * changed[comparable] + taken[comparable]
        self._table += np.bincount(cells, minlength=4).reshape(2, 2)
        last = np.append(first[1:], True)[: len(order)]
        self._known[place[last]], self._last[place[last]] = member[last], signature[last]

    def findings(self) -> Iterator[Finding]:
        """What cannot be honest."""
        if self._rewarded < _ENOUGH:
            self.unchecked["future"] = f"{self._rewarded} impressions earned anything, too few to tell"
            return
        if self._before > _BEFORE * self._rewarded:
            yield Finding(
                "future",
                True,
                f"{share(self._before / self._rewarded)} of the rewards were known more than five minutes "
                "before their "
                "impressions: times or ids are mixed up",
            )
        found = self._correlated() or self._explained() or self._changed()
        if found:
            yield Finding("future", True, found)

    def _correlated(self) -> str:
        n = self._rows
        spread_x = np.maximum(self._xx - self._x**2 / n, 0.0)
        spread_y = self._yy - self._y**2 / n
        covariance = self._xy - self._y[:, None] * self._x / n
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = np.nan_to_num(covariance / np.sqrt(spread_x * spread_y[:, None]))
        correlation[:, spread_x <= 1e-9 * np.maximum(self._xx, 1.0)] = 0.0
        size = np.abs(correlation).max(axis=0)
        worst = int(size.argmax())
        if size[worst] <= _CORRELATION:
            return ""
        return (
            f"feature {self._features[worst]!r} knows what was to come: its correlation with what was earned is "
            f"{correlation[:, worst][np.abs(correlation[:, worst]).argmax()]:.2f}, and no taste can say that much"
        )

    def _explained(self) -> str:
        with np.errstate(divide="ignore", invalid="ignore"):
            explained = 1.0 - self._left / (self._yy - self._y**2 / self._rows)
        best = float(np.nan_to_num(explained).max())
        if best <= _EXPLAINED:
            return ""
        return (
            f"contexts know what was to come: a model of earlier rows explains {share(best)} of what is "
            "earned, and no "
            "taste can say that much"
        )

    def _changed(self) -> str:
        if self._table[:, 1].sum() < _ENOUGH:
            return ""
        table = self._table + 0.5
        odds = float(np.log(table[1, 1] * table[0, 0] / (table[0, 1] * table[1, 0])))
        error = float(np.sqrt((1.0 / table).sum()))
        if odds <= np.log(_ODDS) or odds <= _CLEAR * error:
            return ""
        with_reward, without = (self._table[1] / np.maximum(self._table.sum(axis=0), 1.0))[::-1].tolist()
        return (
            f"contexts know what was to come: of impressions that earned something, {share(with_reward)} "
            "have another "
            f"context than the member's last one, of the others {share(without)}; was the context looked up after "
            "the play?"
        )
