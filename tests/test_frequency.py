"""How often a member was shown a title: never counted too low, rarely too high, in memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest
from builders import repeatable
from hypothesis import given
from hypothesis import strategies as st

from stream.frequency import CountMinSketch, HourlyLimit

KEY = b"a key for the tests"
HOUR_MS = 3_600_000
NOON_MS = 486_000 * HOUR_MS


def limit_of(most, width=1 << 12):
    """A limit with room enough for the tests' few names."""
    return HourlyLimit(most, KEY, width)


class TestSketch:
    """The count-min sketch."""

    @repeatable
    @given(st.lists(st.integers(0, 30), max_size=300), st.integers(1, 5))
    def test_as_a_dictionary_would_count(self, numbers, most):
        """With room enough a name is counted exactly so many times, and not once more."""
        sketch, counted = CountMinSketch(1 << 12, KEY), Counter()
        for number in numbers:
            expected = counted[number] < most
            counted[number] += expected
            assert sketch.add(f"name-{number}", most) is expected

    @pytest.mark.parametrize("names", [1_000, 8_192, 40_000, 100_000])
    def test_however_full_few_are_refused_by_mistake(self, names):
        """Counters shared by up to 12 names each: of names within the limit fewer than 1 in 1,000 are refused."""
        sketch = CountMinSketch(1 << 13, KEY)
        refused = sum(not sketch.add(f"name-{n}", 2) for _ in range(2) for n in range(names))
        assert refused / (2 * names) < 1e-3

    @pytest.mark.parametrize("names", [0, 1_000, 8_192, 40_000])
    def test_however_full_a_flood_is_stopped(self, names):
        """One name among many is counted as often as it may and a little more, not ten thousand times."""
        sketch = CountMinSketch(1 << 13, KEY)
        for n in range(names):
            sketch.add(f"name-{n}", 2)
        assert 2 <= sum(sketch.add("flood", 2) for _ in range(10_000)) <= 2 + sketch.noise
        assert sketch.noise <= 1.3 * (names / (1 << 13)) ** 0.5 + names / (1 << 13)

    def test_past_all_bounds_everything_is_let_through(self):
        """A sketch that knows nothing any more refuses nobody: honest members are not shut out by a flood."""
        sketch = CountMinSketch(1, KEY)
        assert all(sketch.add(f"name-{n}", 100) for n in range(2_000))
        assert sketch.noise > 155

    def test_a_flood_does_not_fill_it(self):
        """What comes too often is not counted on: others' counters stay as they are."""
        sketch = CountMinSketch(64, KEY)
        for _ in range(10_000):
            sketch.add("flood", 3)
        assert sketch.noise == 0

    def test_keys_make_other_sketches(self):
        """Names that meet with one key do not with another; the same key is the same in every process."""
        program = (
            "from stream.frequency import CountMinSketch\n"
            "s = CountMinSketch(8, b'%s')\n"
            "print([s.add(f'name-{n %% 40}', 2) for n in range(80)].count(True))"
        )
        runs = [
            subprocess.run(
                [sys.executable, "-c", program % key], check=True, capture_output=True, text=True
            ).stdout
            for key in ("one", "one", "another")
        ]
        assert runs[0] == runs[1]
        touched = []
        for key in (b"one", b"another"):
            sketch = CountMinSketch(1 << 16, key)
            sketch.add("name", 1)
            touched.append({place for place, count in enumerate(sketch._cells) if count})
        assert len(touched[0]) == len(touched[1]) == 4
        assert not touched[0] & touched[1]

    @pytest.mark.parametrize("width", [0, 3, -8, 1000])
    def test_a_width_is_a_power_of_two(self, width):
        """Anything else would leave counters unused, or need a division for each."""
        with pytest.raises(ValueError, match="power of two"):
            CountMinSketch(width, KEY)


class TestHourlyLimit:
    """So many impressions of a title to a member in an hour of event time."""

    def test_members_and_titles_are_counted_apart(self):
        """Each pair has its own hour, whatever its names have in common."""
        limit = limit_of(1)
        pairs = [("ann", "film"), ("bob", "film"), ("ann", "series"), ("an", "nfilm"), ("annf", "ilm")]
        for pair in pairs:
            assert limit.allows(*pair, NOON_MS)
            assert not limit.allows(*pair, NOON_MS)

    def test_every_hour_anew(self):
        """An hour begins at the full hour; a day of floods is let through 24 times the limit."""
        limit = limit_of(3)
        allowed = [limit.allows("ann", "film", NOON_MS + second * 1000) for second in range(24 * 3600)]
        assert [sum(allowed[3600 * h : 3600 * h + 3600]) for h in range(24)] == [3] * 24

    def test_zero_is_no_limit(self):
        """Everything is allowed, and no memory taken."""
        limit = limit_of(0)
        assert all(limit.allows("ann", "film", NOON_MS) for _ in range(1000))

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
                allowed[at_ms // HOUR_MS] += limit.allows("ann", "film", at_ms)
            shown = Counter(at_ms // HOUR_MS for at_ms in times)
            assert allowed == Counter({hour: min(count, most) for hour, count in shown.items()})

    def test_kept_back_impressions_are_no_way_around_it(self):
        """Those of a whole day sent at once are taken as of the hour before, all together."""
        limit = limit_of(2)
        assert limit.allows("bob", "film", NOON_MS)
        old = [limit.allows("ann", "film", NOON_MS - minute * 60_000) for minute in range(61, 24 * 60)]
        assert sum(old) == 2

    def test_after_a_pause_it_begins_anew(self):
        """Hours without anything are forgotten like others."""
        limit = limit_of(1)
        for hours in (0, 5, 6, 100):
            assert limit.allows("ann", "film", NOON_MS + hours * HOUR_MS)
            assert not limit.allows("ann", "film", NOON_MS + hours * HOUR_MS)

    def test_memory_does_not_grow(self):
        """A million members and titles in an hour take what one does: two sketches of 4 bytes times the width."""
        limit = HourlyLimit(2, KEY, 1 << 14)
        for n in range(100_000):
            limit.allows(f"member-{n}", "film", NOON_MS + n * 72)
        assert [len(sketch._cells) for sketch in (limit._before, limit._latest)] == [4 << 14] * 2
