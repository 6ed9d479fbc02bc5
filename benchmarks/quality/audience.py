"""Titles, artworks and members, and how likely each member is to play each title behind each artwork.

Member m with taste x (shares of themes, summing to 1) plays title t behind artwork a with probability ::

    rate_t · clip(1 + q_a + (x - x̄) · W_a + c (x̄ · W_a - m), 0.05, 4)    W_a = s · h ∘ g_a + e_a

where x̄ is the mean taste, g_a the artwork's tags (0 where it does not show a theme), h how much each theme
matters (the same for every title: what a catalogue can teach), s how much tags matter at all, e_a the artwork's
own effects and q_a its quality for everyone. An artwork's tags lift it above others for those who like the themes
more than people do on average, and lower it for the rest. How much they lift it with everybody is a matter of c,
the appeal of what is popular (m is the mean of x̄ · W over all artworks, so that play rates stay what they are).

Seeds differ in structure, not only in draws: how many tags an artwork has, how concentrated tastes are and how
popular themes, how unequally themes matter, how strong the four kinds of effect are, and where between the lowest
and the highest play rates lie. Nothing can be tuned to one of them.

People are further columns of x, g and W, see :func:`with_people`: shares of liking them sum to 1 on their own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

MEMBERS = 20_000
THEMES = 15
#: People whom artworks show, where people matter, and how many of them each title is played by.
PEOPLE, CAST_OF_TITLE = 24, 4
#: An artwork moves a title's play rate between these factors.
LOWEST, HIGHEST = 0.05, 4.0


@dataclass(frozen=True, slots=True)
class Strengths:
    """How much artwork matters: middle values, which a seed moves by up to a fifth.

    Attributes
    ----------
    tags
        s above, for a theme that matters as much as the average one.
    own
        The standard deviation of e_a's elements.
    quality
        The standard deviation of q_a.
    appeal
        c above; a seed draws it from 0 to 1.
    rates
        The lowest and highest play rate of a title.
    """

    tags: float = 8.0
    own: float = 1.2
    quality: float = 0.36
    appeal: float = 0.5
    rates: tuple[float, float] = (0.03, 0.10)


@dataclass(frozen=True, slots=True)
class Truth:
    """What truly decides plays: T titles of K artworks, F themes; the last ``people`` of them stand for people.

    Attributes
    ----------
    tags
        g, shape (T, K, F).
    rate
        Of each title, shape (T,).
    level
        1 + q - x̄ · weights: shape (T, K).
    weights
        s h ∘ g + e: shape (T, K, F).
    members
        Tastes, shape (M, F).
    matter
        h, shape (F,).
    strengths
        This seed's.
    """

    tags: Floats
    rate: Floats
    level: Floats
    weights: Floats
    members: Floats
    matter: Floats
    strengths: Strengths
    people: int = 0

    @property
    def names(self) -> list[str]:
        """What the F columns stand for, as a catalogue names them."""
        themes = self.tags.shape[2] - self.people
        return [f"theme{j:02}" for j in range(themes)] + [f"cast:person{j:02}" for j in range(self.people)]

    def chance(self, title: Ints, taste: Floats) -> Floats:
        """The probability of a play behind each artwork, shape (n, K), of n visits: (n,) titles, (n, F) tastes."""
        pull = np.matmul(self.weights[title], taste[:, :, None])[:, :, 0]
        found: Floats = self.rate[title][:, None] * np.clip(self.level[title] + pull, LOWEST, HIGHEST)
        return found

    def best_single(self, offered: NDArray[np.bool_]) -> Ints:
        """The best artwork of each title when everybody is shown the same, shape (T,), of those offered (T, K)."""
        some = self.members[:4000]
        means = [
            np.clip(level + some @ weights.T, LOWEST, HIGHEST).mean(axis=0)
            for level, weights in zip(self.level, self.weights, strict=True)
        ]
        best: Ints = np.argmax(np.where(offered, np.array(means), -1.0), axis=1)
        return best


def draw_truth(rng: np.random.Generator, titles: int, artworks: int, middle: Strengths) -> Truth:
    """Draw members, titles and artworks. The structure is drawn first: it is the seed's, however many titles."""
    drawn = (rng.uniform(0.8, 1.2, 3) * (middle.tags, middle.own, middle.quality)).tolist()
    strengths = Strengths(drawn[0], drawn[1], drawn[2], appeal=rng.uniform(0.0, 1.0), rates=middle.rates)
    most_tags = int(rng.integers(2, 5))
    skew = rng.uniform(0.7, 1.4)
    unequal = rng.uniform(0.2, 0.6)
    popular = rng.dirichlet(np.full(THEMES, rng.uniform(4.0, 20.0))) * THEMES
    members = rng.dirichlet(rng.uniform(0.25, 0.5) * popular, size=MEMBERS)
    matter = rng.uniform(1.0 - unequal, 1.0 + unequal, THEMES)

    shape = (titles, artworks, THEMES)
    ranks = np.argsort(rng.random(shape), axis=2).argsort(axis=2)
    count = rng.integers(1, most_tags + 1, size=(titles, artworks, 1))
    tags = np.where(ranks < count, rng.uniform(0.3, 1.0, shape), 0.0)
    low, high = np.log(strengths.rates)
    rate = np.exp(low + (high - low) * rng.random(titles) ** skew)
    return _truth(rng, tags, rate, members, matter, strengths)


def with_people(rng: np.random.Generator, truth: Truth, strength: float) -> Truth:
    """The same titles and members, and people whom members like and artworks show.

    A title is played by four of the people, and each of its artworks shows each of the four with a chance of three
    in ten. Members like a few people, some of whom are liked by many. W of a person is ``strength`` times how much
    the person matters times the tag.
    """
    titles, artworks, _ = truth.tags.shape
    popular = rng.dirichlet(np.full(PEOPLE, 4.0)) * PEOPLE
    members = rng.dirichlet(0.1 * popular, size=len(truth.members))
    matter = rng.uniform(0.6, 1.4, PEOPLE)
    plays = (-np.log(rng.random((titles, PEOPLE))) / popular).argsort(axis=1).argsort(axis=1) < CAST_OF_TITLE
    shown = plays[:, None, :] & (rng.random((titles, artworks, PEOPLE)) < 0.3)
    tags = np.where(shown, rng.uniform(0.3, 1.0, shown.shape), 0.0)
    weights = strength * matter * tags
    general = weights @ members.mean(axis=0)
    return replace(
        truth,
        tags=np.concatenate([truth.tags, tags], axis=2),
        level=truth.level - general + truth.strengths.appeal * (general - general.mean()),
        weights=np.concatenate([truth.weights, weights], axis=2),
        members=np.concatenate([truth.members, members], axis=1),
        matter=np.concatenate([truth.matter, matter]),
        people=PEOPLE,
    )


def dealt_anew(rng: np.random.Generator, truth: Truth, matter: Floats) -> Truth:
    """The same titles and members; themes matter so much, h, and artworks' own effects are drawn anew."""
    return _truth(rng, truth.tags, truth.rate, truth.members, matter, truth.strengths)


def _truth(  # noqa: PLR0917 - what is not drawn here, in the order of Truth
    rng: np.random.Generator, tags: Floats, rate: Floats, members: Floats, matter: Floats, strengths: Strengths
) -> Truth:
    """Draw the effects that are each artwork's own."""
    weights = strengths.tags * matter * tags + rng.normal(0.0, strengths.own, tags.shape)
    quality = rng.normal(0.0, strengths.quality, tags.shape[:2])
    general = weights @ members.mean(axis=0)
    level = 1.0 + quality - general + strengths.appeal * (general - general.mean())
    return Truth(tags, rate, level, weights, members, matter, strengths)
