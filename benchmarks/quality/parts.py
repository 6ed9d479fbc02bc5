"""Keyart without each part of the shared prior: what it is worth shows in what is lost.

The product has no switches for this. A part is taken out by giving a constant of :mod:`stream.learning.prior` or
:mod:`stream.learning.lessons` another value while that policy learns, or by changing what the catalogue is found
to teach.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.quality.ours import Ours
from consumers.learner import SharedPriorView
from stream.learning import lessons, prior

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.quality.feedback import Heard
    from benchmarks.quality.worlds import World
    from stream.learning.lessons import Taught


@dataclass(frozen=True, slots=True)
class Part:
    """What is taken out, and how.

    Attributes
    ----------
    about
        What is otherwise than in the product.
    constants
        Other values, by name, for constants of :mod:`stream.learning.prior` and :mod:`stream.learning.lessons`.
    taught
        Other values for fields of what is taught.
    centred
        Whether taste meets tags around the mean context.
    """

    about: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    taught: Mapping[str, Any] = field(default_factory=dict)
    centred: bool = True


#: By the name of the policy that does without.
PARTS: dict[str, Part] = {
    "ours-fixed-strength": Part("the strength τ is fixed at 0.4", taught={"strength": 0.4}),
    "ours-flat-belief": Part("no strength is believed in before data", {"_BELIEF": np.zeros(5)}),
    "ours-untempered": Part("evidence is believed in full", {"_TEMPER": 1.0}),
    "ours-incautious": Part("artworks differ as the evidence says, not twice as much", {"_CAUTION": 1.0}),
    "ours-fixed-weights": Part("w has a fixed prior precision, 1", {"_WEIGHT_PRECISIONS": (1.0,)}),
    "ours-equal-bias": Part("the bias spreads around the prior as features do", {"_BIAS_SHARE": 1.0}),
    "ours-uncentred": Part("taste meets tags without the mean taken out", centred=False),
    "ours-without-shown": Part("how much is shown has no weight of its own", {"_SHOWN_PRECISION": 1e9}),
    "ours-narrow-level": Part(
        "titles' levels are held closer to their take rates", {"_RESPONSE_SPREAD": (1.0, 1.0)}
    ),
    "ours-without-response": Part("titles have no response of their own", {"_RESPONSE_SPREAD": (2.0, 1e-3)}),
    "ours-one-rate": Part("effects do not scale with a title's take rate", {"_RATE_REWARDS": 1e6}),
    "ours-ten-rewards": Part(
        "a title's take rate starts at the catalogue's, worth 10 rewards instead of 3", {"_RATE_REWARDS": 10.0}
    ),
}


class Without(Ours):
    """Keyart without a part.

    Parameters
    ----------
    world
        Where.
    part
        Which.
    **settings
        As for :class:`~benchmarks.quality.ours.Ours`.
    """

    def __init__(self, world: World, part: Part, **settings: Any) -> None:
        self._constants = part.constants
        with _changed(self._constants):
            super().__init__(world, shared=_OtherwiseTaught(part), **settings)

    def meet(self, world: World) -> None:
        """Without the part."""
        with _changed(self._constants):
            super().meet(world)

    def learn(self, heard: Heard) -> None:
        """Without the part."""
        with _changed(self._constants):
            super().learn(heard)


class _OtherwiseTaught(SharedPriorView):
    """What is taught, but for the part."""

    def __init__(self, part: Part) -> None:
        super().__init__()
        self._part = part

    def taught(self, features: Sequence[str]) -> Taught:
        """As it would be, but for the part."""
        taught = replace(super().taught(features), **self._part.taught)
        return taught if self._part.centred else replace(taught, centre=np.zeros(len(taught.features)))


@contextmanager
def _changed(constants: Mapping[str, Any]) -> Iterator[None]:
    """Other values for a while.

    Raises
    ------
    AttributeError
        There is no such constant any more.
    """
    home = {name: lessons if hasattr(lessons, name) else prior for name in constants}
    kept = {name: getattr(home[name], name) for name in constants}
    try:
        for name, value in constants.items():
            setattr(home[name], name, value)
        yield
    finally:
        for name, value in kept.items():
            setattr(home[name], name, value)
