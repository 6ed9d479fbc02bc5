"""What becomes of bad input: its bytes untouched, with where it came from and a reason a person can act on.

The topic ``dead-letters`` holds the letters, and marks of those that were put back. Why a record can become a dead
letter is :mod:`stream.reasons`'; reading them and putting them back is :mod:`consumers.dead_letters`'.
"""

from stream.dead_letters.letter import MAX_KEPT_BYTES, Letter, dead_letter
from stream.dead_letters.replays import REPLAY_HEADER, is_replayed, put_back, read_mark, replay_mark
from stream.dead_letters.waiting import WaitingLetters

__all__ = [
    "MAX_KEPT_BYTES",
    "REPLAY_HEADER",
    "Letter",
    "WaitingLetters",
    "dead_letter",
    "is_replayed",
    "put_back",
    "read_mark",
    "replay_mark",
]
