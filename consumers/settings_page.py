"""Every setting there is, as a page: made from the settings themselves, so that it cannot tell of another one.

``keyart config --page`` prints it, and ``docs/settings.md`` is what it printed last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args, get_origin

from stream.settings import CONFIG_VARIABLE, DEFAULT_CONFIG_FILE, ENV_PREFIX, SECRETS, Settings, file_variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

#: What the settings from here on are about, by the first of them; in this order they are declared.
GROUPS = {
    "bootstrap_servers": "Kafka",
    "security_protocol": "Logging in to Kafka ([security](security.md))",
    "token_secrets": "Tokens ([integrating](integrating.md#tokens-and-secrets))",
    "max_ahead_seconds": "Event time ([limits](dead-letters.md#an-events-time))",
    "features": "Learning ([tuning](tuning.md))",
    "reward_seconds": "Viewing ([tuning](tuning.md#what-is-a-success), [what one member can teach](poisoning.md))",
    "explore_share": "Choosing ([tuning](tuning.md#how-much-to-try-out))",
    "http_host": "Serving",
    "metrics_host": "Watching",
}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}

_HEAD = f"""\
# Settings

`keyart config --page` prints this page; `keyart config` prints those in force, as a `{DEFAULT_CONFIG_FILE}`.

A setting is a line of `{DEFAULT_CONFIG_FILE}` in the folder where a process starts, or of the file that
`{CONFIG_VARIABLE}` names. The variable `{ENV_PREFIX}` and its name in capitals goes before the file:
`{ENV_PREFIX}PARTITIONS=12`. Lists have commas between their elements there. A secret may also be in a file, that
`{file_variable("token_secrets")}` names, and likewise for the others. What is misspelt or out of its bounds
stops a process when it starts, with the setting's name.

All processes of a deployment should read the same settings. Of those in *Choosing* every node has to: which member
is chosen for by which policy, and with which draws, must not depend on the node that is asked."""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *_tables()]) + "\n"


def _tables() -> Iterator[str]:
    for name, info in Settings.model_fields.items():
        if name in GROUPS:
            yield f"\n## {GROUPS[name]}\n\n| setting | default | bounds | |\n|---|---|---|---|"
        yield f"| `{name}` | {_default(name, info)} | {_bounds(info)} | {info.description} |"


def _default(name: str, info: FieldInfo) -> str:
    if name in SECRETS or info.default in ("", ()):
        return ""
    return f"`{str(info.default).lower() if isinstance(info.default, bool) else info.default}`"


def _bounds(info: FieldInfo) -> str:
    """What a value must be: one of several words, or between two numbers."""
    if get_origin(info.annotation) is Literal:
        return ", ".join(f"`{word}`" for word in get_args(info.annotation) if word)
    if info.annotation is bool:
        return "`true`, `false`"
    found = []
    for limit in info.metadata:
        found += [
            f"{sign} {_number(value)}"
            for attribute, sign in _SIGNS.items()
            if (value := getattr(limit, attribute, None)) is not None
        ]
    return ", ".join(found)


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", " ") if value == int(value) else f"{value:g}"
