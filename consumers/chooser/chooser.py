"""Choosing artwork in memory, from what the topics say: what an app or a serving node calls."""

from __future__ import annotations

import itertools
import secrets
import time
from typing import TYPE_CHECKING, Self

import numpy as np

from consumers.chooser.candidates import UnknownArtwork
from consumers.chooser.contexts import Viewer, check_context, check_id, merge
from consumers.chooser.counts import ChoiceCounts
from consumers.chooser.follower import KafkaTables, TableFollower
from producers import token
from stream.choosing.choice import Choice, choose_uniform, draws, key_of, left_to_app, policy_of, time_buckets
from stream.choosing.page import choose_artworks
from stream.choosing.variety import Variety
from stream.errors import KeyartError
from stream.features import CAST, cast_affinity
from stream.records import MAX_FEATURES, Impression
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from consumers.chooser.candidates import Candidates, Own, ServedTitle
    from consumers.chooser.follower import Handlers, Tables
    from stream.choosing.servable import ServableTitle
    from stream.records import Policy, Rule, Title
    from stream.settings import Settings

_DAY_MS = 24 * 3_600_000


class UnknownTitle(KeyartError):
    """The title is not in the catalogue."""


class ArtworkChooser:
    """Chooses artwork. It follows the catalogue, the snapshots and the tastes in a thread of its own.

    Choosing touches memory only, takes no lock, and may be done from any thread. With Kafka away it goes on from
    what it has. Make one per process, after forking: threads and connections do not survive a fork.

    Parameters
    ----------
    settings
        Where to read from, and how to choose; None: :func:`stream.settings.load`.
    now_ms
        The time, in milliseconds UTC.
    open_tables
        Opens the tables to follow; Kafka's by default.

    Attributes
    ----------
    counts
        What it has done.
    follower
        How well it is informed.

    Raises
    ------
    ConfigurationError
        ``token_secrets`` is not set.

    Examples
    --------
    In an app::

        with ArtworkChooser() as chooser, EventProducer() as events:
            chooser.wait_ready()
            choice = chooser.choose("member-1", "good-will-hunting")
            events.impression(choice)
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        open_tables: Callable[[Settings, Handlers], Tables] = KafkaTables,
    ) -> None:
        chosen = load() if settings is None else settings
        self._secret = chosen.require_token_secrets()[0]
        self._now_ms = now_ms
        self._explore, self._popular = chosen.explore_share, chosen.popular_share
        self._app = chosen.app_share
        self._floor, self._exploration = chosen.uniform_floor, chosen.exploration
        self._variety = chosen.page_variety
        self._bucket_ms = max(1, round(chosen.sticky_days * _DAY_MS))
        # 72 random bits name this chooser, a counter its choices: no two choices share an id as long as no two
        # choosers draw the same bits, and an id costs no system call.
        self._prefix = secrets.token_urlsafe(9)
        self._serial = itertools.count(1)
        self.counts = ChoiceCounts()
        self.follower = TableFollower(lambda handlers: open_tables(chosen, handlers))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop following. Choosing goes on to work, from what is known now."""
        self.follower.close()

    @property
    def ready(self) -> bool:
        """Whether every table has been read to its end once."""
        return self.follower.ready

    def wait_ready(self, seconds: float | None = None) -> None:
        """Wait until every table was read to its end once; see :meth:`TableFollower.wait_ready`.

        Raises
        ------
        BrokerUnavailable
            The first attempt found no broker, or the time ran out. Attempts go on all the same.
        TopicError
            A topic is missing.
        """
        self.follower.wait_ready(seconds)

    # --- what is known

    @property
    def titles(self) -> Mapping[str, Title]:
        """The catalogue."""
        return self.follower.view.titles

    def title(self, title_id: str) -> Title | None:
        """A title, None if it is not in the catalogue."""
        return self.titles.get(title_id)

    def snapshot(self, title_id: str) -> ServableTitle | None:
        """What would be chosen from, None if nothing is known of the title."""
        served = self.follower.view.served.get(title_id)
        return None if served is None else served.snapshot

    def taste(self, member_id: str) -> Mapping[str, float]:
        """A member's shares by theme, people included; empty if nothing is known."""
        return self.follower.view.tastes.get(member_id, {})

    # --- choosing

    def choose(
        self,
        member_id: str,
        title_id: str,
        context: Mapping[str, float] | None = None,
        *,
        canvas: str | None = None,
        own: str | None = None,
    ) -> Choice:
        """Choose the artwork of one title for a member.

        Parameters
        ----------
        member_id
            Who will see it.
        title_id
            What it is of.
        context
            Features of the moment, finite numbers up to 10^6 in size, at most 64; they are laid over the member's
            taste, which is the context where none is given.
        canvas
            Where it will be shown: artworks made for another canvas do not compete. None: all of them do.
        own
            The artwork that the app would show without Keyart; None: the first that the catalogue lists. Members
            who are left to the app (``app_share``) get it, to others it is nothing.

        Raises
        ------
        UnknownTitle
            The title is not in the catalogue.
        UnknownArtwork
            The member is left to the app, and the catalogue does not list ``own``, or not for this canvas.
        UnknownCanvas
            The title has no artwork for this canvas.
        ValueError
            An argument is not what a record may hold; the message names it.
        """
        viewer = self._viewer(member_id, context, canvas)
        served = self._served(title_id)
        if served is None:
            unread = "" if self.ready else ", which has not been read yet"
            raise UnknownTitle(f"title {title_id!r} is not in the catalogue{unread}")
        candidates = served.require(canvas)
        shown = self._own(viewer, served, own, canvas)
        if viewer.policy == "app" and shown is None:
            raise UnknownArtwork(
                f"own: the catalogue does not list artwork {own!r} of title {title_id!r}"
                + ("" if canvas is None else f" for canvas {canvas!r}")
            )
        return self._choose(viewer, [(served, candidates, shown)])[0]

    def choose_page(
        self,
        member_id: str,
        title_ids: Iterable[str],
        context: Mapping[str, float] | None = None,
        *,
        canvas: str | None = None,
        own: Mapping[str, str] | None = None,
    ) -> list[Choice]:
        """Choose for several titles at once, in the order in which they are shown.

        Titles that are not in the catalogue, or have no artwork for the canvas, are left out. With the setting
        ``page_variety`` each choice also depends on those before it, see :mod:`stream.choosing.variety`, and its
        propensity is the one given them; members of the policy ``explore`` get their uniform choice all the same.

        ``own`` has the artworks that the app would show without Keyart, by title; see :meth:`choose`. A title of
        which the catalogue does not list that artwork is left out, if the member is left to the app.

        Raises
        ------
        ValueError
            As for :meth:`choose`.
        """
        viewer = self._viewer(member_id, context, canvas)
        page = []
        for served in [self._served(title_id) for title_id in title_ids]:
            candidates = None if served is None else served.candidates(canvas)
            if served is None or candidates is None:
                continue
            shown = self._own(viewer, served, (own or {}).get(served.title.title_id), canvas)
            if viewer.policy != "app" or shown is not None:
                page.append((served, candidates, shown))
        return self._choose(viewer, page)

    def _viewer(self, member_id: str, given: Mapping[str, float] | None, canvas: str | None) -> Viewer:
        check_id("member_id", member_id)
        if canvas is not None:
            check_id("canvas", canvas)
        key = key_of(member_id)
        taste = self.taste(member_id)
        context = merge(taste, {} if given is None else check_context(given))
        rule: Rule = policy_of(key, self._explore, self._popular)
        policy: Policy = rule
        if self._app and left_to_app(key, self._app):
            policy, rule = "app", "personal"
        return Viewer(member_id, key, policy, self._now_ms(), context, taste, rule)

    @staticmethod
    def _own(viewer: Viewer, served: ServedTitle, artwork_id: str | None, canvas: str | None) -> Own | None:
        """What the app shows, if the member is left to it and the catalogue lists it."""
        return served.own(artwork_id, canvas) if viewer.policy == "app" else None

    def _served(self, title_id: str) -> ServedTitle | None:
        served = self.follower.view.served.get(title_id) if isinstance(title_id, str) else None
        if served is None:
            check_id("title_id", title_id)
        return served

    def _choose(self, viewer: Viewer, page: Sequence[tuple[ServedTitle, Candidates, Own | None]]) -> list[Choice]:
        """Choose for each title of a page, all in one go."""
        if not page:
            return []
        keys = np.array([served.key for served, _, _ in page], dtype=np.uint64)
        buckets = time_buckets(viewer.key, keys, viewer.now_ms, self._bucket_ms)
        on_page = [_OnPage(viewer, *one) for one in page]
        known = [number for number, one in enumerate(on_page) if one.snapshot is not None]
        chosen = {
            number: self._without_snapshot(viewer, one.candidates, int(buckets[number]))
            for number, one in enumerate(on_page)
            if one.snapshot is None
        }
        if known:
            variety = None
            if self._variety and viewer.rule != "explore":
                given = [chosen[number][0] if number in chosen else None for number in range(len(page))]
                variety = Variety(self._variety, [one.candidates.looks for one in on_page], given)
            places, propensities = choose_artworks(
                [snapshot for one in on_page if (snapshot := one.snapshot) is not None],
                *(viewer.context, viewer.rule, viewer.key, buckets[known]),
                floor=self._floor,
                exploration=self._exploration,
                casts=[on_page[number].cast for number in known],
                variety=variety,
            )
            chosen |= zip(known, zip(places.tolist(), propensities.tolist(), strict=True), strict=True)
        return [self._choice(viewer, one, *chosen[number]) for number, one in enumerate(on_page)]

    def _without_snapshot(self, viewer: Viewer, candidates: Candidates, bucket: int) -> tuple[int, float]:
        """The first artwork, or any of them to a member who explores."""
        self.counts.without_snapshot.add()
        if viewer.rule == "explore":
            return choose_uniform(draws(viewer.key, bucket, candidates.keys))
        return 0, 1.0

    def _choice(self, viewer: Viewer, one: _OnPage, place: int, propensity: float) -> Choice:
        context = viewer.context
        artwork_id, canvas, advised = one.candidates.artwork_ids[place], one.candidates.canvases[place], None
        cast = 0.0 if one.cast is None else one.cast[place]
        if one.own is not None:
            advised, artwork_id, canvas, propensity = artwork_id, one.own.artwork_id, one.own.canvas, 1.0
            cast = 0.0 if one.cast is None else cast_affinity(viewer.taste, one.own.people)
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


class _OnPage:
    """A title of a page: what competes, and how much the member likes the people that each artwork shows.

    ``own`` is what the app shows, where the member is left to it; ``cast`` is None where nobody is shown, or
    nothing is known of the artworks.
    """

    __slots__ = ("candidates", "cast", "own", "served", "snapshot")

    def __init__(self, viewer: Viewer, served: ServedTitle, candidates: Candidates, own: Own | None) -> None:
        self.served, self.candidates, self.snapshot, self.own = served, candidates, candidates.snapshot, own
        self.cast: list[float] | None = None
        people = candidates.people
        if people is not None and self.snapshot is not None and len(viewer.context) < MAX_FEATURES:
            self.cast = [cast_affinity(viewer.taste, of_artwork) for of_artwork in people]
