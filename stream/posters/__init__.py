"""A poster for every artwork, drawn from its tags alone: no photographs, no likenesses, nothing to license.

The heaviest theme decides the sheet (palette, scene and emblem), the themes beside it add emblems, and each person
becomes a bust whose hair and clothes are a hash of the name. The result is one self-contained SVG without scripts,
styles or references to anything outside it. Drawing is a pure function: the same title gives the same bytes, so
that a serving node can keep a poster until the title's record changes.
"""

from stream.posters.sheet import poster

__all__ = ["poster"]
