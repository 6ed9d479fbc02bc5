"""The policies by name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from benchmarks.quality import policies
from benchmarks.quality.ours import Ours
from benchmarks.quality.parts import PARTS, Part, Without
from benchmarks.quality.peers import MabWiser, River, VowpalWabbit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.quality.feedback import Hearing
    from benchmarks.quality.policies import Policy
    from benchmarks.quality.worlds import World


_SQUARECB = "--squarecb --gamma_scale 1000 -l 0.01"
_REGCB = "--regcbopt --mellowness 0.0001 -l 0.01"
_BAG = "--bag 5 --coin"
_SQUARECB_TAGS = "--squarecb --gamma_scale 10000 -l 0.001"
_REGCB_TAGS = "--regcbopt --mellowness 0.0001 -l 0.0005"
_BAG_TAGS = "--bag 5 -l 0.001"


@dataclass(frozen=True, slots=True)
class Named:
    """A policy that can be asked for.

    Attributes
    ----------
    make
        Makes one for a world.
    about
        What it is, in a few words.
    kind
        ``reference``, ``peer`` (it is not told the tags), ``tagged`` (a peer that is told them) or ``ours``.
    hearing
        When it hears of rewards, where they come late.
    needs
        A library that is not always there.
    only
        The worlds in which it says something; empty: all.
    """

    make: Callable[[World], Policy]
    about: str
    kind: str
    hearing: Hearing = "joined"
    needs: str = ""
    only: tuple[str, ...] = ()


def _ours(about: str, hearing: Hearing = "as they come", only: tuple[str, ...] = (), **settings: Any) -> Named:
    return Named(lambda world: Ours(world, **settings), about, "ours", hearing, only=only)


def _forgetting(about: str, **settings: Any) -> Named:
    def make(world: World) -> Policy:
        return Ours(world, half_life_days=world.half_life_days, **settings)

    return Named(make, about, "ours", "as they come", only=("drift",))


def _without(part: Part) -> Named:
    return Named(lambda world: Without(world, part), part.about, "ours", "as they come")


def _vw(about: str, options: str, *, tags: bool) -> Named:
    kind = "tagged" if tags else "peer"
    return Named(lambda world: VowpalWabbit(world, options, tags=tags), about, kind, needs="vowpalwabbit")


POLICIES: dict[str, Named] = {
    "uniform": Named(policies.Uniform, "any artwork", "reference"),
    "best-single": Named(policies.BestSingle, "the truly best artwork for everyone", "reference"),
    "oracle": Named(policies.Oracle, "the truly best artwork for the member", "reference"),
    "thompson": Named(policies.Thompson, "Thompson sampling without context", "peer"),
    "river-linucb": Named(
        lambda world: River(world, ridge=1.0, width=0.3), "River's LinUCBDisjoint, one a title", "peer"
    ),
    "mabwiser-linucb": Named(
        lambda world: MabWiser(world, "LinUCB", 0.3, 1.0), "MABWiser, one a title", "peer", needs="mabwiser"
    ),
    "mabwiser-lints": Named(
        lambda world: MabWiser(world, "LinTS", 0.1, 1.0), "MABWiser, one a title", "peer", needs="mabwiser"
    ),
    "vw-squarecb": _vw("Vowpal Wabbit", _SQUARECB, tags=False),
    "vw-regcb": _vw("Vowpal Wabbit", _REGCB, tags=False),
    "vw-bag": _vw("Vowpal Wabbit", _BAG, tags=False),
    "vw-squarecb-tags": _vw("Vowpal Wabbit, told the tags", _SQUARECB_TAGS, tags=True),
    "vw-regcb-tags": _vw("Vowpal Wabbit, told the tags", _REGCB_TAGS, tags=True),
    "vw-bag-tags": _vw("Vowpal Wabbit, told the tags", _BAG_TAGS, tags=True),
    "ours": _ours("Keyart as shipped"),
    "ours-independent": _ours("every artwork learns by itself", shared_prior=False),
    "ours-textbook": _ours("Thompson sampling at its full width", exploration=1.0),
    "ours-greedy": _ours("no exploration but the floor", exploration=0.0),
    "ours-no-floor": _ours("no floor of uniform choice", uniform_floor=0.0),
    "ours-without-hold": _ours("choices follow every change of the evidence", hold=0.0),
    "ours-without-cast": Named(
        lambda world: Ours(world, people=False),
        "is not told of people",
        "ours",
        "as they come",
        only=("cast",),
    ),
    "ours-at-once": _ours("hears of late rewards at once", "at once", only=("late",)),
    "ours-joined": _ours("waits for late rewards", "joined", only=("late",)),
    "ours-forgetting": _forgetting("forgets at the world's pace"),
    "ours-detecting": _ours("forgets when a title's reward turns", only=("drift",), drift_detection=True),
    "ours-forgetting-detecting": _forgetting("does both", drift_detection=True),
} | {name: _without(part) for name, part in PARTS.items()}

#: Names for several policies.
GROUPS: dict[str, tuple[str, ...]] = {
    "references": tuple(name for name, named in POLICIES.items() if named.kind == "reference"),
    "peers": tuple(name for name, named in POLICIES.items() if named.kind in {"peer", "tagged"}),
    "parts": ("ours-independent", "ours-textbook", "ours-greedy", "ours-no-floor", "ours-without-hold", *PARTS),
}


def several(names: Sequence[str]) -> list[str]:
    """The policies that names and names of groups stand for."""
    return [policy for name in names for policy in GROUPS.get(name, (name,))]


def fitting(world: str) -> list[str]:
    """The policies that say something in a world."""
    return [name for name, named in POLICIES.items() if not named.only or world in named.only]


def lacking(policy: str) -> str:
    """The library that a policy needs and that is not installed; empty: none."""
    needs = POLICIES[policy].needs
    return needs if needs and missing(needs) else ""


def missing(library: str) -> bool:
    """Whether it is not installed."""
    return find_spec(library) is None
