"""The Open Bandit Dataset as events: a real, logged bandit with its true propensities.

Saito, Aihara, Matsutani and Narita, "Open Bandit Dataset and Pipeline: Towards Realistic and Reproducible
Off-Policy Evaluation", NeurIPS Datasets and Benchmarks 2021. A fashion shop recommended items in three places of a
page, by uniform choice (``random``) and by Thompson sampling (``bts``), and logged what was clicked. Its layout is
``{behaviour}/{campaign}/{campaign}.csv`` with ``item_context.csv`` beside it. In Keyart's words:

=====================  =====================================================================================
position               a title, ``open-bandit-{campaign}-{position}``; both behaviours share it
item                   an artwork, ``item-{item_id}``; every title has all items of ``item_context.csv``
user features          the context, one-hot: ``user_feature_0=81ce123c`` (the value's first characters) is 1
click                  a play of the whole runtime as soon as it was shown, which earns exactly 1
propensity_score       the propensity
random, bts            the policies ``explore`` and ``popular``: Thompson sampling that looked at no context
timestamp              when it was shown
=====================  =====================================================================================

Artworks get no themes. A theme says something where a context has a feature of its name, and the items' features
share no name with the users'. The affinity of a user for each item is left out as well: it is a property of what
is shown, not of who looks.

The log has no user ids, so each row is a member of its own. Rows with equal user features are thousands of people
and not one: as one member they would have a taste that nobody has.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from producers.delivery import Delivered, deliver
from producers.openbandit_files import POSITIONS, read_items, read_rows
from producers.times import Span, shift_of
from stream.codec import encode
from stream.errors import ConfigurationError, InputError
from stream.kafka import Output
from stream.plays.reward import ViewingRules, reward_of
from stream.reading.event_time import wall_clock_ms
from stream.records import Artwork, Impression, Play, Policy, Title
from stream.settings import ENV_PREFIX
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from producers.delivery import Progress
    from stream.settings import Settings

_RUNTIME_SECONDS = 3600.0


class Behaviour(StrEnum):
    """Which policy filled the log."""

    RANDOM = "random"
    BTS = "bts"

    @property
    def policy(self) -> Policy:
        """What Keyart calls it."""
        return "explore" if self is Behaviour.RANDOM else "popular"


class Campaign(StrEnum):
    """Which page of the shop; each has its own items."""

    ALL = "all"
    MEN = "men"
    WOMEN = "women"


@dataclass(frozen=True)
class OpenBanditLog:
    """A log that :func:`survey` has read through and found sound.

    Attributes
    ----------
    directory, campaign, behaviour, limit
        Which log, and how many rows of it (None: all).
    items
        The campaign's items.
    features
        Every feature that occurs, sorted: what a learner has to be told to learn from.
    rows, clicks
        How many there are.
    span
        When they were shown.
    """

    directory: Path
    campaign: Campaign
    behaviour: Behaviour
    limit: int | None
    items: tuple[int, ...]
    features: tuple[str, ...]
    rows: int
    clicks: int
    span: Span

    @property
    def records(self) -> int:
        """How many records a replay delivers: titles, impressions and plays."""
        return len(POSITIONS) + self.rows + self.clicks

    @property
    def feature_setting(self) -> str:
        """The environment variable that a learner needs, as ``KEYART_FEATURES=…``."""
        return f"{ENV_PREFIX}FEATURES={','.join(self.features)}"

    def titles(self, settings: Settings) -> list[Title]:
        """One title a position, with every item as an artwork.

        The runtime is such that watching all of it earns exactly 1 under the settings in force.

        Raises
        ------
        ConfigurationError
            There is no such runtime.
        """
        runtime = max(_RUNTIME_SECONDS, settings.min_seconds)
        longest = 1e7  # the record's limit
        if runtime > longest or reward_of(runtime, runtime, ViewingRules.of(settings)) != 1.0:
            raise ConfigurationError(f"min_seconds: {settings.min_seconds} is more than any title lasts")
        artworks = tuple(Artwork(f"item-{item}", {}) for item in self.items)
        return [
            Title(
                title_id=self._title_id(position),
                name=f"Open Bandit, {self.campaign}, position {position}",
                runtime_seconds=runtime,
                themes={},
                artworks=artworks,
            )
            for position in POSITIONS
        ]

    def events(self, settings: Settings, *, shift_ms: int = 0) -> Iterator[Impression | Play]:
        """Every row as an impression, followed by a play if it was clicked; all times moved by as much.

        Ids follow from behaviour, campaign, the row's number (from 0) and its time: a replay repeated has the
        same, and the sample of a log does not share them with the whole.
        """
        runtime = self.titles(settings)[0].runtime_seconds
        names = {position: self._title_id(position) for position in POSITIONS}
        policy = self.behaviour.policy
        for number, (row, context) in enumerate(read_rows(self._folder, self.campaign, self.items, self.limit)):
            id_, shown_ms = f"{self.behaviour}/{self.campaign}/{number}@{row.shown_ms}", row.shown_ms + shift_ms
            impression = Impression(
                impression_id=id_,
                shown_ms=shown_ms,
                member_id=id_,
                title_id=names[row.position],
                artwork_id=f"item-{row.item_id}",
                context=context,
                policy=policy,
                propensity=row.propensity_score,
                snapshot_version=None,
            )
            yield impression
            if row.click:
                yield Play(id_, shown_ms, id_, impression.title_id, runtime, impression)

    @property
    def _folder(self) -> Path:
        return self.directory / self.behaviour / self.campaign

    def _title_id(self, position: int) -> str:
        return f"open-bandit-{self.campaign}-{position}"


def survey(
    directory: Path,
    campaign: Campaign,
    behaviour: Behaviour = Behaviour.RANDOM,
    limit: int | None = None,
) -> OpenBanditLog:
    """Read a log through, one row at a time, to know that it is sound and what features occur in it.

    It is strict: a log with a row that cannot be used is not replayed in part.

    Parameters
    ----------
    directory
        Where ``random`` and ``bts`` are.
    campaign, behaviour
        Which log.
    limit
        Only so many rows.

    Raises
    ------
    InputError
        A file is missing, a column is, or a row cannot be used: its propensity is missing, zero or more than 1,
        its item is not in ``item_context.csv``, …; or there are no rows, or more features than a context holds.
        The message names the file, the line and the column.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit: {limit} rows are none; leave it out to replay all")
    folder = directory / behaviour / campaign
    items = read_items(folder / "item_context.csv")
    features: set[str] = set()
    rows, clicks, span = 0, 0, Span()
    for row, context in read_rows(folder, campaign, items, limit):
        features.update(context)
        rows += 1
        clicks += row.click
        span = span.with_event(row.shown_ms)
    if not rows:
        raise InputError(f"{folder / campaign}.csv: there are no rows in it")
    return OpenBanditLog(directory, campaign, behaviour, limit, items, tuple(sorted(features)), rows, clicks, span)


def replay_open_bandit(
    settings: Settings,
    log: OpenBanditLog,
    *,
    keep_times: bool = False,
    now_ms: Callable[[], int] = wall_clock_ms,
    progress: Progress | None = None,
) -> Delivered:
    """Deliver a log: its titles, then its rows in the file's order.

    A repeated replay changes no play: a member's plays are remembered. Its impressions are recognised only where
    they lie within ``duplicate_seconds`` of the latest time that the learner has seen, so nearly all of a log
    that spans days counts again.

    Parameters
    ----------
    settings
        Where to, and what a play is worth.
    log
        From :func:`survey`. The learner must be told its ``features``, or it learns no more than how good an item
        is for everyone.
    keep_times, now_ms
        As :func:`producers.replay.replay_lines` has them.
    progress
        Called with the number of records delivered so far, and ``log.records``.

    Raises
    ------
    ConfigurationError
        Workers with these settings would refuse the log for its times.
    BrokerUnavailable, TopicError, InputError
        See :func:`producers.delivery.deliver`.
    """
    shift_ms = shift_of(settings, log.span, now_ms(), keep_times=keep_times)
    titles = (Output(CATALOGUE, title.title_id.encode(), encode(title)) for title in log.titles(settings))
    outputs = chain(titles, map(_output, log.events(settings, shift_ms=shift_ms)))
    return deliver(settings, outputs, total=log.records, progress=progress)


def _output(event: Impression | Play) -> Output:
    if isinstance(event, Play):
        return Output(PLAYS, event.member_id.encode(), encode(event))
    return Output(IMPRESSIONS, event.title_id.encode(), encode(event))
