"""``GET /live``: what policies have earned, what a personal choice is worth, and how members are split."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins
from starlette.concurrency import run_in_threadpool

from consumers.serving.http import Json
from stream.worth.live import Worth, worth_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.chooser import ArtworkChooser
    from consumers.chooser.earnings import Advice
    from stream.worth.split import SplitWatch

#: Titles of which numbers are told, those with the most impressions: each has its series, which must have an end.
BUSIEST = 10
_KEPT_SECONDS = 1.0


class Told(Struct, frozen=True):
    """What there is to tell at one moment.

    ``titles`` are the busiest, by id, and ``freshness_seconds`` is the age of the newest snapshot.
    """

    overall: Worth
    titles: dict[str, Worth]
    advice: Advice
    freshness_seconds: float | None


class Live:
    """Works out what there is to tell, at most once a second however many ask.

    Parameters
    ----------
    chooser
        What follows the snapshots.
    split
        What counts members.
    now_ms, clock
        The time, and seconds that only grow.
    """

    def __init__(
        self,
        chooser: ArtworkChooser,
        split: SplitWatch,
        now_ms: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._chooser = chooser
        self._now_ms = now_ms
        self._clock = clock
        self._kept: tuple[float, Told] | None = None
        self.split = split

    def told(self) -> Told:
        """What there is to tell now."""
        kept, now = self._kept, self._clock()
        if kept is not None and now - kept[0] < _KEPT_SECONDS:
            return kept[1]
        view = self._chooser.follower.view
        busiest = view.earnings.busiest(BUSIEST)
        overall, *titles = worth_of([view.earnings.total, *(sums for _, sums in busiest)])
        newest_ms = view.newest_snapshot_ms
        told = Told(
            overall=overall,
            titles={title_id: worth for (title_id, _), worth in zip(busiest, titles, strict=True)},
            advice=view.earnings.advice,
            freshness_seconds=None if newest_ms is None else max(0.0, (self._now_ms() - newest_ms) / 1000.0),
        )
        self._kept = now, told
        return told

    async def answer(self, _: Request) -> Response:
        """All of it, as JSON; worked out in a thread, so that choices need not wait for it."""
        return Json(await run_in_threadpool(self._fields))

    def _fields(self) -> dict[str, Any]:
        told, names = self.told(), self._chooser.titles
        titles = [
            {"title_id": title_id, "name": names[title_id].name if title_id in names else None} | _fields(worth)
            for title_id, worth in told.titles.items()
        ]
        return _fields(told.overall) | {
            "titles": titles,
            "apprentice": _apprentice(told.overall, told.advice),
            "freshness_seconds": told.freshness_seconds,
            "split": _split(self.split),
        }


def _fields(worth: Worth) -> dict[str, Any]:
    fields: dict[str, Any] = to_builtins(worth)
    return {name: fields[name] for name in ("policies", "lift", "design_effect")}


def _apprentice(worth: Worth, advice: Advice) -> dict[str, Any] | None:
    """How Keyart's advice compares with the app's own choices; None where the app made none."""
    app = worth.policies.get("app")
    if app is None:
        return None
    return {
        "impressions": app.impressions,
        "agreement": worth.agreed.impressions / app.impressions,
        "agreed": to_builtins(worth.agreed),
        "disagreed": to_builtins(worth.disagreed),
        "agreed_lift": to_builtins(worth.agreed_lift),
        "same_titles": {
            "share": advice.impressions / app.impressions,
            "mean_reward": advice.reward / advice.impressions if advice.impressions else None,
            "advised_mean_reward": advice.advised / advice.impressions if advice.impressions else None,
        },
    }


def _split(split: SplitWatch) -> dict[str, Any]:
    members = split.members
    return {
        "ok": not split.mismatch,
        "members": members,
        "expected": split.shares,
        "observed": {policy: count / members for policy, count in split.counts.items()} if members else {},
    }
