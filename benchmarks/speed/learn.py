"""Learning: from columns in memory beside River and Vowpal Wabbit, and from raw records beside their decoders."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.speed import raw, vw
from benchmarks.speed.measure import Bar, Report, Row, alternate, core_seconds, ratio
from benchmarks.speed.workload import Workload, rules, settings
from stream.features import FeatureSpace
from stream.learning.sums import ArtworkSums

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.speed.workload import Looks

OVER_RIVER, OVER_VW = Bar(20.0), Bar(60.0)
_DIFFERENCE = Bar(1e-9, below=True)
#: The peers' speed does not depend on how long they are measured; so few of the records are enough.
_OF_RIVER, _OF_VW = 10, 40


def measure(
    records: int = 100_000,
    rounds: int = 5,
    features: int = 16,
    titles: int = 200,
    said: Callable[[str], None] = lambda _: None,
) -> Report:
    """Everything about learning.

    Parameters
    ----------
    records
        How many a round.
    rounds
        How often each side is measured.
    features, titles
        How many columns a model has, and how many titles there are with nine artworks each.
    said
        Told what is measured now.
    """
    report = Report(
        "learn",
        f"{titles} titles of 9 artworks, {features} features, {records:,} records a round, {rounds} rounds; "
        "a second of one core's processor time",
    )
    _columns(report, Workload(titles, features=features), records, rounds, said)
    raw.add_rows(report, Workload(titles, features=features, given=5), records, rounds, said)
    return report


class Columns:
    """Impressions as a learner's batch path has them once they are read: slots, and rows of numbers."""

    def __init__(self, work: Workload, looks: Looks, batch: int) -> None:
        slots = looks.title * work.artworks + looks.artwork
        space = FeatureSpace(work.columns)
        self.sums = ArtworkSums(work.columns)
        for _ in range(len(work.titles) * work.artworks):
            self.sums.new_slot()
        parts = [slice(start, start + batch) for start in range(0, len(slots), batch)]
        rewarded = [np.flatnonzero(looks.reward[part]) + part.start for part in parts]
        self._shown = [(slots[part], space.rows(looks.contexts[part])) for part in parts]
        self._earned = [
            (slots[which], space.rows([looks.contexts[i] for i in which]), looks.reward[which])
            for which in rewarded
        ]

    def learn(self) -> None:
        """All of them, with their rewards."""
        for (slots, rows), (rewarded, their_rows, reward) in zip(self._shown, self._earned, strict=True):
            self.sums.learn_impressions(slots, rows)
            self.sums.learn_rewards(rewarded, their_rows, reward, reward)


def _columns(report: Report, work: Workload, records: int, rounds: int, said: Callable[[str], None]) -> None:
    looks = work.looks(records)
    batch = settings().max_poll_records
    ours = Columns(work, looks, batch)
    sides: dict[str, Callable[[], float]] = {"ours": lambda: records / core_seconds(ours.learn)}
    few = max(records // _OF_RIVER, 1)
    sides["per artwork"] = _river_models(work, looks, few)
    sides["LinUCB"] = _river_bandits(work, looks, few)
    if vw.installed():
        sides["vw"] = _vowpal_wabbit(work, looks, max(records // _OF_VW, 1))
    for name, side in sides.items():  # the first time everything is cold, and River's models are still growing
        said(f"{name}, warming up")
        side()
    found = alternate(sides, rounds, said)
    over_river, over_bandit = (ratio(found["ours"], found[name]) for name in ("per artwork", "LinUCB"))
    report.rows += [
        Row.of(f"columns in memory, batches of {batch:,}", found["ours"], "updates/s"),
        Row.of(
            "River, BayesianLinearRegression.learn_one",
            *(found["per artwork"], "updates/s"),
            ratio=over_river,
            bar=OVER_RIVER,
        ),
        Row.of("River, LinUCBDisjoint.update", found["LinUCB"], "updates/s", ratio=over_bandit),
    ]
    report.figures |= {"updates_per_second": median(found["ours"]), "ratio_river": over_river}
    if "vw" in found:
        report.figures["ratio_vw"] = over_vw = ratio(found["ours"], found["vw"])
        report.rows.append(
            Row.of("Vowpal Wabbit, --cb_explore_adf, text", found["vw"], "updates/s", ratio=over_vw, bar=OVER_VW)
        )
    else:
        report.rows.append(Row("Vowpal Wabbit, --cb_explore_adf, text", None, "updates/s", note=vw.INSTALL))
    differs = difference_from_river(work, looks, few)
    report.figures["difference_from_river"] = differs
    report.rows.append(
        Row("the same means as River's models, to", differs, "", bar=_DIFFERENCE, note=f"{few:,} updates")
    )


def _with_bias(contexts: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    return [{"bias": 1.0} | context for context in contexts]


def _slots(work: Workload, looks: Looks, count: int) -> list[int]:
    found: list[int] = (looks.title[:count] * work.artworks + looks.artwork[:count]).tolist()
    return found


def _new_models(count: int) -> list[Any]:
    from river.linear_model import BayesianLinearRegression

    held = rules()
    return [BayesianLinearRegression(alpha=held.prior_precision, beta=held.noise_precision) for _ in range(count)]


def _river_models(work: Workload, looks: Looks, count: int) -> Callable[[], float]:
    models = _new_models(len(work.titles) * work.artworks)
    rows = list(
        zip(
            *(_slots(work, looks, count), _with_bias(looks.contexts[:count]), looks.reward[:count].tolist()),
            strict=True,
        )
    )

    def learn() -> None:
        for slot, context, reward in rows:
            models[slot].learn_one(context, reward)

    return lambda: count / core_seconds(learn)


def _river_bandits(work: Workload, looks: Looks, count: int) -> Callable[[], float]:
    from river.bandit import LinUCBDisjoint

    held = rules()
    bandits = [LinUCBDisjoint(alpha=held.prior_precision, beta=held.noise_precision, seed=1) for _ in work.titles]
    rows = list(
        zip(
            *(looks.title[:count].tolist(), looks.artwork[:count].tolist()),
            *(_with_bias(looks.contexts[:count]), looks.reward[:count].tolist()),
            strict=True,
        )
    )

    def learn() -> None:
        for title, artwork, context, reward in rows:
            bandits[title].update(artwork, context, reward)

    return lambda: count / core_seconds(learn)


def _vowpal_wabbit(work: Workload, looks: Looks, count: int) -> Callable[[], float]:
    peer = vw.VowpalWabbit()
    rows = zip(
        *(looks.contexts[:count], looks.title[:count].tolist(), looks.artwork[:count].tolist()),
        looks.reward[:count].tolist(),
        strict=True,
    )
    texts = [
        peer.taught_lines(context, title, work.artworks, artwork, reward)
        for context, title, artwork, reward in rows
    ]

    def learn() -> None:
        for lines in texts:
            peer.learn(lines)

    return lambda: count / core_seconds(learn)


def difference_from_river(work: Workload, looks: Looks, count: int) -> float:
    """How far the mean rewards of all artworks are from River's, learned one by one: the largest difference."""
    few = looks._replace(
        title=looks.title[:count],
        artwork=looks.artwork[:count],
        contexts=looks.contexts[:count],
        reward=looks.reward[:count],
    )
    ours = Columns(work, few, batch=1000)
    ours.learn()
    models = _new_models(len(work.titles) * work.artworks)
    contexts = _with_bias(few.contexts)
    for slot, context, reward in zip(_slots(work, few, count), contexts, few.reward.tolist(), strict=True):
        models[slot].learn_one(context, reward)
    held, worst = rules(), 0.0
    for slot, model in enumerate(models):
        mine = ours.sums.model(slot, held.prior_precision, held.noise_precision)
        for context in contexts[:3]:
            worst = max(worst, abs(mine.predict_one(context) - model.predict_one(context)))
    return worst
