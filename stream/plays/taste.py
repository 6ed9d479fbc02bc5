"""A taste: weights of themes, which fade, are kept to the heaviest, and are told as shares.

People (themes named ``cast:…``) and the other themes are apart: each have their own places and their own whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.features import CAST_PREFIX
from stream.records import MAX_FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Smaller weights are nothing: rounding left them when a play was superseded.
_TINY = 1e-12


def added(
    weights: Mapping[str, float], amount: float, themes: Mapping[str, float], fade: float
) -> dict[str, float]:
    """The weights, faded, and so much more of some themes.

    >>> added({"comedy": 1.0, "drama": 1.0}, 0.5, {"comedy": 1.0}, fade=0.5)
    {'comedy': 1.0, 'drama': 0.5}
    """
    found = dict(weights) if fade == 1.0 else {theme: weight * fade for theme, weight in weights.items()}
    for theme, tag in themes.items():
        found[theme] = found.get(theme, 0.0) + amount * tag
    return found


def tidied(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights without what rounding left, and without the least of more themes than a context may hold."""
    there = {theme: weight for theme, weight in weights.items() if weight > _TINY}
    kept: dict[str, float] = {}
    for group in _apart(there):
        heaviest = sorted(((weight, theme) for theme, weight in group.items()), reverse=True)[:MAX_FEATURES]
        kept |= {theme: weight for weight, theme in heaviest}
    return kept


def shares(weights: Mapping[str, float]) -> dict[str, float]:
    """The weights as shares: those of people sum to 1, those of other themes likewise.

    >>> shares({"comedy": 3.0, "drama": 1.0, "cast:Ann": 0.1})
    {'comedy': 0.75, 'drama': 0.25, 'cast:Ann': 1.0}
    """
    found: dict[str, float] = {}
    for group in _apart(weights):
        total = sum(group.values())
        if total > 0:
            found |= {theme: min(weight / total, 1.0) for theme, weight in group.items()}
    return found


def _apart(weights: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Themes, and people."""
    people = {theme: weight for theme, weight in weights.items() if theme.startswith(CAST_PREFIX)}
    return {theme: weight for theme, weight in weights.items() if theme not in people}, people
