"""Choosing artwork in memory, from what the topics say: what an app or a serving node calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from consumers.chooser.candidates import UnknownArtwork
from consumers.chooser.choices import ChoiceMaker, OnPage
from consumers.chooser.contexts import Viewer, check_context, check_id, merge
from consumers.chooser.follower import KafkaTables, TableFollower
from stream.choosing.choice import key_of, left_to_app, policy_of
from stream.errors import KeyartError
from stream.reading.event_time import wall_clock_ms
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from consumers.chooser.candidates import Own, ServedTitle
    from consumers.chooser.counts import ChoiceCounts
    from consumers.chooser.follower import Handlers, Tables
    from stream.choosing.choice import Choice
    from stream.choosing.servable import ServableTitle
    from stream.records import Policy, Rule, Title
    from stream.settings import Settings


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
        now_ms: Callable[[], int] = wall_clock_ms,
        open_tables: Callable[[Settings, Handlers], Tables] = KafkaTables,
    ) -> None:
        chosen = load() if settings is None else settings
        self._now_ms = now_ms
        self._explore, self._popular = chosen.explore_share, chosen.popular_share
        self._app = chosen.app_share
        self._maker = ChoiceMaker(chosen)
        self.follower = TableFollower(lambda handlers: open_tables(chosen, handlers))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def counts(self) -> ChoiceCounts:
        """What it has done."""
        return self._maker.counts

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
        return self._maker.choose(viewer, [OnPage(viewer, served, candidates, shown)])[0]

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
                page.append(OnPage(viewer, served, candidates, shown))
        return self._maker.choose(viewer, page)

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
