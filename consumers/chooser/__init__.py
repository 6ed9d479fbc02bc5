"""Choosing artwork in memory: the chooser that apps embed and serving nodes stand on.

:mod:`chooser` is what an app calls, :mod:`choices` makes the choices of a page, :mod:`contexts` is whom they are
made for, :mod:`view` and :mod:`candidates` what is chosen from, and :mod:`follower` the thread that keeps it up to
date.
"""

from consumers.chooser.candidates import UnknownArtwork, UnknownCanvas
from consumers.chooser.chooser import ArtworkChooser, UnknownTitle

__all__ = ["ArtworkChooser", "UnknownArtwork", "UnknownCanvas", "UnknownTitle"]
