"""A made-up world whose truth is known: members with tastes, titles with artworks, and what meets what.

It stands in for the people an app would have, so that what the learner finds can be held against what is true.
Everything follows from the catalogue and a seed; there is no clock and no Kafka here.

How likely a member is to start playing a title after seeing one of its artworks is, in log-odds, a sum::

    base + the title's appeal + how well the title suits the member
         + strength * (the member's taste * what the artwork shows) + how good the picture is

The learner is not told this form. It is linear in other quantities (a reward, a taste made of past plays), so it
can come close and no closer, as with real people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stream.errors import InputError
from stream.features import CAST_PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from stream.records import Title

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

#: The persona of members who like a bit of everything.
BROAD = "broad"

_BASE = -3.1  # log-odds of a play when nothing speaks for the title: about 4 %
_APPEAL_SD = 0.25
_SUITS = 0.8
_QUALITY_SD = 0.15
_CLICKBAIT_LIFT = 0.9
_SHORT, _CLICKBAIT_SHORT = 0.12, 0.85
_LOVE = 6.0  # how sharply members pick what they watch without being shown anything
_FOCUS = 0.7  # the share of a lover's profile that is the one theme
_LOVER_CONCENTRATION, _BROAD_CONCENTRATION = 14.0, 6.0


@dataclass(frozen=True, slots=True)
class WorldRules:
    """What the world is like.

    Attributes
    ----------
    members
        How many there are.
    strength
        How much it matters what an artwork shows: log-odds between an artwork that shows all of a member's taste
        and one that shows nothing of it.
    broad_share
        The members who like a bit of everything. The others each love one theme, in proportion to how much of the
        catalogue is about it.
    clickbait_share
        The artworks that draw plays which end within two minutes.
    zipf
        The exponent of the titles' popularity: the n-th title is shown in proportion to n^-zipf.
    shown
        How many titles, the most popular ones, are shown at all; the others are only ever watched unasked. None:
        every one.
    busiest
        Title ids that come first in popularity; the others follow in the catalogue's order.
    """

    members: int = 5000
    strength: float = 3.0
    broad_share: float = 0.25
    clickbait_share: float = 0.06
    zipf: float = 0.9
    shown: int | None = None
    busiest: tuple[str, ...] = ()


class World:
    """Members, titles and the truth about them, as arrays.

    M members, N titles of at most K artworks, T themes. Artworks are numbered in the catalogue's order; the number
    -1 stands for one the world does not know, which shows nothing.

    Parameters
    ----------
    titles
        The catalogue; people (``cast:…``) are not part of a taste here.
    seed
        The same seed, titles and rules make the same world.

    Raises
    ------
    InputError
        The catalogue has no titles, or no themes.

    Attributes
    ----------
    member_ids, persona_of
        The members' names and personas: a theme, or ``broad``.
    taste
        True shares of interest, shape (M, T); rows sum to 1.
    popularity
        How often each title is shown, shape (N,); sums to 1.
    love
        How often each member picks each title by themselves, shape (M, N); rows sum to 1.
    """

    def __init__(self, titles: Sequence[Title], seed: int, rules: WorldRules | None = None) -> None:
        self.titles = tuple(titles)
        self.seed = seed
        self.rules = rules = rules or WorldRules()
        if not self.titles:
            raise InputError("the catalogue is empty: an audience needs titles to watch")
        self.themes = tuple(sorted({t for title in titles for t in title.themes if not t.startswith(CAST_PREFIX)}))
        if not self.themes:
            raise InputError("no title of the catalogue has a theme: tastes are made of themes")
        rng = np.random.default_rng([seed, 1])
        self.artwork_ids = tuple(tuple(a.artwork_id for a in title.artworks) for title in self.titles)
        self.artwork_counts: Indices = np.array([len(ids) for ids in self.artwork_ids])
        self.runtime: Floats = np.array([title.runtime_seconds for title in self.titles])
        self.title_themes = self._rows([title.themes for title in self.titles])
        self._make_artworks(rng)
        self._make_members(rng)
        rank = self._ranks()
        popularity = (rank + 1.0) ** -rules.zipf
        shown = popularity * (rank < (rules.shown or len(rank)))
        self.popularity: Floats = shown / shown.sum()
        love = np.sqrt(popularity) * np.exp(_LOVE * self.taste @ self.title_themes.T)
        self.love: Floats = love / love.sum(axis=1, keepdims=True)

    def _rows(self, themes: Sequence[Mapping[str, float]]) -> Floats:
        """Weights of the known themes, one row for each mapping."""
        return np.array([[row.get(theme, 0.0) for theme in self.themes] for row in themes])

    def _make_artworks(self, rng: np.random.Generator) -> None:
        """What each artwork shows, and what it is like beyond that; the last place of each title stays empty."""
        count, most = len(self.titles), int(self.artwork_counts.max()) + 1
        self._tags: Floats = np.zeros((count, most, len(self.themes)))
        for i, title in enumerate(self.titles):
            self._tags[i, : len(title.artworks)] = self._rows([artwork.themes for artwork in title.artworks])
        self.exists: NDArray[np.bool_] = np.arange(most) < self.artwork_counts[:, None]
        several = (self.artwork_counts > 2)[:, None]
        self.clickbait: NDArray[np.bool_] = (
            (rng.random((count, most)) < self.rules.clickbait_share) & self.exists & several
        )
        quality = np.where(self.exists, rng.normal(0.0, _QUALITY_SD, (count, most)), 0.0)
        appeal = rng.normal(0.0, _APPEAL_SD, count)
        self._logit: Floats = _BASE + appeal[:, None] + quality + _CLICKBAIT_LIFT * self.clickbait
        self._short: Floats = np.where(self.clickbait, _CLICKBAIT_SHORT, _SHORT)

    def _make_members(self, rng: np.random.Generator) -> None:
        """Personas, and tastes scattered around them (a Dirichlet distribution around each profile)."""
        presence = self.title_themes.sum(axis=0)
        loved = np.flatnonzero(
            presence >= 0.5 * presence.mean()
        )  # a theme too rare to live on is nobody's persona
        together = self.title_themes.T @ self.title_themes  # themes that titles have in common
        profiles = _FOCUS * np.eye(len(self.themes))[loved] + (1.0 - _FOCUS) * _shares(together[loved])
        profiles = np.vstack([profiles, _shares(presence[None, :])])
        self.personas = (*(self.themes[theme] for theme in loved), BROAD)
        count, broad = self.rules.members, self.rules.broad_share
        weights = np.append((1.0 - broad) * presence[loved] / presence[loved].sum(), broad)
        self._persona: Indices = rng.choice(len(self.personas), size=count, p=weights)
        concentration = np.where(self._persona == len(loved), _BROAD_CONCENTRATION, _LOVER_CONCENTRATION)
        drawn = rng.standard_gamma(concentration[:, None] * profiles[self._persona]) + 1e-12
        self.taste: Floats = _shares(drawn)
        self.persona_of = tuple(self.personas[persona] for persona in self._persona.tolist())
        self.member_ids = tuple(f"member-{self.seed}-{i:05d}" for i in range(count))

    def _ranks(self) -> Floats:
        order = [i for name in self.rules.busiest for i, t in enumerate(self.titles) if t.title_id == name]
        order += [i for i in range(len(self.titles)) if i not in order]
        ranks = np.empty(len(order))
        ranks[order] = np.arange(len(order))
        return ranks

    def lovers(self, persona: str) -> tuple[str, ...]:
        """The ids of a persona's members."""
        return tuple(m for m, p in zip(self.member_ids, self.persona_of, strict=True) if p == persona)

    # --- the truth

    def start_probability(self, members: Indices, titles: Indices) -> Floats:
        """How likely members are to start playing titles, for each artwork: shapes (n,), (n,) to (n, K + 1)."""
        taste = self.taste[members]
        suits = _SUITS * np.einsum("nt,nt->n", taste, self.title_themes[titles])
        meets = self.rules.strength * np.einsum("nt,nkt->nk", taste, self._tags[titles])
        logit = self._logit[titles] + suits[:, None] + meets
        chance: Floats = 1.0 / (1.0 + np.exp(-logit))
        return chance

    def short_probability(self, titles: Indices) -> Floats:
        """How likely a started play is to end within two minutes, for each artwork: shape (n,) to (n, K + 1)."""
        return self._short[titles]

    def values(self, members: Indices, titles: Indices) -> Floats:
        """The chance that each artwork leads to a play that counts, shape (n, K + 1); -1 where there is none.

        How much of the title is then watched does not depend on the artwork, so an artwork's expected reward is
        this times a constant.
        """
        taken = self.start_probability(members, titles) * (1.0 - self._short[titles])
        return np.where(self.exists[titles], taken, -1.0)


def _shares(rows: Floats) -> Floats:
    """Rows that sum to 1."""
    shares: Floats = rows / rows.sum(axis=1, keepdims=True)
    return shares
