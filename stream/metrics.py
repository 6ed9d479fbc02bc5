"""What a worker counts, for Prometheus.

Names follow Prometheus' conventions: seconds and bytes as units, ``_total`` for what only grows, one metric for
one thing whatever the worker. Which worker it was is the scrape's business (``job``, ``instance``), never a label
here; no label holds a member, a title or anything else without end. ``docs/metrics.md`` lists them all.

A counter tells of this process since its start. What was learned exactly once may be counted twice after a crash.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, get_args

from prometheus_client import Counter, Gauge, Histogram, Info, ProcessCollector

from stream.reasons import REASONS
from stream.records import Policy
from stream.worth.policies import shares

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry

    from stream.settings import Settings
    from stream.topics import Topic

POLICIES: tuple[str, ...] = get_args(Policy)

#: Every ``DecodeError.code`` there is. Counted from nought at the start: Prometheus cannot see a first increase
#: that brings its own series with it, and the first dead letter is the one to wake up for.
DEAD_LETTER_CODES = tuple(REASONS)

_BATCH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_CHECKPOINT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # to transaction_seconds
_RESTORE_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
#: Of everything that says how fresh something is, here and at the serving nodes.
AGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
_BYTES_BUCKETS = tuple(4.0**n for n in range(5, 13))  # 1 KiB to 16 MiB, the most a record may be


class WorkerMetrics:
    """The metrics of one worker, a learner or a viewing worker.

    Parameters
    ----------
    registry
        Where they are registered; one worker to a registry.

    Attributes
    ----------
    ready
        1 while it owns its partitions and has restored them.
    still_seconds
        For how long its loop has not turned.
    partitions, group_partitions
        How many it owns, and how many there are for the whole group to own.
    lag
        By topic and partition: records that it has not read yet.
    records
        By topic: records read.
    record_age_seconds
        By topic: how old the oldest record of a batch was once the batch was taken in.
    batch_seconds
        By topic: time to handle a batch.
    decode_seconds, learn_seconds
        By topic: what of that a learner took to read the records, and to learn them.
    publish_delay_seconds
        From a title's first change to the snapshot that holds it.
    checkpoints, checkpoint_seconds
        Transactions committed, and the time each took.
    restore_seconds
        Time to bring back the state of partitions that it was given.
    rebalances
        Times its partitions were dealt again.
    failures
        Times it dropped everything and started over from the changelog.
    published, publish_refused, snapshot_bytes
        Snapshots written, those held back because they were unsound, and the sizes of those written.
    titles, members
        Those whose state the worker holds: a learner titles, a viewing worker members.
    choice_entropy
        How evenly the impressions of a title go to its artworks.
    dead_letters
        By code: records that could not be used.
    duplicates, late
        Records that were counted before, and plays that came too late to count.
    uncredited, over_limit
        Plays that earned nothing, as the member's day has all its credit, and impressions that were not learned,
        as the member had been shown the title often enough within the hour.
    forgotten
        Members forgotten because somebody asked for it.
    turned
        Titles whose reward turned, so that they forgot.
    unknown_features
        Context features that no model has a weight for.
    impressions, rewards
        By policy: impressions learned, and the reward credited to them. Their quotient is what a policy earns.
    policy_share
        By policy: the share of members that the settings give it.

    Examples
    --------
    >>> from prometheus_client import CollectorRegistry
    >>> registry = CollectorRegistry()
    >>> WorkerMetrics(registry).dead_letters.labels("not_json").inc()
    >>> registry.get_sample_value("keyart_dead_letters_total", {"code": "not_json"})
    1.0
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        # --- is it at work?
        self.still_seconds = Gauge(
            "keyart_worker_still_seconds", "Time since the worker's loop last turned.", registry=r
        )
        self.ready = Gauge(
            "keyart_worker_ready", "Whether the worker owns its partitions and has restored them.", registry=r
        )
        self.partitions = Gauge("keyart_worker_partitions", "Partitions the worker owns.", registry=r)
        self.group_partitions = Gauge(
            "keyart_worker_group_partitions", "Partitions that all workers of the group share.", registry=r
        )
        self.rebalances = Counter(
            "keyart_worker_rebalances", "Times the worker's partitions were dealt again.", registry=r
        )
        self.failures = Counter(
            "keyart_worker_failures",
            "Times the worker dropped its state and started over from the changelog.",
            registry=r,
        )
        self.restore_seconds = Histogram(
            "keyart_worker_restore_seconds",
            "Time to restore the state of newly given partitions.",
            buckets=_RESTORE_BUCKETS,
            registry=r,
        )
        # --- does it keep up?
        self.records = Counter("keyart_worker_records", "Records read from an input.", ["topic"], registry=r)
        self.lag = Gauge(
            "keyart_worker_lag_records",
            "Records of a partition of an input that its worker has not read yet.",
            ["topic", "partition"],
            registry=r,
        )
        self.record_age_seconds = Histogram(
            "keyart_worker_record_age_seconds",
            "From when the oldest record of a batch was written to when the batch was taken in.",
            ["topic"],
            buckets=AGE_BUCKETS,
            registry=r,
        )
        self.batch_seconds = Histogram(
            "keyart_worker_batch_seconds",
            "Time to handle a batch of an input.",
            ["topic"],
            buckets=_BATCH_BUCKETS,
            registry=r,
        )
        self.decode_seconds = Histogram(
            "keyart_learner_decode_seconds",
            "Time to read a batch's records and check them.",
            ["topic"],
            buckets=_BATCH_BUCKETS,
            registry=r,
        )
        self.learn_seconds = Histogram(
            "keyart_learner_learn_seconds",
            "Time to learn a batch's records once they are read.",
            ["topic"],
            buckets=_BATCH_BUCKETS,
            registry=r,
        )
        self.publish_delay_seconds = Histogram(
            "keyart_publish_delay_seconds",
            "From a title's first change since it was last published to its snapshot.",
            buckets=AGE_BUCKETS,
            registry=r,
        )
        self.checkpoints = Counter("keyart_worker_checkpoints", "Transactions committed.", registry=r)
        self.checkpoint_seconds = Histogram(
            "keyart_worker_checkpoint_seconds",
            "Time to commit state, outputs and offsets in one transaction.",
            buckets=_CHECKPOINT_BUCKETS,
            registry=r,
        )
        # --- what became of the records?
        self.dead_letters = Counter(
            "keyart_dead_letters", "Records that could not be used, by what was wrong.", ["code"], registry=r
        )
        self.duplicates = Counter("keyart_duplicates", "Records that were counted before.", registry=r)
        self.late = Counter("keyart_late_plays", "Plays that came too late to count.", registry=r)
        self.forgotten = Counter("keyart_members_forgotten", "Members forgotten because asked to.", registry=r)
        self.uncredited = Counter(
            "keyart_plays_uncredited",
            "Records of plays that earned nothing, as the member's day has all its credit.",
            registry=r,
        )
        self.over_limit = Counter(
            "keyart_impressions_over_limit",
            "Impressions not learned, as the member was shown the title too often within the hour.",
            registry=r,
        )
        self.unknown_features = Counter(
            "keyart_unknown_features", "Context features that no model has a weight for.", registry=r
        )
        self.turned = Counter(
            "keyart_titles_turned",
            "Times that a busy title's reward turned, so that it forgot what it had learned before.",
            registry=r,
        )
        self.published = Counter("keyart_snapshots_published", "Snapshots written.", registry=r)
        self.publish_refused = Counter(
            "keyart_snapshots_refused", "Snapshots held back because they were unsound.", registry=r
        )
        self.snapshot_bytes = Histogram(
            "keyart_snapshot_bytes", "Sizes of snapshots written.", buckets=_BYTES_BUCKETS, registry=r
        )
        # --- what is known?
        self.titles = Gauge("keyart_learner_titles", "Titles whose state the learner holds.", registry=r)
        self.members = Gauge("keyart_viewing_members", "Members whose state the viewing worker holds.", registry=r)
        self.choice_entropy = Gauge(
            "keyart_choice_entropy_ratio",
            "How evenly the latest impressions of a title went to its artworks, on average: entropy over the most "
            "it could be, 0 where all went to one artwork, 1 where each got as many; NaN before there are any.",
            registry=r,
        )
        self.choice_entropy.set(float("nan"))
        self.impressions = Counter(
            "keyart_impressions_learned", "Impressions learned, by the policy that chose.", ["policy"], registry=r
        )
        self.rewards = Counter(
            "keyart_rewards_learned",
            "Reward credited to impressions (0 to 1 each), by the policy that chose.",
            ["policy"],
            registry=r,
        )
        self.policy_share = Gauge(
            "keyart_policy_share_ratio",
            "Share of members that the settings give a policy.",
            ["policy"],
            registry=r,
        )
        for code in DEAD_LETTER_CODES:
            self.dead_letters.labels(code)
        for policy in POLICIES:
            self.impressions.labels(policy)
            self.rewards.labels(policy)

    def expect(self, settings: Settings, inputs: Iterable[Topic]) -> None:
        """Show from nought what a worker with these settings and inputs will count."""
        for topic in inputs:
            for metric in (self.records, self.record_age_seconds, self.batch_seconds):
                metric.labels(topic.name)
        for policy, share in shares(settings).items():
            self.policy_share.labels(policy).set(share)

    def show_lag(self, lag: Mapping[tuple[str, int], int]) -> None:
        """The lag of each topic and partition that the worker owns now, and of no others."""
        gone = {tuple(sample.labels.values()) for family in self.lag.collect() for sample in family.samples}
        for (topic, partition), records in lag.items():
            self.lag.labels(topic, partition).set(records)
            gone.discard((topic, str(partition)))
        for labels in gone:
            self.lag.remove(*labels)


def tell_process(registry: CollectorRegistry) -> None:
    """Tell of this process as a whole too: its version, CPU, memory and start time."""
    ProcessCollector(registry=registry)
    try:
        installed = version("keyart")
    except PackageNotFoundError:  # used from its sources
        installed = "unknown"
    Info("keyart_build", "The version of Keyart that runs.", registry=registry).info({"version": installed})
