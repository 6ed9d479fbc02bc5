"""What reads Keyart's topics: the workers, the serving node, and the chooser that an app can embed.

Names are looked up when first used, so that ``keyart --help`` does not load what only a chooser needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumers.chooser import ArtworkChooser, UnknownArtwork, UnknownCanvas, UnknownTitle

__all__ = ["ArtworkChooser", "UnknownArtwork", "UnknownCanvas", "UnknownTitle"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'consumers' has no attribute {name!r}")
    from consumers import chooser  # noqa: PLC0415 - see above

    return getattr(chooser, name)
