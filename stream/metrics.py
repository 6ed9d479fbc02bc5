"""What is counted."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server


class WorkerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self.records = Counter("keyart_records_total", "r", ["topic"], registry=r)
        self.failures = Counter("keyart_failures_total", "r", registry=r)
        self.rebalances = Counter("keyart_rebalances_total", "r", registry=r)
        self.checkpoints = Counter("keyart_checkpoints_total", "r", registry=r)
        self.checkpoint_seconds = Histogram("keyart_checkpoint_seconds", "r", registry=r)
        self.restore_seconds = Histogram("keyart_restore_seconds", "r", registry=r)
        self.published = Counter("keyart_published_total", "r", registry=r)
        self.publish_refused = Counter("keyart_publish_refused_total", "r", registry=r)
        self.dead_letters = Counter("keyart_dead_letters_total", "r", ["reason"], registry=r)
        self.duplicates = Counter("keyart_duplicates_total", "r", registry=r)
        self.late = Counter("keyart_late_total", "r", registry=r)
        self.unknown_features = Counter("keyart_unknown_features_total", "r", registry=r)


def serve(registry, host, port):
    start_http_server(port, host, registry=registry)
