"""What policies have earned: sums by title, policy and group, exact in any order and across a restore."""

from __future__ import annotations

import json
from collections import defaultdict

import msgspec
import numpy as np
import pytest
from builders import HOUR_MS, repeatable, some_impression, some_play, some_reward, some_settings, some_title
from hypothesis import given
from hypothesis import strategies as st

from stream.codec import encode_fields
from stream.errors import StateMismatch
from stream.learning.book import LearningRules, TitleBook
from stream.learning.publication import Publication
from stream.plays.reward import ViewingRules
from stream.plays.viewing import Member
from stream.worth.policies import GROUPS, ROWS, group_of, no_sums, shares, sums_of

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
#: What an impression's reward is in turn: multiples of 2⁻⁴⁰, as the viewing worker writes them.
totals = st.lists(st.integers(0, 2**40).map(lambda n: n * 2.0**-40), max_size=3)
histories = st.lists(st.tuples(shown, totals), max_size=30, unique_by=lambda one: one[0].impression_id)


def changes_of(impression, totals, *, group=True):
    """The changes that take an impression's reward from one total to the next, as a viewing worker writes them."""
    before, found = 0.0, []
    for total in totals:
        if total != before:
            change = some_reward(impression, total - before, total)
            of = group_of(impression.member_id) if group else None
            found.append(msgspec.structs.replace(change, group=of, advised=impression.advised))
        before = total
    return found


def sums_in(book, title_id):
    """A title's sums."""
    return book.policies.sums[book.titles[title_id].place]


def learn(book, record):
    """One record."""
    if hasattr(record, "credit"):
        book.learn_rewards([record])
    else:
        book.learn_impressions([record])


@repeatable
@given(histories, st.randoms(use_true_random=False))
def test_sums_equal_a_recount_whatever_the_order(history, rng):
    """Impressions, plays and reward of each title, policy and group; a reward taken back leaves nothing behind."""
    expected = defaultdict(no_sums)
    waiting = []
    for impression, rewards in history:
        row = impression.policy
        if row == "app":
            row = "agreed" if impression.advised == impression.artwork_id else "disagreed"
        last = rewards[-1] if rewards else 0.0
        cell = expected[impression.title_id][ROWS.index(row), group_of(impression.member_id)]
        cell += [1.0, float(last > 0), last]
        waiting += [[impression], changes_of(impression, rewards)]  # a reward may overtake its impression
    book = TitleBook(COLUMNS, RULES)
    while waiting := [part for part in waiting if part]:
        learn(book, rng.choice(waiting).pop(0))
    assert book.titles.keys() == expected.keys()
    for title_id in expected:
        np.testing.assert_array_equal(sums_in(book, title_id), expected[title_id])


@repeatable
@given(histories)
def test_sums_come_back_from_the_changelog(history):
    """Exactly, in the place of what was there; and go on from there."""
    book, other = TitleBook(COLUMNS, RULES), TitleBook(COLUMNS, RULES)
    other.learn_impressions([some_impression(title_id="film"), some_impression(title_id="another")])
    for impression, rewards in history:
        book.learn_impressions([impression])
        book.learn_rewards(changes_of(impression, rewards))
    for title_id in book.titles:
        other.restore(encode_fields(book.store(title_id)))
        np.testing.assert_array_equal(sums_in(other, title_id), sums_in(book, title_id))
    for one in (book, other):
        one.learn_impressions([some_impression("last")])
    if "film" in {impression.title_id for impression, _ in history}:
        np.testing.assert_array_equal(sums_in(other, "film"), sums_in(book, "film"))
    assert sums_in(other, "another").sum() == 1.0


def test_a_changelog_of_before_there_were_sums_restores():
    """They begin with what comes next."""
    book, other = TitleBook(COLUMNS, RULES), TitleBook(COLUMNS, RULES)
    book.learn_impressions([some_impression()])
    before = json.loads(encode_fields(book.store("film")))
    del before["policies"]
    other.restore(json.dumps(before).encode())
    assert sums_in(other, "film").sum() == 0.0
    other.learn_impressions([some_impression("next", policy="popular")])
    assert sums_in(other, "film")[ROWS.index("popular"), :, 0].sum() == 1.0


@pytest.mark.parametrize("damaged", [[[1.0, 0.0, 0.0]], [[1.0, 0.0]] * GROUPS, []])
def test_damaged_sums_are_refused(damaged):
    """A changelog record whose sums are of another shape is not restored."""
    book = TitleBook(COLUMNS, RULES)
    book.learn_impressions([some_impression()])
    record = json.loads(encode_fields(book.store("film"))) | {"policies": {"personal": damaged}}
    with pytest.raises(StateMismatch, match="personal"):
        TitleBook(COLUMNS, RULES).restore(json.dumps(record).encode())


def test_what_another_version_sums_is_left_out():
    """A policy that this version does not know."""
    found = sums_of({"clairvoyant": [[1.0]], "explore": [[1.0, 0.0, 0.0]] * GROUPS})
    assert found.sum() == found[ROWS.index("explore")].sum() == GROUPS


def test_a_snapshot_carries_the_sums_of_its_title():
    """Those of each policy that has any; a title of which nothing was learned has none."""
    book, film = TitleBook(COLUMNS, RULES), some_title()
    book.learn_impressions([some_impression(), some_impression("i2", policy="explore")])
    fields = json.loads(encode_fields(Publication(book).snapshot(film, published_ms=1)))
    assert set(fields["policies"]) == {"personal", "explore"}
    np.testing.assert_array_equal(sums_of(fields["policies"]), sums_in(book, "film"))
    unknown = Publication(TitleBook(COLUMNS, RULES)).snapshot(film, published_ms=1)
    assert unknown["policies"] == {}


def test_a_reward_says_the_group_of_its_member_and_the_advice():
    """The viewing worker copies both from the impression, and the group has no more than a few bits of the id."""
    impression = some_impression(member_id="ann", policy="app", propensity=1.0, advised="kiss")
    play = some_play(impression=impression, watched_seconds=1800.0, played_ms=impression.shown_ms + HOUR_MS)
    rules = ViewingRules.of(some_settings())
    _, (change,) = Member().watch(play, {}, 6000.0, rules)
    assert (change.group, change.advised, change.policy) == (group_of("ann"), "kiss", "app")


def test_a_reward_without_a_group_is_counted():
    """An older viewing worker wrote it: it goes to some group."""
    book = TitleBook(COLUMNS, RULES)
    impressions = [some_impression(f"i{i}") for i in range(200)]
    book.learn_impressions(impressions)
    for impression in impressions:
        book.learn_rewards(changes_of(impression, [0.5], group=False))
    of_groups = sums_in(book, "film")[ROWS.index("personal")]
    assert of_groups.sum(axis=0).tolist() == [200.0, 200.0, 100.0]
    assert (of_groups[:, 1] > 0).sum() > GROUPS / 2


def test_groups_are_of_one_size_and_none_of_a_policy():
    """Whatever the ids look like: each group has its part of the members, within what chance allows."""
    for ids in ("member-{}", "{:08d}", "user{}@example.org"):
        counts = np.bincount([group_of(ids.format(i)) for i in range(16_000)], minlength=GROUPS)
        assert ((counts - 1000) ** 2 / 1000).sum() < 60


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"personal": 0.93, "popular": 0.05, "explore": 0.02, "app": 0.0}),
        ({"app_share": 0.5}, {"personal": 0.465, "popular": 0.025, "explore": 0.01, "app": 0.5}),
        ({"app_share": 1}, {"personal": 0.0, "popular": 0.0, "explore": 0.0, "app": 1.0}),
    ],
)
def test_shares(changes, expected):
    """The app's members are taken from all policies alike."""
    assert shares(some_settings(**changes)) == pytest.approx(expected)
