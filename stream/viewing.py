"""From plays to credit and taste: pure logic, one member at a time.

A play's reward follows from how much of the title was watched. Each impression is credited once, with the largest
reward of its plays; a later record of a play supersedes an earlier one, and what changes is the *difference*.
What a member's plays have earned so far is remembered as long as it can still change, so a play counts once
however late it is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from stream.features import CAST_PREFIX
from stream.records import MAX_FEATURES, Impression, Play, RewardChange, Taste

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stream.settings import Settings

_HOUR_MS = 3_600_000
#: How much a play's clock may lag behind the clock of the impression that led to it.
CLOCK_SKEW_MS = 5 * 60_000
#: Smaller weights are nothing: rounding left them when a play was superseded.
_TINY = 1e-9

#: What became of a play: it changed something, was known already, or came when nothing could change any more.
Outcome = Literal["counted", "duplicate", "late"]


@dataclass(frozen=True, slots=True)
class ViewingRules:
    """The settings that decide what a play is worth. Times in milliseconds."""

    min_seconds: float
    full_fraction: float
    attribution_ms: int
    late_ms: int
    half_life_ms: float

    @classmethod
    def of(cls, settings: Settings) -> ViewingRules:
        """From the settings in force."""
        return cls(
            min_seconds=settings.min_seconds,
            full_fraction=settings.full_fraction,
            attribution_ms=round(settings.attribution_hours * _HOUR_MS),
            late_ms=round(settings.late_hours * _HOUR_MS),
            half_life_ms=settings.taste_half_life_days * 24 * _HOUR_MS,
        )


def reward_of(watched_seconds: float, runtime_seconds: float, rules: ViewingRules) -> float:
    """What watching so long is worth, in [0, 1]: a short look is worth nothing, a real part of it everything.

    >>> rules = ViewingRules(120, 0.3, 24 * _HOUR_MS, _HOUR_MS, 1e9)
    >>> [reward_of(seconds, 6000, rules) for seconds in (119, 900, 1800, 5000)]
    [0.0, 0.5, 1.0, 1.0]
    """
    if watched_seconds < rules.min_seconds:
        return 0.0
    return min(watched_seconds / (rules.full_fraction * runtime_seconds), 1.0)


class PlayState(Struct):
    """What one play has been worth so far.

    ``reward`` counts for the taste; ``credit`` is what its impression has of it, which no longer changes once the
    play has outlasted the attribution window. ``impression_id`` is None if no impression can be credited.
    """

    played_ms: int
    watched_seconds: float
    reward: float
    expires_ms: int
    credit: float = 0.0
    impression_id: str | None = None


class Member(Struct):
    """A member's taste, and the plays whose worth can still change.

    ``weights`` are those at ``taste_ms``; they halve with every half-life. ``through_ms`` is the latest time the
    member was seen playing anything.
    """

    views: int = 0
    taste_ms: int = 0
    through_ms: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    plays: dict[str, PlayState] = field(default_factory=dict)

    def watch(
        self, play: Play, themes: Mapping[str, float], runtime_seconds: float, rules: ViewingRules
    ) -> tuple[Outcome, RewardChange | None]:
        """Take in one record of a play.

        Parameters
        ----------
        play
            The record.
        themes, runtime_seconds
            Of the title that was watched.
        rules
            What a play is worth.

        Returns
        -------
        What became of it, and the change of its impression's reward if there is one.
        """
        self.through_ms = max(self.through_ms, play.played_ms)
        self._forget_settled()
        impression = _attributable(play, rules)
        start_ms = play.played_ms if impression is None else impression.shown_ms
        expires_ms = start_ms + rules.attribution_ms + rules.late_ms
        known = self.plays.get(play.play_id)
        if known is None and expires_ms < self.through_ms:
            return "late", None
        if known is not None and (play.played_ms, play.watched_seconds) <= (
            known.played_ms,
            known.watched_seconds,
        ):
            return "duplicate", None
        reward = reward_of(play.watched_seconds, runtime_seconds, rules)
        if known is None:
            impression_id = None if impression is None else impression.impression_id
            state = PlayState(
                play.played_ms, play.watched_seconds, reward, expires_ms, impression_id=impression_id
            )
            self.plays[play.play_id] = state
            self._taste(play.played_ms, reward, themes, rules)
            self.views += reward > 0
        else:
            state = known
            self._taste(known.played_ms, -known.reward, themes, rules)
            self._taste(play.played_ms, reward, themes, rules)
            self.views += (reward > 0) - (known.reward > 0)
            state.played_ms, state.watched_seconds, state.reward = play.played_ms, play.watched_seconds, reward
        self._tidy()
        if impression is None or state.impression_id != impression.impression_id:
            return "counted", None
        before = self._earned(state.impression_id)
        state.credit = reward
        total = self._earned(state.impression_id)
        if total == before:
            return "counted", None
        return "counted", RewardChange(
            impression_id=impression.impression_id,
            shown_ms=impression.shown_ms,
            credited_ms=play.played_ms,
            title_id=impression.title_id,
            artwork_id=impression.artwork_id,
            context=impression.context,
            policy=impression.policy,
            propensity=impression.propensity,
            credit=total - before,
            reward=total,
        )

    def taste(self, member_id: str) -> Taste:
        """The taste as shares: those of people sum to 1, those of other themes likewise."""
        people = {k: w for k, w in self.weights.items() if k.startswith(CAST_PREFIX)}
        others = {k: w for k, w in self.weights.items() if not k.startswith(CAST_PREFIX)}
        return Taste(member_id, self.taste_ms, self.views, _shares(others) | _shares(people))

    def _earned(self, impression_id: str | None) -> float:
        """An impression's reward so far: the largest credit of its plays."""
        return max((p.credit for p in self.plays.values() if p.impression_id == impression_id), default=0.0)

    def _forget_settled(self) -> None:
        """Drop the plays that nothing can change any more."""
        settled = [play_id for play_id, play in self.plays.items() if play.expires_ms < self.through_ms]
        for play_id in settled:
            del self.plays[play_id]

    def _taste(self, at_ms: int, amount: float, themes: Mapping[str, float], rules: ViewingRules) -> None:
        """Add to the weights, as of when it was watched."""
        if at_ms > self.taste_ms:
            if self.weights:
                fade = 2.0 ** ((self.taste_ms - at_ms) / rules.half_life_ms)
                self.weights = {theme: weight * fade for theme, weight in self.weights.items()}
            self.taste_ms = at_ms
        scaled = amount * 2.0 ** ((at_ms - self.taste_ms) / rules.half_life_ms)
        for theme, tag in themes.items():
            self.weights[theme] = self.weights.get(theme, 0.0) + scaled * tag

    def _tidy(self) -> None:
        """Drop what rounding left, and the least of more themes than a context may hold."""
        people = sorted(
            ((w, k) for k, w in self.weights.items() if w > _TINY and k.startswith(CAST_PREFIX)), reverse=True
        )
        others = sorted(
            ((w, k) for k, w in self.weights.items() if w > _TINY and not k.startswith(CAST_PREFIX)), reverse=True
        )
        self.weights = {k: w for w, k in (*others[:MAX_FEATURES], *people[:MAX_FEATURES])}


def _attributable(play: Play, rules: ViewingRules) -> Impression | None:
    """The impression that the play may credit: it came before, and not too long before."""
    impression = play.impression
    if impression is None:
        return None
    age_ms = play.played_ms - impression.shown_ms
    return impression if -CLOCK_SKEW_MS <= age_ms <= rules.attribution_ms else None


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {theme: min(weight / total, 1.0) for theme, weight in weights.items()} if total > 0 else {}
