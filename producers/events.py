"""What an app tells Keyart: this artwork was shown, this title was played."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from producers.outbox import Outbox
from producers.token import verify
from stream import topics
from stream.codec import decode, encode
from stream.errors import DecodeError
from stream.kafka import Output
from stream.records import Impression, Play, Record
from stream.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.choosing.choice import Choice
    from stream.settings import Settings
    from stream.topics import Topic


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class EventProducer:
    """Writes impressions and plays, from any number of threads, without keeping the app waiting.

    An event is checked and queued by the caller, and delivered by a thread in the background; no call waits longer
    than ``max_block_seconds``. Nothing is raised because Kafka is away: events are kept for a while, and what
    cannot be kept or delivered is counted in :attr:`dropped` and said in the log. What is wrong with an event
    itself is raised at once.

    A process that forks must make its producer after the fork: threads do not survive it.

    Parameters
    ----------
    settings
        Where to, and the token secrets; None reads those in force.
    now_ms
        The clock, in milliseconds UTC.

    Raises
    ------
    ConfigurationError
        A setting is wrong, or ``token_secrets`` is not set. A broker that does not answer is not an error here.

    Examples
    --------
    >>> from producers import EventProducer
    >>> with EventProducer() as events:                     # doctest: +SKIP
    ...     events.impression(choice)                       # the artwork is on the screen
    ...     events.play(choice.token, watched_seconds=300)  # five minutes later
    """

    def __init__(self, settings: Settings | None = None, *, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        settings = load() if settings is None else settings
        self._secrets = settings.require_token_secrets()
        # A play's record may come late by so much and still be credited; a token older than that is worth nothing.
        self._max_age_ms = round((settings.attribution_hours + settings.late_hours) * 3_600_000)
        self._now_ms = now_ms
        self._outbox = Outbox(settings, "events", (topics.IMPRESSIONS, topics.PLAYS))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def impression(self, choice: Choice) -> bool:
        """The member was shown this choice. Say so when the artwork is on the screen, not when it is chosen.

        Returns
        -------
        True if it is queued, False if it was dropped (and counted).

        Raises
        ------
        TokenError
            The choice's token is not one of ours, was altered, or has expired.
        """
        return self.impression_token(choice.token)

    def impression_token(self, token: str) -> bool:
        """The same as :meth:`impression`, for an app that holds only the token."""
        return self.shown(token)[1]

    def shown(self, token: str) -> tuple[Impression, bool]:
        """The same as :meth:`impression_token`, and what the token says."""
        impression = self._verified(token)
        return impression, self._write(topics.IMPRESSIONS, impression.title_id, impression)

    def play(
        self,
        token: str | None,
        watched_seconds: float,
        *,
        play_id: str | None = None,
        played_ms: int | None = None,
        member_id: str | None = None,
        title_id: str | None = None,
    ) -> bool:
        """The member has watched the title for so long.

        Parameters
        ----------
        token
            The token of the choice that led to the play; None for a play that no artwork led to.
        watched_seconds
            How long by now: cumulative over the play, so that a later call supersedes an earlier one.
        play_id
            Which play. With a token it defaults to the impression's id: one play for each choice.
        played_ms
            When, in milliseconds UTC; now by default.
        member_id, title_id
            Who and what. With a token they are in it, and may be given to be checked against it.

        Returns
        -------
        True if it is queued, False if it was dropped (and counted).

        Raises
        ------
        TokenError
            The token is not one of ours, was altered, or has expired.
        ValueError
            An argument is missing or wrong, or contradicts the token.
        """
        impression = None if token is None else self._verified(token)
        if impression is not None:
            for name, given, signed in (
                ("member_id", member_id, impression.member_id),
                ("title_id", title_id, impression.title_id),
            ):
                if given is not None and given != signed:
                    raise ValueError(f"{name} is {given!r}, but the token is of another")
            member_id, title_id = impression.member_id, impression.title_id
            play_id = impression.impression_id if play_id is None else play_id
        if member_id is None or title_id is None or play_id is None:
            raise ValueError("a play without a token needs member_id, title_id and play_id")
        play = Play(
            play_id=play_id,
            played_ms=self._now_ms() if played_ms is None else played_ms,
            member_id=member_id,
            title_id=title_id,
            watched_seconds=watched_seconds,
            impression=impression,
        )
        return self._write(topics.PLAYS, member_id, play)

    @property
    def delivered(self) -> int:
        """How many events the cluster has acknowledged."""
        return self._outbox.delivered

    @property
    def dropped(self) -> dict[str, int]:
        """How many events were refused or lost, by the short name of their topic."""
        return self._outbox.dropped

    @property
    def queued(self) -> int:
        """How many events are neither delivered nor dropped yet."""
        return self._outbox.queued

    def flush(self, seconds: float | None = None) -> None:
        """Wait until every event queued so far is delivered or dropped, or until the time is up."""
        self._outbox.flush(seconds)

    def close(self) -> None:
        """Deliver what can be delivered within seconds, drop the rest, and hang up. Later events are dropped."""
        self._outbox.close()

    def _verified(self, token: str) -> Impression:
        return verify(token, self._secrets, now_ms=self._now_ms(), max_age_ms=self._max_age_ms)

    def _write(self, topic: Topic, key: str, record: Record) -> bool:
        """Check a record as its reader will, and queue it."""
        try:
            value = encode(record)
            decode(type(record), value)
        except DecodeError as error:
            raise ValueError(error.reason) from None
        except TypeError as error:
            raise ValueError(f"{type(record).__name__}: {error}") from None
        return self._outbox.put(Output(topic, key.encode(), value))
