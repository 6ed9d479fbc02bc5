"""What is seen of a deployment at one moment: plain values, gathered in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.settings import Settings
    from stream.topics import Topic


@dataclass(frozen=True)
class PartitionFacts:
    """One partition of a topic.

    Attributes
    ----------
    begin, stable, end
        The first offset that is left, the last stable one (past which committed readers do not see), and the end.
    open_since_ms
        When the record at the last stable offset was written; None where no transaction is open.
    newest_ms
        When the newest committed record was written; None where there is none.
    has_leader
        Whether a broker answers for it.
    replicas, in_sync
        How many copies there should be, and how many are up to date.
    """

    begin: int = 0
    stable: int = 0
    end: int = 0
    open_since_ms: int | None = None
    newest_ms: int | None = None
    has_leader: bool = True
    replicas: int = 1
    in_sync: int = 1


@dataclass(frozen=True)
class TopicFacts:
    """One topic.

    Attributes
    ----------
    partitions
        In order.
    config
        Its settings by Kafka's names; empty where the broker does not tell.
    lately
        How many records were written within the last hour; None where that is not known.
    operations
        What our user may do with it; None where the cluster does not tell.
    """

    partitions: tuple[PartitionFacts, ...]
    config: Mapping[str, str] = field(default_factory=dict)
    lately: int | None = None
    operations: frozenset[str] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it holds nothing now."""
        return all(partition.begin >= partition.end for partition in self.partitions)

    @property
    def newest_ms(self) -> int | None:
        """When its newest record was written; None where there is none."""
        return max((p.newest_ms for p in self.partitions if p.newest_ms is not None), default=None)

    @property
    def retention_ms(self) -> int | None:
        """How long it keeps records; None for ever, or where the broker does not tell."""
        found = int(self.config.get("retention.ms", -1))
        return None if found < 0 else found


@dataclass(frozen=True)
class GroupFacts:
    """A consumer group: all workers of one kind.

    Attributes
    ----------
    members
        How many workers belong to it; None where the cluster does not tell.
    committed
        By topic (short name) and partition, the offset up to which it has read.
    unread_since_ms
        Of partitions with something unread, when the oldest unread record was written.
    operations
        What our user may do with it; None where the cluster does not tell.
    """

    members: int | None = None
    committed: Mapping[tuple[str, int], int] = field(default_factory=dict)
    unread_since_ms: Mapping[tuple[str, int], int] = field(default_factory=dict)
    operations: frozenset[str] | None = None


@dataclass(frozen=True)
class TitleFacts:
    """What the snapshots say of one title.

    Attributes
    ----------
    version
        How many records were learned of it.
    published_ms
        When its snapshot was published.
    """

    version: int
    published_ms: int


@dataclass(frozen=True)
class ClockReading:
    """A record that was written while we looked.

    Attributes
    ----------
    topic
        Its topic, by its short name.
    written_ms
        When, by the clock of whoever wrote it (or of the broker, if the topic says so).
    after_ms, before_ms
        By our own clock it was written between these.
    """

    topic: str
    written_ms: int
    after_ms: int
    before_ms: int


@dataclass(frozen=True)
class Refusal:
    """Something that the cluster did not let us see.

    Attributes
    ----------
    what
        As a person would say it: ``topic 'keyart.plays'``.
    why
        The cluster's answer.
    """

    what: str
    why: str


@dataclass(frozen=True)
class Facts:
    """Everything that is seen.

    Attributes
    ----------
    now_ms
        When, by our own clock.
    settings
        Those in force; None where they could not be read.
    settings_error
        Why they could not be.
    unreachable
        Why no broker could be asked, or one that was needed did not answer.
    login_refused
        Why the cluster did not let us in.
    role
        The role whose rights our user should have, see :mod:`stream.access`; None: no particular one.
    brokers
        How many the cluster has.
    topics
        By short name, those that exist and that we may see.
    groups
        By the worker's name.
    refusals
        What we may not see.
    titles
        The catalogue's titles, by id their names; None where it could not be read.
    snapshots
        By title; None where they could not be read.
    clock
        Records that were written while we looked.
    """

    now_ms: int
    settings: Settings | None = None
    settings_error: str | None = None
    unreachable: str | None = None
    login_refused: str | None = None
    role: str | None = None
    brokers: int = 1
    topics: Mapping[str, TopicFacts] = field(default_factory=dict)
    groups: Mapping[str, GroupFacts] = field(default_factory=dict)
    refusals: tuple[Refusal, ...] = ()
    titles: Mapping[str, str] | None = None
    snapshots: Mapping[str, TitleFacts] | None = None
    clock: tuple[ClockReading, ...] = ()

    @property
    def is_dark(self) -> bool:
        """Whether nothing could be seen of the cluster."""
        refused = self.unreachable is not None or self.login_refused is not None
        return self.settings is None or (refused and not self.topics)

    def newest_ms(self, topic: Topic) -> int | None:
        """When the newest record of a topic was written; None where there is none."""
        found = self.topics.get(topic.name)
        return None if found is None else found.newest_ms
