"""Which policies are valued, by the names that a person gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream.errors import InputError
from stream.evaluation.ours import Ours
from stream.evaluation.policies import BestSingle, Policy, Thompson, Uniform, custom
from stream.evaluation.results import LOGGED
from stream.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.evaluation.roster import Roster

#: The policies there are; the logged one is always valued, for the others are held against it.
KNOWN = (LOGGED, "uniform", "best", "thompson", "ours")
#: The settings that decide what Keyart shows; the others make no difference to it.
DECISIVE = frozenset(
    {
        "drift_detection",
        "exploration",
        "features",
        "half_life_days",
        "hold",
        "impressions_per_hour",
        "max_jump",
        "noise_precision",
        "prior_precision",
        "shared_prior",
        "uniform_floor",
    }
)


def parse_changes(changes: Sequence[str]) -> dict[str, str]:
    """Settings to change, from ``name=value``.

    Raises
    ------
    InputError
        One is not of that form, or makes no difference to what is shown.

    Examples
    --------
    >>> parse_changes(["exploration=0.1", "hold = 0"])
    {'exploration': '0.1', 'hold': '0'}
    """
    found = {}
    for change in changes:
        name, equals, value = (part.strip() for part in change.partition("="))
        if not equals or not value:
            raise InputError(f"--set {change}: give name=value, as in --set exploration=0.1")
        if name not in DECISIVE:
            kind = "makes no difference to what is shown" if name in Settings.model_fields else "is not a setting"
            raise InputError(f"--set {change}: {name} {kind}; those that do: {', '.join(sorted(DECISIVE))}")
        found[name] = value
    return found


def changed_name(changes: dict[str, str]) -> str:
    """What Keyart with changed settings is called.

    >>> changed_name({"exploration": "0.1"})
    'ours (exploration=0.1)'
    """
    return f"ours ({', '.join(f'{name}={value}' for name, value in changes.items())})"


def lineup(names: Sequence[str], changes: dict[str, str], settings: Settings, roster: Roster) -> list[Policy]:
    """The policies to value, each once; without names all that Keyart knows.

    Raises
    ------
    InputError
        A name is neither Keyart's nor one of something that can be imported and called.
    ConfigurationError
        A changed setting is wrong.
    """
    found: list[Policy] = []
    for name in dict.fromkeys(names or KNOWN):
        match name:
            case "logged":
                continue
            case "uniform":
                found.append(Uniform())
            case "best":
                found.append(BestSingle(name, roster))
            case "thompson":
                found.append(Thompson(name, roster))
            case "ours":
                found.append(Ours(name, settings, roster))
            case _ if "." in name or ":" in name:
                found.append(custom(name, roster))
            case _:
                raise InputError(f"{name!r} is no policy: {', '.join(KNOWN)}, or your own as module.function")
    if changes:
        found.append(Ours(changed_name(changes), load(**changes), roster))
    return found
