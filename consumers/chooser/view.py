"""What a serving node knows, in memory: the catalogue, each title's last sound snapshot, the members' tastes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeVar

import structlog

from consumers.catalogue_view import CatalogueView
from consumers.chooser.candidates import ServedTitle
from consumers.chooser.earnings import Earnings
from consumers.chooser.tastes import Tastes
from stream.choosing.servable import ServableTitle
from stream.codec import decode, decode_key
from stream.errors import DecodeError
from stream.records import Snapshot, Taste, Title
from stream.topics import CATALOGUE, SNAPSHOTS, TASTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from stream.kafka import Message
    from stream.topics import Topic

R = TypeVar("R", Snapshot, Taste)

log = structlog.get_logger("keyart")


class ServingView:
    """Follows three tables. One thread applies, any thread reads, without a lock.

    Each title is one entry that is replaced in whole, so a reader sees it before or after a change, never between.

    Attributes
    ----------
    served
        What can be chosen from, by title: the titles of the catalogue, and no others.
    tastes
        Each member's shares by theme, people (``cast:…``) included.
    newest_snapshot_ms
        When the newest snapshot was published; None before there is one.
    on_snapshot
        Told when each snapshot that comes was published, once it can be chosen from.
    earnings
        What the policies have earned.
    """

    def __init__(self) -> None:
        self.served: dict[str, ServedTitle] = {}
        self.tastes = Tastes()
        self.newest_snapshot_ms: int | None = None
        self.on_snapshot: Callable[[int], None] = lambda _: None
        self.earnings = Earnings()
        self._catalogue = CatalogueView()
        self._snapshots: dict[str, ServableTitle] = {}  # as published, whatever the catalogue says
        self._refused: Counter[str] = Counter()

    @property
    def tables(self) -> dict[Topic, Callable[[Sequence[Message]], None]]:
        """The topics to follow, and what takes their records."""
        return {
            CATALOGUE: self.apply_catalogue,
            SNAPSHOTS: self.apply_snapshots,
            TASTES: self.apply_tastes,
        }

    @property
    def titles(self) -> Mapping[str, Title]:
        """The catalogue."""
        return self._catalogue.titles

    @property
    def refused(self) -> dict[str, int]:
        """How many records could not be understood, by topic; what they would have replaced stays."""
        return {
            CATALOGUE.name: self._catalogue.refused,
            SNAPSHOTS.name: self._refused[SNAPSHOTS.name],
            TASTES.name: self._refused[TASTES.name],
        }

    def apply_catalogue(self, messages: Sequence[Message]) -> None:
        """Take in titles; a tombstone withdraws one, and it is no longer served."""
        before = self._catalogue.version
        self._catalogue.apply(messages)
        self._refresh(self._catalogue.changed_since(before))

    def apply_snapshots(self, messages: Sequence[Message]) -> None:
        """Take in what was learned.

        Of two versions the higher is kept, of equals the later; a tombstone withdraws.
        """
        changed: dict[str, int | None] = {}
        for message in messages:
            try:
                title_id, snapshot = _keyed(Snapshot, message)
                if snapshot is None:
                    self._snapshots.pop(title_id, None)
                    self.earnings.drop(title_id)
                else:
                    held = self._snapshots.get(title_id)
                    if held is not None and snapshot.version < held.version:
                        continue
                    servable = ServableTitle(snapshot)
                    self.earnings.put(title_id, snapshot.policies)
                    self._snapshots[title_id] = servable
                    self.newest_snapshot_ms = max(self.newest_snapshot_ms or 0, snapshot.published_ms)
            except (DecodeError, ValueError, OverflowError) as error:  # not a snapshot, or not one to choose from
                self._refuse(SNAPSHOTS, message, error)
                continue
            changed[title_id] = None if snapshot is None else snapshot.published_ms
        self._refresh(changed)
        for published_ms in changed.values():
            if published_ms is not None:
                self.on_snapshot(published_ms)

    def apply_tastes(self, messages: Sequence[Message]) -> None:
        """Take in tastes; a tombstone forgets a member."""
        for message in messages:
            try:
                member_id, taste = _keyed(Taste, message)
            except DecodeError as error:
                self._refuse(TASTES, message, error)
                continue
            if taste is None:
                self.tastes.pop(member_id, None)
            else:
                self.tastes[member_id] = taste.taste

    def _refuse(self, topic: Topic, message: Message, error: Exception) -> None:
        self._refused[topic.name] += 1
        log.warning(
            "record refused",
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            code=error.code if isinstance(error, DecodeError) else "not_to_choose_from",
        )

    def keep_newer(self, before: ServingView) -> None:
        """Keep the snapshots of an earlier view that are of a higher version than those of this one."""
        newer = {
            title_id: held
            for title_id, held in before._snapshots.items()
            if title_id in self._snapshots and held.version > self._snapshots[title_id].version
        }
        self._snapshots |= newer
        for title_id in newer:
            self.earnings.take_over(title_id, before.earnings)
        self._refresh(newer)

    def _refresh(self, title_ids: Iterable[str]) -> None:
        """Make the entries of these titles anew."""
        for title_id in title_ids:
            title = self.titles.get(title_id)
            if title is None:
                self.served.pop(title_id, None)
                continue
            self.served[title_id] = ServedTitle(title, self._snapshots.get(title_id))


def _keyed(kind: type[R], message: Message) -> tuple[str, R | None]:
    """A record that Keyart's own workers write, and its key, which must agree; None for a tombstone."""
    key = decode_key(message.key)
    if message.value is None:
        return key, None
    record = decode(kind, message.value, limit=None)
    named = record.title_id if isinstance(record, Snapshot) else record.member_id
    if named != key:
        raise DecodeError("wrong_key", "the record's key is not the id that it names")
    return key, record
