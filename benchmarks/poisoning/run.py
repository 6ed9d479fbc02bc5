"""Let bots loose, and see what honest members are shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np

from benchmarks.poisoning.members import DAY_MS, HOUR_MS, Attack, Bots, HonestMembers
from benchmarks.poisoning.service import Service
from producers.audience_world import World, WorldRules
from producers.catalogue import load_catalogue
from stream.features import CAST_PREFIX
from stream.metrics import POLICIES
from stream.records import Play
from stream.settings import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.table import Table

    from benchmarks.poisoning.members import Look, Records
    from stream.records import Title

CATALOGUE = Path(__file__).parents[2] / "deploy" / "catalogue.json"
START_MS = 1_760_054_400_000  # a midnight, UTC
ATTACKS: tuple[Attack, ...] = get_args(Attack)
#: On what one member can teach: the settings that differ from the defaults.
LIMITS: dict[str, dict[str, Any]] = {"none": UNLIMITED, "no flood": {"flood_plays": 0}, "default": {}}


@dataclass(frozen=True)
class Scale:
    """How large it is.

    Attributes
    ----------
    members
        How many there are; a tenth of them are bots.
    titles
        How many, the first of the example catalogue.
    looks
        How often a member looks at a title in a day.
    days
        How many; on the last the bots turn.
    """

    members: int = 1000
    titles: int = 40
    looks: int = 20
    days: int = 8


@dataclass(frozen=True)
class Row:
    """What came of an attack.

    Attributes
    ----------
    limits
        On what one member can teach, by their name in :data:`LIMITS`.
    bots
        What they did.
    share_of_plays
        That were theirs on their day.
    same
        The share of honest members' choices whose artwork is the same as without bots.
    pushed_before, pushed
        The share of honest members' choices that are an artwork that bots push, without them and with.
    impressions, reward
        What they added to what was learned that day, over what honest members taught.
    """

    seed: int
    limits: str
    bots: str
    share_of_plays: float
    same: float
    pushed_before: float
    pushed: float
    impressions: int
    reward: float


class Experiment:
    """Some days of honest members, to be had with bots on the last, and without.

    Parameters
    ----------
    seed
        Another audience, other bots.
    scale
        How large it is.
    progress
        Called with the hours done so far, and how many there are.
    """

    def __init__(self, seed: int, scale: Scale, progress: Callable[[int, int], None] = lambda *_: None) -> None:
        self.seed = seed
        self.world = world = World(catalogue(scale.titles), seed, WorldRules(members=scale.members))
        rng = np.random.default_rng([seed, 11])
        self._bots: list[int] = np.sort(rng.permutation(scale.members)[: scale.members // 10]).tolist()
        self._pushed = [_not_the_best(world, number, rng) for number in range(scale.titles)]
        self._day_ms = START_MS + (scale.days - 1) * DAY_MS
        honest = HonestMembers(world, scale.members * scale.looks // 24)
        self._before = service = Service(world.titles)
        service.take(honest.history(START_MS), START_MS)
        hours = 24 * scale.days
        for hour in range(hours - 24):
            progress(hour, hours)
            start_ms = START_MS + hour * HOUR_MS
            service.take(honest.hour(service, start_ms)[1], start_ms + HOUR_MS)
        # What honest members do on the last day, shown what they are without bots.
        self._hours: list[Records] = []
        self._as_members: list[Records] = []  # what bots would do if they were none
        self._looks: list[Look] = []
        alone, bots = service.restored(), {world.member_ids[bot] for bot in self._bots}
        for hour in range(24):
            progress(hours - 24 + hour, hours)
            start_ms = self._day_ms + hour * HOUR_MS
            looks, records = honest.hour(alone, start_ms)
            self._hours.append([record for record in records if record.member_id not in bots])
            self._as_members.append([record for record in records if record.member_id in bots])
            self._looks += [look for look in looks if look.member not in set(self._bots)]
            alone.take(self._hours[-1], start_ms + HOUR_MS)

    def rows(self, limits: str, attacks: Sequence[Attack], **settings: Any) -> list[Row]:
        """What each attack comes to under these limits."""
        alone, _ = self._last_day(None, settings)
        return [self._row(limits, alone, attack, settings) for attack in attacks]

    def _row(self, limits: str, alone: Service, attack: Attack, settings: dict[str, Any]) -> Row:
        attacked, bots = self._last_day(attack, settings)
        before, after = self._choices(alone), self._choices(attacked)
        pushed = np.array([self._pushed[look.title] for look in self._looks])
        plays = sum(_new_plays(records) for records in self._hours)
        return Row(
            seed=self.seed,
            limits=limits,
            bots=attack,
            share_of_plays=bots / (bots + plays),
            same=float((before == after).mean()),
            pushed_before=float((before == pushed).mean()),
            pushed=float((after == pushed).mean()),
            impressions=round(_learned(attacked, "impressions") - _learned(alone, "impressions")),
            reward=_learned(attacked, "rewards") - _learned(alone, "rewards"),
        )

    def _last_day(self, attack: Attack | None, settings: dict[str, Any]) -> tuple[Service, int]:
        """The service at its end, and how many plays bots sent."""
        service = self._before.restored(**settings)
        service.take([], self._day_ms)
        rng = np.random.default_rng([self.seed, 12])
        bots = None if attack is None else Bots(self.world, self._bots, self._pushed, attack, rng)
        plays = 0
        for hour, honest in enumerate(self._hours):
            start_ms = self._day_ms + hour * HOUR_MS
            theirs: Records = []
            if attack == "honest":
                theirs = self._as_members[hour]
            elif bots is not None:
                theirs = bots.hour(service, start_ms, _new_plays(honest))
            plays += _new_plays(theirs)
            service.take([*honest, *theirs], start_ms + HOUR_MS)
        return service, plays

    def _choices(self, service: Service) -> np.ndarray:
        """What honest members would be shown of all they looked at, at the end of the day."""
        names, titles, at_ms = self.world.member_ids, self.world.titles, self._day_ms + DAY_MS - 1
        return np.array(
            [service.choose(names[m], titles[t].title_id, at_ms).artwork for m, t in self._looks], dtype=np.intp
        )


def catalogue(titles: int) -> list[Title]:
    """The first titles of the example catalogue, without people: tastes for them are not part of this world."""
    return [
        msgspec.structs.replace(
            title,
            themes=_themes(title.themes),
            artworks=tuple(msgspec.structs.replace(one, themes=_themes(one.themes)) for one in title.artworks),
        )
        for title in load_catalogue(CATALOGUE)[:titles]
    ]


def table(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    from rich.table import Table

    made = Table(
        title="Honest members' choices, with bots among the members",
        caption="plays: the bots' share; the same: honest choices that bots have not changed; pushed: honest "
        "choices that are an artwork they push, without them → with them; looks, reward: what was learned of them",
    )
    for name in ("seed", "limits", "bots"):
        made.add_column(name)
    for name in ("plays", "the same", "pushed", "looks", "reward"):
        made.add_column(name, justify="right")
    for row in rows:
        made.add_row(
            str(row.seed),
            row.limits,
            row.bots,
            f"{row.share_of_plays:.0%}",
            f"{row.same:.1%}",
            f"{row.pushed_before:.1%} → {row.pushed:.1%}",
            f"{row.impressions:+,}",
            f"{row.reward:+,.0f}",
        )
    return made


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """The rows for machines."""
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def _themes(themes: dict[str, float]) -> dict[str, float]:
    return {name: weight for name, weight in themes.items() if not name.startswith(CAST_PREFIX)}


def _not_the_best(world: World, title: int, rng: np.random.Generator) -> int:
    """One of a title's artworks that is not the best for everyone."""
    everyone = np.arange(len(world.member_ids))
    values = world.values(everyone, np.full(len(everyone), title)).mean(axis=0)
    return int(rng.choice([a for a in np.flatnonzero(world.exists[title]).tolist() if a != values.argmax()]))


def _new_plays(records: Records) -> int:
    """How many plays are named in an hour's records."""
    return len({record.play_id for record in records if isinstance(record, Play)})


def _learned(service: Service, name: str) -> float:
    series = f"keyart_{name}_learned_total"
    counts = (service.registry.get_sample_value(series, {"policy": policy}) for policy in POLICIES)
    return sum(count or 0.0 for count in counts)
