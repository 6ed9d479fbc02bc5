"""The graph: every edge has two ends, and what is promised of a topic is in its settings."""

from __future__ import annotations

import numpy as np
import pytest
from builders import START_MS, some_impression, some_settings, some_title
from prometheus_client import CollectorRegistry

from consumers.catalogue_view import CatalogueView
from consumers.learner import learner_job
from consumers.viewing import viewing_job
from stream.codec import encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.publication import Publication
from stream.metrics import WorkerMetrics
from stream.records import MAX_ARTWORKS, MAX_FEATURES, Artwork
from stream.topics import ALL, CATALOGUE, DEAD_LETTERS, MAX_MESSAGE_BYTES, SHARED_PRIOR, Key, Kind

DAY_MS = 86_400_000


def job(make):
    """A job as a worker gets it."""
    return make(some_settings(), CatalogueView(), WorkerMetrics(CollectorRegistry()))


@pytest.mark.parametrize("make", [learner_job, viewing_job], ids=lambda make: make.__name__)
def test_jobs_follow_the_graph(make):
    """What a job reads and writes is what the graph says of its worker, its own changelog alone included."""
    worker = job(make)
    reads = {*worker.inputs, *worker.tables, worker.changelog}
    writes = {*worker.outputs, worker.changelog}
    assert {topic for topic in ALL if worker.name in topic.read_by} - {SHARED_PRIOR} == reads - {SHARED_PRIOR}
    assert {topic for topic in ALL if worker.name in topic.written_by} - {SHARED_PRIOR} == writes - {SHARED_PRIOR}


@pytest.mark.parametrize("make", [learner_job, viewing_job], ids=lambda make: make.__name__)
def test_what_meets_in_a_worker_has_one_key(make):
    """Inputs and changelog of a worker are partitioned alike: streams in, a table kept."""
    worker = job(make)
    assert len({topic.key for topic in (*worker.inputs, worker.changelog)}) == 1
    assert all(topic.kind is Kind.STREAM for topic in worker.inputs)
    assert worker.changelog.kind is Kind.TABLE
    assert all(topic.kind is Kind.TABLE for topic in worker.tables)


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_its_settings_are_its_kind(topic):
    """A table is compacted and never deleted by age; a stream is deleted by age and never compacted."""
    config = topic.config()
    assert topic.full_name("a.b-") == "a.b-" + topic.name
    if topic.kind is Kind.TABLE:
        assert config["cleanup.policy"] == "compact"
        assert "retention.ms" not in config
        assert int(config["delete.retention.ms"]) >= DAY_MS
    else:
        assert config["cleanup.policy"] == "delete"
        assert int(config["retention.ms"]) >= 7 * DAY_MS
    assert all(isinstance(value, str) for value in config.values())


@pytest.mark.parametrize("topic", ALL, ids=lambda topic: topic.name)
def test_the_largest_record_fits(topic):
    """What workers write may be as large as their largest record; what apps write keeps the broker's limit."""
    given = topic.config().get("max.message.bytes")
    assert given == (None if "app" in topic.written_by else str(MAX_MESSAGE_BYTES))


def test_the_largest_snapshot_is_no_larger():
    """A title with as many artworks and features as there may be, every number at its longest."""
    columns = ("bias", *(f"{n:0128}" for n in range(MAX_FEATURES)))
    book = TitleBook(columns, LearningRules(10.0, 20.0, 1.0))
    ids = [f"{n:0128}" for n in range(MAX_ARTWORKS)]
    title = some_title("t" * 128, [Artwork(artwork_id, {}, "c" * 128) for artwork_id in ids])
    book.learn_impressions([some_impression(title_id=title.title_id, artwork_id=artwork_id) for artwork_id in ids])
    rng = np.random.default_rng(1)
    rows = rng.random((100, len(columns)))
    book.sums.gram[:] = rows.T @ rows
    book.sums.moment[:] = rng.random(len(columns))
    assert len(encode_fields(Publication(book).snapshot(title, START_MS))) < MAX_MESSAGE_BYTES
    assert len(encode_fields(book.store(title.title_id))) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize("topic", [t for t in ALL if t.record is not None], ids=lambda topic: topic.name)
def test_a_record_holds_its_key(topic):
    """A public topic's record has the field it is keyed by."""
    assert topic.key.value in topic.record.__struct_fields__


def test_names_are_unique_and_the_catalogue_is_first():
    """No two topics share a name; whoever creates them can publish titles first."""
    assert len({topic.name for topic in ALL}) == len(ALL) == 10
    assert ALL[0] is CATALOGUE
    assert DEAD_LETTERS.key is Key.ORIGINAL
