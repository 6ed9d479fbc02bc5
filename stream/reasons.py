"""Every reason for which a record becomes a dead letter: a stable code, what it means, and what to do.

Codes are part of Keyart's interface. They are a header of each dead letter and a label of
``keyart_dead_letters_total``; a code is never given another meaning.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record could not be used.

    Attributes
    ----------
    code
        Its stable name.
    meaning
        One sentence: what is wrong with the record.
    advice
        One sentence: what a person can do about it.
    """

    code: str
    meaning: str
    advice: str


_MEND = "Mend the app that writes such records; a single one can be mended and put back with --file."

_ALL = (
    Reason(
        "bad_key",
        "The record has no key, or one that is not UTF-8.",
        "Let the app write the title (impressions) or the member (plays) as the key; --rekey puts such records "
        "back under the key that their value names.",
    ),
    Reason("empty", "The record has no value.", _MEND),
    Reason("invalid", "The record is JSON, but a field is missing, of a wrong type or beyond its limit.", _MEND),
    Reason("not_json", "The record is text, but not JSON.", _MEND),
    Reason("not_utf8", "The record is not UTF-8 text.", _MEND),
    Reason("too_deep", "The record nests deeper than any record of Keyart's.", _MEND),
    Reason("too_large", "The record is larger than a record may be.", _MEND),
    Reason(
        "too_far_ahead",
        "The event lies further ahead of the time at which it was written than max_ahead_seconds.",
        "Set the clock of the machine that wrote it; once the time has come, it can be put back as it is.",
    ),
    Reason(
        "too_far_behind",
        "The event lies further behind the time at which it was written than max_behind_days.",
        "To learn from an old log use keyart replay, which moves its times to now; to let an old event count all "
        "the same, put it back: its age is not looked at again.",
    ),
    Reason(
        "too_many_plays",
        "The member has more plays within attribution_hours than can be remembered.",
        "See whether the app gives every record a play_id of its own, where one play should keep one; a bot may "
        "be at work.",
    ),
    Reason(
        "unknown_artwork",
        "The catalogue has the title, but not this artwork of it.",
        "Load a catalogue that has it, then run keyart replay --dead-letters.",
    ),
    Reason(
        "unknown_title",
        "The catalogue does not have the title.",
        "Load a catalogue that has it, then run keyart replay --dead-letters.",
    ),
    Reason(
        "wrong_impression",
        "The play carries an impression of another member or of another title.",
        "Let the app hand back with a play the token of the choice that led to it.",
    ),
    Reason(
        "wrong_key",
        "The record's key is not the title (impressions, rewards) or the member (plays) that its value names.",
        "Let the app write that as the key; --rekey puts such records back under it.",
    ),
)

#: By code, in alphabetical order.
REASONS = {reason.code: reason for reason in sorted(_ALL, key=lambda reason: reason.code)}
