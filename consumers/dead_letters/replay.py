"""Putting dead letters back on the topic they came from: each once, and only those that would not die again.

1. open the transactional producer that all replays share: one that is still under way is fenced, and ends
2. read which letters were put back before
3. judge each letter that is meant; what would only become a dead letter again is left where it is
4. write, some hundred at a time, the records and the marks of their letters in one transaction

So a replay that is broken off, or run by two people at once, puts nothing back twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from consumers.catalogue_view import CatalogueView
from consumers.dead_letters.box import DeadLetterBox, Selection
from consumers.dead_letters.judge import INPUTS, Judge
from stream.codec import decode
from stream.dead_letters import put_back, replay_mark
from stream.errors import BrokerUnavailable, DecodeError, InputError, WorkerFailed
from stream.kafka import Admin, AtomicWriter, TableReader
from stream.reading.event_time import wall_clock_ms
from stream.records import Impression
from stream.topics import CATALOGUE, IMPRESSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.dead_letters.box import Place
    from stream.dead_letters import Letter
    from stream.kafka import Output
    from stream.settings import Settings

    Progress = Callable[[int, int | None], object]

_BATCH_RECORDS = 500
_BATCH_BYTES = 8 * 1024 * 1024
#: Why a letter is left that no code tells of.
DONE = "put back before"


@dataclass
class Plan:
    """What a replay would do.

    Attributes
    ----------
    put_back
        The letters that would be put back.
    repeated
        Letters that say what another of them says, within ``duplicate_seconds``: impressions that were sent twice.
        They are marked as put back, and not written.
    left
        How many letters stay where they are, by the reason: a code if they would only die again with it.
    """

    put_back: set[Place] = field(default_factory=set)
    repeated: set[Place] = field(default_factory=set)
    left: Counter[str] = field(default_factory=Counter)


class Replay:
    """One replay; a context manager.

    Parameters
    ----------
    settings
        Where.
    selection
        Which letters are meant.
    mended
        What to write instead of the value; the selection must name one place.
    rekey
        Write each under the key that its value names.
    dry_run
        Nothing is going to be written, so no other replay need be ended.
    now_ms
        The wall clock.

    Raises
    ------
    BrokerUnavailable, TopicError
        The cluster cannot be reached, or lacks a topic.
    """

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        *,
        mended: bytes | None = None,
        rekey: bool = False,
        dry_run: bool = False,
        now_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._settings = settings
        self._selection = selection
        self._is_mended = mended is not None
        catalogue = CatalogueView()
        self._judge = Judge(settings, catalogue, mended=mended, rekey=rekey, now_ms=now_ms)
        self._writer: AtomicWriter | None = None
        with ExitStack() as opened:
            with Admin(settings) as admin:
                admin.verify((*INPUTS, CATALOGUE))
                tables = TableReader(settings, admin, {CATALOGUE: catalogue.apply})
                opened.callback(tables.close)
                tables.catch_up()
            if not dry_run:
                self._writer = AtomicWriter(settings, f"{settings.topic_prefix}dead-letters.replay")
                opened.callback(self._writer.close)
            self._box = DeadLetterBox(settings)
            self._opened = opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._opened.close()

    def plan(self) -> Plan:
        """Judge every letter that is meant.

        Raises
        ------
        InputError
            The mended value is no good.
        """
        plan, replayed = Plan(), self._box.replayed()
        wanted: list[tuple[Place, Impression]] = []

        def sort_out(letter: Letter) -> None:
            place = letter.partition, letter.offset
            if place in replayed:
                plan.left[DONE] += 1
                return
            verdict = self._judge.judge(letter)
            if verdict.topic is None:
                if self._is_mended:
                    raise InputError(f"{letter.place} cannot be put back like this: {verdict.reason}")
                plan.left[verdict.why_not] += 1
            elif isinstance(verdict.event, Impression):
                wanted.append((place, verdict.event))
            else:
                plan.put_back.add(place)

        self._box.letters(self._selection, sort_out)
        shown = self._shown_before() if wanted else {}
        span_ms = round(self._settings.duplicate_seconds * 1000)
        for place, impression in wanted:
            times = shown.setdefault((impression.title_id, impression.impression_id), [])
            is_repeated = any(abs(shown_ms - impression.shown_ms) <= span_ms for shown_ms in times)
            (plan.repeated if is_repeated else plan.put_back).add(place)
            times.append(impression.shown_ms)
        return plan

    def _shown_before(self) -> dict[tuple[str, str], list[int]]:
        """The impressions that were put back before, and when they were shown.

        The learner would not know them again: its memory of ids is a minute long, and they may be days old. Those
        that were mended are not here as they were written, and are left out; so are those that only died again.
        """
        shown: dict[tuple[str, str], list[int]] = {}
        history = self._box.history()
        name = IMPRESSIONS.full_name(self._settings.topic_prefix)

        def note(letter: Letter) -> None:
            if letter.topic == name and letter.place not in history.died_again:
                try:
                    impression = decode(Impression, letter.value)
                except DecodeError:
                    return
                key = impression.title_id, impression.impression_id
                shown.setdefault(key, []).append(impression.shown_ms)

        if history.replayed:
            self._box.letters(Selection(places=history.replayed), note)
        return shown

    def run(self, plan: Plan, progress: Progress = lambda _done, _of: None) -> int:
        """Put back what the plan says; returns how many.

        Parameters
        ----------
        plan
            From :meth:`plan`.
        progress
            Called with how many are put back so far, and how many there are.

        Raises
        ------
        BrokerUnavailable
            Not all of them were put back; those that were are marked.
        """
        if self._writer is None:
            raise InputError("a dry run puts nothing back")
        batches = _Batches(self._writer, lambda done: progress(done, len(plan.put_back)))

        def take(letter: Letter) -> None:
            if (letter.partition, letter.offset) in plan.repeated:
                batches.add(letter, None)
                return
            verdict = self._judge.judge(letter)
            if verdict.topic is not None:  # it still is as it was planned
                batches.add(letter, put_back(letter, verdict.topic, verdict.key, verdict.value))

        places = frozenset(plan.put_back | plan.repeated)
        if places:
            self._box.letters(Selection(places=places), take)
        batches.flush()
        return batches.done


class _Batches:
    """Records to write and the letters to mark, a batch to a transaction."""

    def __init__(self, writer: AtomicWriter, progress: Callable[[int], object]) -> None:
        self._writer = writer
        self._progress = progress
        self._outputs: list[Output] = []
        self._marks: dict[int, list[int]] = defaultdict(list)
        self._bytes = 0
        self.done = 0

    def add(self, letter: Letter, output: Output | None) -> None:
        """Mark a letter, and write a record for it if there is one."""
        self._marks[letter.partition].append(letter.offset)
        if output is not None:
            self._outputs.append(output)
            self._bytes += len(output.value or b"")
        if sum(map(len, self._marks.values())) >= _BATCH_RECORDS or self._bytes >= _BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what there is.

        Raises
        ------
        BrokerUnavailable
            It was not written.
        """
        if not self._marks:
            return
        marks = (replay_mark(partition, offsets) for partition, offsets in self._marks.items())
        try:
            self._writer.write([*self._outputs, *marks])
        except WorkerFailed as error:
            raise BrokerUnavailable(
                f"{self.done} dead letters were put back and are marked, the rest is left ({error}). Unless "
                "somebody else is putting dead letters back, run it again"
            ) from error
        self.done += len(self._outputs)
        self._outputs, self._bytes = [], 0
        self._marks.clear()
        self._progress(self.done)
