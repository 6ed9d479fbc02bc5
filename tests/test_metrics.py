"""The metrics of a worker: what they are called, that they are set, and that they can be read."""

from __future__ import annotations

import ast
import re
import socket
from functools import cache
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from consumers.metrics_page import families, page, registries
from stream import health, metrics
from stream.errors import ConfigurationError
from stream.metrics import DEAD_LETTER_CODES, POLICIES, WorkerMetrics

ROOT = Path(__file__).parent.parent
SOURCES = [path for package in ("stream", "consumers", "producers") for path in (ROOT / package).rglob("*.py")]
ATTRIBUTES = sorted(vars(WorkerMetrics(CollectorRegistry())))


#: Every label that there is: none holds anything without end. A title is one of the busiest.
LABELS = {"topic", "partition", "code", "policy", "over", "agreed", "title", "route", "status", "version"}


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty registry."""
    return CollectorRegistry()


@cache
def _code() -> tuple[ast.AST, ...]:
    return tuple(node for path in SOURCES for node in ast.walk(ast.parse(path.read_text())))


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_metric_keeps_to_prometheus_conventions(name: str, registry: CollectorRegistry) -> None:
    """Prefix, unit, kind and help are what a stranger to the code would expect, and no label is without end."""
    metric = getattr(WorkerMetrics(registry), name)
    (family,) = metric.collect()
    assert re.fullmatch(r"keyart_[a-z]+(_[a-z]+)*", family.name)
    assert re.fullmatch(r"[A-Z].{15,}\.", family.documentation)
    assert family.type in {"counter", "gauge", "histogram"}
    assert not family.name.endswith(("_total", "_count", "_sum", "_bucket"))
    if family.type == "histogram":
        assert family.name.endswith(("_seconds", "_bytes"))
    assert set(metric._labelnames) <= {"topic", "partition", "code", "policy"}


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_metric_is_described_where_it_is_looked_up(name: str) -> None:
    """The class's docstring names every attribute."""
    assert re.search(rf"^    (\w+, )*{name}(, \w+)*$", WorkerMetrics.__doc__ or "", re.MULTILINE)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_metric_is_set_somewhere(name: str) -> None:
    """A metric that nobody sets would tell the on-call engineer that all is well, for ever."""
    assert any(
        isinstance(node, ast.Attribute)
        and node.attr == name
        and ast.unparse(node.value).rpartition(".")[2] in {"metrics", "_metrics", "counted", "self"}
        and not isinstance(node.ctx, ast.Store)
        for node in _code()
    )


def test_every_kind_of_bad_record_counts_from_nought() -> None:
    """The codes that the code raises are the codes that are registered at the start."""
    raised = {
        node.args[0].value
        for node in _code()
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "DecodeError"
        and isinstance(node.args[0], ast.Constant)
    }
    assert raised == set(DEAD_LETTER_CODES)


@pytest.mark.parametrize(
    ("metric", "label", "values"),
    [
        ("keyart_dead_letters_total", "code", DEAD_LETTER_CODES),
        ("keyart_impressions_learned_total", "policy", POLICIES),
        ("keyart_rewards_learned_total", "policy", POLICIES),
    ],
)
def test_known_labels_are_there_before_the_first_event(
    metric: str, label: str, values: tuple[str, ...], registry: CollectorRegistry
) -> None:
    """A series that began with its first event would hide that event from increase()."""
    WorkerMetrics(registry)
    assert [registry.get_sample_value(metric, {label: value}) for value in values] == [0.0] * len(values)


def test_two_workers_in_one_process_count_apart() -> None:
    """Nothing is registered globally."""
    first, second = CollectorRegistry(), CollectorRegistry()
    WorkerMetrics(first).published.inc(3)
    WorkerMetrics(second)
    assert first.get_sample_value("keyart_snapshots_published_total") == 3
    assert second.get_sample_value("keyart_snapshots_published_total") == 0


def test_what_is_counted_can_be_scraped(registry: CollectorRegistry) -> None:
    """GET /metrics gives every metric, and the process's own."""
    counted = WorkerMetrics(registry)
    counted.records.labels("impressions").inc(7)
    metrics.tell_process(registry)
    server = health.serve(registry, "127.0.0.1", 0)
    try:
        with urlopen(f"http://127.0.0.1:{server.server_port}/metrics", timeout=5) as answer:
            families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    finally:
        server.shutdown()
        server.server_close()
    assert {getattr(counted, name)._name for name in ATTRIBUTES} <= set(families)
    assert [
        (s.labels, s.value) for s in families["keyart_worker_records"].samples if s.name.endswith("_total")
    ] == [({"topic": "impressions"}, 7.0)]
    assert families["keyart_build_info"].samples[0].labels["version"]
    if Path("/proc/self/stat").exists():
        assert "process_start_time_seconds" in families


def test_a_taken_port_is_one_sentence_that_names_the_setting(registry: CollectorRegistry) -> None:
    """Two workers on one machine with one metrics_port: the second says what to change."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"metrics_port.*127\.0\.0\.1:{port}.*KEYART_METRICS_PORT"):
            health.serve(registry, "127.0.0.1", port)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "192.0.2.1", "x" * 64])
def test_an_address_of_another_machine_is_one_sentence_too(host: str, registry: CollectorRegistry) -> None:
    """A host that does not exist, is not ours or cannot be a name at all is told with its setting."""
    with pytest.raises(ConfigurationError, match=rf"metrics_host.*{re.escape(host)}.*KEYART_METRICS_HOST"):
        health.serve(registry, host, 0)


def test_the_page_of_metrics_is_what_the_code_makes() -> None:
    """docs/metrics.md is made by make docs; who changed a metric runs that."""
    assert (ROOT / "docs" / "metrics.md").read_text() == page()


def test_the_page_of_metrics_names_all_of_them() -> None:
    """Those of workers, and those that a serving node answers with."""
    named = set(re.findall(r"^\| `(\w+)` \|", page(), re.MULTILINE))
    for registry in registries().values():
        assert {name for name, _, _ in families(registry)} <= named
    assert {getattr(WorkerMetrics(CollectorRegistry()), name)._name for name in ATTRIBUTES} <= {
        name.removesuffix("_total") for name in named
    }


@pytest.mark.parametrize("who", sorted(registries()))
def test_every_metric_of_every_process_keeps_to_the_conventions(who: str) -> None:
    """Those that are made when somebody asks, too: prefix, unit, help, and labels that have an end."""
    for name, family, labels in families(registries()[who]):
        assert re.fullmatch(r"keyart_[a-z]+(_[a-z]+)*", name)
        assert re.fullmatch(r"[A-Z0-9].{10,}\.", family.documentation)
        assert (family.type == "counter") == name.endswith("_total")
        assert family.type != "histogram" or name.endswith(("_seconds", "_bytes"))
        assert set(labels) <= LABELS
