"""From a member and a page of titles to choices: what is shown, how likely that was, and a token that says so."""

from __future__ import annotations

import itertools
import secrets
from typing import TYPE_CHECKING

import numpy as np

from consumers.chooser.counts import ChoiceCounts
from producers import token
from stream.choosing.choice import Choice, bucket_length, choose_uniform, draws, time_buckets
from stream.choosing.page import choose_artworks
from stream.choosing.variety import Variety
from stream.features import CAST, cast_affinity
from stream.records import MAX_FEATURES, Impression

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.chooser.candidates import Candidates, Own, ServedTitle
    from consumers.chooser.contexts import Viewer
    from stream.settings import Settings


class OnPage:
    """A title of a page: what competes, and how much the member likes the people that each artwork shows.

    ``own`` is what the app shows, where the member is left to it, and ``own_cast`` how much the member likes the
    people on it. ``cast`` is None where nobody is shown, or the context has no room for it.
    """

    __slots__ = ("candidates", "cast", "own", "own_cast", "served", "snapshot")

    def __init__(self, viewer: Viewer, served: ServedTitle, candidates: Candidates, own: Own | None) -> None:
        self.served, self.candidates, self.snapshot, self.own = served, candidates, candidates.snapshot, own
        self.cast: list[float] | None = None
        self.own_cast = 0.0
        if len(viewer.context) < MAX_FEATURES:
            if candidates.people is not None:
                self.cast = [cast_affinity(viewer.taste, people) for people in candidates.people]
            if own is not None:
                self.own_cast = cast_affinity(viewer.taste, own.people)


class ChoiceMaker:
    """Chooses for a page of titles, and gives each choice an id and a token.

    Parameters
    ----------
    settings
        How to choose, and the key that signs tokens.

    Attributes
    ----------
    counts
        What it has done.

    Raises
    ------
    ConfigurationError
        ``token_secrets`` is not set.
    """

    def __init__(self, settings: Settings) -> None:
        self._secret = settings.require_token_secrets()[0]
        self._floor, self._exploration = settings.uniform_floor, settings.exploration
        self._variety = settings.page_variety
        self._bucket_ms = bucket_length(settings.sticky_days)
        # 72 random bits name this maker, a counter its choices: no two choices share an id as long as no two
        # makers draw the same bits, and an id costs no system call.
        self._prefix = secrets.token_urlsafe(9)
        self._serial = itertools.count(1)
        self.counts = ChoiceCounts()

    def choose(self, viewer: Viewer, page: Sequence[OnPage]) -> list[Choice]:
        """Choose for each title of a page, all in one go."""
        if not page:
            return []
        keys = np.array([one.served.key for one in page], dtype=np.uint64)
        buckets = time_buckets(viewer.key, keys, viewer.now_ms, self._bucket_ms)
        known = [number for number, one in enumerate(page) if one.snapshot is not None]
        chosen = {
            number: self._without_snapshot(viewer, one.candidates, int(buckets[number]))
            for number, one in enumerate(page)
            if one.snapshot is None
        }
        if known:
            variety = None
            if self._variety and viewer.rule != "explore":
                given = [chosen[number][0] if number in chosen else None for number in range(len(page))]
                variety = Variety(self._variety, [one.candidates.looks for one in page], given)
            places, propensities = choose_artworks(
                [snapshot for one in page if (snapshot := one.snapshot) is not None],
                *(viewer.context, viewer.rule, viewer.key, buckets[known]),
                floor=self._floor,
                exploration=self._exploration,
                casts=[page[number].cast for number in known],
                variety=variety,
            )
            chosen |= zip(known, zip(places.tolist(), propensities.tolist(), strict=True), strict=True)
        return [self._choice(viewer, one, *chosen[number]) for number, one in enumerate(page)]

    def _without_snapshot(self, viewer: Viewer, candidates: Candidates, bucket: int) -> tuple[int, float]:
        """The first artwork, or any of them to a member who explores."""
        self.counts.without_snapshot.add()
        if viewer.rule == "explore":
            return choose_uniform(draws(viewer.key, bucket, candidates.keys))
        return 0, 1.0

    def _choice(self, viewer: Viewer, one: OnPage, place: int, propensity: float) -> Choice:
        context = viewer.context
        artwork_id, canvas, advised = one.candidates.artwork_ids[place], one.candidates.canvases[place], None
        cast = 0.0 if one.cast is None else one.cast[place]
        if one.own is not None:
            advised, artwork_id, canvas, propensity = artwork_id, one.own.artwork_id, one.own.canvas, 1.0
            cast = one.own_cast
        if cast:
            context = context | {CAST: cast}
        self.counts.by_policy[viewer.policy].add()
        shown = Impression(
            impression_id=f"{self._prefix}-{next(self._serial):x}",
            shown_ms=viewer.now_ms,
            member_id=viewer.member_id,
            title_id=one.served.title.title_id,
            artwork_id=artwork_id,
            context=context,
            policy=viewer.policy,
            propensity=propensity,
            snapshot_version=None if one.snapshot is None else one.snapshot.version,
            canvas=canvas,
            advised=advised,
        )
        return Choice(
            title_id=shown.title_id,
            artwork_id=shown.artwork_id,
            propensity=propensity,
            policy=viewer.policy,
            context=context,
            snapshot_version=shown.snapshot_version,
            impression_id=shown.impression_id,
            token=token.sign(shown, self._secret),
            advised=advised,
        )
