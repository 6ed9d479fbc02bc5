"""What a partition's titles teach: kept up to date title by title, and carried between learners."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import some_impression, some_reward, some_title

from stream.errors import StateMismatch
from stream.learning.book import LearningRules, TitleBook
from stream.learning.lessons import Lessons, learn_from
from stream.learning.teaching import PartitionLessons, read_lessons, write_lessons
from stream.records import Artwork

COLUMNS = ("bias", "comedy", "romance")
RULES = LearningRules(prior_precision=10.0, noise_precision=20.0, max_jump=1.0)
NOTHING = learn_from(Lessons.none(COLUMNS))
TITLES = [
    some_title(f"t{i}", (Artwork("face", {"comedy": 1.0}), Artwork("kiss", {"romance": 1.0}))) for i in range(5)
]


def records(seed, count=300):
    """Impressions of all titles, and the rewards of some: lovers of romance play what shows a kiss."""
    rng = np.random.default_rng(seed)
    shown, rewards = [], []
    for i in range(count):
        romance = float(rng.random())
        artwork_id = ("face", "kiss")[int(rng.integers(2))]
        shown.append(
            some_impression(
                f"i{i}",
                title_id=f"t{rng.integers(5)}",
                artwork_id=artwork_id,
                context={"romance": romance, "comedy": 1.0 - romance},
            )
        )
        likes = romance if artwork_id == "kiss" else 1.0 - romance
        if rng.random() < 0.3 * likes:
            rewards.append(some_reward(shown[-1], 1.0))
    return shown, rewards


def total(book, titles=TITLES):
    """What these titles of a book teach, computed at once."""
    lessons = PartitionLessons()
    lessons.refresh(book, titles, NOTHING)
    return lessons.total()


def equal(one, other, within=1e-9):
    """Whether two sums of lessons are the same."""
    return all(
        np.allclose(getattr(one, name), getattr(other, name), rtol=within, atol=within)
        for name in ("context", "reward", "precision", "moment", "evidence")
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_and_batches_change_nothing(seed):
    """Rewards before their impressions, one record at a time or all at once: the same lessons within 1e-9."""
    shown, rewards = records(seed)
    book, other = TitleBook(COLUMNS, RULES), TitleBook(COLUMNS, RULES)
    book.learn_impressions(shown)
    book.learn_rewards(rewards)
    rng = np.random.default_rng(seed)
    for i in rng.permutation(len(rewards)):
        other.learn_rewards([rewards[i]])
    for part in np.array_split(rng.permutation(len(shown)), 7):
        other.learn_impressions([shown[i] for i in part])
    assert equal(total(book), total(other))


def test_only_what_changed_is_computed_again():
    """After a change of one title, refreshing that title alone gives what refreshing all would."""
    shown, rewards = records(4)
    book, lessons = TitleBook(COLUMNS, RULES), PartitionLessons()
    book.learn_impressions(shown)
    lessons.refresh(book, TITLES, NOTHING)
    assert not lessons.stale
    book.learn_rewards([reward for reward in rewards if reward.title_id == "t2"])
    lessons.mark(["t2"])
    assert list(lessons.stale) == ["t2"]
    lessons.refresh(book, [TITLES[2]], NOTHING)
    assert not lessons.stale
    assert equal(lessons.total(), total(book))


def test_what_is_missing_comes_first():
    """Without a title that was never computed the total is nobody's; one that has changed can wait."""
    shown, _ = records(8)
    book, lessons = TitleBook(COLUMNS, RULES), PartitionLessons()
    book.learn_impressions(shown)
    lessons.refresh(book, TITLES[:3], NOTHING)
    lessons.mark(["t1", "t3", "t0", "t4"])
    assert (list(lessons.missing), list(lessons.stale)) == (["t3", "t4"], ["t1", "t0"])
    assert lessons.waiting(3) == ["t3", "t4", "t1"]


def test_a_withdrawn_title_teaches_nothing():
    """Its share is gone from the sum."""
    shown, _ = records(5)
    book, lessons = TitleBook(COLUMNS, RULES), PartitionLessons()
    book.learn_impressions(shown)
    lessons.refresh(book, TITLES, NOTHING)
    lessons.forget("t0")
    assert equal(lessons.total(), total(book, TITLES[1:]))


def test_new_columns_make_everything_stale():
    """Lessons over other features cannot be added: each title's are worked out again."""
    shown, _ = records(6)
    book, lessons = TitleBook(COLUMNS, RULES), PartitionLessons()
    book.learn_impressions(shown)
    lessons.refresh(book, TITLES, NOTHING)
    book.widen((*COLUMNS, "noir"))
    lessons.refresh(book, TITLES[:1], learn_from(Lessons.none((*COLUMNS, "noir"))))
    assert set(lessons.missing) == {title.title_id for title in TITLES[1:]}
    assert lessons.total().features == (*COLUMNS, "noir")


def test_lessons_come_back():
    """Written and read again they are the same; of the precision one triangle is written."""
    shown, rewards = records(7)
    book = TitleBook(COLUMNS, RULES)
    book.learn_impressions(shown)
    book.learn_rewards(rewards)
    lessons = total(book)
    found = read_lessons(write_lessons(lessons))
    assert equal(found, lessons, within=1e-14)
    assert found.features == COLUMNS


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "format 2"),
        ({"strengths": [1.0]}, "another version"),
        ({"moment": [1.0]}, "wrong size"),
        ({"precision": "x"}, "cannot be read"),
    ],
)
def test_lessons_of_another_version_are_refused(change, says):
    """Or damaged ones; the message says which."""
    value = json.loads(write_lessons(Lessons.none(COLUMNS))) | change
    with pytest.raises(StateMismatch, match=says):
        read_lessons(json.dumps(value).encode())
