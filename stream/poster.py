"""A poster for every artwork, drawn from its tags alone: no photographs, no likenesses, nothing to license.

The heaviest theme decides the sheet (palette, backdrop and the large emblem), the themes beside it add small
emblems, and every person shown becomes a bust whose hair and collar are a hash of the name. The result is one
self-contained SVG without scripts, styles or references. It is a pure function: the same tags give the same bytes,
so a serving node can cache a poster for as long as it likes.
"""

from __future__ import annotations

import hashlib
import unicodedata
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING

from stream.features import CAST_PREFIX
from stream.motifs import MOTIFS, Motif, Palette, at, dice, disc, line, mix, n, path, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.records import Artwork, Title

WIDTH, HEIGHT, MARGIN = 400, 600, 32
#: The most people one poster shows; the heaviest tags win.
MAX_PEOPLE = 5

_SERIF = "Georgia, 'Times New Roman', serif"
_SANS = "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_SERIF_THEMES = {"drama", "romance", "mystery", "fantasy", "western", "horror", "war", "crime"}
_HATS = {
    "western": "M-150 -46Q0 -84 150 -46Q96 -20 0 -24Q-96 -20 -150 -46ZM-70 -54Q-74 -160 -24 -146Q0 -132 24 -146Q74 -160 70 -54Z",
    "crime": "M-116 -42Q0 -74 116 -42Q60 -26 0 -28Q-60 -26 -116 -42ZM-68 -50L-58 -130Q0 -150 58 -130L68 -50Z",
}
_HAIR = (
    "M-77 -4C-86 -122 86 -122 77 -4C64 -52 30 -62 0 -62C-30 -62 -64 -52 -77 -4Z",  # cropped
    "M-80 4C-98 -132 74 -146 82 -6C74 -32 44 -66 -16 -60C-48 -56 -70 -36 -80 4Z",  # swept to a side
    "M0 -64C-22 -40 -56 -30 -78 26C-104 -136 104 -136 78 26C56 -30 22 -40 0 -64Z",  # parted in the middle
    "M-73 -26C-76 -108 76 -108 73 -26C54 -70 -54 -70 -73 -26Z",  # very short
    "M-82 10C-112 -40 -92 -92 -58 -98C-48 -128 8 -132 22 -112C58 -124 92 -92 90 -62C104 -36 92 -8 80 10C70 -34 40 -52 0 -56C-40 -52 -70 -34 -82 10Z",
    "M-84 74C-116 -20 -104 -122 0 -118C104 -122 116 -20 84 74L64 66C76 6 70 -40 40 -58C0 -40 -50 -44 -62 -20C-72 6 -72 40 -64 66Z",
)
_COLLARS = (
    "M-36 132L0 236L36 132L58 150L12 300H-12L-58 150Z",  # open jacket
    "M-40 140Q0 196 40 140L50 152Q0 222 -50 152Z",  # round neck
    "M-40 106Q0 124 40 106L48 160Q0 184 -48 160Z",  # high collar
    "M-38 136L0 200L38 136L52 148L0 226L-52 148Z",  # open neck
)


def poster(title: Title, artwork: Artwork) -> str:
    """Draw an artwork.

    Parameters
    ----------
    title
        Whose artwork it is: its name is set on the poster, its themes choose the typeface (and stand in for the
        themes of an artwork that has none).
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
    themes = _heaviest(artwork.themes, people=False) or _heaviest(title.themes, people=False)
    people = [name.removeprefix(CAST_PREFIX) for name, _ in _heaviest(artwork.themes, people=True)][:MAX_PEOPLE]
    lead = themes[0][0] if themes else title.title_id
    seed = f"{title.title_id}\0{artwork.artwork_id}\0{sorted(artwork.themes.items())}"
    motif, u, uid = (
        _motif(lead),
        dice(seed),
        "k" + hashlib.sha256(seed.encode("utf-8", "replace")).hexdigest()[:10],
    )
    p = motif.palette
    beside = [(theme, weight / themes[0][1]) for theme, weight in themes[1:3]]
    scenery = motif.backdrop(p, u[8:])
    if u[0] < 0.5:
        scenery = f'<g transform="matrix(-1 0 0 1 {WIDTH} 0)">{scenery}</g>'
    alt = f"{title.name}: {artwork.artwork_id.replace('-', ' ')}"
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{_text(alt)}</title>",
            _paints(p, uid, beside),
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="url(#{uid}s)"/>',
            scenery,
            _emblems(motif, beside, u, crowded=bool(people)),
            _people(people, p, uid, _HATS.get(lead)),
            f'<rect y="330" width="{WIDTH}" height="270" fill="url(#{uid}b)"/>',
            _type(title, people, themes, p),
            "</svg>",
        )
    )


def _heaviest(tags: dict[str, float], *, people: bool) -> list[tuple[str, float]]:
    chosen = (tag for tag in tags.items() if tag[1] > 0 and tag[0].startswith(CAST_PREFIX) == people)
    return sorted(chosen, key=lambda tag: (-tag[1], tag[0]))


def _motif(theme: str) -> Motif:
    return MOTIFS.get(theme) or unknown(theme)


def _text(text: str) -> str:
    """Text as XML can hold it: characters that no XML document may contain are left out."""
    return escape(
        "".join(c for c in text if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and ord(c) & 0xFFFE != 0xFFFE)
    )


def _paints(p: Palette, uid: str, beside: Sequence[tuple[str, float]]) -> str:
    """The gradients: sky (s), the foot under the type (b), a face lit from a side (f), a garment (g)."""
    horizon = p.bottom
    if beside:
        horizon = mix(p.bottom, _motif(beside[0][0]).palette.bottom, 0.35 * beside[0][1])

    def gradient(name: str, direction: str, *stops: tuple[float, str, float]) -> str:
        rows = "".join(
            f'<stop offset="{n(offset)}" stop-color="{colour}" stop-opacity="{n(opacity)}"/>'
            for offset, colour, opacity in stops
        )
        return f'<linearGradient id="{uid}{name}" {direction}>{rows}</linearGradient>'

    down, across = 'x1="0" y1="0" x2="0" y2="1"', 'x1="0" y1="0" x2="1" y2=".25"'
    return "<defs>{}{}{}{}</defs>".format(
        gradient("s", down, (0, p.top, 1), (0.75, horizon, 1)),
        gradient("b", down, (0, p.base, 0), (0.52, p.base, 0.94), (0.6, p.base, 1)),
        gradient("f", across, (0.42, mix(p.glow, p.bottom, 0.12), 1), (0.62, mix(p.glow, p.land, 0.42), 1)),
        gradient("g", across, (0, mix(p.pop, p.land, 0.25), 1), (1, mix(p.pop, p.land, 0.75), 1)),
    )


def _emblems(motif: Motif, beside: Sequence[tuple[str, float]], u: Sequence[float], *, crowded: bool) -> str:
    """The large emblem of the leading theme, and the small ones of the themes beside it."""
    side = 1 if u[1] < 0.5 else -1
    x, y, scale = (200 - 8 * side, 168, 1.25) if crowded else (200 - 14 * side, 236, 1.3)
    drawing = at(x, y, scale, motif.emblem(motif.palette), 10 * u[2] - 5)
    for i, (theme, share) in enumerate(beside):
        if share < 0.25:
            continue
        other = _motif(theme)
        colours = replace(other.palette, land=motif.palette.land)
        drawing += at(
            200 + side * (128 - 256 * i),
            92 + 18 * u[3 + i],
            0.18 + 0.22 * share,
            other.emblem(colours),
            16 * u[5 + i] - 8,
        )
    return drawing


def _people(people: Sequence[str], p: Palette, uid: str, hat: str | None) -> str:
    """Busts side by side, the heaviest tag in the middle and in front."""
    count = len(people)
    if not count:
        return ""
    scale = (0.82, 0.66, 0.58, 0.5, 0.45)[count - 1]
    places = {1: (200,), 2: (122, 280), 3: (200, 82, 318), 4: (148, 256, 52, 348), 5: (200, 118, 282, 46, 354)}[
        count
    ]
    busts = []
    for i, (name, x) in enumerate(zip(people, places, strict=True)):
        back = 0.9 if i > (count - 1) % 2 else 1
        height = 286 + 18 * dice(name, 9)[8] + (10 if back < 1 else 0)
        busts.append(at(x, height, scale * back, _bust(name, p, uid, hat)))
    return "".join(reversed(busts))


def _bust(name: str, p: Palette, uid: str, hat: str | None) -> str:
    """A faceless bust around the middle of its head; the name's hash decides everything, so it is nobody's likeness."""
    u = dice(name, 8)
    wide, shoulder = 0.94 + 0.1 * u[0], 150 + 40 * u[1]
    hair = mix(p.land, p.pop, 0.35 * u[4])
    body = (
        f"M-40 132C-60 166 {n(-shoulder)} 166 {n(-shoulder)} 262L{n(-shoulder - 16)} 460H{n(shoulder + 16)}"
        f"L{n(shoulder)} 262C{n(shoulder)} 166 60 166 40 132Z"
    )
    neck = path("M-34 60V150Q0 200 34 150V60Z", mix(p.glow, p.land, 0.42))
    face = f'<ellipse rx="{n(74 * wide)}" ry="95" fill="url(#{uid}f)"/>'
    outline = f'stroke="{mix(p.glow, p.land, 0.2)}" stroke-width="2.5" stroke-opacity=".55"'
    collar = path(_COLLARS[int(u[2] * len(_COLLARS))], mix(p.glow, p.pop, 0.25 + 0.5 * u[5]))
    crown = path(hat, p.land, outline) if hat else ""
    cut = path(_HAIR[int(u[3] * len(_HAIR))], hair)
    flip = -1 if u[6] < 0.5 else 1
    return (
        path(body, f"url(#{uid}g)", outline)
        + neck
        + collar
        + face
        + f'<g transform="scale({flip} 1)">{cut}</g>'
        + crown
    )


def _type(title: Title, people: Sequence[str], themes: Sequence[tuple[str, float]], p: Palette) -> str:
    """The title at the foot, the people above it, the themes at the head."""
    voice = max(title.themes, key=lambda theme: (title.themes[theme], theme), default="")
    serif = voice in _SERIF_THEMES
    font = (
        f'font-family="{_SERIF}" font-weight="700"'
        if serif
        else f'font-family="{_SANS}" font-weight="800" letter-spacing="-.5"'
    )
    size, lines = _fit(title.name)
    first = HEIGHT - 40 - (len(lines) - 1) * size * 1.08
    rows = "".join(
        f'<tspan x="{MARGIN}" y="{n(first + i * size * 1.08)}">{_text(row)}</tspan>' for i, row in enumerate(lines)
    )
    name = f'<text fill="{p.ink}" font-size="{n(size)}" {font}>{rows}</text>'
    above = first - size * 0.86 - 12
    small = f'font-family="{_SANS}" font-weight="600" letter-spacing="1.6"'
    credit = _shorten(" · ".join(people).upper(), 11.5, 1.6)
    billing = (
        f'<text x="{MARGIN}" y="{n(above)}" fill="{p.ink}" font-size="11.5" {small}>{_text(credit)}</text>'
        if people
        else ""
    )
    return billing + name


def _width(text: str, size: float, spacing: float = 0.0) -> float:
    """A generous estimate of a line's length in bold type, so that it fits whatever font a browser has."""
    ems = 0.0
    for c in text:
        if unicodedata.combining(c):
            continue
        if unicodedata.east_asian_width(c) in "WF":
            ems += 1.0
        elif c in "iIljft.,:;'!|()[] ·-":
            ems += 0.4
        else:
            ems += 0.98 if c in "mwMW@%—" else 0.76 if c.isupper() or c.isdigit() else 0.67
    return ems * size + spacing * len(text)


def _shorten(text: str, size: float, spacing: float) -> str:
    """The text, or as much of its beginning as a line holds and an ellipsis."""
    room = WIDTH - 2 * MARGIN
    if _width(text, size, spacing) <= room:
        return text
    while text and _width(text + "…", size, spacing) > room:
        text = text[:-1]
    return text.rstrip(" ·") + "…"


def _wrap(words: Sequence[str], size: float, room: float) -> list[str]:
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _width(longer, size) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _fit(name: str) -> tuple[float, list[str]]:
    """The largest type, and the most even lines, in which a name fits the foot of the sheet."""
    room, words = WIDTH - 2 * MARGIN, name.split()
    for size in (48, 43, 39, 35, 31, 28, 25, 22, 19):
        lines = _wrap(words, size, room)
        if len(lines) * size <= 90 and all(_width(row, size) <= room for row in lines):
            while (narrower := _wrap(words, size, room - 8)) and len(narrower) == len(lines) and room > 120:
                if any(_width(row, size) > WIDTH - 2 * MARGIN for row in narrower):
                    break
                lines, room = narrower, room - 8
            return size, lines
    size = 17
    pieces = [word[i : i + 20] for word in words for i in range(0, len(word), 20)]
    lines = _wrap(pieces, size, room)
    return size, [*lines[:4], *([_shorten(" ".join(lines[4:]), size, 0)] if lines[4:] else [])]
