"""The viewing worker: plays in, rewards and tastes out.

A play without a value, a tombstone, is the wish to forget its member: state and taste get tombstones in the same
transaction as all else, so no other process need write to what is the worker's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from stream.codec import decode_key, decode_member, encode
from stream.dead_letters import WaitingLetters
from stream.errors import DecodeError, StateMismatch
from stream.kafka import Output
from stream.plays.reward import ViewingRules
from stream.plays.viewing import MAX_PLAYS, Member
from stream.reading.event_time import wall_clock_ms
from stream.reading.intake import Intake
from stream.running.job import Job
from stream.topics import CATALOGUE, DEAD_LETTERS, PLAYS, REWARDS, TASTES, VIEWING_CHANGELOG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from consumers.catalogue_view import CatalogueView
    from stream.kafka import Message
    from stream.metrics import WorkerMetrics
    from stream.records import Play, Title
    from stream.settings import Settings
    from stream.topics import Topic

FORMAT = 1


class StoredMember(Struct):
    """A member in the changelog."""

    format: int
    member: Member


def viewing_job(
    settings: Settings,
    catalogue: CatalogueView,
    metrics: WorkerMetrics,
    *,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> Job:
    """What a viewing worker reads, keeps and writes."""

    def new_task(partition: int, refresh: Callable[[], object]) -> ViewingTask:
        return ViewingTask(partition, settings, catalogue, metrics, refresh, now_ms=now_ms)

    def show(tasks: Collection[ViewingTask]) -> None:
        metrics.members.set(sum(task.members for task in tasks))

    return Job(
        name="viewing",
        inputs=(PLAYS,),
        changelog=VIEWING_CHANGELOG,
        outputs=(REWARDS, TASTES, DEAD_LETTERS),
        tables={CATALOGUE: catalogue.apply},
        new_task=new_task,
        checkpoint_seconds=settings.reward_seconds,
        show=show,
    )


class ViewingTask:
    """One partition's members. See :class:`consumers.learner.LearnerTask` for the parameters."""

    def __init__(
        self,
        partition: int,
        settings: Settings,
        catalogue: CatalogueView,
        metrics: WorkerMetrics,
        refresh: Callable[[], object],
        *,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._partition = partition
        self._intake = Intake(settings)
        self._now_ms = now_ms
        self._rules = ViewingRules.of(settings)
        self._catalogue = catalogue
        self._metrics = metrics
        self._refresh = refresh
        self._members: dict[str, Member] = {}
        self._changed: dict[str, None] = {}
        self._pending: list[Output] = []
        self._dead = WaitingLetters(settings.worker_name, metrics)

    # --- state

    @property
    def members(self) -> int:
        """How many members it knows something of."""
        return len(self._members)

    def restore(self, messages: Sequence[Message]) -> None:
        """Take back members from the changelog; a tombstone forgets one."""
        for message in messages:
            try:
                member_id = decode_key(message.key)
                if message.value is None:
                    self._members.pop(member_id, None)
                    continue
                stored = msgspec.json.decode(message.value, type=StoredMember)
            except (DecodeError, msgspec.DecodeError, UnicodeDecodeError) as error:
                raise StateMismatch(f"a record of the viewing changelog cannot be read: {error}") from error
            if stored.format != FORMAT:
                raise StateMismatch(
                    f"the viewing changelog holds format {stored.format}, this version reads {FORMAT}: run the "
                    "version that wrote it"
                )
            self._members[member_id] = stored.member

    def remember(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Nothing: what a play has earned is part of the state."""

    @property
    def held_bytes(self) -> int:
        """What the dead letters take that wait for a checkpoint."""
        return self._dead.held_bytes

    def reread(self) -> dict[str, int]:
        """Nothing, likewise."""
        return {}

    def checkpoint(self) -> Iterable[Output]:
        """Rewards, dead letters, and the changed members' state and tastes."""
        outputs = self._pending + self._dead.take()
        self._pending = []
        for member_id in self._changed:
            member, key = self._members.get(member_id), member_id.encode()
            if member is None:  # forgotten, by everyone who follows these tables
                outputs.append(Output(VIEWING_CHANGELOG, key, None, self._partition))
                outputs.append(Output(TASTES, key, None, self._partition))
                continue
            stored = msgspec.json.encode(StoredMember(FORMAT, member))
            outputs.append(Output(VIEWING_CHANGELOG, key, stored, self._partition))
            outputs.append(Output(TASTES, key, encode(member.taste(member_id)), self._partition))
        self._changed.clear()
        return outputs

    # --- plays

    def handle(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Credit a batch of plays, and forget members; what cannot be understood becomes a dead letter."""
        refreshed, clock_ms = False, self._now_ms()
        for message in messages:
            try:
                if message.value is None:
                    self._forget(decode_member(message.key))
                    continue
                play = self._intake.play(message, clock_ms)
                title = self._catalogue.get(play.title_id)
                if title is None and not refreshed:
                    self._refresh()
                    refreshed = True
                    title = self._catalogue.get(play.title_id)
                if title is None:
                    raise DecodeError(
                        "unknown_title",
                        f"title {play.title_id!r} is not in the catalogue: load it, then replay this record",
                    )
                self._watch(play, title)
            except DecodeError as error:
                self._dead.add(message, error)

    def _forget(self, member_id: str) -> None:
        """Drop a member, known or not: what the member plays from now on begins anew."""
        self._members.pop(member_id, None)
        self._changed[member_id] = None
        self._metrics.forgotten.inc()

    def _watch(self, play: Play, title: Title) -> None:
        member = self._members.get(play.member_id)
        if member is None:
            member = self._members[play.member_id] = Member()
        outcome, changes = member.watch(play, title.themes, title.runtime_seconds, self._rules)
        if outcome == "too_many":
            raise DecodeError(
                "too_many_plays",
                f"the member has {MAX_PLAYS} plays within attribution_hours: is play_id new in every record?",
            )
        if outcome == "duplicate":
            self._metrics.duplicates.inc()
        elif outcome == "late":
            self._metrics.late.inc()
        else:
            self._changed[play.member_id] = None
            self._metrics.uncredited.inc(outcome == "uncredited")
        for change in changes:
            self._pending.append(Output(REWARDS, change.title_id.encode(), encode(change)))

    # --- a viewing worker publishes nothing outside its checkpoints

    def publish(self, now_ms: int, deadline: float) -> Iterable[Output]:
        """Nothing."""
        return ()

    def mark_unpublished(self, key: bytes) -> None:
        """Nothing."""
