"""Choices hold: they change with the evidence, the taste, the artwork, or when their time is over."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest
from builders import DAY_MS, HOUR_MS, START_MS, some_title
from tables import MemoryTables, choosing, members_of, some_snapshot, some_taste

from stream.choosing.choice import key_of, time_bucket
from stream.records import Artwork, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers import ArtworkChooser
    from stream.choosing.choice import Choice

NINE = tuple(f"artwork-{i}" for i in range(9))
CANVAS = {artwork_id: (None, "billboard", "box")[i % 3] for i, artwork_id in enumerate(NINE)}
_RNG = np.random.default_rng(4)
MEANS = {artwork_id: (0.1, *_RNG.normal(0.0, 0.02, 2).tolist()) for artwork_id in NINE}
#: All three policies, a third each.
SPLIT = {"explore_share": 0.33, "popular_share": 0.33}
MEMBERS = [f"member-{i}" for i in range(600)]


def title(title_id: str = "film", artworks: Iterable[str] = NINE) -> object:
    """Artworks for the billboard, for the box, and for anywhere, in turn."""
    return some_title(title_id, [Artwork(artwork_id, {}, canvas=CANVAS[artwork_id]) for artwork_id in artworks])


def chosen(chooser: ArtworkChooser, canvas: str | None = None) -> dict[str, Choice]:
    """Everybody's choice of the film."""
    return {member: chooser.choose(member, "film", {"comedy": 0.6}, canvas=canvas) for member in MEMBERS}


# --- who moves


@pytest.mark.parametrize("said_by", ["the catalogue", "the learner"])
@pytest.mark.parametrize("canvas", [None, "billboard"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "nothing known"])
def test_withdrawing_one_of_nine_moves_only_those_who_had_it(
    said_by: str, canvas: str | None, known: bool
) -> None:
    """Whatever their policy; they spread over what is left, and everybody's propensity stays above nought."""
    tables = MemoryTables(title(), *([some_snapshot(means=MEANS, sd=0.2)] if known else []))
    gone = NINE[4]
    with choosing(tables, **SPLIT) as chooser:
        before = chosen(chooser, canvas)
        tables.write(title(artworks=[artwork_id for artwork_id in NINE if artwork_id != gone]))
        if said_by == "the learner" and known:
            kept = {artwork_id: mean for artwork_id, mean in MEANS.items() if artwork_id != gone}
            tables.write(some_snapshot(means=kept, sd=0.2, version=11))
        tables.settle()
        after = chosen(chooser, canvas)
    had_it = {member for member, choice in before.items() if choice.artwork_id == gone}
    moved = {member for member in MEMBERS if before[member].artwork_id != after[member].artwork_id}
    assert moved == had_it
    assert {before[member].policy for member in moved} == (set(get_args(Rule)) if known else {"explore"})
    assert len({after[member].artwork_id for member in moved}) > 2
    assert all(choice.propensity > 0.0 for choice in after.values())


@pytest.mark.parametrize("canvas", [None, "billboard"])
def test_withdrawing_what_was_made_for_another_canvas_moves_nobody(canvas: str | None) -> None:
    """It did not compete: not even a propensity changes. Where all compete, some had it."""
    tables = MemoryTables(title(), some_snapshot(means=MEANS, sd=0.2))
    assert CANVAS[NINE[5]] == "box"
    with choosing(tables, **SPLIT) as chooser:
        before = chosen(chooser, canvas)
        tables.write(title(artworks=[artwork_id for artwork_id in NINE if artwork_id != NINE[5]]))
        tables.settle()
        after = chosen(chooser, canvas)
    shown = [
        [(choices[member].artwork_id, choices[member].propensity) for member in MEMBERS]
        for choices in (before, after)
    ]
    assert (shown[0] == shown[1]) == (canvas is not None)


def test_a_new_artwork_moves_only_those_who_get_it() -> None:
    """Nobody is moved between the others."""
    eight = {artwork_id: mean for artwork_id, mean in MEANS.items() if artwork_id != NINE[4]}
    tables = MemoryTables(title(artworks=eight), some_snapshot(means=eight, sd=0.2))
    with choosing(tables, **SPLIT) as chooser:
        before = chosen(chooser)
        tables.write(title(), some_snapshot(means=MEANS, sd=0.2, version=11))
        tables.settle()
        after = chosen(chooser)
    moved = [member for member in MEMBERS if before[member].artwork_id != after[member].artwork_id]
    assert moved
    assert {after[member].artwork_id for member in moved} == {NINE[4]}


# --- for how long


def test_a_choice_holds_for_sticky_days() -> None:
    """At fixed evidence nobody's artwork changes but at the end of their own seven days, once in seven days."""
    clock = [START_MS]
    tables = MemoryTables(title(), some_snapshot(means=MEANS, sd=0.2))
    with choosing(tables, now_ms=lambda: clock[0], **SPLIT) as chooser:
        found = []
        for hours in range(0, 7 * 24 + 1, 6):
            clock[0] = START_MS + hours * HOUR_MS
            tables.write(some_snapshot(means=MEANS, sd=0.2, version=10 + hours, published_ms=clock[0]))
            tables.settle()
            everybody = chosen(chooser)
            found.append({m: (everybody[m].artwork_id, _bucket(m, clock[0])) for m in MEMBERS})
    changes = Counter[str]()
    for before, after in pairwise(found):
        for member in MEMBERS:
            if before[member][0] != after[member][0]:
                assert before[member][1] != after[member][1]
                changes[member] += 1
    assert max(changes.values()) == 1
    assert len(changes) > len(MEMBERS) / 2  # draws are anew, and so are choices where much is open


def _bucket(member: str, now_ms: int) -> int:
    return time_bucket(key_of(member), key_of("film"), now_ms, 7 * DAY_MS)


def test_a_home_page_is_not_dealt_anew_in_one_day() -> None:
    """Of a member's forty titles some are drawn anew each day, and never a third of them on one day."""
    clock = [START_MS]
    ids = [f"title-{i}" for i in range(40)]
    tables = MemoryTables(*map(title, ids), *(some_snapshot(title_id, MEANS, sd=0.2) for title_id in ids))
    with choosing(tables, now_ms=lambda: clock[0]) as chooser:
        for member in members_of("personal", 20):
            pages = []
            for day in range(8):
                clock[0] = START_MS + day * DAY_MS
                pages.append([choice.artwork_id for choice in chooser.choose_page(member, ids)])
            changed = [sum(a != b for a, b in zip(*days, strict=True)) for days in pairwise(pages)]
            assert max(changed) < 14
            assert sum(changed) > 20


def test_a_change_of_taste_changes_what_it_should() -> None:
    """Those who turned to romance see what romance likes; the others keep what they had."""
    means = {"face": (0.1, 0.1, 0.0), "kiss": (0.1, 0.0, 0.1)}
    members = members_of("personal", 40)
    tables = MemoryTables(some_title(), some_snapshot(means=means), *(some_taste(m, comedy=1.0) for m in members))
    with choosing(tables, uniform_floor=0.0) as chooser:
        before = [chooser.choose(member, "film").artwork_id for member in members]
        tables.write(*(some_taste(member, romance=1.0) for member in members[::2]))
        tables.settle()
        after = [chooser.choose(member, "film").artwork_id for member in members]
    assert before == ["face"] * 40
    assert after == ["kiss", "face"] * 20
