"""What policies have earned: sums by title, policy and group, exact in any order and across a restore."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders import repeatable, some_impression, some_play, some_reward, some_settings
from hypothesis import given
from hypothesis import strategies as st

from stream.codec import encode_fields
from stream.errors import StateMismatch
from stream.learning import LearningRules, TitleBook
from stream.policies import GROUPS, ROWS, group_of, shares, sums_of
from stream.viewing import Member, ViewingRules

RULES = LearningRules(prior_precision=10.0, noise_precision=20.0, max_jump=1.0)
COLUMNS = ("bias", "comedy", "romance")

shown = st.builds(
    some_impression,
    st.integers(0, 10**6).map(str),
    member_id=st.integers(0, 40).map("member-{}".format),
    title_id=st.sampled_from(["film", "series"]),
    artwork_id=st.sampled_from(["face", "kiss"]),
    policy=st.sampled_from(["personal", "popular", "explore", "app"]),
    advised=st.sampled_from([None, "face", "kiss"]),
)
#: Multiples of 2⁻⁴⁰, as the viewing worker writes them.
credits_ = st.lists(st.integers(0, 2**40).map(lambda n: n * 2.0**-40), min_size=0, max_size=3)
histories = st.lists(st.tuples(shown, credits_), max_size=30, unique_by=lambda one: one[0].impression_id)


def row_of(impression):
    """Whose an impression is."""
    if impression.policy != "app":
        return impression.policy
    return "agreed" if impression.advised == impression.artwork_id else "disagreed"


def changes_of(impression, totals):
    """The changes that take an impression's reward from one total to the next."""
    before, found = 0.0, []
    for total in totals:
        if total != before:
            change = some_reward(impression, total - before, total)
            found.append(type(change)(**{**_fields(change), "group": group_of(impression.member_id)}))
        before = total
    return found


def _fields(record):
    return {name: getattr(record, name) for name in record.__struct_fields__} | {"advised": None}


def sums(book, title_id):
    """A title's sums."""
    return book.policies.sums[book.titles[title_id].place]


@repeatable
@given(histories, st.randoms(use_true_random=False))
def test_sums_equal_a_recount_whatever_the_order(history, rng):
    """Impressions, plays and reward of each title, policy and group; a reward taken back leaves nothing behind."""
    expected = {title_id: np.zeros((len(ROWS), GROUPS, 3)) for title_id in ("film", "series")}
    parts = []
    for impression, totals in history:
        cell = expected[impression.title_id][ROWS.index(row_of(impression)), group_of(impression.member_id)]
        last = totals[-1] if totals else 0.0
        cell += [1.0, float(last > 0), last]
        changes = [
            type(change)(**{**_fields(change), "advised": impression.advised})
            for change in changes_of(impression, totals)
        ]
        parts.append([impression, *changes])
    book = TitleBook(COLUMNS, RULES)
    while parts:  # the records of one impression keep their order, others come in between
        part = rng.choice(parts)
        record = part.pop(0)
        (book.learn_impressions if record is history and False else _learn)(book, record)
        parts = [one for one in parts if one]
    for title_id in book.titles:
        np.testing.assert_array_equal(sums(book, title_id), expected[title_id])


def _learn(book, record):
    if hasattr(record, "credit"):
        book.learn_rewards([record])
    else:
        book.learn_impressions([record])
