"""The people an artwork shows, as faceless busts: nobody's likeness, and the same on every poster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.posters.dice import dice
from stream.posters.palette import mix
from stream.posters.shapes import at, line, n, path, ring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.posters.palette import Palette

#: The most people one poster shows; the heaviest tags win.
MAX_PEOPLE = 5

#: For each number of people how large they are, and where they stand, the heaviest tag first.
_GROUPS = {
    1: (0.82, (200,)),
    2: (0.66, (122, 280)),
    3: (0.58, (200, 82, 318)),
    4: (0.5, (148, 256, 52, 348)),
    5: (0.45, (200, 118, 282, 46, 354)),
}
_DARK = "#1a0f0a"
#: What people of a theme wear on their heads.
_HATS = {
    "western": (
        "M-150 -46Q0 -84 150 -46Q96 -20 0 -24Q-96 -20 -150 -46Z"
        "M-70 -54Q-74 -160 -24 -146Q0 -132 24 -146Q74 -160 70 -54Z"
    ),
    "crime": "M-116 -42Q0 -74 116 -42Q60 -26 0 -28Q-60 -26 -116 -42ZM-68 -50L-58 -130Q0 -150 58 -130L68 -50Z",
    "war": "M-88 -34C-96 -130 96 -130 88 -34C60 -48 -60 -48 -88 -34Z",
}
#: Where people smile.
_SMILING = frozenset({"comedy", "family", "music", "romance"})
_HAIR = (
    "M-77 -4C-86 -122 86 -122 77 -4C64 -52 30 -62 0 -62C-30 -62 -64 -52 -77 -4Z",  # cropped
    "M-80 4C-98 -132 74 -146 82 -6C74 -32 44 -66 -16 -60C-48 -56 -70 -36 -80 4Z",  # swept to a side
    "M0 -64C-22 -40 -56 -30 -78 26C-104 -136 104 -136 78 26C56 -30 22 -40 0 -64Z",  # parted in the middle
    "M-73 -26C-76 -108 76 -108 73 -26C54 -70 -54 -70 -73 -26Z",  # very short
    (  # curls
        "M-82 10C-112 -40 -92 -92 -58 -98C-48 -128 8 -132 22 -112C58 -124 92 -92 90 -62C104 -36 92 -8 80 10"
        "C70 -34 40 -52 0 -56C-40 -52 -70 -34 -82 10Z"
    ),
    (  # to the chin
        "M-84 74C-116 -20 -104 -122 0 -118C104 -122 116 -20 84 74L64 66C76 6 70 -40 40 -58"
        "C0 -40 -50 -44 -62 -20C-72 6 -72 40 -64 66Z"
    ),
)
_COLLARS = (
    "M-36 132L0 236L36 132L58 150L12 300H-12L-58 150Z",  # open jacket
    "M-40 140Q0 196 40 140L50 152Q0 222 -50 152Z",  # round neck
    "M-40 106Q0 124 40 106L48 160Q0 184 -48 160Z",  # high collar
    "M-38 136L0 200L38 136L52 148L0 226L-52 148Z",  # open neck
)


def group(people: Sequence[str], y: float, p: Palette, uid: str, *, theme: str, close: float, aside: float) -> str:
    """Busts side by side, the heaviest tag in the middle and in front.

    Parameters
    ----------
    people
        Names, the heaviest tag first; those beyond ``MAX_PEOPLE`` are not shown.
    y
        The height of their eyes.
    p, uid
        The poster's colours, and the prefix of its gradients: ``…f`` a face, ``…g`` and ``…h`` garments.
    theme
        The leading theme, which may ask for hats.
    close, aside
        How much larger one or two people stand than usual, and how far to the right.
    """
    shown = people[:MAX_PEOPLE]
    if not shown:
        return ""
    scale, places = _GROUPS[len(shown)]
    if len(shown) > 2:
        close, aside = 1, 0
    middle = (len(shown) - 1) % 2
    busts = []
    for i, (name, x) in enumerate(zip(shown, places, strict=True)):
        behind = i > middle
        height = y + 18 * dice(name, 9)[8] + (10 if behind else 0)
        busts.append(at(x + aside, height, scale * close * (0.9 if behind else 1), _bust(name, p, uid, theme)))
    return "".join(reversed(busts))


def _bust(name: str, p: Palette, uid: str, theme: str) -> str:
    """A bust around the middle of its head; the name's hash decides everything but the hat."""
    u = dice(name, 8)
    wide, shoulder = 0.94 + 0.1 * u[0], 150 + 40 * u[1]
    body = (
        f"M-40 132C-60 166 {n(-shoulder)} 166 {n(-shoulder)} 262L{n(-shoulder - 16)} 460H{n(shoulder + 16)}"
        f"L{n(shoulder)} 262C{n(shoulder)} 166 60 166 40 132Z"
    )
    outline = f'stroke="{mix(p.glow, p.land, 0.2)}" stroke-width="2.5" stroke-opacity=".55"'
    garment = "g" if u[7] < 0.6 else "h"
    face = _face(p, 74 * wide, u[6], smiles=theme in _SMILING)
    cut = path(_HAIR[int(u[3] * len(_HAIR))], mix(mix(p.shade, _DARK, 0.72), p.pop, 0.3 * u[4]))
    flip = -1 if u[6] < 0.5 else 1
    glasses = (
        ring(-29, -2, 21, p.land, 4.5) + ring(29, -2, 21, p.land, 4.5) + line("M-8 -4Q0 -9 8 -4", p.land, 4.5)
    )
    hat = _HATS.get(theme)
    return (
        path(body, f"url(#{uid}{garment})", outline)
        + path("M-34 60V150Q0 200 34 150V60Z", p.shade)
        + path(_COLLARS[int(u[2] * len(_COLLARS))], mix(p.glow, p.pop, 0.25 + 0.5 * u[5]))
        + f'<ellipse rx="{n(74 * wide)}" ry="95" fill="url(#{uid}f)"/>'
        + face
        + (glasses if 0.3 < u[5] < 0.48 else "")
        + f'<g transform="scale({flip} 1)">{cut}</g>'
        + (path(hat, p.land, outline) if hat else "")
    )


def _face(p: Palette, rx: float, u: float, *, smiles: bool) -> str:
    """What light from the left makes of a face: one half in shade, along brow, nose, lips and chin.

    As a stencil does it: nobody's features, but a face.
    """
    nose, shade, dark = 15 + 5 * u, mix(p.shade, p.land, 0.12), mix(p.shade, _DARK, 0.62)
    profile = (
        f"M6 -95C2 -70 4 -52 -3 -36C-6 -28 4 -20 3 -8L{n(-nose)} 22C{n(-nose - 1)} 29 {n(2 - nose)} 31 -4 31"
        f"C2 34 -2 38 -7 41C-10 45 -4 47 -8 53C-9 58 2 62 4 70C6 78 2 86 0 95A{n(rx)} 95 0 0 0 6 -95Z"
    )
    low = -20 - 4 * u  # the brows' inner ends
    brows = (
        f"M-52 -21C-44 -31 -26 -32 -13 {n(low - 4)}L-14 {n(low + 1)}C-28 -26 -42 -25 -52 -21Z"
        f"M18 {n(low - 4)}C30 -32 46 -30 54 -20L52 -17C42 -25 30 -25 19 {n(low + 1)}Z"
    )
    eyes = "M-48 -5C-40 -17 -25 -17 -17 -4C-26 -6 -38 -8 -48 -5ZM19 -4C27 -17 42 -17 50 -5C41 -8 28 -6 19 -4Z"
    mouth = (
        "M-30 40C-16 47 14 47 28 39C20 58 -20 61 -30 40Z"
        if smiles
        else "M-24 46C-14 42 -8 45 0 44C8 45 14 43 22 46C10 50 -12 51 -24 46Z"
    )
    light = path("M22 12C32 6 46 8 52 16C46 30 34 34 26 26Z", mix(p.lit, p.shade, 0.45))
    return path(profile, shade) + light + path(brows + eyes + mouth, dark)
