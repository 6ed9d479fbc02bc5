"""What a theme looks like from afar: a backdrop that fills the sheet behind everything else.

A scene takes the colours and the dice that place what is in it.
"""

from __future__ import annotations

from math import cos, pi, sin, tau
from typing import TYPE_CHECKING

from stream.posters.palette import mix
from stream.posters.shapes import CLOUD, HEART, SPARK, at, disc, line, n, path, ridge, ring, shape, star

if TYPE_CHECKING:
    from stream.posters.dice import Dice
    from stream.posters.palette import Palette


def rays(p: Palette, u: Dice) -> str:
    """Rays from behind the head, above jagged land."""
    beams = []
    for i in range(18):
        a, half = tau * (i + u[i] * 0.5) / 18, 0.05 + 0.08 * u[i + 18]
        ends = [(200 + 640 * cos(a + s * half), 215 + 640 * sin(a + s * half)) for s in (-1, 1)]
        beams.append(path(shape([(200, 215), *ends]), p.glow, f'opacity="{n(0.12 + 0.3 * u[i + 36])}"'))
    return "".join(beams) + path(ridge(u, 470, 70, 12), p.land)


def mountains(p: Palette, u: Dice) -> str:
    """Ranges, a snowy peak and a trail."""
    far, mid = mix(p.land, p.bottom, 0.55), mix(p.land, p.bottom, 0.28)
    trail = line("M150 600C150 540 270 520 236 470C212 440 176 452 190 424", p.glow, 4, 0.7)
    snow = path("M98 262L60 316L84 304L98 322L114 302L140 318Z", p.glow, 'opacity=".9"')
    peak = path("M-60 480L98 262L250 480Z", mid)
    return path(ridge(u, 380, 130, 6), far) + peak + snow + path(ridge(u[9:], 460, 90, 5), p.land) + trail


def balloons(p: Palette, u: Dice) -> str:
    """Balloons on their strings."""
    colours, parts = (p.pop, "#2f9ed8", p.glow, p.land), []
    for i in range(7):
        x, y, r = 30 + 57 * i + 24 * u[i] - 12, 70 + 330 * u[i + 7], 17 + 17 * u[i + 14]
        string = line(f"M{n(x)} {n(y + r)}q12 34 -4 60t6 60", p.land, 1.6, 0.5)
        gleam = disc(x - r * 0.35, y - r * 0.4, r * 0.22, "#ffffff", 0.6)
        body = f'<ellipse cx="{n(x)}" cy="{n(y)}" rx="{n(r * 0.88)}" ry="{n(r)}" fill="{colours[i % 4]}"/>'
        parts.append(string + body + gleam)
    return "".join(parts)


def blinds(p: Palette, u: Dice) -> str:
    """Light through a blind."""
    tilt = -10 + 6 * u[0]
    slats = "".join(
        f'<rect x="-60" y="{60 + 34 * i}" width="560" height="13" fill="{p.glow}" opacity="{n(0.5 - 0.035 * i)}"/>'
        for i in range(12)
    )
    return f'<g transform="rotate({n(tilt)} 200 260)">{slats}</g>'


def contours(p: Palette, u: Dice) -> str:
    """The contour lines of a map."""
    x, y = 130 + 140 * u[0], 160 + 120 * u[1]
    bends = [(i, 1 + 0.16 * sin(3 * i + 6 * u[2])) for i in range(1, 15)]
    lines = (
        f'<ellipse cx="{n(x + 5 * i * (u[3] - 0.5))}" cy="{n(y)}" rx="{n(30 * i * b)}" ry="{n(24 * i)}" '
        f'transform="rotate({n(9 * i * u[4])} {n(x)} {n(y)})"/>'
        for i, b in bends
    )
    pen = f'fill="none" stroke="{p.land}" stroke-width="1.6" opacity=".3"'
    return f"<g {pen}>{''.join(lines)}</g>" + disc(352, 48, 8, p.pop)


def stage(p: Palette, u: Dice) -> str:
    """A curtain and a spotlight."""
    folds = "".join(
        f'<rect x="{n(x)}" y="0" width="17" height="600" fill="{p.land}" opacity="{n(0.25 + 0.5 * u[i])}"/>'
        for i, x in enumerate([*range(0, 130, 26), *range(283, 400, 26)])
    )
    lean = 40 * u[40] - 20
    cone = path(f"M{n(200 + lean)} -40L60 480H340Z", p.glow, 'opacity=".34"')
    return folds + cone + f'<ellipse cx="200" cy="470" rx="150" ry="26" fill="{p.glow}" opacity=".55"/>'


def hills(p: Palette, u: Dice) -> str:
    """Hills, clouds and a low sun."""
    rays = path(star(16, 74, 54), p.glow)
    clouds = "".join(
        at(
            50 + 130 * i + 40 * u[i],
            70 + 70 * u[i + 3],
            0.5 + 0.4 * u[i + 6],
            path(CLOUD, "#ffffff", 'opacity=".9"'),
        )
        for i in range(3)
    )
    back = path("M-20 600V400Q120 300 260 400T460 390V600Z", mix(p.land, p.bottom, 0.45))
    front = path("M-20 600V450Q80 400 210 445T460 420V600Z", p.land)
    return at(70 + 260 * u[10], 96, 0.8, rays + disc(0, 0, 50, p.glow)) + clouds + back + front


def sparkles(p: Palette, u: Dice) -> str:
    """Sparks and a ribbon over a dark hill."""
    sparks = "".join(
        at(400 * u[i], 420 * u[i + 16], 0.05 + 0.15 * u[i + 32] ** 2, path(SPARK, p.glow if i % 3 else p.pop))
        for i in range(16)
    )
    ribbons = line("M-20 330C90 250 150 420 260 330S400 250 430 290", p.pop, 16, 0.3)
    return ribbons + sparks + path("M-10 600V480Q90 400 200 452T410 440V600Z", p.land)


def woods(p: Palette, u: Dice) -> str:
    """Bare trees on both sides."""
    trees = []
    for i, x in enumerate((8, 52, 96, 310, 352, 396)):
        w, lean = 9 + 9 * u[i], 40 * u[i + 6] - 20
        trunk = f"M{n(x - w)} 600L{n(x + lean)} {n(40 + 90 * u[i + 12])}L{n(x + w)} 600Z"
        boughs = "".join(
            f"M{n(x + lean / 2)} {y}q{s * 18} -34 {n(s * (34 + 22 * u[i]))} -64"
            f"m{s * -18} 34q{s * 18} -6 {s * 30} -22"
            for y, s in ((330, 1), (290, -1), (240, 1), (210, -1))
        )
        trees.append(path(trunk, p.land) + line(boughs, p.land, 5))
    return "".join(trees) + path("M0 600V470Q100 440 200 462T400 452V600Z", p.land)


def equaliser(p: Palette, u: Dice) -> str:
    """The bars of an equaliser."""
    bars = []
    for i in range(16):
        high = 60 + 300 * u[i] * (0.35 + 0.65 * sin(pi * (i + 0.5) / 16))
        fill = mix(p.pop, p.glow, i / 15)
        where = f'x="{25 * i + 4}" y="{n(500 - high)}" width="17" height="{n(high + 100)}"'
        bars.append(f'<rect {where} rx="8" fill="{fill}" opacity=".55"/>')
    return "".join(bars)


def fog(p: Palette, u: Dice) -> str:
    """Banks of fog over a glimmer."""
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


def hearts(p: Palette, u: Dice) -> str:
    """Drifting hearts."""
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


def space(p: Palette, u: Dice) -> str:
    """Stars over a grid that runs to the horizon."""
    stars = "".join(disc(400 * u[i], 420 * u[i + 1], 0.8 + 1.8 * u[i + 2], "#ffffff", 0.9) for i in range(56))
    rows = "".join(f"M0 {n(420 + 6 * i * i)}H400" for i in range(6))
    columns = "".join(f"M{n(200 + 14 * i)} 420L{n(200 + 60 * i)} 600" for i in range(-14, 15))
    return (
        stars
        + disc(200, 420, 230, p.pop, 0.14)
        + f'<path d="M0 420H400V600H0Z" fill="{p.land}"/>'
        + line(rows + columns, p.pop, 1.6, 0.8)
    )


def shards(p: Palette, u: Dice) -> str:
    """Slanting shadows and ripples."""
    ripples = "".join(ring(200, 210, 60 + 46 * i, p.glow, 1.6, opacity=0.5 - 0.07 * i) for i in range(6))
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


def ruins(p: Palette, u: Dice) -> str:
    """Searchlights, broken walls and wire."""
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


def desert(p: Palette, u: Dice) -> str:
    """A setting sun, mesas and cacti."""
    sun = disc(200, 330, 150, p.glow, 0.85) + disc(200, 330, 190, p.glow, 0.22)
    mesa = path(
        "M-10 460V372l34 -6l10 -60h92l8 54l38 16v84ZM270 460l22 -70l10 -46h60l10 40l38 14v62Z",
        mix(p.pop, p.bottom, 0.2),
    )
    cactus = "M0 0V-110M0 -46H-26V-78M0 -30H26V-66"
    x = 40 + 40 * u[0]
    cacti = at(x, 520, 1.1, line(cactus, p.land, 15)) + at(330 + 40 * u[1], 500, 0.8, line(cactus, p.land, 15))
    return sun + mesa + path("M-10 600V462Q100 440 210 456T410 448V600Z", p.land) + cacti


def facets(p: Palette, u: Dice) -> str:
    """Soft discs over a slope, for a theme without a scene of its own."""
    discs = "".join(
        disc(400 * u[i], 460 * u[i + 7], 60 + 110 * u[i + 14], (p.glow, p.pop, p.land)[i % 3], 0.22)
        for i in range(7)
    )
    return discs + path(f"M-10 600V{n(420 + 60 * u[30])}L410 {n(400 + 60 * u[31])}V600Z", p.land)
