"""SVG shapes as text: what scenes, emblems and people are drawn with.

The arguments are numbers, colours and path data of our own; text from outside never passes through here.
"""

from __future__ import annotations

from math import cos, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.posters.dice import Dice

#: A poster's size, in units of its view box.
WIDTH, HEIGHT = 400, 600

HEART = "M0 88C-120 8 -104 -84 -46 -84C-18 -84 -4 -66 0 -48C4 -66 18 -84 46 -84C104 -84 120 8 0 88Z"
SPARK = "M0 -100C8 -20 20 -8 100 0C20 8 8 20 0 100C-8 20 -20 8 -100 0C-20 -8 -8 -20 0 -100Z"
CLOUD = "M-70 30A30 30 0 0 1 -58 -26A46 46 0 0 1 24 -34A36 36 0 0 1 72 30Z"


def n(value: float) -> str:
    """A coordinate, as short as it can be written."""
    return f"{round(value, 2) + 0.0:g}"


def path(d: str, fill: str = "none", extra: str = "") -> str:
    """A path; ``extra`` holds further attributes."""
    return f'<path d="{d}" fill="{fill}"{" " if extra else ""}{extra}/>'


def line(d: str, colour: str, width: float, opacity: float = 1) -> str:
    """A stroked path with round ends."""
    extra = f'stroke="{colour}" stroke-width="{n(width)}" stroke-linecap="round" stroke-linejoin="round"'
    return path(d, "none", extra + (f' opacity="{n(opacity)}"' if opacity < 1 else ""))


def disc(x: float, y: float, r: float, fill: str, opacity: float = 1, *, extra: str = "") -> str:
    """A filled circle."""
    shade = f' opacity="{n(opacity)}"' if opacity < 1 else ""
    return f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" fill="{fill}"{shade}{" " if extra else ""}{extra}/>'


def ring(x: float, y: float, r: float, colour: str, width: float, *, opacity: float = 1) -> str:
    """A circle's outline."""
    return disc(x, y, r, "none", opacity, extra=f'stroke="{colour}" stroke-width="{n(width)}"')


def shape(points: Sequence[tuple[float, float]]) -> str:
    """Path data of a closed polygon."""
    return "M" + "L".join(f"{n(x)} {n(y)}" for x, y in points) + "Z"


def star(points: int, outer: float, inner: float, turn: float = 0.0) -> str:
    """Path data of a star around the origin; its first point looks up."""
    radii = (outer if i % 2 == 0 else inner for i in range(2 * points))
    angles = (turn - pi / 2 + pi * i / points for i in range(2 * points))
    return shape([(r * cos(a), r * sin(a)) for r, a in zip(radii, angles, strict=True)])


def at(x: float, y: float, scale: float, drawing: str, turn: float = 0.0) -> str:
    """A drawing around the origin, moved to a place."""
    rotate = f" rotate({n(turn)})" if turn else ""
    return f'<g transform="translate({n(x)} {n(y)}){rotate} scale({n(scale)})">{drawing}</g>'


def ridge(u: Dice, level: float, height: float, steps: int) -> str:
    """Path data of jagged land from the left edge to the right, filled down to the foot of the sheet."""
    peaks = [(400 * i / steps, level - height * (u[i] if i % 2 else u[i] * 0.3)) for i in range(steps + 1)]
    return shape([(0, 600), *peaks, (400, 600)])
