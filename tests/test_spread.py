"""How evenly impressions go to artworks, worked out from the counts alone."""

from __future__ import annotations

import math

import pytest
from builders import some_impression

from stream.learning.book import LearningRules, TitleBook
from stream.learning.spread import Spread

RULES = LearningRules(prior_precision=10.0, noise_precision=20.0, max_jump=1.0)


def shown(book: TitleBook, title_id: str, counts: list[int]) -> None:
    """So many impressions of each artwork of a title."""
    book.learn_impressions(
        [
            some_impression(f"{title_id}-{artwork}-{i}", title_id=title_id, artwork_id=f"art-{artwork}")
            for artwork, count in enumerate(counts)
            for i in range(count)
        ]
    )


def entropy(counts: list[int]) -> float:
    """By the book, over the most it could be."""
    total = sum(counts)
    return -sum(n / total * math.log(n / total) for n in counts if n) / math.log(len(counts))


@pytest.mark.parametrize("counts", [[50, 50], [90, 10], [30, 30, 40], [97, 1, 1, 1]])
def test_it_is_the_entropy_over_the_most_it_could_be(counts: list[int]) -> None:
    """1 for artworks that are shown as often, near 0 where one has won."""
    book = TitleBook(["bias"], RULES)
    shown(book, "film", counts)
    even, weight = Spread().look(book)
    assert weight == sum(counts)
    assert even / weight == pytest.approx(entropy(counts))


def test_titles_count_by_their_impressions() -> None:
    """The average that members see; a title with one artwork, or hardly any impressions, says nothing."""
    book = TitleBook(["bias"], RULES)
    shown(book, "film", [50, 50])
    shown(book, "series", [270, 30])
    shown(book, "single", [100])
    shown(book, "new", [3, 2])
    even, weight = Spread().look(book)
    assert weight == 400
    assert even == pytest.approx(100 * 1.0 + 300 * entropy([270, 30]))


def test_what_was_long_ago_is_forgotten() -> None:
    """A title that went to one artwork lately shows it, whatever it was before; a new artwork is noticed."""
    book, spread = TitleBook(["bias"], RULES), Spread()
    shown(book, "film", [500, 500])
    even, weight = spread.look(book)
    assert even / weight == pytest.approx(1.0)
    assert spread.look(book) == pytest.approx((even, weight))  # nothing happened
    for turn in range(8):
        shown(book, "film", [1000] if turn else [1000, 0, 1])
        even, weight = spread.look(book)
    assert even / weight < 0.05


def test_nothing_is_said_of_nothing() -> None:
    """An empty book has no average."""
    assert Spread().look(TitleBook(["bias"], RULES)) == (0.0, 0.0)
