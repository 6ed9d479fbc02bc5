"""What is learned and chosen from in these measurements: a catalogue, contexts, impressions, snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.arrived import Arrived
from stream.codec import decode, encode, encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.lessons import Lessons, learn_from
from stream.learning.publication import Publication
from stream.learning.soundness import Unsound
from stream.records import Artwork, Impression, Play, RewardChange, Snapshot, Title
from stream.settings import Settings
from stream.topics import CATALOGUE, IMPRESSIONS, PLAYS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from stream.records import Record
    from stream.topics import Topic

    Floats = NDArray[np.float64]
    Ints = NDArray[np.intp]

PREFIX = "bench."
TAKE_RATE = 0.05
#: How much artworks' own effects differ by theme, relative to the take rate.
EFFECT = 2.4
#: Themes that an artwork shows.
TAGS = 3


class Looks(NamedTuple):
    """n impressions as numbers.

    Attributes
    ----------
    title, artwork
        Of what, shape (n,).
    contexts
        n contexts, as records have them.
    reward
        What each earned, shape (n,): mostly nought.
    """

    title: Ints
    artwork: Ints
    contexts: list[dict[str, float]]
    reward: Floats


class Workload:
    """A catalogue and its audience.

    Parameters
    ----------
    titles, artworks
        How many, and how many of each.
    features
        How many columns a model has: the bias, and one for each theme.
    given
        How many features a context gives; None: every theme.
    """

    def __init__(
        self, titles: int = 200, artworks: int = 9, features: int = 16, given: int | None = None, seed: int = 1
    ) -> None:
        self._rng = np.random.default_rng(seed)
        self.artworks = artworks
        self.themes = [f"theme-{j:02}" for j in range(features - 1)]
        self.columns = ("bias", *self.themes)
        self.given = len(self.themes) if given is None else min(given, len(self.themes))
        self.titles = [self._title(number) for number in range(titles)]
        self._effects = self._rng.normal(0.0, EFFECT, (titles, artworks, len(self.themes)))

    def _title(self, number: int) -> Title:
        tags = [self._rng.permutation(len(self.themes))[:TAGS] for _ in range(self.artworks)]
        return Title(
            title_id=f"title-{number:05}",
            name=f"The title {number}",
            runtime_seconds=6000.0,
            themes=dict.fromkeys(self.themes, 1.0),
            artworks=tuple(
                Artwork(
                    f"artwork-{a}", {self.themes[j]: round(1.0 / (1 + place), 3) for place, j in enumerate(few)}
                )
                for a, few in enumerate(tags)
            ),
        )

    def contexts(self, count: int) -> list[dict[str, float]]:
        """Tastes: shares of themes."""
        shares = self._rng.dirichlet(np.full(self.given, 0.6), count).round(4).tolist()
        if self.given == len(self.themes):
            names = [self.themes] * count
        else:
            order = np.argsort(self._rng.random((count, len(self.themes))), axis=1)[:, : self.given]
            names = [[self.themes[j] for j in row] for row in order.tolist()]
        return [dict(zip(of, row, strict=True)) for of, row in zip(names, shares, strict=True)]

    def looks(self, count: int) -> Looks:
        """Impressions, spread evenly over titles and artworks."""
        rng = self._rng
        title = rng.integers(len(self.titles), size=count)
        return self._looked(title, rng.integers(self.artworks, size=count))

    def _looked(self, title: Ints, artwork: Ints) -> Looks:
        """Whoever looks, likes some artworks of a title more than others."""
        contexts = self.contexts(len(title))
        taste = np.array([[context.get(theme, 0.0) for theme in self.themes] for context in contexts])
        taste -= 1.0 / max(len(self.themes), 1)
        liking = 1.0 + np.einsum("nj,nj->n", taste, self._effects[title, artwork])
        played = self._rng.random(len(title)) < TAKE_RATE * np.clip(liking, 0.05, 4.0)
        return Looks(title, artwork, contexts, np.where(played, self._rng.random(len(title)).round(3), 0.0))

    def impressions(self, count: int, shown_ms: int, first: int = 0, members: int = 1_000_000) -> list[Impression]:
        """The same as records, by ten to a millisecond from a moment on."""
        looks = self.looks(count)
        who = self._rng.integers(members, size=count).tolist()
        rows = zip(looks.title.tolist(), looks.artwork.tolist(), looks.contexts, who, strict=True)
        return [
            Impression(
                impression_id=f"kfY2_9sQbW7x-{first + i:x}",
                shown_ms=shown_ms + i // 10,
                member_id=f"member-{member:07}",
                title_id=self.titles[title].title_id,
                artwork_id=f"artwork-{artwork}",
                context=context,
                policy="personal",
                propensity=0.4375,
                snapshot_version=12345,
            )
            for i, (title, artwork, context, member) in enumerate(rows)
        ]

    def taught(self, looks_a_title: int) -> TitleBook:
        """A book that has learned so much of every title."""
        book = TitleBook(self.columns, rules())
        now_ms = 1_760_000_000_000
        for start in range(0, len(self.titles), 500):  # a part of the catalogue at a time, to need little memory
            some = min(500, len(self.titles) - start)
            number = np.arange(looks_a_title * some) % (some * self.artworks)
            looks = self._looked(start + number // self.artworks, number % self.artworks)
            titles, artworks = looks.title.tolist(), looks.artwork.tolist()
            shown = [
                Impression(
                    *(f"{start}-{i}", now_ms, "member", self.titles[t].title_id, f"artwork-{a}"),
                    *(looks.contexts[i], "personal", 0.5, 0),
                )
                for i, (t, a) in enumerate(zip(titles, artworks, strict=True))
            ]
            book.learn_impressions(shown)
            book.learn_rewards(rewards_of(shown, looks.reward))
        return book

    def snapshots(self, book: TitleBook) -> list[Snapshot]:
        """What would be published of it, as a serving node reads it."""
        taught = learn_from(Lessons.none(self.columns))
        found = []
        for title, fields in Publication(book).snapshots(self.titles, 1_760_000_000_000, taught):
            if isinstance(fields, Unsound):
                raise RuntimeError(  # noqa: TRY004 - not a matter of types
                    f"{title.title_id}: {fields}"
                )
            found.append(decode(Snapshot, encode_fields(fields), limit=None))
        return found


def rewards_of(shown: Sequence[Impression], reward: Floats) -> list[RewardChange]:
    """The rewards of impressions, of those that earned something."""
    return [
        RewardChange(
            impression_id=one.impression_id,
            shown_ms=one.shown_ms,
            credited_ms=one.shown_ms + 60_000,
            title_id=one.title_id,
            artwork_id=one.artwork_id,
            context=one.context,
            policy=one.policy,
            propensity=one.propensity,
            credit=earned,
            reward=earned,
        )
        for one, earned in zip(shown, reward.tolist(), strict=True)
        if earned
    ]


def rules() -> LearningRules:
    """Learning as by default, without a look at any file or variable."""
    return LearningRules.of(settings())


def settings(**changes: Any) -> Settings:
    """The default settings, whatever a file or the environment says: measurements are the same everywhere."""
    return Settings.model_construct(None, **({"worker_id": "bench"} | changes))


def arrived(records: Sequence[Record], now_ms: int, first: int = 0) -> list[Arrived]:
    """Records as a worker reads them from one partition."""
    topics: dict[type[Record], Topic] = {
        Impression: IMPRESSIONS,
        Play: PLAYS,
        RewardChange: REWARDS,
        Title: CATALOGUE,
    }
    names = {kind: (topic.full_name(PREFIX), topic.key.value) for kind, topic in topics.items()}
    found = []
    for offset, record in enumerate(records, first):
        name, key = names[type(record)]
        found.append(Arrived(name, 0, offset, now_ms, getattr(record, key).encode(), encode(record)))
    return found
