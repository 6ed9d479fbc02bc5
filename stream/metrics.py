"""What a worker counts, for Prometheus.

Names follow Prometheus' conventions: seconds and records as units, ``_total`` for what only grows, one metric for
one thing whatever the worker. Which worker it was is the scrape's business (``job``, ``instance``), never a label
here; no label holds a member, a title or anything else without end.

A counter tells of this process since its start. What was learned exactly once may be counted twice after a crash.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, get_args

from prometheus_client import Counter, Gauge, Histogram, ProcessCollector, start_http_server

from stream.errors import ConfigurationError
from stream.reasons import REASONS
from stream.records import Policy

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from prometheus_client import CollectorRegistry

POLICIES: tuple[str, ...] = get_args(Policy)

#: Every ``DecodeError.code`` there is. Counted from nought at the start: Prometheus cannot see a first increase
#: that brings its own series with it, and the first dead letter is the one to wake up for.
DEAD_LETTER_CODES = tuple(REASONS)

_BATCH_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_CHECKPOINT_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # to transaction_seconds
_RESTORE_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_AGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


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
    partitions, group_partitions
        How many it owns, and how many there are for the whole group to own.
    lag
        By topic: records on its partitions that it has not read yet.
    records
        By topic: records read.
    record_age_seconds
        By topic: how old the oldest record of a batch was when the batch was handled.
    batch_seconds
        By topic: time to handle a batch.
    checkpoints, checkpoint_seconds
        Transactions committed, and the time each took.
    restore_seconds
        Time to bring back the state of partitions that it was given.
    rebalances
        Times its partitions were dealt again.
    failures
        Times it dropped everything and started over from the changelog.
    published, publish_refused
        Snapshots written, and those held back because they were unsound.
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
            "Records on the worker's partitions of an input that it has not read yet.",
            ["topic"],
            registry=r,
        )
        self.record_age_seconds = Histogram(
            "keyart_worker_record_age_seconds",
            "Age of the oldest record of a batch when the batch was handled.",
            ["topic"],
            buckets=_AGE_BUCKETS,
            registry=r,
        )
        self.batch_seconds = Histogram(
            "keyart_worker_batch_seconds",
            "Time to handle a batch of an input.",
            ["topic"],
            buckets=_BATCH_BUCKETS,
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
        self.impressions = Counter(
            "keyart_impressions_learned", "Impressions learned, by the policy that chose.", ["policy"], registry=r
        )
        self.rewards = Counter(
            "keyart_rewards_learned",
            "Reward credited to impressions (0 to 1 each), by the policy that chose.",
            ["policy"],
            registry=r,
        )
        for code in DEAD_LETTER_CODES:
            self.dead_letters.labels(code)
        for policy in POLICIES:
            self.impressions.labels(policy)
            self.rewards.labels(policy)


def serve(registry: CollectorRegistry, host: str, port: int) -> WSGIServer:
    """Answer Prometheus from a thread of its own, with this process's CPU, memory and start time beside.

    Parameters
    ----------
    registry
        What to tell.
    host, port
        Where to listen: settings ``metrics_host`` and ``metrics_port``. Port 0 takes any free one.

    Returns
    -------
    The server: its ``server_port``, and ``shutdown()`` and ``server_close()`` to end it before the process ends.

    Raises
    ------
    ConfigurationError
        It cannot listen there; the message names the setting.
    """
    try:
        server, _thread = start_http_server(port, host, registry=registry)
    except (OSError, UnicodeError) as error:
        fault = getattr(error, "errno", None)
        if fault == errno.EADDRINUSE:
            raise ConfigurationError(
                f"metrics_port: another process listens on {host}:{port}; give this worker a port of its own in "
                "KEYART_METRICS_PORT"
            ) from error
        if fault == errno.EACCES:
            raise ConfigurationError(
                f"metrics_port: this user may not listen on port {port}; choose one above 1023 in "
                "KEYART_METRICS_PORT"
            ) from error
        raise ConfigurationError(
            f"metrics_host: cannot listen on {host!r} ({error}); give an address of this "
            "machine in KEYART_METRICS_HOST"
        ) from error
    ProcessCollector(registry=registry)
    return server
