"""Ids of the last minute of event time: the same answers however they are read, and after a restore."""

from __future__ import annotations

import numpy as np
import pytest
from builders import repeatable
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.reading.duplicates import RecentIds

SPAN_MS = 60_000

#: Ids that come again, or once ("x"), with times that mostly move on, sometimes jump, and sometimes lie far back.
stories = st.lists(
    st.tuples(
        st.sampled_from("abxx"),
        st.sampled_from([0, 0, 0, 20_000, 90_000]),
        st.sampled_from([0, 0, 0, 0, 0, 40_000, 400_000]),
    ),
    max_size=40,
)


def timed(story):
    """(id, time, offset), the clock moving on by fits and starts."""
    now, records = 0, []
    for offset, (name, back, ahead) in enumerate(story):
        now += 7_000 + ahead
        records.append((f"x{offset}" if name == "x" else name, max(now - back, 0), offset * 3))
    return records


def answers(recent, records, *, at_once=1):
    """What is new, so many records at once."""
    found = []
    for start in range(0, len(records), at_once):
        names, at, offsets, *reached = zip(*records[start : start + at_once], strict=True)
        times = np.array(at)
        found += recent.are_new(names, times, offsets, np.array(*reached) if reached else times).tolist()
    return found


@repeatable
@given(stories)
def test_it_answers_as_the_definition_does(story):
    """New unless one with the same id was seen whose time lies within the span before the latest time so far."""
    records = timed(story)
    expected = []
    for i, (name, _, _) in enumerate(records):
        oldest = max(at for _, at, _ in records[: i + 1]) - SPAN_MS
        expected.append(not any(other == name and at >= oldest for other, at, _ in records[:i]))
    for at_once in (1, 3, 40):
        assert answers(RecentIds(SPAN_MS), records, at_once=at_once) == expected


@settings(repeatable, max_examples=400)
@given(stories, st.integers(0, 40), st.sampled_from([0, 0, 3, 15]))
def test_reading_again_gives_the_same_answers(story, cut, before):
    """Reading again from the oldest offset, or from before it, answers what follows as if never stopped."""
    records = timed(story)
    cut = min(cut, len(records))
    kept, restored = RecentIds(SPAN_MS), RecentIds(SPAN_MS)
    answers(kept, records[:cut])
    oldest = kept.oldest_offset
    if oldest is not None:
        answers(restored, [record for record in records[:cut] if record[2] >= oldest - before])
        assert answers(restored, records[cut:]) == answers(kept, records[cut:])
    else:
        assert cut == 0


@repeatable
@given(stories)
def test_it_forgets(story):
    """What is remembered was read within two spans of event time, and the oldest offset is among it."""
    recent, through = RecentIds(SPAN_MS), {}
    latest = 0
    for name, at, offset in timed(story):
        latest = max(latest, at)
        through[offset] = latest
        answers(recent, [(name, at, offset)])
        assert recent.oldest_offset is not None
        assert through[recent.oldest_offset] >= latest - 2 * SPAN_MS
        assert len(recent) <= sum(when >= latest - 2 * SPAN_MS for when in through.values())


def test_memory_is_bounded_by_the_rate():
    """A hundred ids a second for an hour: no more than the last two minutes are held."""
    recent = RecentIds(SPAN_MS)
    for n in range(360_000 // 10):
        assert answers(recent, [(str(n), n * 100, n)]) == [True]
        assert len(recent) <= 2 * 601


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([("a", 0), ("a", 0)], [True, False]),
        ([("a", 0), ("a", 60_000)], [True, False]),
        ([("a", 0), ("a", 60_001)], [True, True]),
        ([("a", 0), ("b", 60_001), ("a", 0)], [True, True, True]),
        ([("a", 0), ("a", 50_000), ("a", 100_000)], [True, False, False]),
        ([("a", 100_000), ("b", 120_000), ("a", 30_000)], [True, True, False]),
        ([("a", 100_000), ("b", 1_000), ("b", 1_000)], [True, True, True]),
        ([("x", 50_000), ("a", 10_000), ("y", 80_000), ("a", 80_000)], [True, True, True, True]),
    ],
    ids=[
        "repeated",
        "repeated at the end of the span",
        "after it",
        "time moved on between",
        "each repetition extends",
        "the repetition has an older time",
        "too old to tell",
        "left the span behind one that has not",
    ],
)
def test_examples(records, expected):
    """What counts as a repetition when times differ."""
    recent = RecentIds(SPAN_MS)
    assert answers(recent, [(name, at, offset) for offset, (name, at) in enumerate(records)]) == expected


def test_what_a_repetition_saw_is_read_again():
    """A repetition keeps its id alive: after a restore too, though what it repeats is read no more."""
    records = [("a", 0, 0), ("c", 5_000, 1), ("a", 59_000, 2), ("b", 61_000, 3)]
    kept, restored = RecentIds(SPAN_MS), RecentIds(SPAN_MS)
    answers(kept, records)
    answers(restored, [record for record in records if record[2] >= kept.oldest_offset])
    for recent in (kept, restored):
        assert answers(recent, [("a", 62_000, 4)]) == [False]


def test_nothing_seen_nothing_to_read_again():
    """A worker that has seen nothing has nothing to remember."""
    recent = RecentIds(SPAN_MS)
    assert recent.oldest_offset is None
    assert len(recent) == 0


def test_a_span_of_nothing_tells_only_the_same_moment():
    """duplicate_seconds 0: only a repetition at the latest time is one."""
    assert answers(RecentIds(0), [("a", 5, 0), ("a", 5, 1), ("b", 6, 2), ("a", 5, 3)]) == [True, False, True, True]


# --- times ahead of when their records were written


def reached(story, ahead):
    """The records of a story with the time each was written: some come from clocks that are fast."""
    return [(name, at + fast, offset, at) for (name, at, offset), fast in zip(timed(story), ahead, strict=False)]


fast = st.lists(st.sampled_from([0, 0, 0, 50_000, 240_000]), min_size=40, max_size=40)


@repeatable
@given(stories, fast)
def test_a_fast_clock_moves_nobodys_time(story, ahead):
    """Of two records with one id the second is a repetition, whoever was ahead in between."""
    records = reached(story, ahead)
    expected = []
    for i, (name, _, _, _) in enumerate(records):
        oldest = max(min(at, written) for _, at, _, written in records[: i + 1]) - SPAN_MS
        expected.append(not any(other == name and at >= oldest for other, at, _, _ in records[:i]))
    for at_once in (1, 4, 40):
        assert answers(RecentIds(SPAN_MS), records, at_once=at_once) == expected


@settings(repeatable, max_examples=400)
@given(stories, fast, st.integers(0, 40))
def test_reading_again_gives_the_same_answers_with_fast_clocks(story, ahead, cut):
    """As without them."""
    records = reached(story, ahead)
    cut = min(cut, len(records))
    kept, restored = RecentIds(SPAN_MS), RecentIds(SPAN_MS)
    answers(kept, records[:cut])
    oldest = kept.oldest_offset
    answers(restored, [record for record in records[:cut] if oldest is not None and record[2] >= oldest])
    assert answers(restored, records[cut:]) == answers(kept, records[cut:])
