"""The sign of a theme, drawn around the origin and about 100 units in radius.

A poster uses it large (its leading theme) or small (the themes beside it).
"""

from __future__ import annotations

from math import cos, pi, sin, tau
from typing import TYPE_CHECKING

from stream.posters.palette import mix
from stream.posters.shapes import HEART, at, disc, line, n, path, ring, shape, star

if TYPE_CHECKING:
    from stream.posters.palette import Palette


def burst(p: Palette) -> str:
    """Action: a bolt in a burst."""
    bolt = path("M22 -64L-36 12H-4L-22 64L38 -16H6Z", p.land)
    return path(star(14, 104, 66), p.pop) + path(star(14, 84, 54, 0.22), p.glow) + bolt


def compass(p: Palette) -> str:
    """Adventure: a compass."""
    needles = path(star(4, 88, 16), p.land) + path("M0 -88L15 0H-15Z", p.pop)
    ticks = path(star(4, 50, 12, pi / 4), mix(p.land, p.glow, 0.5))
    return disc(0, 0, 100, p.glow) + ring(0, 0, 90, p.land, 4) + ticks + needles + disc(0, 0, 9, p.glow)


def grin(p: Palette) -> str:
    """Comedy: a grin."""
    eyes = disc(-34, -26, 12, p.land) + disc(34, -26, 12, p.land)
    mouth = path("M-62 10H62C58 62 26 78 0 78C-26 78 -58 62 -62 10Z", p.land)
    return disc(0, 0, 100, p.glow) + eyes + mouth + path("M-34 64C-16 42 16 42 34 64C14 82 -14 82 -34 64Z", p.pop)


def fingerprint(p: Palette) -> str:
    """Crime: a fingerprint."""
    whorls = (
        f"M{-9 * i} {40 + 3 * i}V{i - 6}A{9 * i} {10 * i} 0 0 1 {9 * i} {i - 6}V{46 + 2 * i - 9 * (i % 3)}"
        for i in range(1, 8)
    )
    back = f'<ellipse rx="80" ry="104" fill="{p.land}" stroke="{p.glow}" stroke-width="5"/>'
    return back + "".join(line(d, p.pop if i == 3 else p.glow, 5) for i, d in enumerate(whorls))


def aperture(p: Palette) -> str:
    """Documentary: a camera's aperture."""
    blades = "".join(
        line(f"M{n(38 * cos(a))} {n(38 * sin(a))}L{n(92 * cos(a + 1.25))} {n(92 * sin(a + 1.25))}", p.base, 4)
        for a in (tau * i / 6 for i in range(6))
    )
    hole = path(shape([(38 * cos(tau * i / 6), 38 * sin(tau * i / 6)) for i in range(6)]), p.pop)
    return disc(0, 0, 102, p.land) + ring(0, 0, 92, p.base, 3) + blades + hole


def mask(p: Palette) -> str:
    """Drama: a mask of two halves."""
    face = "M-80 -76C-40 -96 40 -96 80 -76C92 10 60 88 0 106C-60 88 -92 10 -80 -76Z"
    half = path("M0 -91C30 -91 60 -86 80 -76C92 10 60 88 0 106Z", p.pop)
    eyes = "M-56 -26Q-36 -48 -16 -22Q-38 -14 -56 -26ZM56 -26Q36 -48 16 -22Q38 -14 56 -26Z"
    return path(face, p.glow) + half + path(eyes, p.land) + line("M-36 62Q0 22 36 62", p.land, 11)


def house(p: Palette) -> str:
    """Family: a house."""
    walls = path("M-68 -8H68V92H-68Z", p.glow) + path("M34 -86H58V-30H34Z", p.land)
    roof = path("M0 -98L100 4H-100Z", p.pop)
    return walls + roof + path("M-18 92V46A18 18 0 0 1 18 46V92Z", p.land) + at(0, -34, 0.22, path(HEART, p.glow))


def castle(p: Palette) -> str:
    """Fantasy: a castle under the moon."""
    moon = path("M36 -104A104 104 0 1 0 104 30A84 84 0 1 1 36 -104Z", p.glow)
    keep = "M-46 96V0H-56V-22H-42V-10H-30V-22H-16V-44L0 -84L16 -44V-22H30V-10H42V-22H56V0H46V96Z"
    gate = path("M-14 96V66A14 14 0 0 1 14 66V96Z", p.pop)
    return moon + path(keep, p.land, f'stroke="{p.pop}" stroke-width="3"') + gate


def claws(p: Palette) -> str:
    """Horror: the marks of claws."""
    slashes = "".join(
        path(f"M{x} {-98 + 8 * i}Q{x + 4} 0 {x - 40} {104 - 8 * i}Q{x + 30} 10 {x} {-98 + 8 * i}Z", p.land)
        for i, x in enumerate((-34, 2, 38, 72))
    )
    return disc(0, 0, 100, p.glow) + disc(0, 0, 100, p.pop, 0.45) + slashes


def record(p: Palette) -> str:
    """Music: a record."""
    grooves = "".join(ring(0, 0, r, p.glow, 1.5, opacity=0.4) for r in (92, 80, 68, 56, 46))
    gleam = path("M0 0L-88 -50A101 101 0 0 1 -50 -88ZM0 0L88 50A101 101 0 0 1 50 88Z", p.glow, 'opacity=".25"')
    return disc(0, 0, 102, p.land) + grooves + gleam + disc(0, 0, 36, p.pop) + disc(0, 0, 7, p.land)


def keyhole(p: Palette) -> str:
    """Mystery: a keyhole."""
    plate = path(
        "M-70 -34A70 70 0 0 1 70 -34V34A70 70 0 0 1 -70 34Z", p.land, f'stroke="{p.glow}" stroke-width="4"'
    )
    return plate + path("M-17 4A38 38 0 1 1 17 4L34 76H-34Z", p.glow)


def heart(p: Palette) -> str:
    """Romance: a heart and two rings."""
    rings = ring(-22, 4, 30, p.glow, 8) + ring(22, 4, 30, p.glow, 8)
    return path(HEART, p.pop) + rings


def planet(p: Palette) -> str:
    """Sci-fi: a planet with a ring."""
    front = "M-122 44C-150 84 20 60 92 -4C140 -44 132 -66 92 -62"
    bands = path(
        "M-66 -30Q0 -6 62 -44L70 -22Q0 20 -72 -8ZM-66 28Q0 52 68 10L60 34Q0 72 -52 48Z", p.pop, 'opacity=".75"'
    )
    return disc(0, 0, 74, p.glow) + bands + line(front, p.land, 15) + line(front, p.pop, 8)


def crosshair(p: Palette) -> str:
    """Thriller: a crosshair."""
    ticks = "M0 -112V-34M0 112V34M-112 0H-34M112 0H34"
    return ring(0, 0, 88, p.glow, 9) + ring(0, 0, 50, p.glow, 4) + line(ticks, p.glow, 7) + disc(0, 0, 14, p.pop)


def medal(p: Palette) -> str:
    """War: a winged star."""
    stripes = path("M-58 -30L-100 -42V-30L-58 -14ZM-58 0L-110 -8V8L-58 14ZM-58 30L-100 30V44L-58 42Z", p.glow)
    wings = stripes + f'<g transform="scale(-1 1)">{stripes}</g>'
    return wings + disc(0, 0, 72, p.land) + ring(0, 0, 66, p.glow, 6) + path(star(5, 58, 23), p.pop)


def badge(p: Palette) -> str:
    """Western: a sheriff's star."""
    tips = "".join(disc(98 * sin(tau * i / 6), -98 * cos(tau * i / 6), 12, p.land) for i in range(6))
    body = path(star(6, 98, 50), p.land, f'stroke="{p.glow}" stroke-width="4"')
    return tips + body + ring(0, 0, 40, p.glow, 4) + path(star(5, 30, 12), p.glow)


def frames(p: Palette) -> str:
    """Four quarters, for a theme without an emblem of its own."""
    arc = path("M-100 0A100 100 0 0 1 100 0Z", p.glow) + path("M-100 0A100 100 0 0 0 0 100V0Z", p.pop)
    return arc + path("M0 100A100 100 0 0 0 100 0H0Z", p.ink) + disc(0, 0, 26, p.land)
