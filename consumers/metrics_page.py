"""Every metric there is, as a page: made from the metrics themselves, so that it cannot tell of another one.

``keyart metrics`` prints it, and ``docs/metrics.md`` is what it printed last.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry

from consumers.chooser.counts import POLICIES, ChoiceCounts, Delays
from consumers.chooser.view import ServingView
from consumers.serving.live import Live
from consumers.serving.live_metrics import LiveMetrics
from consumers.serving.metrics import ServingMetrics
from stream.metrics import AGE_BUCKETS, WorkerMetrics, tell_process
from stream.worth.policies import GROUPS, ROWS
from stream.worth.split import SplitWatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from consumers.chooser import ArtworkChooser
    from producers import EventProducer

_HEAD = """\
# Metrics

`keyart metrics` prints this page. A worker answers on `http://metrics_host:metrics_port/metrics`, a serving node
on its own port, where `http_api_keys` guard it; both in Prometheus' text format. `deploy/prometheus/` has a
configuration and the alert rules (what to do about them: [runbook](runbook.md)), `deploy/grafana/` the dashboards.
A worker's port asks nobody for a key; it listens on 127.0.0.1 unless `metrics_host` says otherwise. An app that
chooses by itself answers too, if it calls `consumers.serving.metrics.serve_metrics`.

`make demo` says where its processes answer. `prometheus --config.file=deploy/prometheus/demo.yml` beside it asks
them all, and shows under <http://127.0.0.1:9090/alerts> what fires.

* Which process it was is the scrape's business: `job` is `learner`, `viewing`, `serving` or `app`, and `instance`
  which one. The dashboards and alerts rely on these four names.
* No label holds a member, and no label is without end: topics, partitions, policies, routes, codes of faults,
  and the busiest titles.
* Counters tell of a process since its start. What was learned exactly once may be counted twice after a crash.
* What a label can be is there from nought on, so that `increase()` sees the first event.

**Fresh** is a path of three parts: an event is *taken in* by a worker (`keyart_worker_record_age_seconds`), what
was learned of its title is *published* (`keyart_publish_delay_seconds`), and the snapshot can be *chosen from*
(`keyart_snapshot_delay_seconds`).

Beside these each process tells of itself: `process_start_time_seconds`, `process_cpu_seconds_total`,
`process_resident_memory_bytes`, `process_open_fds` and some more (on Linux).

## Probes

| | worker, on `metrics_port` | serving node |
|---|---|---|
| `/livez` | 200 while its loop turns; 503 once it has stood still for longer than any call to Kafka may take \
(`poll_seconds`, `connect_seconds` and three times `transaction_seconds`): start it again | 200 while it answers \
and follows its tables as well as it can |
| `/readyz` | 200 while it owns partitions and has restored their state | 200 once it has read its tables; it \
stays ready without Kafka |

A broker that is away fails neither `/livez`: starting again would not bring it back.
"""


def registries() -> dict[str, CollectorRegistry]:
    """What each kind of process answers with when it has nothing to do."""
    both, worker, node, live = (CollectorRegistry() for _ in range(4))
    tell_process(both)
    WorkerMetrics(worker)
    serving_metrics(node)
    live_metrics(live)
    return {
        "workers": worker,
        "serving nodes, and apps that choose by themselves": node,
        "serving nodes, of what policies have earned ([live](live.md))": live,
        "all": both,
    }


def live_metrics(registry: CollectorRegistry) -> None:
    """What a node tells of policies, once each has earned something."""
    view = ServingView()
    view.earnings.put("a-title", {policy: [[1.0, 1.0, 1.0]] * GROUPS for policy in ROWS})
    chooser = SimpleNamespace(titles={}, follower=SimpleNamespace(view=view))
    split = SplitWatch(dict.fromkeys(POLICIES, 1.0 / len(POLICIES)))
    registry.register(LiveMetrics(Live(cast("ArtworkChooser", chooser), split, lambda: 0)))


def serving_metrics(registry: CollectorRegistry) -> ServingMetrics:
    """The metrics of a node that nobody asks, and that follows no cluster."""
    view = ServingView()
    view.newest_snapshot_ms = 0
    follower = SimpleNamespace(
        view=view, failures=0, connected=True, behind_seconds=0.0, snapshot_delays=Delays(AGE_BUCKETS)
    )
    chooser = SimpleNamespace(counts=ChoiceCounts(), follower=follower)
    events = SimpleNamespace(dropped={}, delivered=0, queued=0)
    return ServingMetrics(registry, cast("ArtworkChooser", chooser), cast("EventProducer", events), lambda: 0)


def families(registry: CollectorRegistry, *, ours: bool = True) -> list[tuple[str, Metric, tuple[str, ...]]]:
    """Its metrics by name, as Prometheus stores them: each with the labels it has; Keyart's own, or all."""
    known = {
        described.name: tuple(getattr(collector, "_labelnames", ()))
        for collector in registry._collector_to_names  # noqa: SLF001 - nothing public tells labels without samples
        for described in (collector.describe() if hasattr(collector, "describe") else ())
    }
    found = []
    for family in registry.collect():
        if not ours or family.name.startswith("keyart_"):
            labels = known.get(family.name) or _labels(family)
            found.append((_name(family), family, labels))
    return sorted(found, key=lambda one: one[0])


def _labels(family: Metric) -> tuple[str, ...]:
    names: dict[str, Any] = {}
    for sample in family.samples:
        names |= dict.fromkeys(sample.labels)
    return tuple(name for name in names if name != "le")


def _name(family: Metric) -> str:
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *_tables()])


def _tables() -> Iterator[str]:
    for who, registry in registries().items():
        yield f"## {who[0].upper()}{who[1:]}\n"
        yield "| metric | type | labels | |\n|---|---|---|---|"
        for name, family, labels in families(registry):
            shown = ", ".join(f"`{label}`" for label in labels)
            yield f"| `{name}` | {family.type} | {shown} | {family.documentation} |"
        yield ""
