"""Made-up logs whose truth is known: of the demo's audience and the example catalogue."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from consumers.evaluation.source import Earned
from producers.audience import Audience
from producers.audience_world import World, WorldRules
from producers.catalogue import load_catalogue
from stream.evaluation.log import Logged
from stream.evaluation.rewards import Rewards
from stream.evaluation.roster import Roster, roster_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.evaluation.log import Batch, Heard
    from stream.evaluation.policies import Policy
    from stream.records import Title

    Floats = NDArray[np.float64]

CATALOGUE = Path(__file__).parents[2] / "deploy" / "catalogue.json"
START_MS = 1_760_000_000_000
_MEMBERS, _TITLES = 2000, 12
_SPACING_MS = 5_000
_DELAY_MS = 45 * 60_000


@dataclass(eq=False)
class KnownLog:
    """A log in memory, and the truth about it.

    Attributes
    ----------
    titles
        The catalogue.
    impressions, earned
        As they would be read.
    roster, rewards
        What evaluation makes of these.
    end_ms
        When the last reward had come.
    chance
        The probability of a play behind each artwork, by impression.
    """

    titles: Sequence[Title]
    impressions: list[Logged]
    earned: list[Earned]
    end_ms: int
    chance: dict[str, Floats]
    roster: Roster = field(init=False)
    rewards: Rewards = field(init=False)

    def __post_init__(self) -> None:
        """Survey it."""
        self.roster = roster_of(self.impressions, self.titles)
        self.rewards = Rewards()
        for one in self.earned:
            self.rewards.add(*one)

    def write(self, file: Path) -> None:
        """As JSON lines."""
        rewards = [_Reward(one.impression_id, one.reward, one.known_ms) for one in self.earned]
        with file.open("wb") as lines:
            for topic, records in (
                ("catalogue", self.titles),
                ("impressions", self.impressions),
                ("rewards", rewards),
            ):
                for record in records:
                    lines.write(b'{"topic":"%b","record":%b}\n' % (topic.encode(), msgspec.json.encode(record)))


class _Reward(msgspec.Struct):
    impression_id: str
    reward: float
    credited_ms: int


def explored(seed: int, count: int) -> KnownLog:
    """What the demo's audience was shown by uniform choice: ``count`` impressions of the first titles.

    Contexts are the members' true tastes. Plays take up to an hour and a half to be known.
    """
    catalogue = load_catalogue(CATALOGUE)[:_TITLES]
    world = World(catalogue, seed, WorldRules(members=_MEMBERS))
    audience = Audience(world)
    visits = audience.visits(0, count)
    rng = np.random.default_rng([seed, 21])
    counts = world.artwork_counts[visits.titles]
    shown = (rng.random(count) * counts).astype(np.intp)
    taken, _ = audience.react(visits, shown)
    values = world.values(visits.members, visits.titles)
    contexts = [
        {theme: round(float(part), 4) for theme, part in zip(world.themes, row, strict=True) if part > 0.01}
        for row in world.taste
    ]
    impressions, chance, earned = [], {}, []
    delays = rng.integers(60_000, 2 * _DELAY_MS, count)
    for i, (member, title, place) in enumerate(
        zip(visits.members.tolist(), visits.titles.tolist(), shown.tolist(), strict=True)
    ):
        id_, at_ms = f"{seed}-{i}", START_MS + i * _SPACING_MS
        member_id, of = world.member_ids[member], world.titles[title]
        impressions.append(
            Logged(
                *(id_, at_ms, member_id, of.title_id, world.artwork_ids[title][place], contexts[member]),
                policy="explore",
                propensity=1.0 / len(of.artworks),
            )
        )
        chance[id_] = values[i, : len(of.artworks)]
        if taken[i]:
            earned.append(Earned(id_, 1.0, at_ms + int(delays[i])))
    return KnownLog(catalogue, impressions, earned, START_MS + count * _SPACING_MS + 2 * _DELAY_MS, chance)


class Known:
    """A policy, and what it truly would have earned at the rows it was asked about."""

    def __init__(self, policy: Policy, log: KnownLog) -> None:
        self.name, self.learns = policy.name, policy.learns
        self._policy = policy
        self._chance = log.chance
        self._earned = 0.0
        self._rows = 0

    def chances(self, batch: Batch) -> Floats:
        """The policy's."""
        found = self._policy.chances(batch)
        for row, record in enumerate(batch.records):
            chance = self._chance[record.impression_id]
            self._earned += float(found[row, : len(chance)] @ chance)
        self._rows += len(batch)
        return found

    def learn(self, heard: Heard) -> None:
        """The policy does."""
        self._policy.learn(heard)

    @property
    def truth(self) -> float:
        """The mean chance of a play."""
        return self._earned / self._rows
