"""Probes: a worker that lives, one that stands still, one that is not ready; and what else its port answers."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from builders import some_settings
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.viewing import viewing_job
from stream import health
from stream.health import Pulse
from stream.metrics import WorkerMetrics
from stream.running.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator


class Probed:
    """A server whose worker is as a test says."""

    def __init__(self) -> None:
        self.live = self.ready = True
        self.server = health.serve(
            CollectorRegistry(), "127.0.0.1", 0, live=lambda: self.live, ready=lambda: self.ready
        )

    def get(self, path: str) -> tuple[int, Any]:
        """The status of a path, and its JSON."""
        try:
            with urlopen(f"http://127.0.0.1:{self.server.server_port}{path}", timeout=5) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture
def probed() -> Iterator[Probed]:
    """One, ended afterwards."""
    ours = Probed()
    yield ours
    ours.server.shutdown()
    ours.server.server_close()


@pytest.mark.parametrize(("path", "name"), [("/livez", "live"), ("/readyz", "ready")])
def test_a_probe_says_yes_or_no(probed: Probed, path: str, name: str) -> None:
    """By its status, which is all that a supervisor reads; each asks its own question."""
    assert probed.get(path) == (200, {name: True})
    setattr(probed, name, False)
    assert probed.get(path) == (503, {name: False})
    other = {"/livez": "/readyz", "/readyz": "/livez"}[path]
    assert probed.get(other)[0] == 200


def test_any_other_path_is_none(probed: Probed) -> None:
    """And says what there is."""
    status, told = probed.get("/healthz")
    assert status == 404
    assert all(path in told["error"] for path in ("/livez", "/readyz", "/metrics"))


def test_who_says_nothing_is_hung_up_on(
    probed: Probed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody holds a thread of a worker by a connection alone, and it is not worth a word."""
    monkeypatch.setattr(health._Quiet, "timeout", 0.05)
    for begun in (b"", b"GET /livez HTTP/1.1\r\nHost"):
        with socket.create_connection(("127.0.0.1", probed.server.server_port), timeout=5) as silent:
            silent.sendall(begun)
            assert silent.recv(1) == b""
    assert capsys.readouterr().err == ""


def test_no_call_of_a_loop_takes_longer_than_its_pulse_allows() -> None:
    """With the longest waits there are by default: reading on, reaching the cluster, a transaction's end."""
    settings = some_settings()
    limit = Pulse.of(settings).limit_seconds
    assert limit >= settings.poll_seconds + settings.connect_seconds + 3 * settings.transaction_seconds
    assert limit > 60  # tables are given so long to be read, see stream.kafka.TableReader.catch_up


def test_a_worker_shows_from_nought_what_it_will_count() -> None:
    """Before it has met a broker: it is not ready, its loop is young, and of its inputs it has read nothing."""
    registry, settings = CollectorRegistry(), some_settings(explore_share=0.1, popular_share=0.2)
    metrics = WorkerMetrics(registry)
    worker = Worker(settings, viewing_job(settings, CatalogueView(), metrics), metrics)
    value = registry.get_sample_value
    assert value("keyart_worker_ready") == 0
    assert 0 <= (value("keyart_worker_still_seconds") or 0) < 60
    assert worker.pulse.beats
    assert value("keyart_worker_records_total", {"topic": "plays"}) == 0
    assert value("keyart_worker_batch_seconds_count", {"topic": "plays"}) == 0
    assert value("keyart_policy_share_ratio", {"policy": "personal"}) == pytest.approx(0.7)


def test_lag_is_told_of_the_partitions_that_are_owned() -> None:
    """A partition that went to another worker is no longer told of here: its lag would stand still for ever."""
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    metrics.show_lag({("plays", 0): 5, ("plays", 1): 7})
    metrics.show_lag({("plays", 1): 8, ("plays", 2): 0})
    told = {
        (sample.labels["topic"], sample.labels["partition"]): sample.value
        for sample in metrics.lag.collect()[0].samples
    }
    assert told == {("plays", "1"): 8, ("plays", "2"): 0}
    metrics.show_lag({})
    assert not metrics.lag.collect()[0].samples
