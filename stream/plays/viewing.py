"""From plays to credit and taste: pure logic, one member at a time.

A play's reward follows from how much of the title was watched. Each impression is credited once, with the largest
reward of its plays; a later record of a play supersedes an earlier one, and what changes is the *difference*.
What a member's plays have earned so far is remembered as long as it can still change, so a play counts once
however late it is repeated. Later means watched later, not arrived later: within that time the order of arrival
decides nothing. How many impressions of a day may be credited is limited, see :mod:`stream.plays.credits`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence  # noqa: TC003 - msgspec reads the annotations of what it stores
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field

from stream.plays.credits import Credit, contend, day_of, forfeit, over_ms
from stream.plays.reward import reward_of
from stream.plays.taste import added, shares, tidied
from stream.records import Impression, Play, RewardChange, Taste
from stream.worth.policies import group_of

if TYPE_CHECKING:
    from stream.plays.reward import ViewingRules

#: How much a play's clock may lag behind the clock of the impression that led to it.
CLOCK_SKEW_MS = 5 * 60_000
#: The most plays of one member that are remembered at a time; nobody begins so many within attribution_hours.
MAX_PLAYS = 1000

#: What became of a play: it changed something; it did, but earns nothing, as other plays of the day have all the
#: credit; it was known already; it came when nothing could change any more; or it is one too many to remember.
Outcome = Literal["counted", "uncredited", "duplicate", "late", "too_many"]


class PlayState(Struct):
    """What one play has been worth so far.

    ``reward`` is that of the latest record, and the taste holds it times ``themes``. ``credit`` is what the
    impression has of it: the reward of the latest record within the attribution window, ``credited_ms`` and
    ``credited_seconds`` say which. ``impression_id`` is None if no impression was credited. Where ``withheld``,
    the impression holds none of its day's credits, and has nothing of it for now. ``counted`` says that its day's
    plays include this one.
    """

    played_ms: int
    watched_seconds: float
    reward: float
    themes: Mapping[str, float]
    expires_ms: int
    impression_id: str | None = None
    credit: float = 0.0
    credited_ms: int = -1
    credited_seconds: float = 0.0
    withheld: bool = False
    counted: bool = False

    def gives_way(self, impression: Impression, watched: tuple[int, float]) -> bool:
        """Whether an impression's credit is to be that of a record which was watched then and so long."""
        if self.impression_id is None:
            return True
        return self.impression_id == impression.impression_id and watched > (
            self.credited_ms,
            self.credited_seconds,
        )


class Member(Struct):
    """A member's taste, and the plays whose worth can still change.

    ``weights`` are those at ``taste_ms``; they halve with every half-life. ``through_ms`` is the latest time the
    member was seen playing anything. ``credits`` are the impressions that hold one, by their ids, and ``days`` how
    many plays were ever worth something, by the day their impressions were shown; without limits both are empty.
    """

    views: int = 0
    taste_ms: int = 0
    through_ms: int = 0
    weights: dict[str, float] = field(default_factory=dict)
    plays: dict[str, PlayState] = field(default_factory=dict)
    credits: dict[str, Credit] = field(default_factory=dict)
    days: dict[int, int] = field(default_factory=dict)

    def watch(
        self, play: Play, themes: Mapping[str, float], runtime_seconds: float, rules: ViewingRules
    ) -> tuple[Outcome, list[RewardChange]]:
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
        What became of it, and the changes of impressions' rewards: its own, and those that lost theirs to it.
        """
        impression = _attributable(play, rules)
        start_ms = play.played_ms if impression is None else impression.shown_ms
        expires_ms = start_ms + rules.attribution_ms + rules.late_ms
        through_ms = max(self.through_ms, play.played_ms)
        # Looked up before anything is forgotten: a play that goes on after a long pause is still the same play.
        known = self.plays.get(play.play_id)
        watched = play.played_ms, play.watched_seconds
        is_later = known is None or watched > (known.played_ms, known.watched_seconds)
        credits_ = impression is not None and (known is None or known.gives_way(impression, watched))
        reward = reward_of(play.watched_seconds, runtime_seconds, rules)
        contends = impression is not None and rules.limited and self._contends(known, impression, reward)
        if not is_later and not credits_ and not contends:
            return "duplicate", []
        if expires_ms < through_ms:
            return "late", []
        if known is None and self._open_plays(through_ms) >= MAX_PLAYS:
            return "too_many", []
        self.through_ms = through_ms
        if known is None:
            known = self.plays[play.play_id] = PlayState(-1, 0.0, 0.0, {}, expires_ms)
        known.expires_ms = max(known.expires_ms, expires_ms)
        self._forget_settled(rules)
        if is_later:
            self._supersede(known, play, reward, themes, rules)
        if impression is None or not (credits_ or contends):
            return "counted", []
        earned = self._earned(impression.impression_id)
        if credits_:
            known.impression_id, known.credit = impression.impression_id, reward
            known.credited_ms, known.credited_seconds = play.played_ms, play.watched_seconds
        is_one_more = self._count(known, impression, reward, rules)
        withheld, lost = self._contend(impression, max(reward, earned), rules)
        if withheld and not (is_later or credits_ or is_one_more):
            return "duplicate", []
        changes = [self._settle(play, loser, self._earned(loser.impression_id), withheld=True) for loser in lost]
        changes.append(self._settle(play, impression, earned, withheld=withheld))
        outcome: Outcome = "uncredited" if withheld and reward > 0 else "counted"
        return outcome, [change for change in changes if change is not None]

    def _contends(self, known: PlayState | None, impression: Impression, reward: float) -> bool:
        """Whether a record may win its impression a credit even if a later one of its play came before it."""
        if known is None or known.impression_id != impression.impression_id:
            return False
        if reward > 0 and not known.counted:
            return True
        held = self.credits.get(impression.impression_id)
        return reward > (0.0 if held is None else held.worth)

    def _supersede(
        self, known: PlayState, play: Play, reward: float, themes: Mapping[str, float], rules: ViewingRules
    ) -> None:
        """Let the taste hold this record of a play instead of the one before."""
        self._taste(known.played_ms, -known.reward, known.themes, rules)
        self._taste(play.played_ms, reward, themes, rules)
        self.weights = tidied(self.weights)
        self.views += (reward > 0) - (known.reward > 0)
        known.played_ms, known.watched_seconds, known.reward = play.played_ms, play.watched_seconds, reward
        known.themes = themes if reward > 0 else {}

    def _count(self, known: PlayState, impression: Impression, reward: float, rules: ViewingRules) -> bool:
        """Count a play among those of its day once it is worth anything; says whether it was."""
        if known.counted or reward <= 0 or not rules.flood_plays:
            return False
        known.counted = True
        day = day_of(impression)
        self.days[day] = self.days.get(day, 0) + 1
        return True

    def _contend(
        self, impression: Impression, worth: float, rules: ViewingRules
    ) -> tuple[bool, Sequence[Impression]]:
        """Whether an impression holds no credit, and those that have lost theirs to it."""
        if not rules.limited:
            return False, ()
        if rules.flood_plays and self.days.get(day_of(impression), 0) > rules.flood_plays:
            return True, forfeit(self.credits, impression)
        lost = contend(self.credits, impression, worth, rules)
        return impression.impression_id not in self.credits, lost

    def _settle(self, play: Play, impression: Impression, before: float, *, withheld: bool) -> RewardChange | None:
        """Let an impression have what its plays have earned, or nothing; the change, if there is one."""
        total = 0.0
        for state in self.plays.values():
            if state.impression_id == impression.impression_id:
                state.withheld = withheld
                total = total if withheld else max(total, state.credit)
        if total == before:
            return None
        return RewardChange(
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
            group=group_of(impression.member_id),
            advised=impression.advised,
        )

    def taste(self, member_id: str) -> Taste:
        """The taste as shares: those of people sum to 1, those of other themes likewise."""
        return Taste(member_id, self.taste_ms, self.views, shares(self.weights))

    def _earned(self, impression_id: str) -> float:
        """An impression's reward so far: the largest credit of its plays."""
        plays = self.plays.values()
        return max((p.credit for p in plays if p.impression_id == impression_id and not p.withheld), default=0.0)

    def _open_plays(self, through_ms: int) -> int:
        """How many plays can still change then."""
        return sum(play.expires_ms >= through_ms for play in self.plays.values())

    def _forget_settled(self, rules: ViewingRules) -> None:
        """Drop what nothing can change any more: days that are over with their credits, and plays without one."""
        for impression_id, credit in tuple(self.credits.items()):
            if over_ms(day_of(credit.impression), rules) < self.through_ms:
                del self.credits[impression_id]
        for day in tuple(self.days):
            if over_ms(day, rules) < self.through_ms:
                del self.days[day]
        settled = [
            play_id
            for play_id, play in self.plays.items()
            if play.expires_ms < self.through_ms and play.impression_id not in self.credits
        ]
        for play_id in settled:
            del self.plays[play_id]

    def _taste(self, at_ms: int, amount: float, themes: Mapping[str, float], rules: ViewingRules) -> None:
        """Add to the weights, as of when it was watched."""
        if amount == 0:
            return
        fade = 1.0
        if at_ms > self.taste_ms:
            if self.weights:
                fade = 2.0 ** ((self.taste_ms - at_ms) / rules.half_life_ms)
            self.taste_ms = at_ms
        scaled = amount * 2.0 ** ((at_ms - self.taste_ms) / rules.half_life_ms)
        self.weights = added(self.weights, scaled, themes, fade)


def _attributable(play: Play, rules: ViewingRules) -> Impression | None:
    """The impression that the play may credit: it came before, and not too long before."""
    impression = play.impression
    if impression is None:
        return None
    age_ms = play.played_ms - impression.shown_ms
    return impression if -CLOCK_SKEW_MS <= age_ms <= rules.attribution_ms else None
