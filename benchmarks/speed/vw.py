"""Vowpal Wabbit's ``--cb_explore_adf`` as a peer of speed: one model of all titles, told contexts as text."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What a row says where it is missing.
INSTALL = "not installed: pip install 'keyart[bench]'"


def installed() -> bool:
    """Whether it can be measured."""
    return find_spec("vowpalwabbit") is not None


class VowpalWabbit:
    """The shared features are the member's taste, an action's is its name; they meet by ``-q ua``."""

    def __init__(self) -> None:
        from vowpalwabbit import LabelType, Workspace

        self._kind = LabelType.CONTEXTUAL_BANDIT
        self._vw: Any = Workspace("--cb_explore_adf -q ua -b 20 --epsilon 0.05 --quiet")

    def lines(self, context: Mapping[str, float], title: int, artworks: int) -> list[str]:
        """What it is told of a choice."""
        told = " ".join(f"{name}:{value:g}" for name, value in context.items())
        return [f"shared |u {told}", *(f"|a {title}_{artwork}" for artwork in range(artworks))]

    def taught_lines(
        self, context: Mapping[str, float], title: int, artworks: int, artwork: int, reward: float
    ) -> list[str]:
        """What it is told of a choice that was made; a reward is a negative cost."""
        lines = self.lines(context, title, artworks)
        lines[1 + artwork] = f"0:{-reward:g}:0.4375 {lines[1 + artwork]}"
        return lines

    def learn(self, lines: list[str]) -> None:
        """One choice, from text."""
        examples = self._vw.parse(lines, self._kind)
        self._vw.learn(examples)
        self._vw.finish_example(examples)

    def predict(self, lines: list[str]) -> list[float]:
        """The probability of each artwork, from text."""
        examples = self._vw.parse(lines, self._kind)
        given: list[float] = self._vw.predict(examples)
        self._vw.finish_example(examples)
        return given
