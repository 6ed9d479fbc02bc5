"""Where the emblems of a poster go: four compositions, so that artworks of one theme still look different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.posters.shapes import at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stream.posters.dice import Dice
    from stream.posters.motifs import Motif

#: A theme that says less than this share of what the leading one says is not drawn.
_LEAST_SHARE = 0.25


@dataclass(frozen=True)
class Signs:
    """What a composition places: the leading theme's motif, the themes beside it, and where there is room.

    ``beside`` has weights relative to the leading theme's, ``side`` is 1 or -1, ``eyes`` the height of the
    people's eyes, or None if there are none.
    """

    lead: Motif
    beside: Sequence[tuple[Motif, float]]
    dice: Dice
    side: int
    eyes: float | None


@dataclass(frozen=True)
class Composition:
    """How emblems are placed, and what one or two people do about it: step closer, or to the side."""

    emblems: Callable[[Signs], str]
    close: float = 1
    aside: float = 0


def _tilt(signs: Signs) -> float:
    return 10 * signs.dice[2] - 5


def _lead(signs: Signs, x: float, y: float, scale: float, turn: float) -> str:
    """The leading theme's emblem."""
    return at(x, y, scale, signs.lead.emblem(signs.lead.palette), turn)


def _halo(signs: Signs) -> str:
    """The emblem behind the heads."""
    x, y, scale = (200 - 14 * signs.side, 232, 1.3) if signs.eyes is None else (200, signs.eyes - 104, 1.25)
    return _lead(signs, x, y, scale, _tilt(signs)) + _marks(signs)


def _close(signs: Signs) -> str:
    """People close by, the emblem a small seal beside them."""
    x, y, scale = (200, 216, 0.95) if signs.eyes is None else (200 + 132 * signs.side, 92, 0.46)
    return _lead(signs, x, y, scale, 2 * _tilt(signs)) + _marks(signs)


def _rising(signs: Signs) -> str:
    """The emblem on the horizon, large as a low sun, people in front of it."""
    y = 330.0 if signs.eyes is None else signs.eyes - 18
    return _lead(signs, 200 + 30 * signs.side, y, 1.85, _tilt(signs)) + _marks(signs)


def _vast(signs: Signs) -> str:
    """The emblem larger than the sheet; cut off by a corner where people stand below it."""
    x, y, scale = (46, 225, 2.4) if signs.eyes is None else (124, 112, 1.95)
    return _lead(signs, 200 + x * signs.side, y, scale, 2 * _tilt(signs)) + _marks(signs)


def _marks(signs: Signs) -> str:
    """The emblems of the themes beside: small, at the upper edge, in the leading theme's colours."""
    drawn = [(other, share) for other, share in signs.beside if share >= _LEAST_SHARE]
    x = 200 - 160 * signs.side
    return "".join(
        at(x + 38 * i * signs.side, 42, 0.11 + 0.06 * share, other.emblem(signs.lead.palette))
        for i, (other, share) in enumerate(drawn)
    )


#: In the order in which the artworks of one title take them.
COMPOSITIONS = (
    Composition(_halo),
    Composition(_close, close=1.3, aside=-30),
    Composition(_rising, close=1.04),
    Composition(_vast, close=1.16, aside=-24),
)
