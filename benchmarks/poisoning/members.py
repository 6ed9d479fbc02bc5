"""Who comes in this benchmark: honest members, and bots among them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from producers.audience import Audience
from producers.token import sign, verify
from stream.records import Impression, Play

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.poisoning.service import Service
    from producers.audience_world import World

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SECRET = b"what the app signs its tokens with"

#: What bots do, see :mod:`benchmarks.poisoning`.
Attack = Literal["flood", "look", "once", "honest"]
Records = list[Impression | Play]


class Look(NamedTuple):
    """A member looked at a title."""

    member: int
    title: int


def impression(service: Service, world: World, look: Look, name: str, at_ms: int) -> tuple[Impression, int]:
    """What somebody is shown, as an app would have it from its token, and the artwork's number."""
    title, member_id = world.titles[look.title], world.member_ids[look.member]
    shown = service.choose(member_id, title.title_id, at_ms)
    made = Impression(
        impression_id=name,
        shown_ms=at_ms,
        member_id=member_id,
        title_id=title.title_id,
        artwork_id=title.artworks[shown.artwork].artwork_id,
        context=shown.context,
        policy=shown.policy,
        propensity=shown.propensity,
        snapshot_version=None,
    )
    return verify(sign(made, SECRET), [SECRET], now_ms=at_ms, max_age_ms=DAY_MS), shown.artwork


class HonestMembers:
    """They look at titles, hour by hour, and play some of them.

    Parameters
    ----------
    world
        The truth about them.
    an_hour
        How often they look.
    """

    def __init__(self, world: World, an_hour: int) -> None:
        self._world = world
        self._audience = Audience(world)
        self._an_hour = an_hour
        self._looks = 0
        self._later: dict[int, Records] = defaultdict(list)  # what is sent in an hour to come

    def history(self, before_ms: int) -> Records:
        """What they have watched before they come."""
        world = self._world
        return [
            Play(
                play.play_id,
                before_ms + play.played_ms,
                world.member_ids[play.member],
                world.titles[play.title].title_id,
                play.watched_seconds,
                None,
            )
            for play in self._audience.history()
        ]

    def hour(self, service: Service, start_ms: int) -> tuple[list[Look], Records]:
        """An hour's looks, and all that is sent in it: of plays begun before as well."""
        batch = self._audience.visits(self._looks, self._an_hour)
        looks = [Look(*row) for row in zip(batch.members.tolist(), batch.titles.tolist(), strict=True)]
        shown, artworks = [], np.empty(len(looks), dtype=np.intp)
        for row, look in enumerate(looks):
            at_ms = start_ms + row * HOUR_MS // len(looks)
            made, artworks[row] = impression(service, self._world, look, f"look-{self._looks + row}", at_ms)
            shown.append(made)
        self._looks += len(looks)
        for row, reports in self._audience.react(batch, artworks)[1]:
            made = shown[row]
            for report in reports:
                played = made.shown_ms + report.played_ms, made.member_id, made.title_id, report.watched_seconds
                sent = (made.shown_ms + report.sent_ms) // HOUR_MS
                self._later[sent].append(Play(made.impression_id, *played, made))
        return looks, [*shown, *self._later.pop(start_ms // HOUR_MS, [])]


class Bots:
    """Members that push one artwork each.

    Parameters
    ----------
    world
        Whose members they are.
    members
        Their numbers.
    pushed
        Of each title the number of the artwork that is to be pushed.
    attack
        What they do.
    rng
        Where randomness comes from.
    """

    def __init__(
        self, world: World, members: Sequence[int], pushed: Sequence[int], attack: Attack, rng: np.random.Generator
    ) -> None:
        self._world = world
        self._members = members
        self._pushed = pushed
        self._attack = attack
        self._rng = rng
        self._sent = 0
        self._titles: dict[int, int] = {}  # by bot; those that are shown no such artwork have none
        self._tokens: dict[int, Impression] = {}  # the last look of each bot that it could use

    def hour(self, service: Service, start_ms: int, plays: int) -> Records:
        """What they send in an hour in which honest members send so many plays."""
        first = not self._titles
        if first:
            found = ((bot, self._title_of(bot, service, start_ms)) for bot in self._members)
            self._titles = {bot: title for bot, title in found if title is not None}
        records: Records = []
        each = 9 * plays / len(self._titles)
        for bot, title in self._titles.items():
            times = int(first) if self._attack == "once" else self._rng.poisson(each)
            for at_ms in sorted(start_ms + self._rng.integers(0, HOUR_MS - 60_000, times)):
                records += self._push(bot, title, service, int(at_ms))
        return records

    def _title_of(self, bot: int, service: Service, at_ms: int) -> int | None:
        """One of the titles of which it is shown the artwork to push; None: there is none."""
        member_id, titles = self._world.member_ids[bot], self._world.titles
        showing = [
            number
            for number in np.flatnonzero(self._world.popularity).tolist()
            if service.choose(member_id, titles[number].title_id, at_ms).artwork == self._pushed[number]
        ]
        return int(self._rng.choice(showing)) if showing else None

    def _push(self, bot: int, title: int, service: Service, at_ms: int) -> Records:
        self._sent += 1
        name = f"bot-{bot}-{self._sent}"
        seen, artwork = impression(service, self._world, Look(bot, title), name, at_ms)
        usable = artwork == self._pushed[title]
        records: Records = []
        if usable:
            self._tokens[bot] = seen
            records.append(seen)
        if self._attack != "look" and bot in self._tokens:
            token, runtime = self._tokens[bot], self._world.titles[title].runtime_seconds
            records.append(Play(name, at_ms + 60_000, token.member_id, token.title_id, runtime, token))
        return records
