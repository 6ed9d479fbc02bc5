"""How often a member was shown a title: never counted too low, rarely too high, in memory that does not grow."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st

from stream.reading.frequency import CountMinSketch, HourlyLimit

KEY = b"a key for tests."
HOUR_MS = 3_600_000
NOON_MS = 486_000 * HOUR_MS


def hash_of(name):
    """The same in every process, unlike Python's own."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little", signed=True)


def hashes(*names):
    """Of names, as a sketch takes them."""
    return np.array([hash_of(name) for name in names], dtype=np.int64).view(np.uint64)


def limit_of(most, width=1 << 12):
    """A limit with room enough for the tests' few names."""
    return HourlyLimit(most, KEY, width, hash_=lambda names: hash_of("\0".join(names)))


def allows(limit, member, title, at_ms):
    """One impression."""
    return bool(limit.allow([member], [title], np.array([at_ms]))[0])


def in_parts(sketch, names, at, most):
    """Names added in batches that end at these places."""
    ends = [*sorted(at), len(names)]
    return np.concatenate(
        [sketch.add(names[start:end], most) for start, end in zip([0, *ends], ends, strict=False)]
    ).tolist()


class TestSketch:
    """The count-min sketch."""

    @repeatable
    @given(
        st.lists(st.integers(0, 30), max_size=300), st.integers(1, 5), st.lists(st.integers(0, 300), max_size=5)
    )
    def test_as_a_dictionary_would_count(self, numbers, most, at):
        """With room enough a name is counted exactly so many times, however it comes in batches."""
        counted, expected = Counter(), []
        for number in numbers:
            expected.append(counted[number] < most)
            counted[number] += expected[-1]
        names = hashes(*(f"name-{number}" for number in numbers))
        assert in_parts(CountMinSketch(1 << 12, KEY), names, at, most) == expected

    @repeatable
    @given(st.integers(0, 2**32), st.integers(1, 4), st.lists(st.integers(0, 400), max_size=8))
    def test_batches_change_nothing_however_many_names_meet(self, seed, most, at):
        """In a sketch so narrow that most names share counters, the answers are those one after the other."""
        names = np.random.default_rng(seed).integers(0, 60, 400).astype(np.uint64)
        one, many = CountMinSketch(32, KEY), CountMinSketch(32, KEY)
        expected = [one.add(names[i : i + 1], most).tolist()[0] for i in range(len(names))]
        assert in_parts(many, names, at, most) == expected
        assert one._cells.tolist() == many._cells.tolist()
        assert one.noise == many.noise

    @pytest.mark.parametrize("names", [1_000, 8_192, 40_000, 100_000])
    def test_however_full_few_are_refused_by_mistake(self, names):
        """Counters shared by up to 12 names each: of names within the limit fewer than 1 in 1,000 are refused."""
        sketch = CountMinSketch(1 << 13, KEY)
        refused = sum(np.count_nonzero(~sketch.add(np.arange(names, dtype=np.uint64), 2)) for _ in range(2))
        assert refused / (2 * names) < 1e-3

    @pytest.mark.parametrize("names", [0, 1_000, 8_192, 40_000])
    def test_however_full_a_flood_is_stopped(self, names):
        """One name among many is counted as often as it may and a little more, not ten thousand times."""
        sketch = CountMinSketch(1 << 13, KEY)
        sketch.add(np.arange(names, dtype=np.uint64), 2)
        flood = np.full(10_000, 12_345_678, dtype=np.uint64)
        assert 2 <= np.count_nonzero(sketch.add(flood, 2)) <= 2 + sketch.noise
        assert sketch.noise <= 1.3 * (names / (1 << 13)) ** 0.5 + names / (1 << 13)

    def test_past_all_bounds_everything_is_let_through(self):
        """A sketch that knows nothing any more refuses nobody: honest members are not shut out by a flood."""
        sketch = CountMinSketch(1, KEY)
        assert sketch.add(np.arange(2_000, dtype=np.uint64), 100).all()
        assert sketch.noise > 155

    def test_a_flood_does_not_fill_it(self):
        """What comes too often is not counted on: others' counters stay as they are."""
        sketch = CountMinSketch(64, KEY)
        sketch.add(np.zeros(10_000, dtype=np.uint64), 3)
        assert sketch.noise == 0

    def test_keys_make_other_sketches(self):
        """Names that meet with one key do not with another."""
        touched = []
        for key in (b"one key of a few", b"and here another"):
            sketch = CountMinSketch(1 << 16, key)
            sketch.add(hashes("name"), 1)
            touched.append(set(np.flatnonzero(sketch._cells).tolist()))
        assert len(touched[0]) == len(touched[1]) == 4
        assert not touched[0] & touched[1]

    def test_names_spread_evenly(self):
        """Names that differ in one bit meet no more often than chance has it."""
        sketch = CountMinSketch(1 << 12, KEY)
        places = sketch._places(np.arange(1 << 14, dtype=np.uint64))
        for row in range(4):
            per_counter = np.bincount(places[:, row] - row * (1 << 12), minlength=1 << 12)
            assert per_counter.var() == pytest.approx(4.0, rel=0.15)  # Poisson, mean 4

    @pytest.mark.parametrize("width", [0, 3, -8, 1000, 1 << 33])
    def test_a_width_is_a_power_of_two(self, width):
        """Anything else would leave counters unused, or need a division for each."""
        with pytest.raises(ValueError, match="power of two"):
            CountMinSketch(width, KEY)


class TestHourlyLimit:
    """So many impressions of a title to a member in an hour of event time."""

    def test_members_and_titles_are_counted_apart(self):
        """Each pair has its own hour, whatever its names have in common."""
        limit = limit_of(1)
        pairs = [("ann", "film"), ("bob", "film"), ("ann", "series"), ("film", "ann"), ("an", "nfilm")]
        for pair in pairs:
            assert allows(limit, *pair, NOON_MS)
            assert not allows(limit, *pair, NOON_MS)

    def test_pythons_own_hash_will_do(self):
        """As it is used: text of any kind, and every pair counted for itself."""
        limit = HourlyLimit(2, KEY)
        members = [f"mémber-{n % 500}" for n in range(2_000)]
        allowed = limit.allow(members, ["film"] * 2_000, np.full(2_000, NOON_MS))
        assert allowed.tolist() == [True] * 1_000 + [False] * 1_000

    def test_every_hour_anew(self):
        """An hour begins at the full hour; a day of floods is let through 24 times the limit."""
        seconds = NOON_MS + np.arange(24 * 3600) * 1000
        allowed = limit_of(3).allow(["ann"] * len(seconds), ["film"] * len(seconds), seconds)
        assert [int(allowed[3600 * h : 3600 * h + 3600].sum()) for h in range(24)] == [3] * 24

    def test_zero_is_no_limit(self):
        """Everything is allowed, and no memory taken."""
        limit = limit_of(0)
        assert limit.allow(["ann"] * 1000, ["film"] * 1000, np.full(1000, NOON_MS)).all()

    @repeatable
    @given(
        st.lists(st.integers(0, 3 * HOUR_MS), max_size=60), st.integers(1, 3), st.randoms(use_true_random=False)
    )
    def test_within_two_hours_order_decides_nothing(self, offsets, most, random):
        """What comes within the hour before the latest counts for its own hour, in whatever order."""
        times = [offset // 2 + NOON_MS for offset in offsets]  # of two hours
        shuffled = list(times)
        random.shuffle(shuffled)
        for order in (times, shuffled):
            limit, allowed = limit_of(most), Counter()
            for at_ms in order:
                allowed[at_ms // HOUR_MS] += allows(limit, "ann", "film", at_ms)
            shown = Counter(at_ms // HOUR_MS for at_ms in times)
            assert allowed == Counter({hour: min(count, most) for hour, count in shown.items()})

    @repeatable
    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 6)), max_size=60), st.integers(1, 60))
    def test_batches_change_nothing(self, story, at_once):
        """Hours that pass within a batch, or that lie behind, are as if the impressions came one by one."""
        members, times = [name for name, _ in story], NOON_MS + np.array([h for _, h in story], int) * HOUR_MS // 2
        one, many = limit_of(2), limit_of(2)
        expected = [allows(one, name, "film", int(at)) for name, at in zip(members, times, strict=True)]
        found = []
        for start in range(0, len(story), at_once):
            part = slice(start, start + at_once)
            found += many.allow(members[part], ["film"] * len(members[part]), times[part]).tolist()
        assert found == expected

    def test_kept_back_impressions_are_no_way_around_it(self):
        """Those of a whole day sent at once are taken as of the hour before, all together."""
        limit = limit_of(2)
        assert allows(limit, "bob", "film", NOON_MS)
        old = [allows(limit, "ann", "film", NOON_MS - minute * 60_000) for minute in range(61, 24 * 60)]
        assert sum(old) == 2

    def test_after_a_pause_it_begins_anew(self):
        """Hours without anything are forgotten like others."""
        limit = limit_of(1)
        for hours in (0, 5, 6, 100):
            assert allows(limit, "ann", "film", NOON_MS + hours * HOUR_MS)
            assert not allows(limit, "ann", "film", NOON_MS + hours * HOUR_MS)

    def test_memory_does_not_grow(self):
        """Many members and titles in an hour take what one does: two sketches of 4 bytes times the width."""
        limit = HourlyLimit(2, KEY, 1 << 14)
        members = [f"member-{n}" for n in range(100_000)]
        limit.allow(members, ["film"] * len(members), NOON_MS + np.arange(len(members)) * 72)
        assert [sketch._cells.nbytes for sketch in (limit._before, limit._latest)] == [4 << 14] * 2
