"""What a serving node counts. All but the latency is read from where it is counted, when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from stream import health
from stream.metrics import tell_process
from stream.reading.event_time import wall_clock_ms
from stream.topics import IMPRESSIONS, PLAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from wsgiref.simple_server import WSGIServer

    from prometheus_client.metrics_core import Metric

    from consumers.chooser import ArtworkChooser
    from producers import EventProducer
    from stream.settings import Settings

#: A choice takes a tenth of a millisecond, a page of fifty a few.
_BUCKETS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)


class ServingMetrics(Collector):
    """A node's metrics, in one registry."""

    def __init__(
        self,
        registry: CollectorRegistry,
        chooser: ArtworkChooser,
        events: EventProducer,
        now_ms: Callable[[], int],
    ) -> None:
        self._chooser = chooser
        self._events = events
        self._now_ms = now_ms
        self.accepted = Counter(
            "keyart_events_accepted_total", "Events taken in over HTTP, by topic.", ["topic"], registry=registry
        )
        self._seconds = Histogram(
            "keyart_http_request_seconds",
            "How long requests took to answer, by route.",
            ["route"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._requests = Counter(
            "keyart_http_requests_total",
            "Requests answered, by route and status.",
            ["route", "status"],
            registry=registry,
        )
        for topic in (IMPRESSIONS, PLAYS):  # from nought on: a first increase would not be seen with its series
            self.accepted.labels(topic.name)
        registry.register(self)

    def expect(self, path: str) -> None:
        """There is such a route: a first fault of it would not be seen with its series."""
        self._seconds.labels(path)
        for status in ("500", "503"):
            self._requests.labels(path, status)

    def answered(self, path: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._seconds.labels(path).observe(seconds)
        self._requests.labels(path, str(status)).inc()

    def collect(self) -> Iterator[Metric]:
        """What the chooser and the event producer have counted, as of now."""
        counts, follower = self._chooser.counts, self._chooser.follower
        view = follower.view
        yield _labelled(
            "keyart_choices",
            "Choices made, by policy.",
            "policy",
            {policy: tally.value for policy, tally in counts.by_policy.items()},
        )
        yield CounterMetricFamily(
            "keyart_choices_without_snapshot",
            "Choices of titles of which no snapshot was known: the first artwork, or a uniform choice.",
            counts.without_snapshot.value,
        )
        dropped = dict.fromkeys((IMPRESSIONS.name, PLAYS.name), 0) | self._events.dropped
        yield _labelled("keyart_events_dropped", "Events refused or lost, by topic.", "topic", dropped)
        yield CounterMetricFamily(
            "keyart_events_delivered", "Events that Kafka has acknowledged.", self._events.delivered
        )
        yield GaugeMetricFamily("keyart_events_queued", "Events on their way to Kafka.", self._events.queued)
        yield _labelled(
            "keyart_table_records_refused",
            "Records that could not be understood, by topic.",
            "topic",
            view.refused,
        )
        yield CounterMetricFamily(
            "keyart_table_failures", "How often the tables had to be read anew.", follower.failures
        )
        yield GaugeMetricFamily(
            "keyart_tables_connected", "1 while the tables can be read, 0 while not.", float(follower.connected)
        )
        yield GaugeMetricFamily("keyart_titles", "Titles in the catalogue.", len(view.titles))
        yield GaugeMetricFamily(
            "keyart_snapshots",
            "Titles served from a snapshot.",
            sum(served.snapshot is not None for served in list(view.served.values())),
        )
        yield GaugeMetricFamily("keyart_tastes", "Members whose taste is known.", len(view.tastes))
        behind = follower.behind_seconds
        if behind is not None:
            yield GaugeMetricFamily(
                "keyart_tables_behind_seconds",
                "Time since the node was last known to have read everything.",
                behind,
            )
        yield HistogramMetricFamily(
            "keyart_snapshot_delay_seconds",
            "From when a snapshot was published to when it could be chosen from.",
            buckets=follower.snapshot_delays.cumulative(),
            sum_value=follower.snapshot_delays.sum,
        )
        if view.newest_snapshot_ms is not None:
            yield GaugeMetricFamily(
                "keyart_snapshot_age_seconds",
                "Time since the newest snapshot was published.",
                max(0.0, (self._now_ms() - view.newest_snapshot_ms) / 1000.0),
            )


def serve_metrics(settings: Settings, chooser: ArtworkChooser, events: EventProducer) -> WSGIServer:
    """Tell Prometheus of an app that chooses by itself, from a thread of its own.

    Parameters
    ----------
    settings
        Where to listen: ``metrics_host`` and ``metrics_port``.
    chooser, events
        The app's own.

    Returns
    -------
    The server, see :func:`stream.health.serve`.

    Raises
    ------
    ConfigurationError
        It cannot listen there.
    """
    registry = CollectorRegistry()
    tell_process(registry)
    ServingMetrics(registry, chooser, events, wall_clock_ms)
    return health.serve(
        *(registry, settings.metrics_host, settings.metrics_port),
        live=lambda: chooser.follower.alive,
        ready=lambda: chooser.ready,
    )


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
