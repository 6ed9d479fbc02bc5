"""Publishing every changed title: from sums to snapshots, beside a loop that solves artwork after artwork."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any

import lz4.frame
import numpy as np
from prometheus_client import CollectorRegistry

from benchmarks.arrived import Arrived
from benchmarks.speed.measure import Bar, Report, Row, alternate, core_seconds, ratio
from benchmarks.speed.workload import PREFIX, Workload, arrived
from consumers.catalogue_view import CatalogueView
from consumers.chooser.view import ServingView
from consumers.learner import SharedPriorView
from consumers.learner.publishing import Publisher
from stream.codec import decode
from stream.learning.gathering import gather
from stream.learning.lessons import Lessons, learn_from
from stream.learning.posterior import solve, unpack_lower
from stream.learning.prior import priors
from stream.metrics import WorkerMetrics
from stream.records import Snapshot
from stream.topics import SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from stream.kafka import Output
    from stream.learning.book import TitleBook

    Floats = NDArray[np.float64]

_SAME = Bar(1e-9, below=True)
_NOW_MS = 1_760_000_000_000
_LOOKS_A_TITLE = 900


def measure(
    titles: int = 200,
    rounds: int = 5,
    features: int = 16,
    artworks: int = 9,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Everything about publishing.

    Parameters
    ----------
    titles, artworks, features
        How many titles have changed, artworks of each, and how many columns a model has.
    rounds
        How often each side is measured.
    said
        Told what is measured now.
    """
    work = Workload(titles, artworks, features)
    said("learning what is published")
    book = work.taught(_LOOKS_A_TITLE)
    sums, taught = gather(book, work.titles), learn_from(Lessons.none(work.columns))
    start = priors(sums, taught)
    of = sums.title_of
    parts = sums.gram, sums.moment, start.prior_precision[of], start.noise_precision[of], start.prior_mean
    publish = publishing(work, book)
    count = titles * artworks

    def each(call: Callable[[], object]) -> Callable[[], float]:
        return lambda: 1e6 * core_seconds(call) / count

    published = publish()
    messages = _on_topic(published)

    def take_in() -> None:
        view = ServingView()
        view.apply_catalogue(arrived(work.titles, _NOW_MS))
        view.apply_snapshots(messages)

    sides = {
        "publish": each(publish),
        "solve": each(lambda: solve(*parts)),
        "loop": each(lambda: one_by_one(*parts)),
        "intake": each(take_in),
    }
    for name, side in sides.items():
        said(f"{name}, warming up")
        side()
    found = alternate(sides, rounds, said)
    values = [output.value or b"" for output in published]
    over_loop = ratio(found["loop"], found["solve"])
    of_all = ratio(found["publish"], found["solve"])
    size, compressed = (
        sum(map(len, some)) / len(values) for some in (values, [lz4.frame.compress(value) for value in values])
    )
    differs = difference_from_loop(values, *one_by_one(*parts), artworks)
    report = Report(
        "publish",
        f"{titles} titles of {artworks} artworks, {features} features, all changed, {rounds} rounds; microseconds "
        "of processor time an artwork",
    )
    report.rows += [
        Row.of(
            *("published: gathered, solved, checked, held, written", found["publish"], "µs"),
            note=f"{of_all:.1f} x the solving alone",
        ),
        Row.of("of that: solved together", found["solve"], "µs"),
        Row.of("solved artwork by artwork, NumPy in a loop", found["loop"], "µs", ratio=over_loop),
        Row.of("a serving node takes them in", found["intake"], "µs"),
        Row("a snapshot, JSON", size, "bytes", note=f"{artworks} artworks"),
        Row("a snapshot, LZ4 as on the topic", compressed, "bytes"),
        Row("the same posteriors as the loop's, to", differs, "", bar=_SAME),
    ]
    report.figures |= {
        "microseconds_per_artwork": median(found["publish"]),
        "microseconds_per_artwork_solved": median(found["solve"]),
        "microseconds_per_artwork_taken_in": median(found["intake"]),
        "ratio_loop": over_loop,
        "bytes_per_snapshot": {"json": size, "lz4": compressed},
        "difference_from_loop": differs,
    }
    return report


def _on_topic(published: Sequence[Output]) -> list[Arrived]:
    """What was published, as a serving node reads it."""
    name = SNAPSHOTS.full_name(PREFIX)
    return [Arrived(name, 0, i, _NOW_MS, one.key, one.value) for i, one in enumerate(published)]


def publishing(work: Workload, book: TitleBook, titles: int | None = None) -> Callable[[], list[Output]]:
    """Publishes titles, the first so many or all, as if something had been learned of each since the last time."""
    catalogue = CatalogueView()
    catalogue.apply(arrived(work.titles, _NOW_MS))
    publisher = Publisher(0, book, catalogue, WorkerMetrics(CollectorRegistry()), shared=SharedPriorView())
    named = [title.title_id for title in work.titles[:titles]]
    for _ in publisher.publish(_NOW_MS, math.inf):  # all of them once, because they are new
        pass

    def publish() -> list[Output]:
        for title_id in named:
            book.titles[title_id].version += 1
        publisher.mark(named)
        return list(publisher.publish(_NOW_MS, math.inf))

    return publish


def one_by_one(
    gram: Floats, moment: Floats, prior_precision: Floats, noise_precision: Floats, prior_mean: Floats
) -> tuple[list[Floats], list[Floats]]:
    """Mean and factor of each posterior, as anybody would write it: the inverse, its factor, a product."""
    means, factors = [], []
    for number in range(len(gram)):
        prior, noise = prior_precision[number], noise_precision[number]
        covariance = np.linalg.inv(np.diag(prior) + noise * gram[number])
        factors.append(np.linalg.cholesky(covariance))
        means.append(covariance @ (prior * prior_mean[number] + noise * moment[number]))
    return means, factors


def difference_from_loop(
    values: Sequence[bytes], means: Sequence[Floats], factors: Sequence[Floats], artworks: int
) -> float:
    """How far what was published is from the loop's posteriors: the largest difference of a number."""
    worst = 0.0
    for title, value in enumerate(values):
        snapshot: Any = decode(Snapshot, value, limit=None)
        for place, artwork in enumerate(snapshot.artworks):
            mean, factor = means[title * artworks + place], factors[title * artworks + place]
            told = unpack_lower(np.array(artwork.factor), len(mean))
            worst = max(worst, np.abs(mean - artwork.mean).max(), np.abs(factor - told).max())
    return float(worst)
