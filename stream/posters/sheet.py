"""The whole poster, from an artwork's tags to an SVG document."""

from __future__ import annotations

import hashlib
from html import escape
from typing import TYPE_CHECKING

from stream.features import CAST_PREFIX
from stream.posters import lettering, people
from stream.posters.composition import COMPOSITIONS, Signs
from stream.posters.dice import dice
from stream.posters.motifs import motif
from stream.posters.palette import mix
from stream.posters.shapes import HEIGHT, WIDTH, n

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.posters.dice import Dice
    from stream.posters.motifs import Motif
    from stream.posters.palette import Palette
    from stream.records import Artwork, Title

_SERIF = "Georgia, 'Liberation Serif', 'Times New Roman', serif"
_SANS = "'Avenir Next', 'Helvetica Neue', 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
#: Titles of these kinds are set in a serif.
_SERIF_THEMES = frozenset({"crime", "drama", "fantasy", "horror", "mystery", "romance", "war", "western"})
_LEADING = 1.08  # from one line of a name to the next, in its size
_FADE = 120  # how far above the type the picture begins to fade


def poster(title: Title, artwork: Artwork) -> str:
    """Draw an artwork.

    Parameters
    ----------
    title
        Whose artwork it is. Its name is set on the poster and its themes choose the typeface; they stand in for
        the themes of an artwork that has none. Its artworks of the same leading theme take turns at the
        compositions, so that no two of the first four share one.
    artwork
        What to draw.

    Returns
    -------
    An SVG document of 400 x 600 units.

    Examples
    --------
    >>> from stream.records import Artwork, Title
    >>> couple = Artwork("the-couple", {"romance": 1.0, "cast:Minnie Driver": 0.9})
    >>> film = Title("good-will-hunting", "Good Will Hunting", 7560, {"drama": 1.0}, (couple,))
    >>> svg = poster(film, couple)
    >>> svg[:4], poster(film, couple) == svg
    ('<svg', True)
    """
    themes = _themes(title, artwork)
    lead = themes[0][0]
    names = [name.removeprefix(CAST_PREFIX) for name, _ in _heaviest(artwork.themes, cast=True)][
        : people.MAX_PEOPLE
    ]
    seed = f"{title.title_id}\0{artwork.artwork_id}\0{sorted(artwork.themes.items())}"
    uid = "k" + hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:10]
    u, leading = dice(seed), motif(lead)
    beside = [(motif(theme), weight / themes[0][1]) for theme, weight in themes[1:3]]
    type_, ground = _type(title, names, leading.palette)
    eyes = ground - 188.0
    side = 1 if u[1] < 0.5 else -1
    composition = COMPOSITIONS[_turn(title, artwork, lead) % len(COMPOSITIONS)]
    signs = Signs(leading, beside, u, side, eyes if names else None)
    crowd = people.group(
        names, eyes, leading.palette, uid, theme=lead, close=composition.close, aside=composition.aside * side
    )
    alt = lettering.clean(f"{title.name}: {artwork.artwork_id.replace('-', ' ')}")
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(alt)}</title>",
            _paints(leading.palette, uid, beside, ground),
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#{uid}s)"/>',
            _scenery(leading, u),
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#{uid}l)"/>',
            composition.emblems(signs),
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#{uid}v)"/>',
            crowd,
            f'<path d="M0 {n(ground - _FADE)}H{WIDTH}V{HEIGHT}H0Z" fill="url(#{uid}b)"/>',
            type_,
            "</svg>",
        )
    )


def _themes(title: Title, artwork: Artwork) -> list[tuple[str, float]]:
    """The themes to draw, the heaviest first; at least one."""
    own = _heaviest(artwork.themes, cast=False) or _heaviest(title.themes, cast=False)
    return own or [(title.title_id, 1.0)]


def _heaviest(tags: dict[str, float], *, cast: bool) -> list[tuple[str, float]]:
    chosen = (tag for tag in tags.items() if tag[1] > 0 and tag[0].startswith(CAST_PREFIX) == cast)
    return sorted(chosen, key=lambda tag: (-tag[1], tag[0]))


def _turn(title: Title, artwork: Artwork, lead: str) -> int:
    """Which composition an artwork takes: the next after its earlier siblings of the same leading theme."""
    before = 0
    for sibling in title.artworks:
        if sibling.artwork_id == artwork.artwork_id:
            break
        before += _themes(title, sibling)[0][0] == lead
    return int(len(COMPOSITIONS) * dice(f"{title.title_id}\0{lead}", 1)[0]) + before


def _scenery(leading: Motif, u: Dice) -> str:
    """The leading theme's scene, or its mirror image."""
    scene = leading.scene(leading.palette, u[8:])
    return f'<g transform="matrix(-1 0 0 1 {WIDTH} 0)">{scene}</g>' if u[0] < 0.5 else scene


def _paints(p: Palette, uid: str, beside: Sequence[tuple[Motif, float]], ground: float) -> str:
    """The gradients: sky (s), light (l) and none in the corners (v), foot (b), faces (f), garments (g, h)."""
    horizon = mix(p.bottom, beside[0][0].palette.pop, 0.3 * beside[0][1]) if beside else p.bottom
    down, across = 'x2="0" y2="1"', 'x2="1" y2=".25"'
    faded = _FADE / (HEIGHT - ground + _FADE)
    return "<defs>{}{}{}{}{}{}{}</defs>".format(
        _gradient(f"{uid}s", down, (0, p.top, 1), (0.75, horizon, 1)),
        _gradient(f"{uid}b", down, (0, p.base, 0), (0.75 * faded, p.base, 0.9), (faded, p.base, 1)),
        _gradient(f"{uid}l", f'cx="{WIDTH // 2}" cy="240" r="260"', (0, p.glow, 0.5), (1, p.glow, 0)),
        _gradient(f"{uid}v", f'cx="{WIDTH // 2}" cy="250" r="400"', (0.5, p.land, 0), (1, p.land, 0.55)),
        _gradient(f"{uid}f", across, (0, p.lit, 1), (1, mix(p.lit, p.shade, 0.35), 1)),
        _gradient(f"{uid}g", across, (0, mix(p.pop, p.land, 0.25), 1), (1, mix(p.pop, p.land, 0.75), 1)),
        _gradient(f"{uid}h", across, (0, mix(p.top, p.land, 0.35), 1), (1, mix(p.top, p.land, 0.85), 1)),
    )


def _gradient(name: str, direction: str, *stops: tuple[float, str, float]) -> str:
    rows = "".join(
        f'<stop offset="{n(offset)}" stop-color="{colour}" stop-opacity="{n(opacity)}"/>'
        for offset, colour, opacity in stops
    )
    kind = "radialGradient" if direction.startswith("cx") else "linearGradient"
    units = ' gradientUnits="userSpaceOnUse"' if kind == "radialGradient" else ""
    return f'<{kind} id="{name}" {direction}{units}>{rows}</{kind}>'


def _type(title: Title, names: Sequence[str], p: Palette) -> tuple[str, float]:
    """The title at the foot and the people above it, and the height at which they begin."""
    size, lines = lettering.fit_name(title.name)
    voice = max(title.themes, key=lambda theme: (title.themes[theme], theme), default="")
    font = (
        f'font-family="{_SERIF}" font-weight="700"'
        if voice in _SERIF_THEMES
        else f'font-family="{_SANS}" font-weight="800" letter-spacing="-.5"'
    )
    leading = size * _LEADING
    first = HEIGHT - 40 - (len(lines) - 1) * leading
    name = f'<text fill="{p.ink}" font-size="{n(size)}" {font}>{_rows(lines, first, leading)}</text>'
    top = first - size * 0.8
    bill = lettering.bill(names)
    if not bill:
        return name, top
    step = lettering.BILLING_SIZE * 1.45
    above = top - 14 - (len(bill) - 1) * step
    small = f'font-family="{_SANS}" font-weight="600" letter-spacing="{n(lettering.BILLING_SPACING)}"'
    credit = (
        f'<text fill="{p.ink}" font-size="{n(lettering.BILLING_SIZE)}" {small}>{_rows(bill, above, step)}</text>'
    )
    return credit + name, above - lettering.BILLING_SIZE


def _rows(lines: Sequence[str], first: float, step: float) -> str:
    return "".join(
        f'<tspan x="{lettering.MARGIN}" y="{n(first + i * step)}">{escape(line)}</tspan>'
        for i, line in enumerate(lines)
    )
