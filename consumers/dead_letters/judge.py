"""Whether a dead letter, put back now, would be taken in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from stream.codec import decode
from stream.dead_letters import REPLAY_HEADER
from stream.errors import DecodeError
from stream.reading.intake import Intake
from stream.records import Impression, Play, RewardChange
from stream.topics import IMPRESSIONS, PLAYS, REWARDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.catalogue_view import CatalogueView
    from stream.dead_letters import Letter
    from stream.settings import Settings
    from stream.topics import Topic

    Event = Impression | Play | RewardChange

#: The topics that dead letters come from.
INPUTS: dict[Topic, type[Event]] = {IMPRESSIONS: Impression, PLAYS: Play, REWARDS: RewardChange}
_UNKNOWN = frozenset({"unknown_title", "unknown_artwork"})
#: Why letters are left that no code tells of.
CUT_OFF, FOREIGN = "cut off: give the whole value with --file", "not from an input of a worker"


class Verdict(NamedTuple):
    """What is to become of a letter.

    ``topic`` is where it goes, with which key and value, and what it says; or None, and ``why_not`` says why it
    stays: the code that it would die with again, if there is one, and ``reason`` the sentence.
    """

    topic: Topic | None
    key: bytes | None = None
    value: bytes | None = None
    event: Event | None = None
    why_not: str = ""
    reason: str = ""


class _Returning(NamedTuple):
    """A dead letter as its worker would read it again."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


class Judge:
    """Asks of a letter what its worker would.

    Parameters
    ----------
    settings
        The limits.
    catalogue
        What is known by now.
    mended
        What to write instead of the value, if anything.
    rekey
        Whether to write it under the key that its value names.
    now_ms
        The wall clock.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: CatalogueView,
        *,
        mended: bytes | None,
        rekey: bool,
        now_ms: Callable[[], int],
    ) -> None:
        self._intake = Intake(settings)
        self._by_name = {topic.full_name(settings.topic_prefix): topic for topic in INPUTS}
        self._catalogue = catalogue
        self._mended = mended
        self._rekey = rekey
        self._now_ms = now_ms

    def judge(self, letter: Letter) -> Verdict:
        """What is to become of a letter."""
        topic = self._by_name.get(letter.topic)
        if topic is None:
            return Verdict(None, why_not=FOREIGN, reason=FOREIGN)
        value, key = letter.value if self._mended is None else self._mended, letter.key
        if (letter.length is not None and self._mended is None) or (
            letter.key_length is not None and not self._rekey
        ):
            return Verdict(None, why_not=CUT_OFF, reason=CUT_OFF)
        try:
            if self._rekey:
                key = str(getattr(decode(INPUTS[topic], value), topic.key.value)).encode()
            event = self._read(topic, letter, key, value)
            if letter.code in _UNKNOWN:
                self._check_known(event)
        except DecodeError as error:
            return Verdict(None, why_not=error.code, reason=error.reason)
        return Verdict(topic, key, value, event)

    def _read(self, topic: Topic, letter: Letter, key: bytes | None, value: bytes | None) -> Event:
        clock_ms = self._now_ms()
        headers = ((REPLAY_HEADER, letter.place.encode()),)
        message = _Returning(letter.topic, letter.partition, letter.offset, clock_ms, key, value, headers)
        if topic is PLAYS:
            return self._intake.play(message, clock_ms)
        if topic is IMPRESSIONS:
            return self._intake.of_title(Impression, message, clock_ms)
        return self._intake.of_title(RewardChange, message, clock_ms)

    def _check_known(self, event: Event) -> None:
        """Whether the catalogue knows by now what it did not know then."""
        if self._catalogue.get(event.title_id) is None:
            raise DecodeError("unknown_title", f"title {event.title_id!r} is not in the catalogue")
        if not isinstance(event, Play) and not self._catalogue.lists(event.title_id, event.artwork_id):
            raise DecodeError(
                "unknown_artwork", f"title {event.title_id!r} has no artwork {event.artwork_id!r} in the catalogue"
            )
