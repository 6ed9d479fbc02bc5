"""What must have been learned, counted again from the records alone: the contract's arithmetic, none of our code.

Takes and returns plain dictionaries and NumPy arrays.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from traffic import HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Fields = dict[str, Any]
ATTRIBUTION_MS = 24 * HOUR_MS
MIN_SECONDS = 120
FULL_FRACTION = 0.3


@dataclass
class Rows:
    """One artwork's impressions, each with its reward: what a model trained afterwards would be given."""

    contexts: list[Fields] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)

    @property
    def plays(self) -> int:
        """How many impressions were rewarded."""
        return sum(reward > 0 for reward in self.rewards)

    def design(self, features: Sequence[str]) -> np.ndarray:
        """The rows as a matrix with one column per feature; the bias is 1 and what is missing 0."""
        return np.array(
            [[1.0 if name == "bias" else context.get(name, 0.0) for name in features] for context in self.contexts]
        ).reshape(len(self.contexts), len(features))

    def sums(self, features: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """S = Σ x xᵀ and c = Σ r x."""
        x = self.design(features)
        return x.T @ x, x.T @ np.array(self.rewards)


def joined(shown: Iterable[Fields], reward_of: dict[str, float]) -> dict[tuple[str, str], Rows]:
    """Impressions and their rewards, by title and artwork."""
    rows: dict[tuple[str, str], Rows] = defaultdict(Rows)
    for impression in shown:
        of = rows[impression["title_id"], impression["artwork_id"]]
        of.contexts.append(impression["context"])
        of.rewards.append(reward_of.get(impression["impression_id"], 0.0))
    return rows


def by_policy(shown: Iterable[Fields], rewards: Iterable[Fields]) -> dict[str, dict[str, list[float]]]:
    """Impressions, rewarded impressions and reward of each title, by the policy that chose."""
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0, 0.0]))
    for impression in shown:
        sums[impression["title_id"]][impression["policy"]][0] += 1
    latest = {}
    for change in rewards:
        sums[change["title_id"]][change["policy"]][2] += change["credit"]
        latest[change["impression_id"]] = change
    for change in latest.values():
        sums[change["title_id"]][change["policy"]][1] += change["reward"] > 0
    return sums


def once(shown: Iterable[Fields]) -> list[Fields]:
    """The impressions without their repetitions."""
    return list({impression["impression_id"]: impression for impression in shown}.values())


def once_within(shown: Iterable[Fields], span_ms: int) -> list[Fields]:
    """The impressions of one partition, in its order, without what was repeated within a span of event time."""
    seen: set[str] = set()
    through_ms, kept = 0, []
    for impression in shown:
        through_ms = max(through_ms, impression["shown_ms"])
        young = impression["shown_ms"] >= through_ms - span_ms
        if young and impression["impression_id"] in seen:
            continue
        seen.add(impression["impression_id"])
        kept.append(impression)
    return kept


@dataclass(frozen=True)
class Limits:
    """How much a member's plays of a day may earn; 0 is no limit."""

    plays_per_day: int = 0
    title_once: bool = False
    flood_plays: int = 0


def credited(
    played: Iterable[Fields], titles: dict[str, Fields], limits: Limits | None = None
) -> dict[str, float]:
    """Each impression's reward: the largest of its plays, each as its latest record within the window has it."""
    rewards: dict[str, float] = {}
    attributable = [play for play in played if _is_attributable(play)]
    allowed = None if limits is None else _within(limits, attributable, titles)
    for play in _latest(attributable):
        name = play["impression"]["impression_id"]
        if allowed is None or name in allowed:
            rewards[name] = max(rewards.get(name, 0.0), _reward(play, titles))
    return rewards


def _within(limits: Limits, played: Iterable[Fields], titles: dict[str, Fields]) -> set[str]:
    """The impressions that may be credited: of each member's day those worth most, by all that was reported."""
    days: dict[tuple[str, int], dict[str, tuple[float, int, str, str]]] = defaultdict(dict)
    plays: dict[tuple[str, int], set[str]] = defaultdict(set)
    for play in played:
        shown, reward = play["impression"], _reward(play, titles)
        if reward > 0:
            day = play["member_id"], shown["shown_ms"] // (24 * HOUR_MS)
            name = shown["impression_id"]
            rank = -reward, shown["shown_ms"], name, shown["title_id"]
            days[day][name] = min(days[day].get(name, rank), rank)
            plays[day].add(play["play_id"])
    allowed: set[str] = set()
    for day, ranks in days.items():
        if limits.flood_plays and len(plays[day]) > limits.flood_plays:
            continue
        best, seen = [], set()
        for _, _, name, title_id in sorted(ranks.values()):
            if not (limits.title_once and title_id in seen):
                best.append(name)
            seen.add(title_id)
        allowed.update(best[: limits.plays_per_day or None])
    return allowed


def views(played: Iterable[Fields], titles: dict[str, Fields]) -> dict[str, int]:
    """How many plays of each member were worth anything, whatever led to them."""
    return dict(Counter(play["member_id"] for play in _latest(played) if _reward(play, titles) > 0))


def _latest(played: Iterable[Fields]) -> Iterable[Fields]:
    """The last record of each play: the one that was watched last, in whatever order they come."""
    last: dict[tuple[str, str], Fields] = {}
    for play in played:
        key = play["member_id"], play["play_id"]
        if key not in last or _when(play) > _when(last[key]):
            last[key] = play
    return last.values()


def _when(play: Fields) -> tuple[int, float]:
    return play["played_ms"], play["watched_seconds"]


def _is_attributable(play: Fields) -> bool:
    impression = play["impression"]
    return impression is not None and play["played_ms"] - impression["shown_ms"] <= ATTRIBUTION_MS


def _reward(play: Fields, titles: dict[str, Fields]) -> float:
    watched, runtime = play["watched_seconds"], titles[play["title_id"]]["runtime_seconds"]
    return 0.0 if watched < MIN_SECONDS else min(watched / (FULL_FRACTION * runtime), 1.0)


def added_up(changes: Iterable[Fields]) -> dict[str, float]:
    """Each impression's reward, from its credits."""
    rewards: dict[str, float] = defaultdict(float)
    for change in changes:
        rewards[change["impression_id"]] += change["credit"]
    return {impression_id: reward for impression_id, reward in rewards.items() if abs(reward) > 1e-12}


def unpacked(lower: Sequence[float], d: int) -> np.ndarray:
    """A lower triangular matrix from its rows."""
    matrix = np.zeros((d, d))
    matrix[np.tril_indices(d)] = lower
    return matrix
