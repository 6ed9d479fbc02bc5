"""What policies have earned, for Prometheus: the numbers of ``GET /live``, as gauges.

A title is a label here, so there are only the busiest. Which these are may change: a series of a title that is no
longer among them ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from consumers.serving.live import Live, Told
    from stream.worth.live import Earned, Lift, Worth

#: Of each policy: what a gauge is called, what it tells, and the field of :class:`~stream.worth.live.Earned`.
_EARNED = (
    ("impressions", "Impressions learned", "impressions"),
    ("plays", "Impressions that have earned a reward", "plays"),
    ("reward", "Reward that impressions have earned, 0 to 1 each", "reward"),
    ("take_rate_ratio", "Part of the impressions that have earned a reward", "take_rate"),
    ("take_rate_low_ratio", "Lower end of the take rate's always-valid 95 % interval", "low"),
    ("take_rate_high_ratio", "Upper end of the take rate's always-valid 95 % interval", "high"),
    ("mean_reward_ratio", "Reward for each impression", "mean_reward"),
    ("mean_reward_low_ratio", "Lower end of the mean reward's always-valid 95 % interval", "mean_reward_low"),
    ("mean_reward_high_ratio", "Upper end of the mean reward's always-valid 95 % interval", "mean_reward_high"),
)
#: The same of the personal choice relative to others; fields of :class:`~stream.worth.live.Lift`.
_LIFT = (
    ("lift_ratio", "Mean reward of the personal choice as a multiple of another policy's", "ratio"),
    ("lift_low_ratio", "Lower end of the lift's always-valid 95 % interval", "low"),
    ("lift_high_ratio", "Upper end of the lift's always-valid 95 % interval", "high"),
)


class LiveMetrics(Collector):
    """Tells Prometheus what :class:`~consumers.serving.live.Live` knows."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def collect(self) -> Iterator[Metric]:
        """Everything, as of now."""
        told = self._live.told()
        yield from _worth("keyart_live", "", [], [([], told.overall)])
        yield GaugeMetricFamily(
            "keyart_live_design_effect_ratio",
            "How many impressions are worth one that is independent of all others, as members come back.",
            told.overall.design_effect,
        )
        titles = [([title_id], worth) for title_id, worth in told.titles.items()]
        yield from _worth("keyart_live_title", ", of the busiest titles", ["title"], titles)
        yield from self._split()
        yield from _apprentice(told)

    def _split(self) -> Iterator[Metric]:
        split = self._live.split
        yield GaugeMetricFamily(
            "keyart_split_mismatch",
            "1 once members were found not to be split as the settings say, 0 before.",
            float(split.mismatch),
        )
        members = GaugeMetricFamily(
            "keyart_split_members",
            "Members counted to see whether they are split as the settings say; of many a part.",
            labels=["policy"],
        )
        for policy, count in split.counts.items():
            members.add_metric([policy], count)
        yield members


def _worth(prefix: str, about: str, labels: list[str], worths: list[tuple[list[str], Worth]]) -> Iterator[Metric]:
    """The gauges of what policies have earned; one that has no number yet is not there."""
    for name, text, field in _EARNED:
        of = [([*who, policy], earned) for who, worth in worths for policy, earned in worth.policies.items()]
        yield _gauge(f"{prefix}_{name}", f"{text}, by policy{about}.", [*labels, "policy"], of, field)
    for name, text, field in _LIFT:
        over = [([*who, policy], lift) for who, worth in worths for policy, lift in worth.lift.items()]
        yield _gauge(f"{prefix}_{name}", f"{text}, by that policy{about}.", [*labels, "over"], over, field)


def _gauge(
    name: str,
    text: str,
    labels: list[str],
    of: list[tuple[list[str], Earned]] | list[tuple[list[str], Lift]],
    field: str,
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for who, what in of:
        value = getattr(what, field)
        if value is not None:
            family.add_metric(who, value)
    return family


def _apprentice(told: Told) -> Iterator[Metric]:
    """How Keyart's advice compares with the app's own choices, if there are any."""
    app, advice = told.overall.policies.get("app"), told.advice
    if app is None:
        return
    yield GaugeMetricFamily(
        "keyart_apprentice_agreement_ratio",
        "Part of the app's own choices that Keyart would have made too.",
        told.overall.agreed.impressions / app.impressions,
    )
    both = [(["yes"], told.overall.agreed), (["no"], told.overall.disagreed)]
    for name, text, field in _EARNED[-3:]:
        yield _gauge(f"keyart_apprentice_{name}", f"{text}, by whether Keyart agreed.", ["agreed"], both, field)
    if advice.impressions:
        yield GaugeMetricFamily(
            "keyart_apprentice_advised_mean_reward_ratio",
            "Reward for each impression if all of a title's were worth those that Keyart agreed with.",
            advice.advised / advice.impressions,
        )
