"""The demo's audience, and what is looked at: two titles, and what people of one taste are shown of them."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from producers.audience import Audience
from producers.audience_world import World, WorldRules
from stream.choosing.choice import key_of, policy_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from producers.simulation import Chooser
    from stream.choosing.choice import Choice
    from stream.records import Title
    from stream.settings import Settings

#: The first is compared between personas, the second is looked at in whole.
_TITLES = ("good-will-hunting", "stranger-things")
#: The personas that are compared.
PERSONAS = ("romance", "comedy")
_LATELY = 400


@dataclass(frozen=True, slots=True)
class DemoRules:
    """What the demo's audience is like.

    Attributes
    ----------
    seed
        What its world is made from.
    rate
        Impressions a second.
    speed
        Seconds of event time in a second of the wall clock: an evening in a minute.
    members, strength
        See :class:`~producers.audience_world.WorldRules`: people who care a lot about what an artwork shows.
    titles
        How many titles are shown, as on a front page.
    """

    seed: int = 1
    rate: float = 500.0
    speed: float = 600.0
    members: int = 1500
    strength: float = 6.0
    titles: int = 16


class Liked(NamedTuple):
    """What most of a persona's members get of a title: the artwork, their share, and how many were asked."""

    artwork_id: str
    share: float
    members: int


class Shown(NamedTuple):
    """An artwork's share of what was shown, and the theme that its viewers like most above the average viewer."""

    artwork_id: str
    share: float
    theme: str


class Scene:
    """An audience, and questions to a chooser about it.

    Parameters
    ----------
    titles
        The catalogue.
    rules
        What the audience is like.

    Attributes
    ----------
    names
        Title names by id.
    compared, spread
        The ids of the two titles that are looked at; they are the busiest.
    """

    def __init__(self, titles: Sequence[Title], rules: DemoRules) -> None:
        self.rules = rules
        self.names = {title.title_id: title.name for title in titles}
        wanted = [title_id for title_id in _TITLES if title_id in self.names]
        featured = [*wanted, *(title_id for title_id in self.names if title_id not in wanted)]
        self.compared, self.spread = featured[0], featured[min(1, len(featured) - 1)]
        self._spread_artworks = next(
            [artwork.artwork_id for artwork in title.artworks] for title in titles if title.title_id == self.spread
        )
        self.world = World(
            titles,
            rules.seed,
            WorldRules(
                members=rules.members,
                strength=rules.strength,
                shown=rules.titles,
                zipf=1.0,
                busiest=(self.spread, self.compared),
            ),
        )
        self.audience = Audience(self.world)
        self._lately: deque[tuple[str, str]] = deque(maxlen=_LATELY)

    def see(self, choice: Choice) -> None:
        """Remember what `personal` members are shown of the second title, and what they like most."""
        if choice.title_id == self.spread and choice.policy == "personal":
            favourite = max(choice.context, key=choice.context.__getitem__, default="")
            self._lately.append((choice.artwork_id, favourite))

    def shares(self) -> list[Shown]:
        """The second title's artworks by their share of what `personal` members were shown lately."""
        lately = list(self._lately)
        shown = Counter(artwork_id for artwork_id, _ in lately)
        favourites = Counter(favourite for _, favourite in lately)
        together = Counter(lately)
        shares = []
        for artwork_id in self._spread_artworks:
            more = {
                theme: together[artwork_id, theme] - shown[artwork_id] * count / len(lately)
                for theme, count in favourites.items()
            }
            theme = max(more, key=more.__getitem__, default="")
            shares.append(Shown(artwork_id, shown[artwork_id] / max(len(lately), 1), theme))
        return sorted(shares, key=lambda one: -one.share)

    def liked(
        self, chooser: Chooser, settings: Settings, title_id: str, personas: Sequence[str], most: int
    ) -> dict[str, Liked]:
        """What most of each persona's `personal` members get of a title now, asking so many of them at most."""
        found = {}
        for persona in personas:
            members = [
                member_id
                for member_id in self.world.lovers(persona)
                if policy_of(key_of(member_id), settings.explore_share, settings.popular_share) == "personal"
            ][:most]
            got = Counter(chooser.choose(member_id, title_id).artwork_id for member_id in members)
            if got:
                artwork_id, count = got.most_common(1)[0]
                found[persona] = Liked(artwork_id, count / len(members), len(members))
        return found
