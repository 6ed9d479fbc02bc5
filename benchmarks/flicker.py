"""How often the artwork that a member sees of a title changes, while the learner goes on learning.

Titles run for some weeks, then new ones are launched among them. All that happens between the impressions and
the choices is the product's own: sums, what the catalogue teaches, snapshots, hashed draws. A panel of members
looks at every title four times a day, and what they would be shown is compared with what they were shown before.
A member who comes back once a day sees every fourth of these looks.

Play rates follow the members' tastes and the artworks' tags, and every artwork has effects of its own besides, so
that there is something to learn of each title for as long as it runs::

    keyart bench flicker [--seed N …] [--weeks N] [--a-day N] [--json FILE]
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from stream.choosing.choice import bucket_length, key_of, policy_of, time_bucket
from stream.choosing.servable import ServableTitle
from stream.codec import decode, encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.lessons import Lessons, learn_from
from stream.learning.publication import Publication
from stream.learning.teaching import PartitionLessons
from stream.records import Artwork, Impression, RewardChange, Snapshot, Title
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

HOUR_MS = 3_600_000
WEEK_HOURS = 7 * 24
START_MS = 1_760_000_000_000
LOOK_HOURS = 6
MEMBERS, PANEL = 4000, 150
THEMES = tuple(f"theme{j:02}" for j in range(15))
#: The defaults, whatever keyart.toml and the environment say: the same is measured everywhere.
SETTINGS = Settings.model_construct()


class World:
    """Who there is, what there is to see, and how likely it is that they play it.

    Member with taste x, title of rate r, artwork with tags g, effects of its own e and quality q::

        r · clip(1 + q + (x - x̄) · (8 g + e), 0.05, 4)
    """

    def __init__(self, seed: int, titles: int, artworks: int = 9) -> None:
        rng = np.random.default_rng([seed, 1])
        shape = (titles, artworks, len(THEMES))
        shown = rng.random(shape).argsort(axis=2).argsort(axis=2) < rng.integers(1, 4, (titles, artworks, 1))
        tags = np.where(shown, rng.uniform(0.3, 1.0, shape), 0.0)
        self.titles = [_title(f"t{t}", tags[t]) for t in range(titles)]
        self.tastes: Floats = rng.dirichlet(np.full(len(THEMES), 0.4), MEMBERS)
        self.contexts = [dict(zip(THEMES, row, strict=True)) for row in self.tastes.tolist()]
        self.names = [f"member-{seed}-{m}" for m in range(MEMBERS)]
        self.keys = [key_of(name) for name in self.names]
        self._rate = np.exp(rng.uniform(np.log(0.03), np.log(0.10), titles))
        self._weights = 8.0 * tags + rng.normal(0.0, 1.2, shape)
        self._level = 1.0 + rng.normal(0.0, 0.42, shape[:2]) - self._weights @ self.tastes.mean(axis=0)

    def chance(self, member: Ints, title: Ints) -> Floats:
        """The probability of a play behind each artwork, shape (n, K)."""
        pull: Floats = np.einsum("nkf,nf->nk", self._weights[title], self.tastes[member])
        lift: Floats = np.clip(self._level[title] + pull, 0.05, 4.0)
        return self._rate[title][:, None] * lift


def _title(title_id: str, tags: Floats) -> Title:
    artworks = (
        Artwork(f"a{a}", {name: tag for name, tag in zip(THEMES, row, strict=True) if tag})
        for a, row in enumerate(tags.tolist())
    )
    return Title(title_id, title_id, 6000.0, {}, tuple(artworks))


class Keyart:
    """A learner and a serving node without Kafka between them."""

    def __init__(self, world: World) -> None:
        self._world = world
        columns = ("bias", *THEMES)
        self._book = TitleBook(columns, LearningRules.of(SETTINGS))
        self._publication = Publication(self._book)
        self._lessons = PartitionLessons()
        self._taught = learn_from(Lessons.none(columns))
        self._title_keys = [key_of(title.title_id) for title in world.titles]
        self._policies = [policy_of(key, SETTINGS.explore_share, SETTINGS.popular_share) for key in world.keys]
        self._sticky_ms = bucket_length(SETTINGS.sticky_days)
        self._impressions = 0
        self.served: dict[int, ServableTitle] = {}

    def publish(self, running: int, now_ms: int) -> None:
        """What the first titles teach, and a snapshot of each."""
        titles = self._world.titles[:running]
        self._lessons.refresh(self._book, titles, self._taught)
        self._taught = learn_from(self._lessons.total())
        for place, (_, fields) in enumerate(self._publication.snapshots(titles, now_ms, self._taught)):
            if isinstance(fields, dict):  # else it is unsound, and the last one stays
                snapshot = decode(Snapshot, encode_fields(fields), limit=None)
                self.served[place] = ServableTitle(snapshot)

    def bucket(self, member: int, title: int, now_ms: int) -> int:
        """For so long draws stay the same."""
        return time_bucket(self._world.keys[member], self._title_keys[title], now_ms, self._sticky_ms)

    def choose(self, member: int, title: int, now_ms: int) -> tuple[int, float]:
        """The artwork's place in its title, and its propensity."""
        return self.served[title].choose(
            self._world.contexts[member],
            self._policies[member],
            self._world.keys[member],
            self.bucket(member, title, now_ms),
            floor=SETTINGS.uniform_floor,
            exploration=SETTINGS.exploration,
        )

    def live(self, rng: np.random.Generator, running: int, visits: int, now_ms: int) -> None:
        """Members visit, are shown, play or not, and it is learned."""
        members, titles = rng.integers(MEMBERS, size=visits), rng.integers(running, size=visits)
        chances, luck = self._world.chance(members, titles), rng.random(visits)
        shown, rewards = [], []
        for i, (member, title) in enumerate(zip(members.tolist(), titles.tolist(), strict=True)):
            place, propensity = self.choose(member, title, now_ms)
            served = self.served[title]
            self._impressions += 1
            impression = Impression(
                impression_id=f"i{self._impressions}",
                shown_ms=now_ms,
                member_id=self._world.names[member],
                title_id=served.title_id,
                artwork_id=served.artwork_ids[place],
                context=self._world.contexts[member],
                policy=self._policies[member],
                propensity=propensity,
                snapshot_version=served.version,
            )
            shown.append(impression)
            if luck[i] < chances[i, place]:
                rewards.append(_rewarded(impression))
        self._book.learn_impressions(shown)
        self._book.learn_rewards(rewards)


def _rewarded(impression: Impression) -> RewardChange:
    return RewardChange(
        impression_id=impression.impression_id,
        shown_ms=impression.shown_ms,
        credited_ms=impression.shown_ms,
        title_id=impression.title_id,
        artwork_id=impression.artwork_id,
        context=impression.context,
        policy=impression.policy,
        propensity=impression.propensity,
        credit=1.0,
        reward=1.0,
    )


class Row(NamedTuple):
    """Of a panel's choices in one week, the shares that changed at all and a second time."""

    week: str
    looks_a_day: int
    changed: float
    changed_again: float
    changes: float

    @classmethod
    def of(cls, week: str, looks: Ints, looks_a_day: int) -> Row:
        """From what was shown at each look, shape (looks, choices)."""
        seen = looks[:: 24 // LOOK_HOURS // looks_a_day]
        changes = (seen[1:] != seen[:-1]).sum(axis=0)
        return cls(
            week, looks_a_day, float((changes > 0).mean()), float((changes > 1).mean()), float(changes.mean())
        )


def look(keyart: Keyart, panel: Ints, titles: Sequence[int], now_ms: int) -> list[int]:
    """What everybody of the panel would be shown of every title now, title after title."""
    return [keyart.choose(member, title, now_ms)[0] for title in titles for member in panel.tolist()]


def measure(seed: int, old: int, new: int, weeks: int, a_day: int) -> list[Row]:
    """Run a world of ``old`` titles for some weeks, launch ``new`` ones for the last, and look on."""
    world, rng = World(seed, old + new), np.random.default_rng([seed, 2])
    panel = rng.choice(MEMBERS, PANEL, replace=False)
    keyart = Keyart(world)
    looks: dict[str, list[list[int]]] = {"everything is new": [], "launched": [], "mature": []}
    launch, end = (weeks - 1) * WEEK_HOURS, weeks * WEEK_HOURS
    for hour in range(end):
        now_ms, running = START_MS + hour * HOUR_MS, old if hour < launch else old + new
        keyart.publish(running, now_ms)
        if hour % LOOK_HOURS == 0 and hour < WEEK_HOURS:
            looks["everything is new"].append(look(keyart, panel, range(old), now_ms))
        if hour % LOOK_HOURS == 0 and hour >= launch:
            looks["launched"].append(look(keyart, panel, range(old, old + new), now_ms))
            looks["mature"].append(look(keyart, panel, range(old), now_ms))
        keyart.live(rng, running, int(rng.poisson(a_day * running / 24)), now_ms)
    frozen = [START_MS + hour * HOUR_MS for hour in range(end, end + WEEK_HOURS + 1, LOOK_HOURS)]
    looks["fixed evidence"] = [look(keyart, panel, range(old), now_ms) for now_ms in frozen]
    _check_fixed(keyart, panel, old, frozen, looks["fixed evidence"])
    found = {week: np.array(rows) for week, rows in looks.items() if rows}
    return [Row.of(week, rows, daily) for week, rows in found.items() for daily in (1, 4)]


def _check_fixed(
    keyart: Keyart, panel: Ints, titles: int, times: Sequence[int], shown: Sequence[Sequence[int]]
) -> None:
    """Nothing changes at fixed evidence within ``sticky_days``: every change is the end of a bucket."""
    buckets = [
        [keyart.bucket(member, title, now_ms) for title in range(titles) for member in panel.tolist()]
        for now_ms in times
    ]
    for (before, after), (earlier, later) in zip(pairwise(shown), pairwise(buckets), strict=True):
        same = np.array(earlier) == np.array(later)
        if (np.array(before) != np.array(after))[same].any():
            raise AssertionError("a choice changed at fixed evidence within sticky_days")


def table(rows: Sequence[Row], title: str) -> Table:
    """As it is printed."""
    shown = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    shown.add_column("week", no_wrap=True)
    for name in ("looks a day", "changed", "a second time", "changes each"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            *(row.week, str(row.looks_a_day), f"{row.changed:.1%}", f"{row.changed_again:.1%}"),
            f"{row.changes:.2f}",
        )
    return shown
