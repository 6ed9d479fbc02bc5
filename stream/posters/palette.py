"""The colours of a theme."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

from stream.posters.dice import dice


@dataclass(frozen=True)
class Palette:
    """The colours of a theme, each ``#rrggbb``.

    ``ink`` is what is written on ``base``, where the type stands; ``lit`` and ``shade`` are the halves of
    a face.
    """

    top: str
    bottom: str
    land: str
    glow: str
    pop: str
    base: str
    ink: str
    lit: str
    shade: str


def mix(a: str, b: str, share: float) -> str:
    """The colour ``share`` of the way from a to b.

    >>> mix("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)


def hashed(name: str) -> Palette:
    """Colours for a theme that has none of its own: harmonies of a hue that depends on its name alone."""
    hue = dice(name, 1)[0]

    def tone(shift: float, light: float, depth: float) -> str:
        rgb = colorsys.hls_to_rgb((hue + shift) % 1, light, depth)
        return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)

    dark = tone(0.02, 0.1, 0.5)
    return Palette(
        top=tone(0, 0.3, 0.5),
        bottom=tone(0.08, 0.55, 0.55),
        land=dark,
        glow=tone(0.12, 0.85, 0.8),
        pop=tone(0.45, 0.6, 0.7),
        base=dark,
        ink=tone(0.1, 0.94, 0.6),
        lit=tone(0.1, 0.85, 0.5),
        shade=tone(0.06, 0.5, 0.3),
    )
