"""Names set in type: which characters, how large, broken into which lines.

A poster is drawn where no font can be measured, so that lengths are estimates, on the generous side. A line that
fits by :func:`width` fits in the fonts browsers have.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from stream.posters.shapes import WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: The space left free on either side of a line.
MARGIN = 32
#: How long a line may be.
ROOM = WIDTH - 2 * MARGIN
#: Size and letter spacing of the people's names.
BILLING_SIZE, BILLING_SPACING = 11.5, 1.6

_SIZES = (64, 56, 48, 43, 39, 35, 31, 28, 25, 22, 19)
_SMALLEST = 17.0
_MAX_HEIGHT = 90  # of a name's lines together
_MAX_LINES = 5
_SEPARATOR, _MORE = " · ", "…"
_EMS = {**dict.fromkeys("iIljft.,:;'!|()[] ·-", 0.4), **dict.fromkeys("mwMW@%—", 1.12), "⸺": 2.0, "⸻": 3.0}
_BASIC_PLANE = 0xFFFF


def clean(text: str) -> str:
    r"""The text on one line, without what no document may hold or what would turn the line around.

    Control characters, lone surrogates and noncharacters are not allowed in XML; marks that override the
    direction of writing would let a name rearrange what stands beside it.

    >>> clean("Good\x00 Will\n  Hunting\u202e")
    'Good Will Hunting'
    """
    return " ".join("".join(" " if c.isspace() else c for c in text if c.isspace() or _printable(c)).split())


def _printable(c: str) -> bool:
    if unicodedata.category(c) in ("Cc", "Cs") or ord(c) & 0xFFFE == 0xFFFE:
        return False
    return not ("\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069")


def width(text: str, size: float, spacing: float = 0.0) -> float:
    """A generous estimate of a line's length in bold type, in units of the sheet."""
    return sum(map(_ems, text)) * size + spacing * len(text)


@lru_cache(4096)
def _ems(c: str) -> float:
    """The width of a character in sizes of the type, as in the widest of the common typefaces."""
    parts = unicodedata.normalize("NFKD", c)
    if len(parts) > 1:  # a letter with accents, a ligature, a numeral made of letters
        return sum(map(_ems, parts))
    if c in _EMS:
        return _EMS[c]
    if unicodedata.combining(c):
        return 0.0
    if ord(c) > _BASIC_PLANE:
        return 1.4  # emoji and rare scripts
    if unicodedata.east_asian_width(c) in "WF":
        return 1.0
    return 0.83 if c.isupper() or c.isdigit() else 0.7


def fit_name(name: str) -> tuple[float, list[str]]:
    """The largest type, and the most even lines, in which a title's name fits the foot of the sheet.

    >>> fit_name("Coco")
    (64, ['Coco'])
    >>> fit_name("Good Will Hunting")
    (43, ['Good Will', 'Hunting'])
    """
    words = clean(name).split()
    for size in _SIZES:
        lines = _wrap(words, size, ROOM)
        if len(lines) * size <= _MAX_HEIGHT and all(width(line, size) <= ROOM for line in lines):
            return size, _even(words, size, lines)
    pieces = [piece for word in words for piece in _pieces(word, _SMALLEST)]
    lines = _wrap(pieces, _SMALLEST, ROOM)
    if len(lines) > _MAX_LINES:
        rest = " ".join(lines[_MAX_LINES - 1 :])
        lines = [*lines[: _MAX_LINES - 1], _shorten(rest, _SMALLEST, 0)]
    return _SMALLEST, lines


def bill(people: Iterable[str]) -> list[str]:
    """The people's names in capitals, in two lines at the most; a name is not broken.

    >>> bill(["Ben Affleck", "Matt Damon", "Casey Affleck"])
    ['BEN AFFLECK · MATT DAMON', 'CASEY AFFLECK']
    """
    lines: list[str] = []
    for name in filter(None, (clean(person.upper()) for person in people)):
        longer = f"{lines[-1]}{_SEPARATOR}{name}" if lines else name
        if lines and width(longer, BILLING_SIZE, BILLING_SPACING) <= ROOM:
            lines[-1] = longer
        else:
            lines.append(_shorten(name, BILLING_SIZE, BILLING_SPACING))
    if len(lines) > 2:
        return [lines[0], _shorten(f"{lines[1]}{_SEPARATOR}{lines[2]}", BILLING_SIZE, BILLING_SPACING)]
    return lines


def _shorten(text: str, size: float, spacing: float) -> str:
    """The text, or as much of its beginning as a line holds and an ellipsis."""
    if width(text, size, spacing) <= ROOM:
        return text
    while text and width(text + _MORE, size, spacing) > ROOM:
        text = text[:-1]
    return text.rstrip(_SEPARATOR) + _MORE


def _pieces(word: str, size: float) -> Iterable[str]:
    """A word in pieces that a line holds."""
    piece = ""
    for c in word:
        if piece and width(piece + c, size) > ROOM:
            yield piece
            piece = ""
        piece += c
    yield piece


def _wrap(words: Sequence[str], size: float, room: float) -> list[str]:
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and width(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _even(words: Sequence[str], size: float, lines: list[str]) -> list[str]:
    """As many lines, broken in as little room as they need."""
    room = float(ROOM)
    while room > ROOM / 3:
        room -= 8
        narrower = _wrap(words, size, room)
        if len(narrower) > len(lines) or any(width(line, size) > ROOM for line in narrower):
            break
        lines = narrower
    return lines
