"""What a made-up audience knows of its own doing, against which the topics can be held."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, get_args

from stream.records import Policy, Rule


@dataclass
class PolicyTally:
    """What became of one policy's impressions.

    ``taken`` counts those that led to a play long enough to count. ``shown``, ``best`` and ``uniform`` sum the
    true chances of that: of the artworks shown, of the best ones, and of a uniform choice.
    """

    impressions: int = 0
    taken: int = 0
    shown: float = 0.0
    best: float = 0.0
    uniform: float = 0.0

    @property
    def take_rate(self) -> float | None:
        """The part of the impressions that led to a play; None before the first."""
        return self.taken / self.impressions if self.impressions else None

    @property
    def share_of_gain(self) -> float | None:
        """How much of what choosing could gain over a uniform choice was gained, 1 for the best choice always."""
        return (self.shown - self.uniform) / (self.best - self.uniform) if self.best > self.uniform else None


@dataclass
class SimulationReport:
    """What was sent, by kind, and what it should come to.

    Attributes
    ----------
    history
        Plays from before the first impression.
    impressions
        Different impressions; ``repeated_impressions`` more records repeat one.
    plays
        Different plays that an impression led to, with at least one report sent.
    play_reports
        Records of plays sent, all in all, without repetitions.
    repeated_plays, organic, malformed
        Records repeated; plays without an impression; records nobody can understand.
    rewards_expected
        Impressions that have earned a reward, if every report sent arrives.
    credit_expected
        The sum of those rewards.
    unknown
        Visits to titles that the chooser did not know any more.
    unqueued
        Events that the producer could not queue; they are in none of the other numbers.
    policies
        By policy; of the app's own choices only if there were any.
    """

    history: int = 0
    impressions: int = 0
    repeated_impressions: int = 0
    plays: int = 0
    play_reports: int = 0
    repeated_plays: int = 0
    organic: int = 0
    malformed: int = 0
    rewards_expected: int = 0
    credit_expected: float = 0.0
    unknown: int = 0
    unqueued: int = 0
    policies: dict[Policy, PolicyTally] = field(
        default_factory=lambda: defaultdict(PolicyTally, {rule: PolicyTally() for rule in get_args(Rule)})
    )

    @property
    def events(self) -> int:
        """Records sent, of every kind."""
        return (
            self.history
            + self.impressions
            + self.repeated_impressions
            + self.play_reports
            + self.repeated_plays
            + self.organic
            + self.malformed
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON."""
        counts = {name: value for name, value in vars(self).items() if name != "policies"}
        policies = {
            policy: vars(tally) | {"take_rate": tally.take_rate, "share_of_gain": tally.share_of_gain}
            for policy, tally in self.policies.items()
        }
        return counts | {"policies": policies}
