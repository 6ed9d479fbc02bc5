"""The graph on one page: every topic, its key, its record, stream or table, who writes it and who reads it.

Topics of one key share one partition count and the default (murmur2) partitioner, so that everything about a
title meets in one learner and everything about a member in one viewing worker::

    app ──impressions──────────────────────────────► learner ──snapshots──► serving node ──► app
    app ──plays──► viewing ──rewards──► learner
                      └──tastes───────────────────────────────────────────► serving node
    studio ──catalogue──► viewing, learner, serving node
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from stream import records

_DAY_MS = 24 * 60 * 60 * 1000
#: The largest record a worker may have to write: the snapshot of a title with as many artworks and features as
#: there may be takes 12 MiB. Kafka's own limit of 1 MiB is reached by 24 artworks with 64 features, or by the dead
#: letter of a record that is just within it; what is larger could never be committed.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class Kind(Enum):
    """Whether a record adds to what came before, or replaces what its key held."""

    STREAM = "delete"
    TABLE = "compact"

    @property
    def cleanup_policy(self) -> str:
        """Kafka's ``cleanup.policy`` for this kind: the two belong together."""
        return self.value


class Key(Enum):
    """What a topic's records are keyed by; topics of one key are partitioned alike."""

    TITLE = "title_id"
    MEMBER = "member_id"
    PARTITION = "partition"
    ORIGINAL = "the original record's key"


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes
    ----------
    name
        Without the prefix, see :meth:`full_name`.
    record
        The type of its values; None where they are private to the worker that writes them.
    retention_ms
        How long a stream keeps records; None for a table, which keeps the last of each key.
    """

    name: str
    key: Key
    kind: Kind
    record: type[records.Record] | None
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    retention_ms: int | None = None

    def full_name(self, prefix: str) -> str:
        """The topic's name on the cluster.

        >>> IMPRESSIONS.full_name("keyart.")
        'keyart.impressions'
        """
        return prefix + self.name

    def config(self) -> dict[str, str]:
        """The topic-level settings that Keyart's promises rest on.

        >>> SNAPSHOTS.config()["cleanup.policy"]
        'compact'
        """
        settings = {"cleanup.policy": self.kind.cleanup_policy}
        if self.retention_ms is not None:
            settings["retention.ms"] = str(self.retention_ms)
        if "app" not in self.written_by:
            settings["max.message.bytes"] = str(MAX_MESSAGE_BYTES)
        if self.kind is Kind.TABLE:
            # A reader that starts at the beginning must not meet a tombstone's key without the tombstone.
            settings["delete.retention.ms"] = str(_DAY_MS)
            # Changed titles are written every few seconds: without a bound a restore reads the whole active
            # segment, which the cleaner never touches.
            settings["segment.ms"] = str(_DAY_MS // 24)
            settings["segment.bytes"] = str(128 * 1024 * 1024)
            settings["min.cleanable.dirty.ratio"] = "0.2"
            if self.key is Key.MEMBER:
                # Whoever is forgotten must be gone from brokers' disks too, however little else is written.
                settings["max.compaction.lag.ms"] = str(_DAY_MS)
        return settings


IMPRESSIONS = Topic(
    "impressions", Key.TITLE, Kind.STREAM, records.Impression, ("app", "serving"), ("learner",), 7 * _DAY_MS
)
PLAYS = Topic("plays", Key.MEMBER, Kind.STREAM, records.Play, ("app", "serving"), ("viewing",), 7 * _DAY_MS)
REWARDS = Topic("rewards", Key.TITLE, Kind.STREAM, records.RewardChange, ("viewing",), ("learner",), 7 * _DAY_MS)
TASTES = Topic("tastes", Key.MEMBER, Kind.TABLE, records.Taste, ("viewing",), ("serving",))
CATALOGUE = Topic(
    "catalogue", Key.TITLE, Kind.TABLE, records.Title, ("studio",), ("viewing", "learner", "serving")
)
SNAPSHOTS = Topic("snapshots", Key.TITLE, Kind.TABLE, records.Snapshot, ("learner",), ("serving",))
SHARED_PRIOR = Topic("shared-prior", Key.PARTITION, Kind.TABLE, None, ("learner",), ("learner",))
VIEWING_CHANGELOG = Topic("viewing-changelog", Key.MEMBER, Kind.TABLE, None, ("viewing",), ("viewing",))
LEARNER_CHANGELOG = Topic("learner-changelog", Key.TITLE, Kind.TABLE, None, ("learner",), ("learner",))
DEAD_LETTERS = Topic(
    "dead-letters", Key.ORIGINAL, Kind.STREAM, None, ("viewing", "learner"), ("people",), 14 * _DAY_MS
)

ALL = (
    CATALOGUE,
    IMPRESSIONS,
    PLAYS,
    REWARDS,
    TASTES,
    SNAPSHOTS,
    VIEWING_CHANGELOG,
    LEARNER_CHANGELOG,
    SHARED_PRIOR,
    DEAD_LETTERS,
)
"""Every topic, in the order in which they are created."""
