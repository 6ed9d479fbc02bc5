"""Where the emblems of a poster go: four compositions, so that artworks of one theme still look different."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stream.posters.shapes import HEIGHT, WIDTH, at, n

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
    people's eyes, or None if there are none; ``uid`` is the prefix of the poster's ids.
    """

    lead: Motif
    beside: Sequence[tuple[Motif, float]]
    dice: Dice
    side: int
    eyes: float | None
    uid: str


@dataclass(frozen=True)
class Composition:
    """How emblems are placed, and what one or two people do about it: step closer, or to the side."""

    emblems: Callable[[Signs], str]
    close: float = 1
    aside: float = 0


def _emblem(of: Motif, lead: Motif) -> str:
    """An emblem in its own colours, on the leading theme's land."""
    return of.emblem(replace(of.palette, land=lead.palette.land) if of is not lead else lead.palette)


def _tilt(signs: Signs) -> float:
    return 10 * signs.dice[2] - 5


def _halo(signs: Signs) -> str:
    """The emblem behind the heads, the themes beside it in the corners."""
    x, y, scale = (200 - 14 * signs.side, 230, 1.3) if signs.eyes is None else (200, signs.eyes - 112, 1.25)
    emblem = at(x, y, scale, _emblem(signs.lead, signs.lead), _tilt(signs))
    return emblem + _corners(signs, ((200 + 128 * signs.side, 76), (200 - 128 * signs.side, 76)))


def _aside(signs: Signs) -> str:
    """The emblem to one side, the themes beside it above one another on the other."""
    x, y, scale = (
        (200 - 84 * signs.side, 200, 1.75)
        if signs.eyes is None
        else (200 - 92 * signs.side, signs.eyes - 110, 1.2)
    )
    emblem = at(x, y, scale, _emblem(signs.lead, signs.lead), 3 * _tilt(signs))
    return emblem + _corners(signs, ((200 + 148 * signs.side, 62), (200 + 148 * signs.side, 154)))


def _vast(signs: Signs) -> str:
    """The emblem larger than the sheet, faint behind people."""
    opacity = 1 if signs.eyes is None else 0.55
    emblem = at(200 + 40 * signs.side, 225, 2.35, _emblem(signs.lead, signs.lead), 2 * _tilt(signs))
    drawing = f'<g opacity="{n(opacity)}">{emblem}</g>'
    return drawing + _corners(signs, ((200 - 146 * signs.side, 62), (200 + 146 * signs.side, 62)))


def _wallpaper(signs: Signs) -> str:
    """Rows of small emblems, those of the themes beside in between as often as their weights ask for."""
    motifs = [signs.lead, *(other for other, share in signs.beside if share >= _LEAST_SHARE)]
    shares = [1.0, *(share for _, share in signs.beside if share >= _LEAST_SHARE)]
    drawings = (f'<g id="{signs.uid}{i}">{_emblem(of, signs.lead)}</g>' for i, of in enumerate(motifs))
    debts, rows = [0.0] * len(motifs), []
    for place in range(12):
        row, column = divmod(place, 3)
        debts = [debt + share / sum(shares) for debt, share in zip(debts, shares, strict=True)]
        drawn = max(range(len(debts)), key=debts.__getitem__)
        debts[drawn] -= 1
        x, y = (column + (0.75 if row % 2 else 0.25)) * WIDTH / 3, 70 + row * HEIGHT / 5
        turn = 3 * _tilt(signs)
        where = f"translate({n(x)} {n(y)}) rotate({n(turn)}) scale(.5)"
        rows.append(f'<use href="#{signs.uid}{drawn}" transform="{where}"/>')
    return f"<defs>{''.join(drawings)}</defs>{''.join(rows)}"


def _corners(signs: Signs, places: Sequence[tuple[float, float]]) -> str:
    """The emblems of the themes beside, as large as their weights, at two places."""
    drawings = (
        at(
            x,
            y + 14 * signs.dice[3 + i],
            0.18 + 0.22 * share,
            _emblem(other, signs.lead),
            16 * signs.dice[5 + i] - 8,
        )
        for i, ((other, share), (x, y)) in enumerate(zip(signs.beside, places, strict=False))
        if share >= _LEAST_SHARE
    )
    return "".join(drawings)


#: In the order in which the artworks of one title take them.
COMPOSITIONS = (
    Composition(_halo),
    Composition(_aside, aside=44),
    Composition(_wallpaper, close=1.06),
    Composition(_vast, close=1.18),
)
