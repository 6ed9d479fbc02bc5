"""The sums of many artworks: the same whatever batches they were learned in, and the same as River's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st

from stream.learning import sums as sums_module
from stream.learning.model import ArtworkModel
from stream.learning.sums import ArtworkSums

COLUMNS = ("bias", "comedy", "romance", "horror")
SLOTS = 3
GRID = 2.0**-40

contexts = st.dictionaries(st.sampled_from([*COLUMNS[1:], "unknown"]), st.floats(-1e3, 1e3), max_size=4)
shown = st.lists(st.tuples(st.integers(0, SLOTS - 1), contexts), max_size=25)
#: The rewards an impression comes to have, one after another.
totals = st.lists(st.sampled_from([0.0, GRID, 1 / 3 - (1 / 3) % GRID, 0.5, 1 - GRID, 1.0]), max_size=6)
cuts = st.lists(st.integers(0, 60), max_size=6)


def empty_sums(columns=COLUMNS):
    """Three artworks, nothing learned."""
    sums = ArtworkSums(columns)
    for _ in range(SLOTS):
        sums.new_slot()
    return sums


def batches(items, at):
    """The items in order, cut into batches."""
    places = sorted({0, len(items), *(min(cut, len(items)) for cut in at)})
    return [items[a:b] for a, b in itertools.pairwise(places)]


def learn_impressions(sums, impressions):
    """One batch."""
    return sums.learn_impressions(
        np.array([slot for slot, _ in impressions], dtype=np.intp), [context for _, context in impressions]
    )


def learn_rewards(sums, rewards):
    """One batch of (slot, context, credit, total)."""
    slots, given_contexts, credits_, after = zip(*rewards, strict=True)
    sums.learn_rewards(np.array(slots, dtype=np.intp), given_contexts, np.array(credits_), np.array(after))


def story_of(impressions, histories):
    """Each impression's changes of reward as (slot, context, credit, total), the impressions interleaved."""
    changes = []
    for (slot, context), history in zip(impressions, histories, strict=False):
        before, own = 0.0, []
        for total in history:
            if total != before:
                own.append((slot, context, total - before, total))
            before = total
        changes.append(own)
    return [own[i] for i in range(6) for own in changes if i < len(own)]


def scaled(sums):
    """The largest number in the sums: what 1e-9 is relative to."""
    return max(1.0, np.abs(sums.gram).max(initial=0.0))


@repeatable
@given(shown, st.lists(totals, max_size=25), cuts)
def test_batches_change_nothing(impressions, histories, at):
    """However records are cut into batches, counts are equal, sums within 1e-9, and both equal River's models."""
    rewards = story_of(impressions, histories)
    one, many = empty_sums(), empty_sums()
    models = [ArtworkModel() for _ in range(SLOTS)]
    for model in models:
        model.learn_reward(dict.fromkeys(COLUMNS, 0.0), 0.0)  # every column from the start, in this order
    unknown = [learn_impressions(one, [item]) for item in impressions]
    assert sum(learn_impressions(many, part) for part in batches(impressions, at)) == sum(unknown)
    for slot, context in impressions:
        models[slot].learn_impression({"bias": 1.0} | {k: v for k, v in context.items() if k in COLUMNS})
    for item in rewards:
        learn_rewards(one, [item])
        slot, context, credit, _ = item
        models[slot].learn_reward({"bias": 1.0} | {k: v for k, v in context.items() if k in COLUMNS}, credit)
    for part in batches(rewards, at):
        learn_rewards(many, part)
    tolerance = 1e-9 * scaled(one)
    np.testing.assert_allclose(many.gram, one.gram, rtol=1e-9, atol=tolerance)
    np.testing.assert_allclose(many.moment, one.moment, rtol=1e-9, atol=tolerance)
    for slot, model in enumerate(models):
        np.testing.assert_allclose(one.gram[slot], model.sums[0], rtol=1e-9, atol=tolerance)
        np.testing.assert_allclose(one.moment[slot], model.sums[1], rtol=1e-9, atol=tolerance)
    for name in ("impressions", "plays", "reward"):
        np.testing.assert_array_equal(getattr(many, name), getattr(one, name))


@repeatable
@given(shown, st.lists(totals, max_size=25))
def test_counts_are_exact(impressions, histories):
    """Impressions, plays and rewards are what a recount gives, through every correction to nothing and back."""
    sums = empty_sums()
    learn_impressions(sums, impressions)
    rewards = story_of(impressions, histories)
    if rewards:
        learn_rewards(sums, rewards)
    last = [
        (slot, history[-1] if history else 0.0) for (slot, _), history in zip(impressions, histories, strict=False)
    ]
    for slot in range(SLOTS):
        final = [total for of, total in last if of == slot]
        assert sums.impressions[slot] == sum(of == slot for of, _ in impressions)
        assert sums.plays[slot] == sum(total > 0 for total in final)
        assert sums.reward[slot] == sum(final)


@pytest.mark.parametrize(
    ("changes", "plays"),
    [
        ([(0.5, 0.5)], 1),
        ([(0.5, 0.5), (0.5, 1.0)], 1),
        ([(1.0, 1.0), (-0.25, 0.75)], 1),
        ([(0.5, 0.5), (-0.5, 0.0)], 0),
        ([(0.5, 0.5), (-0.5, 0.0), (0.25, 0.25)], 1),
        ([(GRID, GRID), (1 - GRID, 1.0)], 1),
        ([(1.0, 1.0), (GRID - 1, GRID), (-GRID, 0.0)], 0),
    ],
    ids=["first", "more", "less", "taken back", "taken back and given again", "smallest first", "smallest last"],
)
def test_plays(changes, plays):
    """An impression is one play from its first credit on, and none again once all is taken back."""
    sums = empty_sums()
    for credit, total in changes:
        learn_rewards(sums, [(1, {}, credit, total)])
    assert sums.plays.tolist()[:SLOTS] == [0, plays, 0]


def test_an_empty_batch_changes_nothing():
    """Nothing to learn is no special case."""
    sums = empty_sums()
    assert learn_impressions(sums, []) == 0
    sums.learn_rewards(np.array([], dtype=np.intp), [], np.array([]), np.array([]))
    assert not sums.gram.any()
    assert not sums.impressions.any()


def test_wide_contexts_are_added_in_parts(monkeypatch):
    """Memory for a batch is bounded by adding it in parts, which changes nothing but the last bit of the sums."""
    rng = np.random.default_rng(5)
    columns = ("bias", *(f"f{i}" for i in range(20)))
    batch = [
        (int(slot), dict(zip(columns[1:], rng.random(20), strict=True))) for slot in rng.integers(0, SLOTS, 200)
    ]
    whole, parts = empty_sums(columns), empty_sums(columns)
    learn_impressions(whole, batch)
    monkeypatch.setattr(sums_module, "_MAX_CELLS", 1000)
    learn_impressions(parts, batch)
    np.testing.assert_allclose(parts.gram, whole.gram, rtol=1e-14)


@pytest.mark.parametrize("weighted", [False, True], ids=["as they are", "weighted"])
def test_rows_with_few_zeros_add_up_to_the_same(monkeypatch, weighted):
    """Batches of full rows are multiplied as matrices: the sums are those of the rows one after the other."""
    rng = np.random.default_rng(6)
    columns = ("bias", *(f"f{i}" for i in range(12)))
    slots = np.array([0] * 40 + [1] * 3 + [2] + [4] * 3)
    rng.shuffle(slots)
    contexts = [
        {name: value for name, value in zip(columns[1:], rng.normal(size=12), strict=True) if value > -1.5}
        for _ in slots
    ]
    weights = rng.random(len(slots)) if weighted else None
    by_rows, together = empty_sums(columns), empty_sums(columns)
    for one in (by_rows, together):
        monkeypatch.setattr(sums_module, "_SORTING", 1e9 if one is by_rows else -1e9)
        assert one.learn_impressions(slots, contexts, weights) == 0
    np.testing.assert_allclose(together.gram, by_rows.gram, rtol=1e-12, atol=1e-12)
    expected = np.zeros_like(by_rows.gram)
    for i, slot in enumerate(slots):
        x = by_rows.space.vector(contexts[i])
        expected[slot] += np.outer(x, x) * (1.0 if weights is None else weights[i])
    np.testing.assert_allclose(together.gram, expected, rtol=1e-12, atol=1e-12)


def test_growing_keeps_what_was_learned():
    """Room for a thousand artworks more, and the first still have their sums; the new have none."""
    sums = empty_sums()
    learn_impressions(sums, [(0, {"comedy": 0.5}), (2, {})])
    learn_rewards(sums, [(2, {"horror": 1.0}, 1.0, 1.0)])
    before = sums.gram[:SLOTS].copy(), sums.moment[:SLOTS].copy()
    new = [sums.new_slot() for _ in range(1000)]
    assert new == list(range(SLOTS, SLOTS + 1000))
    np.testing.assert_array_equal(sums.gram[:SLOTS], before[0])
    np.testing.assert_array_equal(sums.moment[:SLOTS], before[1])
    assert sums.impressions[:SLOTS].tolist() == [1, 0, 1]
    assert sums.plays[:SLOTS].tolist() == [0, 0, 1]
    assert not sums.gram[SLOTS:].any()
    assert not sums.reward[SLOTS:].any()
    learn_impressions(sums, [(1002, {})])
    assert sums.impressions[1002] == 1


@repeatable
@given(shown, shown)
def test_widening_is_having_seen_zeros(first, second):
    """Columns appended on the way give the sums of having had them from the start, where nothing held them yet."""
    late, early = empty_sums(COLUMNS), empty_sums((*COLUMNS, "western"))
    learn_impressions(late, first)
    learn_impressions(early, first)
    late.widen((*COLUMNS, "western"))
    with_western = [(slot, context | {"western": 0.5}) for slot, context in second]
    learn_impressions(late, with_western)
    learn_impressions(early, with_western)
    np.testing.assert_array_equal(late.gram, early.gram)
    np.testing.assert_array_equal(late.impressions, early.impressions)


@pytest.mark.parametrize("columns", [COLUMNS[:2], ("bias", "romance", "comedy", "horror", "new")], ids=repr)
def test_columns_can_only_be_appended(columns):
    """Columns that would move or lose what was learned are refused."""
    with pytest.raises(ValueError, match="appended"):
        empty_sums().widen(columns)
