"""What a poster can be drawn from: one palette, one backdrop and one emblem for every theme.

A backdrop fills the 400 x 600 sheet behind everything else. An emblem is drawn around the origin, about 100 units
in radius, so that a poster can use it large (its leading theme) or small (the themes beside it). Both are plain
SVG shapes in the colours of the palette they are given; neither knows of titles, people or type.
"""

from __future__ import annotations

import colorsys
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin, tau

Dice = Sequence[float]


@dataclass(frozen=True)
class Palette:
    """The colours of a theme, each ``#rrggbb``. ``ink`` is what is written on ``base``, where the type stands."""

    top: str
    bottom: str
    land: str
    glow: str
    pop: str
    base: str
    ink: str


@dataclass(frozen=True)
class Motif:
    """How a theme looks."""

    palette: Palette
    backdrop: Callable[[Palette, Dice], str]
    emblem: Callable[[Palette], str]


def dice(seed: str, count: int = 96) -> tuple[float, ...]:
    """Numbers in [0, 1) that are a function of the seed alone.

    >>> dice("a", 2) == dice("a", 2), dice("a", 2) == dice("b", 2)
    (True, False)
    """
    digest = hashlib.shake_256(seed.encode("utf-8", "replace")).digest(2 * count)
    return tuple(int.from_bytes(digest[i : i + 2], "big") / 65536 for i in range(0, 2 * count, 2))


def mix(a: str, b: str, share: float) -> str:
    """The colour ``share`` of the way from a to b.

    >>> mix("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ((int(a[i : i + 2], 16), int(b[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(x + (y - x) * share):02x}" for x, y in pairs)


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


def disc(x: float, y: float, r: float, fill: str, opacity: float = 1, extra: str = "") -> str:
    """A filled circle."""
    shade = f' opacity="{n(opacity)}"' if opacity < 1 else ""
    return f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(r)}" fill="{fill}"{shade}{" " if extra else ""}{extra}/>'


def ring(x: float, y: float, r: float, colour: str, width: float, opacity: float = 1) -> str:
    """A circle's outline."""
    return disc(x, y, r, "none", opacity, f'stroke="{colour}" stroke-width="{n(width)}"')


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


HEART = "M0 88C-120 8 -104 -84 -46 -84C-18 -84 -4 -66 0 -48C4 -66 18 -84 46 -84C104 -84 120 8 0 88Z"
SPARK = "M0 -100C8 -20 20 -8 100 0C20 8 8 20 0 100C-8 20 -20 8 -100 0C-20 -8 -8 -20 0 -100Z"


def _rays(p: Palette, u: Dice) -> str:
    rays = []
    for i in range(18):
        a, half = tau * (i + u[i] * 0.5) / 18, 0.05 + 0.08 * u[i + 18]
        ends = [(200 + 640 * cos(a + s * half), 215 + 640 * sin(a + s * half)) for s in (-1, 1)]
        rays.append(path(shape([(200, 215), *ends]), p.glow, f'opacity="{n(0.12 + 0.3 * u[i + 36])}"'))
    return "".join(rays) + path(ridge(u, 470, 70, 12), p.land)


def _burst(p: Palette) -> str:
    bolt = path("M22 -64L-36 12H-4L-22 64L38 -16H6Z", p.land)
    return path(star(14, 104, 66), p.pop) + path(star(14, 84, 54, 0.22), p.glow) + bolt


def _mountains(p: Palette, u: Dice) -> str:
    far, mid = mix(p.land, p.bottom, 0.55), mix(p.land, p.bottom, 0.28)
    trail = line("M150 600C150 540 270 520 236 470C212 440 176 452 190 424", p.glow, 4, 0.7)
    snow = path("M98 262L60 316L84 304L98 322L114 302L140 318Z", p.glow, 'opacity=".9"')
    peak = path("M-60 480L98 262L250 480Z", mid)
    return path(ridge(u, 380, 130, 6), far) + peak + snow + path(ridge(u[9:], 460, 90, 5), p.land) + trail


def _compass(p: Palette) -> str:
    needles = path(star(4, 88, 16), p.land) + path("M0 -88L15 0H-15Z", p.pop)
    ticks = path(star(4, 50, 12, pi / 4), mix(p.land, p.glow, 0.5))
    return disc(0, 0, 100, p.glow) + ring(0, 0, 90, p.land, 4) + ticks + needles + disc(0, 0, 9, p.glow)


def _balloons(p: Palette, u: Dice) -> str:
    colours, parts = (p.pop, "#2f9ed8", p.glow, p.land), []
    for i in range(7):
        x, y, r = 30 + 57 * i + 24 * u[i] - 12, 70 + 330 * u[i + 7], 17 + 17 * u[i + 14]
        string = line(f"M{n(x)} {n(y + r)}q12 34 -4 60t6 60", p.land, 1.6, 0.5)
        gleam = disc(x - r * 0.35, y - r * 0.4, r * 0.22, "#ffffff", 0.6)
        body = f'<ellipse cx="{n(x)}" cy="{n(y)}" rx="{n(r * 0.88)}" ry="{n(r)}" fill="{colours[i % 4]}"/>'
        parts.append(string + body + gleam)
    return "".join(parts)


def _grin(p: Palette) -> str:
    eyes = disc(-34, -26, 12, p.land) + disc(34, -26, 12, p.land)
    mouth = path("M-62 10H62C58 62 26 78 0 78C-26 78 -58 62 -62 10Z", p.land)
    return disc(0, 0, 100, p.glow) + eyes + mouth + path("M-34 64C-16 42 16 42 34 64C14 82 -14 82 -34 64Z", p.pop)


def _blinds(p: Palette, u: Dice) -> str:
    tilt = -10 + 6 * u[0]
    slats = "".join(
        f'<rect x="-60" y="{60 + 34 * i}" width="560" height="13" fill="{p.glow}" opacity="{n(0.5 - 0.035 * i)}"/>'
        for i in range(12)
    )
    return f'<g transform="rotate({n(tilt)} 200 260)">{slats}</g>'


def _fingerprint(p: Palette) -> str:
    whorls = (
        f"M{n(-9 * i)} {n(40 + 3 * i)}V{n(-6 + i)}A{9 * i} {n(10 * i)} 0 0 1 {9 * i} {n(-6 + i)}V{n(46 + 2 * i - 9 * (i % 3))}"
        for i in range(1, 8)
    )
    back = f'<ellipse rx="80" ry="104" fill="{p.land}" stroke="{p.glow}" stroke-width="5"/>'
    return back + "".join(line(d, p.pop if i == 3 else p.glow, 5) for i, d in enumerate(whorls))


def _contours(p: Palette, u: Dice) -> str:
    x, y = 130 + 140 * u[0], 160 + 120 * u[1]
    bends = [(i, 1 + 0.16 * sin(3 * i + 6 * u[2])) for i in range(1, 15)]
    lines = (
        f'<ellipse cx="{n(x + 5 * i * (u[3] - 0.5))}" cy="{n(y)}" rx="{n(30 * i * b)}" ry="{n(24 * i)}" fill="none" '
        f'stroke="{p.land}" stroke-width="1.6" opacity=".3" transform="rotate({n(9 * i * u[4])} {n(x)} {n(y)})"/>'
        for i, b in bends
    )
    return "".join(lines) + disc(352, 48, 8, p.pop)


def _aperture(p: Palette) -> str:
    blades = "".join(
        line(f"M{n(38 * cos(a))} {n(38 * sin(a))}L{n(92 * cos(a + 1.25))} {n(92 * sin(a + 1.25))}", p.base, 4)
        for a in (tau * i / 6 for i in range(6))
    )
    hole = path(shape([(38 * cos(tau * i / 6), 38 * sin(tau * i / 6)) for i in range(6)]), p.pop)
    return disc(0, 0, 102, p.land) + ring(0, 0, 92, p.base, 3) + blades + hole


def _stage(p: Palette, u: Dice) -> str:
    folds = "".join(
        f'<rect x="{n(x)}" y="0" width="17" height="600" fill="{p.land}" opacity="{n(0.25 + 0.5 * u[i])}"/>'
        for i, x in enumerate([*range(0, 130, 26), *range(283, 400, 26)])
    )
    lean = 40 * u[40] - 20
    cone = path(f"M{n(200 + lean)} -40L60 480H340Z", p.glow, 'opacity=".34"')
    return folds + cone + f'<ellipse cx="200" cy="470" rx="150" ry="26" fill="{p.glow}" opacity=".55"/>'


def _mask(p: Palette) -> str:
    face = "M-80 -76C-40 -96 40 -96 80 -76C92 10 60 88 0 106C-60 88 -92 10 -80 -76Z"
    half = path("M0 -91C30 -91 60 -86 80 -76C92 10 60 88 0 106Z", p.pop)
    eyes = "M-56 -26Q-36 -48 -16 -22Q-38 -14 -56 -26ZM56 -26Q36 -48 16 -22Q38 -14 56 -26Z"
    return path(face, p.glow) + half + path(eyes, p.land) + line("M-36 62Q0 22 36 62", p.land, 11)


def _hills(p: Palette, u: Dice) -> str:
    rays = path(star(16, 74, 54), p.glow)
    clouds = "".join(
        at(
            50 + 130 * i + 40 * u[i],
            70 + 70 * u[i + 3],
            0.5 + 0.4 * u[i + 6],
            path(_CLOUD, "#ffffff", 'opacity=".9"'),
        )
        for i in range(3)
    )
    back = path("M-20 600V400Q120 300 260 400T460 390V600Z", mix(p.land, p.bottom, 0.45))
    front = path("M-20 600V450Q80 400 210 445T460 420V600Z", p.land)
    return at(70 + 260 * u[10], 96, 0.8, rays + disc(0, 0, 50, p.glow)) + clouds + back + front


_CLOUD = "M-70 30A30 30 0 0 1 -58 -26A46 46 0 0 1 24 -34A36 36 0 0 1 72 30Z"


def _house(p: Palette) -> str:
    walls = path("M-68 -8H68V92H-68Z", p.glow) + path("M34 -86H58V-30H34Z", p.land)
    roof = path("M0 -98L100 4H-100Z", p.pop)
    return walls + roof + path("M-18 92V46A18 18 0 0 1 18 46V92Z", p.land) + at(0, -34, 0.22, path(HEART, p.glow))


def _sparkles(p: Palette, u: Dice) -> str:
    sparks = "".join(
        at(400 * u[i], 420 * u[i + 16], 0.05 + 0.15 * u[i + 32] ** 2, path(SPARK, p.glow if i % 3 else p.pop))
        for i in range(16)
    )
    ribbons = line("M-20 330C90 250 150 420 260 330S400 250 430 290", p.pop, 16, 0.3)
    return ribbons + sparks + path("M-10 600V480Q90 400 200 452T410 440V600Z", p.land)


def _castle(p: Palette) -> str:
    moon = path("M36 -104A104 104 0 1 0 104 30A84 84 0 1 1 36 -104Z", p.glow)
    keep = "M-46 96V0H-56V-22H-42V-10H-30V-22H-16V-44L0 -84L16 -44V-22H30V-10H42V-22H56V0H46V96Z"
    gate = path("M-14 96V66A14 14 0 0 1 14 66V96Z", p.pop)
    return moon + path(keep, p.land, f'stroke="{p.pop}" stroke-width="3"') + gate


def _woods(p: Palette, u: Dice) -> str:
    trees = []
    for i, x in enumerate((8, 52, 96, 310, 352, 396)):
        w, lean = 9 + 9 * u[i], 40 * u[i + 6] - 20
        trunk = f"M{n(x - w)} 600L{n(x + lean)} {n(40 + 90 * u[i + 12])}L{n(x + w)} 600Z"
        boughs = "".join(
            f"M{n(x + lean * 0.5)} {n(y)}q{n(s * 18)} -34 {n(s * (34 + 22 * u[i]))} -64m{n(s * -18)} 34q{n(s * 18)} -6 {n(s * 30)} -22"
            for y, s in ((330, 1), (290, -1), (240, 1), (210, -1))
        )
        trees.append(path(trunk, p.land) + line(boughs, p.land, 5))
    return "".join(trees) + path("M0 600V470Q100 440 200 462T400 452V600Z", p.land)


def _claws(p: Palette) -> str:
    slashes = "".join(
        path(f"M{x} {-98 + 8 * i}Q{x + 4} 0 {x - 40} {104 - 8 * i}Q{x + 30} 10 {x} {-98 + 8 * i}Z", p.land)
        for i, x in enumerate((-34, 2, 38, 72))
    )
    return disc(0, 0, 100, p.glow) + disc(0, 0, 100, p.pop, 0.45) + slashes


def _equaliser(p: Palette, u: Dice) -> str:
    bars = []
    for i in range(16):
        high = 60 + 300 * u[i] * (0.35 + 0.65 * sin(pi * (i + 0.5) / 16))
        fill = mix(p.pop, p.glow, i / 15)
        where = f'x="{25 * i + 4}" y="{n(500 - high)}" width="17" height="{n(high + 100)}"'
        bars.append(f'<rect {where} rx="8" fill="{fill}" opacity=".55"/>')
    return "".join(bars)


def _record(p: Palette) -> str:
    grooves = "".join(ring(0, 0, r, p.glow, 1.5, 0.4) for r in (92, 80, 68, 56, 46))
    gleam = path("M0 0L-88 -50A101 101 0 0 1 -50 -88ZM0 0L88 50A101 101 0 0 1 50 88Z", p.glow, 'opacity=".25"')
    return disc(0, 0, 102, p.land) + grooves + gleam + disc(0, 0, 36, p.pop) + disc(0, 0, 7, p.land)


def _fog(p: Palette, u: Dice) -> str:
    glimmer = path("M200 190L20 600H380Z", p.glow, 'opacity=".2"')
    bands = "".join(
        path(
            f"M-20 {n(y)}q{n(60 + 60 * u[i])} {n(-34 - 30 * u[i + 8])} 140 0t140 0t140 0t140 0V{n(y + 40)}H-20Z",
            p.pop if i % 2 else p.top,
            'opacity=".3"',
        )
        for i, y in enumerate(range(90, 480, 52))
    )
    return glimmer + bands


def _keyhole(p: Palette) -> str:
    plate = f'<rect x="-70" y="-104" width="140" height="208" rx="70" fill="{p.land}" stroke="{p.glow}" stroke-width="4"/>'
    return plate + path("M-17 4A38 38 0 1 1 17 4L34 76H-34Z", p.glow)


def _hearts(p: Palette, u: Dice) -> str:
    hearts = "".join(
        at(
            400 * u[i],
            440 * u[i + 14],
            0.08 + 0.26 * u[i + 28] ** 2,
            path(HEART, (p.pop, p.glow, p.land)[i % 3], f'opacity="{n(0.25 + 0.5 * u[i + 42])}"'),
            50 * u[i + 28] - 25,
        )
        for i in range(14)
    )
    return disc(200, 210, 190, p.glow, 0.25) + disc(200, 210, 140, p.glow, 0.35) + hearts


def _heart(p: Palette) -> str:
    rings = ring(-22, 4, 30, p.glow, 8) + ring(22, 4, 30, p.glow, 8)
    return path(HEART, p.pop) + rings


def _space(p: Palette, u: Dice) -> str:
    stars = "".join(disc(400 * u[i], 420 * u[i + 1], 0.8 + 1.8 * u[i + 2], "#ffffff", 0.9) for i in range(56))
    rows = "".join(f"M0 {n(420 + 6 * i * i)}H400" for i in range(6))
    columns = "".join(f"M{n(200 + 14 * i)} 420L{n(200 + 60 * i)} 600" for i in range(-14, 15))
    return (
        stars
        + disc(200, 420, 230, p.pop, 0.14)
        + f'<path d="M0 420H400V600H0Z" fill="{p.land}"/>'
        + line(rows + columns, p.pop, 1.6, 0.8)
    )


def _planet(p: Palette) -> str:
    front = "M-122 44C-150 84 20 60 92 -4C140 -44 132 -66 92 -62"
    bands = path(
        "M-66 -30Q0 -6 62 -44L70 -22Q0 20 -72 -8ZM-66 28Q0 52 68 10L60 34Q0 72 -52 48Z", p.pop, 'opacity=".75"'
    )
    return disc(0, 0, 74, p.glow) + bands + line(front, p.land, 15) + line(front, p.pop, 8)


def _shards(p: Palette, u: Dice) -> str:
    ripples = "".join(ring(200, 210, 60 + 46 * i, p.glow, 1.6, 0.5 - 0.07 * i) for i in range(6))
    shards = "".join(
        path(
            shape(
                [(x, -10), (x + 60 + 80 * u[i], -10), (x - 150 * u[i + 4], 610), (x - 190 * u[i + 4] - 30, 610)]
            ),
            p.land,
            'opacity=".5"',
        )
        for i, x in enumerate((40, 190, 330, 440))
    )
    return shards + ripples


def _crosshair(p: Palette) -> str:
    ticks = "M0 -112V-34M0 112V34M-112 0H-34M112 0H34"
    return ring(0, 0, 88, p.glow, 9) + ring(0, 0, 50, p.glow, 4) + line(ticks, p.glow, 7) + disc(0, 0, 14, p.pop)


def _ruins(p: Palette, u: Dice) -> str:
    beams = "".join(
        path(f"M{x} 470L{n(400 * u[i])} -20H{n(400 * u[i] + 70)}Z", p.glow, 'opacity=".3"')
        for i, x in enumerate((60, 200, 340))
    )
    walls = "".join(
        f"M{40 * i - 4} 600V{n(380 + 70 * u[i])}l14 {n(20 * u[i + 12])}l10 -18l14 {n(30 * u[i + 24])}l8 -8V600Z"
        for i in range(11)
    )
    wire = "".join(f"M{33 * i} 478l16 -20m-16 0l16 20" for i in range(13))
    return beams + path(walls, p.land) + line("M-10 470Q100 458 200 468T410 464" + wire, p.glow, 2, 0.7)


def _medal(p: Palette) -> str:
    stripes = path("M-58 -30L-100 -42V-30L-58 -14ZM-58 0L-110 -8V8L-58 14ZM-58 30L-100 30V44L-58 42Z", p.glow)
    wings = stripes + f'<g transform="scale(-1 1)">{stripes}</g>'
    return wings + disc(0, 0, 72, p.land) + ring(0, 0, 66, p.glow, 6) + path(star(5, 58, 23), p.pop)


def _desert(p: Palette, u: Dice) -> str:
    sun = disc(200, 330, 150, p.glow, 0.85) + disc(200, 330, 190, p.glow, 0.22)
    mesa = path(
        "M-10 460V372l34 -6l10 -60h92l8 54l38 16v84ZM270 460l22 -70l10 -46h60l10 40l38 14v62Z",
        mix(p.pop, p.bottom, 0.2),
    )
    cactus = "M0 0V-110M0 -46H-26V-78M0 -30H26V-66"
    x = 40 + 40 * u[0]
    cacti = at(x, 520, 1.1, line(cactus, p.land, 15)) + at(330 + 40 * u[1], 500, 0.8, line(cactus, p.land, 15))
    return sun + mesa + path("M-10 600V462Q100 440 210 456T410 448V600Z", p.land) + cacti


def _badge(p: Palette) -> str:
    tips = "".join(disc(98 * sin(tau * i / 6), -98 * cos(tau * i / 6), 12, p.land) for i in range(6))
    return path(star(6, 98, 50), p.land) + tips + ring(0, 0, 40, p.glow, 4) + path(star(5, 30, 12), p.glow)


def _facets(p: Palette, u: Dice) -> str:
    discs = "".join(
        disc(400 * u[i], 460 * u[i + 7], 60 + 110 * u[i + 14], (p.glow, p.pop, p.land)[i % 3], 0.22)
        for i in range(7)
    )
    return discs + path(f"M-10 600V{n(420 + 60 * u[30])}L410 {n(400 + 60 * u[31])}V600Z", p.land)


def _frames(p: Palette) -> str:
    arc = path("M-100 0A100 100 0 0 1 100 0Z", p.glow) + path("M-100 0A100 100 0 0 0 0 100V0Z", p.pop)
    return arc + path("M0 100A100 100 0 0 0 100 0H0Z", p.ink) + disc(0, 0, 26, p.land)


def unknown(name: str) -> Motif:
    """A motif for a theme that has none of its own: calm geometry in a hue that depends on its name alone."""
    hue = dice(name, 1)[0]

    def tone(shift: float, light: float, depth: float) -> str:
        rgb = colorsys.hls_to_rgb((hue + shift) % 1, light, depth)
        return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)

    dark = tone(0.02, 0.1, 0.5)
    colours = Palette(
        tone(0, 0.3, 0.5),
        tone(0.08, 0.55, 0.55),
        dark,
        tone(0.12, 0.85, 0.8),
        tone(0.45, 0.6, 0.7),
        dark,
        tone(0.1, 0.94, 0.6),
    )
    return Motif(colours, _facets, _frames)


def _motif(colours: str, backdrop: Callable[[Palette, Dice], str], emblem: Callable[[Palette], str]) -> Motif:
    return Motif(Palette(*("#" + colour for colour in colours.split())), backdrop, emblem)


#: What the themes look like; :func:`unknown` draws the others. Colours: top, bottom, land, glow, pop, base, ink.
MOTIFS = {
    "action": _motif("3b0a1e e8481c 22060f ffc233 ff6b2b 1c050c fff1dc", _rays, _burst),
    "adventure": _motif("0b5563 f5b35c 0d3b45 ffe3a3 e4572e 0a2c35 fdf3dc", _mountains, _compass),
    "comedy": _motif("ffdf4d ffb01c 5a1e0a fff7d6 e8344e ffd23f 3b1503", _balloons, _grin),
    "crime": _motif("2b2f38 0d0f13 0a0b0e e9b44c b3262b 0d0f13 f3e3c2", _blinds, _fingerprint),
    "documentary": _motif("efe9dc cbd8d2 1f3a3d ffffff d1495b efe9dc 16302f", _contours, _aperture),
    "drama": _motif("6b2033 2a1324 1a0b16 f4d7b4 b23a48 1a0b16 f9e9d6", _stage, _mask),
    "family": _motif("6fd0f5 d8f3c9 2a9265 fff3b0 ff7a59 e6f7d4 14443a", _hills, _house),
    "fantasy": _motif("24135f b46ad8 1b0f45 ffe08a 6ee7d8 170c3b f6ecff", _sparkles, _castle),
    "horror": _motif("1a0406 8a1015 060203 ff4d3d c1121f 070203 f6e4df", _woods, _claws),
    "music": _motif("1b1040 d0218a 150a30 ffd166 22d3ee 140a2e fff0fa", _equaliser, _record),
    "mystery": _motif("0f2a33 5b9396 0a1c22 f7e7a9 9cc9c6 0a1c22 eaf4ee", _fog, _keyhole),
    "romance": _motif("ff8fa3 ffd0c0 7a1237 fff0ea e11d48 ffe1d6 6b0f2e", _hearts, _heart),
    "sci-fi": _motif("050b2c 4a22a0 070a24 7df9ff ff4fd8 060821 e6f7ff", _space, _planet),
    "thriller": _motif("08221f 14695a 04100f d7ff3e ff3b3b 04110f f0ffe0", _shards, _crosshair),
    "war": _motif("4a4a2a c9883f 1e1e12 ffdf9e b3391f 19190f f5ead0", _ruins, _medal),
    "western": _motif("d9481c ffc15e 5a1c0b fff0c2 8c2f12 43140a ffe9c4", _desert, _badge),
}
