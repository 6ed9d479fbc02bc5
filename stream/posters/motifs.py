"""How each theme looks: its palette, its scene and its emblem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stream.posters import emblems, scenes
from stream.posters.palette import Palette, hashed

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.posters.dice import Dice


@dataclass(frozen=True)
class Motif:
    """How a theme looks."""

    palette: Palette
    scene: Callable[[Palette, Dice], str]
    emblem: Callable[[Palette], str]


def motif(theme: str) -> Motif:
    """A theme's motif; calm geometry in colours of its own for a theme that no motif was drawn for.

    >>> motif("romance") is MOTIFS["romance"], motif("surfing") == motif("surfing")
    (True, True)
    """
    return MOTIFS.get(theme) or Motif(hashed(theme), scenes.facets, emblems.frames)


#: In the order of :class:`stream.posters.palette.Palette`.
_COLOURS = {
    "action": "3b0a1e e8481c 22060f ffc233 ff6b2b 1c050c fff1dc f2b24a 8a4a1f",
    "adventure": "0b5563 f5b35c 0d3b45 ffe3a3 e4572e 0a2c35 fdf3dc f3d39a 9c7a52",
    "comedy": "ffdf4d ffb01c 5a1e0a fff7d6 e8344e ffd23f 3b1503 fff0c8 c98f4e",
    "crime": "2b2f38 0d0f13 0a0b0e e9b44c b3262b 0d0f13 f3e3c2 d9a456 6b4a26",
    "documentary": "efe9dc cbd8d2 1f3a3d ffffff d1495b efe9dc 16302f fbf3ea b9a596",
    "drama": "6b2033 2a1324 1a0b16 f4d7b4 b23a48 1a0b16 f9e9d6 dcc0a4 8c6a5e",
    "family": "6fd0f5 d8f3c9 2a9265 fff3b0 ff7a59 e6f7d4 14443a ffe3c2 d99a78",
    "fantasy": "24135f b46ad8 1b0f45 ffe08a 6ee7d8 170c3b f6ecff f2d39b 8f6aa0",
    "horror": "1a0406 8a1015 060203 ff4d3d c1121f 070203 f6e4df ff6a55 7a1a1a",
    "music": "1b1040 d0218a 150a30 ffd166 22d3ee 140a2e fff0fa ffc37a a1587a",
    "mystery": "0f2a33 5b9396 0a1c22 f7e7a9 9cc9c6 0a1c22 eaf4ee e6dcae 7d8a78",
    "romance": "ff8fa3 ffd0c0 7a1237 fff0ea e11d48 ffe1d6 6b0f2e fff1ea c58f9c",
    "sci-fi": "050b2c 4a22a0 070a24 7df9ff ff4fd8 060821 e6f7ff a9ecff 5a6fc0",
    "thriller": "08221f 14695a 04100f d7ff3e ff3b3b 04110f f0ffe0 e9f5a0 6f9a4a",
    "war": "4a4a2a c9883f 1e1e12 ffdf9e b3391f 19190f f5ead0 f0cf95 8f6c42",
    "western": "d9481c ffc15e 5a1c0b fff0c2 8c2f12 43140a ffe9c4 f6d9a4 a35f30",
}
_DRAWINGS = {
    "action": (scenes.rays, emblems.burst),
    "adventure": (scenes.mountains, emblems.compass),
    "comedy": (scenes.balloons, emblems.grin),
    "crime": (scenes.blinds, emblems.fingerprint),
    "documentary": (scenes.contours, emblems.aperture),
    "drama": (scenes.stage, emblems.mask),
    "family": (scenes.hills, emblems.house),
    "fantasy": (scenes.sparkles, emblems.castle),
    "horror": (scenes.woods, emblems.claws),
    "music": (scenes.equaliser, emblems.record),
    "mystery": (scenes.fog, emblems.keyhole),
    "romance": (scenes.hearts, emblems.heart),
    "sci-fi": (scenes.space, emblems.planet),
    "thriller": (scenes.shards, emblems.crosshair),
    "war": (scenes.ruins, emblems.medal),
    "western": (scenes.desert, emblems.badge),
}

#: The themes that have a motif of their own.
MOTIFS = {
    theme: Motif(Palette(*("#" + colour for colour in colours.split())), *_DRAWINGS[theme])
    for theme, colours in _COLOURS.items()
}
