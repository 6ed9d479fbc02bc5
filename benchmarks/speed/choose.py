"""Choosing a page: every artwork and how likely it was to be chosen, beside Vowpal Wabbit and River."""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.arrived import Arrived
from benchmarks.speed import vw
from benchmarks.speed.measure import Bar, Report, Row, alternate, ratio
from benchmarks.speed.workload import PREFIX, Workload, rules, settings
from consumers import ArtworkChooser
from stream.choosing.choice import key_of, time_buckets
from stream.choosing.page import choose_artworks
from stream.choosing.servable import ServableTitle
from stream.codec import encode
from stream.records import Snapshot, Taste
from stream.topics import CATALOGUE, SNAPSHOTS, TASTES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from consumers.chooser.follower import Handlers
    from stream.records import Record, Title
    from stream.settings import Settings
    from stream.topics import Topic

P50, P99 = Bar(0.25, below=True), Bar(0.6, below=True)
OVER_RIVER, OVER_VW = Bar(25.0), Bar(5.0)
_SAME = Bar(1e-9, below=True)
_FLOOR, _EXPLORATION = settings().uniform_floor, settings().exploration
_NOW_MS = 1_760_000_000_000
_BUCKET_MS = 7 * 24 * 3_600_000
#: River needs long for a page, and Vowpal Wabbit longer than we do.
_OF_RIVER, _OF_VW = 20, 4
_LOOKS_A_TITLE = 900


def measure(
    pages: int = 2000,
    rounds: int = 5,
    titles: int = 40,
    artworks: int = 9,
    features: int = 16,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Everything about choosing.

    Parameters
    ----------
    pages
        How many a round, each for another member.
    rounds
        How often each side is measured.
    titles, artworks, features
        Titles on a page, artworks of each, and how many columns a model has.
    said
        Told what is measured now.
    """
    work = Workload(titles, artworks, features)
    said("learning what is chosen from")
    snapshots = work.snapshots(work.taught(_LOOKS_A_TITLE))
    members = [f"member-{number:07}" for number in range(pages)]
    contexts = work.contexts(pages)
    served = [ServableTitle(snapshot) for snapshot in snapshots]
    took: dict[str, list[float]] = {}

    def timed(name: str, calls: Sequence[Callable[[], object]]) -> Callable[[], float]:
        took[name] = []

        def once() -> float:
            seconds = []
            for call in calls:
                begun = time.perf_counter()
                call()
                seconds.append(1000.0 * (time.perf_counter() - begun))
            took[name] += seconds
            return median(seconds)

        return once

    with _chooser(work.titles, snapshots, members, contexts) as chooser:
        ids = [title.title_id for title in work.titles]
        sides = {
            "ours": timed("ours", page_calls(served, members, contexts)),
            "chooser": timed("chooser", [partial(chooser.choose_page, one, ids) for one in members]),
            "river": timed("river", _river(work, contexts[: max(pages // _OF_RIVER, 1)])),
        }
        if vw.installed():
            sides["vw"] = timed("vw", _vowpal_wabbit(work, contexts[: max(pages // _OF_VW, 1)]))
        for name, side in sides.items():
            said(f"{name}, warming up")
            side()
            took[name].clear()
        found = alternate(sides, rounds, said)
    report = Report(
        "choose",
        f"a page of {titles} titles of {artworks} artworks, {features} features, {pages:,} members, {rounds} "
        "rounds; medians are of rounds, p99 of all pages",
    )
    p99 = {name: float(np.quantile(seconds, 0.99)) for name, seconds in took.items()}
    over_river = ratio(found["river"], found["ours"])
    report.rows += [
        Row.of("a page with propensities, p50", found["ours"], "ms", bar=P50),
        Row("a page with propensities, p99", p99["ours"], "ms", bar=P99),
        Row.of("ArtworkChooser.choose_page, with signed tokens, p50", found["chooser"], "ms"),
        Row("ArtworkChooser.choose_page, with signed tokens, p99", p99["chooser"], "ms"),
        Row.of(
            "River, predict_one(with_dist) per artwork, p50",
            found["river"],
            "ms",
            ratio=over_river,
            bar=OVER_RIVER,
        ),
    ]
    report.figures |= {
        "milliseconds": {"p50": median(found["ours"]), "p99": p99["ours"]},
        "milliseconds_choose_page": {"p50": median(found["chooser"]), "p99": p99["chooser"]},
        "ratio_river": over_river,
    }
    if "vw" in found:
        report.figures["ratio_vw"] = over_vw = ratio(found["vw"], found["ours"])
        report.rows.append(
            Row.of("Vowpal Wabbit, predict from text, p50", found["vw"], "ms", ratio=over_vw, bar=OVER_VW)
        )
    else:
        report.rows.append(Row("Vowpal Wabbit, predict from text, p50", None, "ms", note=vw.INSTALL))
    differs = difference_from_one_by_one(served, members[:50], contexts[:50])
    report.figures["difference_from_one_by_one"] = differs
    report.rows.append(Row("the same choices and propensities as title by title, to", differs, "", bar=_SAME))
    return report


def _one_page(
    served: Sequence[ServableTitle], keys: Any, member: str, context: dict[str, float]
) -> tuple[list[int], list[float]]:
    member_key = key_of(member)
    buckets = time_buckets(member_key, keys, _NOW_MS, _BUCKET_MS)
    places, propensities = choose_artworks(
        *(served, context, "personal", member_key, buckets), floor=_FLOOR, exploration=_EXPLORATION
    )
    return places.tolist(), propensities.tolist()


def _keys(served: Sequence[ServableTitle]) -> Any:
    return np.array([title.key for title in served], dtype=np.uint64)


def page_calls(
    served: Sequence[ServableTitle], members: Sequence[str], contexts: Sequence[dict[str, float]]
) -> list[Callable[[], object]]:
    """Chooses a page for each member."""
    keys = _keys(served)
    return [
        partial(_one_page, served, keys, member, context)
        for member, context in zip(members, contexts, strict=True)
    ]


def difference_from_one_by_one(
    served: Sequence[ServableTitle], members: Sequence[str], contexts: Sequence[dict[str, float]]
) -> float:
    """How far propensities of pages are from those of titles chosen one by one; infinite if a choice differs."""
    worst = 0.0
    keys = _keys(served)
    for member, context in zip(members, contexts, strict=True):
        places, propensities = _one_page(served, keys, member, context)
        for number, title in enumerate(served):
            (place,), (propensity,) = _one_page([title], keys[number : number + 1], member, context)
            worst = max(worst, abs(propensity - propensities[number]) if place == places[number] else np.inf)
    return float(worst)


class _Tables:
    """What a chooser follows, in memory: applied at once, and nothing comes after."""

    def __init__(self, handlers: Handlers, records: dict[Topic, list[Record]]) -> None:
        for topic, apply in handlers.items():
            name = topic.full_name(PREFIX)
            apply([Arrived(name, 0, i, _NOW_MS, _key(one), encode(one)) for i, one in enumerate(records[topic])])

    def poll(self, seconds: float) -> int:
        time.sleep(seconds)
        return 0

    def catch_up(self, seconds: float) -> int:
        return 0

    def close(self) -> None:
        """There is nothing to hang up."""


def _key(record: Record) -> bytes:
    return str(getattr(record, "member_id", None) or getattr(record, "title_id", "")).encode()


def _chooser(
    titles: Sequence[Title],
    snapshots: Sequence[Snapshot],
    members: Sequence[str],
    contexts: Sequence[dict[str, float]],
) -> ArtworkChooser:
    tastes = [Taste(member, _NOW_MS, 9, context) for member, context in zip(members, contexts, strict=True)]
    records: dict[Topic, list[Record]] = {CATALOGUE: [*titles], SNAPSHOTS: [*snapshots], TASTES: [*tastes]}

    def open_tables(_: Settings, handlers: Handlers) -> _Tables:
        return _Tables(handlers, records)

    from pydantic import SecretStr

    signed = settings(
        token_secrets=(SecretStr("a secret of the benchmark"),), explore_share=0.0, popular_share=0.0
    )
    chooser = ArtworkChooser(signed, now_ms=lambda: _NOW_MS, open_tables=open_tables)
    chooser.wait_ready(60)
    return chooser


def _river(work: Workload, contexts: Sequence[dict[str, float]]) -> list[Callable[[], object]]:
    """The upper bound of each artwork, as ``LinUCBDisjoint.pull`` has it, and the largest: no propensity."""
    from river.bandit import LinUCBDisjoint

    held = rules()
    bandits = [LinUCBDisjoint(alpha=held.prior_precision, beta=held.noise_precision, seed=1) for _ in work.titles]
    arms = list(range(work.artworks))
    looks = work.looks(20 * len(arms) * len(bandits))
    rows = zip(looks.title.tolist(), looks.artwork.tolist(), looks.contexts, looks.reward.tolist(), strict=True)
    for title, artwork, context, reward in rows:
        bandits[title].update(artwork, {"bias": 1.0} | context, reward)

    def page(context: dict[str, float]) -> None:
        for bandit in bandits:
            bandit.pull(arms, context=context)

    return [partial(page, {"bias": 1.0} | one) for one in contexts]


def _vowpal_wabbit(work: Workload, contexts: Sequence[dict[str, float]]) -> list[Callable[[], object]]:
    peer = vw.VowpalWabbit()
    looks = work.looks(2000)
    rows = zip(looks.title.tolist(), looks.artwork.tolist(), looks.contexts, looks.reward.tolist(), strict=True)
    for title, artwork, context, reward in rows:
        peer.learn(peer.taught_lines(context, title, work.artworks, artwork, reward))
    texts = [
        [peer.lines(context, title, work.artworks) for title in range(len(work.titles))] for context in contexts
    ]

    def page(text: list[list[str]]) -> None:
        for lines in text:
            peer.predict(lines)

    return [partial(page, text) for text in texts]
