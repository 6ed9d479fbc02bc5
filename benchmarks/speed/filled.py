"""Learners, serving nodes and viewing workers, filled with titles or members: what memory is measured of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.arrived import Arrived
from benchmarks.speed.raw import new_task, new_viewing_task
from benchmarks.speed.workload import PREFIX, Workload, arrived
from consumers.chooser.view import ServingView
from stream.codec import encode, encode_fields
from stream.records import Play, Taste
from stream.topics import LEARNER_CHANGELOG, PLAYS, SHARED_PRIOR, SNAPSHOTS, TASTES, VIEWING_CHANGELOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stream.topics import Topic

#: So many titles or members are made; the others are like them under other names.
MADE = 50
_NOW_MS = 1_760_000_000_000
_AT_ONCE = 50
_LOOKS_A_TITLE, _PLAYS_A_MEMBER = 900, 5


def _catalogue(work: Workload, size: int) -> Iterator[list[Arrived]]:
    """The catalogue's records, as a worker reads them."""
    for part in _parts(size):
        titles = [msgspec.structs.replace(work.titles[i % MADE], title_id=_title_id(i)) for i in part]
        yield arrived(titles, _NOW_MS, part.start)


def _parts(size: int) -> Iterator[range]:
    for start in range(0, size, _AT_ONCE):
        yield range(start, min(start + _AT_ONCE, size))


def _title_id(number: int) -> str:
    return f"title-{number:07}"


def _member_id(number: int) -> str:
    return f"member-{number:010}"


def _records(topic: Topic, rows: Sequence[tuple[str, bytes]]) -> list[Arrived]:
    return [
        Arrived(topic.full_name(PREFIX), 0, offset, _NOW_MS, key.encode(), value)
        for offset, (key, value) in enumerate(rows)
    ]


def learner(work: Workload, size: int) -> Callable[[], object]:
    """Fills a learner as a restart does: from its changelog; then everything is published and taught once."""
    book = work.taught(_LOOKS_A_TITLE)
    made: list[dict[str, Any]] = [book.store(title.title_id) for title in work.titles]
    task = new_task(Workload(0, work.artworks, len(work.columns)), _NOW_MS)
    catalogue = task._catalogue  # noqa: SLF001 - what the worker's loop hands it

    def fill() -> object:
        for messages in _catalogue(work, size):
            catalogue.apply(messages)
        for part in _parts(size):
            rows = [(_title_id(i), encode_fields(made[i % MADE] | {"title_id": _title_id(i)})) for i in part]
            task.restore(_records(LEARNER_CHANGELOG, rows))
        for _ in task.publish(_NOW_MS, math.inf):
            pass
        while not any(output.topic is SHARED_PRIOR for output in task.checkpoint()):
            pass
        return task

    return fill


def serving(work: Workload, size: int) -> Callable[[], object]:
    """Fills a serving node's view, and asks for what competes for each title."""
    made = work.snapshots(work.taught(_LOOKS_A_TITLE))

    def fill() -> object:
        view = ServingView()
        for messages in _catalogue(work, size):
            view.apply_catalogue(messages)
        for part in _parts(size):
            rows = [
                (_title_id(i), encode(msgspec.structs.replace(made[i % MADE], title_id=_title_id(i))))
                for i in part
            ]
            view.apply_snapshots(_records(SNAPSHOTS, rows))
        for served in view.served.values():
            served.candidates(None)
        return view

    return fill


def tastes(work: Workload, size: int) -> Callable[[], object]:
    """Fills a serving node's view with members' tastes."""
    made = work.contexts(MADE)

    def fill() -> object:
        view = ServingView()
        for part in _parts(size):
            rows = [(_member_id(i), encode(Taste(_member_id(i), _NOW_MS, 9, made[i % MADE]))) for i in part]
            view.apply_tastes(_records(TASTES, rows))
        return view

    return fill


def viewing(work: Workload, size: int) -> Callable[[], object]:
    """Fills a viewing worker from its changelog, with members who have played some titles today."""
    made = _stored_members(work)

    def fill() -> object:
        task = new_viewing_task(work, _NOW_MS)
        for part in _parts(size):
            task.restore(_records(VIEWING_CHANGELOG, [(_member_id(i), made[i % MADE]) for i in part]))
        return task

    return fill


def _stored_members(work: Workload) -> list[bytes]:
    """Some members as the viewing worker's changelog has them."""
    task = new_viewing_task(work, _NOW_MS)
    shown = work.impressions(MADE * _PLAYS_A_MEMBER, _NOW_MS - 3_600_000)
    plays = [
        Play(
            play_id=one.impression_id,
            played_ms=_NOW_MS,
            member_id=_member_id(i % MADE),
            title_id=one.title_id,
            watched_seconds=900.0,
            impression=msgspec.structs.replace(one, member_id=_member_id(i % MADE)),
        )
        for i, one in enumerate(shown)
    ]
    task.handle(PLAYS, _records(PLAYS, [(play.member_id, encode(play)) for play in plays]))
    return [output.value or b"" for output in task.checkpoint() if output.topic is VIEWING_CHANGELOG]


#: By name: what it is, of what there are so many, and what prepares to fill it.
KINDS: dict[str, tuple[str, str, Callable[[Workload, int], Callable[[], object]]]] = {
    "learner": ("a learner's titles", "title", learner),
    "serving": ("a serving node's titles", "title", serving),
    "tastes": ("a serving node's members", "member", tastes),
    "viewing": ("a viewing worker's members", "member", viewing),
}


def stored_bytes(features: int, artworks: int) -> dict[str, float]:
    """Bytes of a record that keeps a title or a member, as JSON: before compression."""
    work = Workload(MADE, artworks, features)
    book = work.taught(_LOOKS_A_TITLE)
    tastes_of = [encode(Taste(_member_id(i), _NOW_MS, 9, one)) for i, one in enumerate(work.contexts(MADE))]
    of = {
        "title": [encode_fields(book.store(title.title_id)) for title in work.titles],
        "snapshot": [encode(one) for one in work.snapshots(book)],
        "member": _stored_members(work),
        "taste": tastes_of,
    }
    return {name: sum(map(len, values)) / len(values) for name, values in of.items()}
