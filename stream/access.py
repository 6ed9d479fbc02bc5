"""Who may do what: the least that each process needs of a cluster with access control.

It follows from the graph (:mod:`stream.topics`): a process may read what it reads there, write what it writes, and
look at the settings of those topics, which it verifies before it starts. A worker also has its consumer group, and
transactions under its own name.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from stream import topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stream.settings import Settings
    from stream.topics import Topic


class Kind(Enum):
    """A kind of thing that access is given to; the value is the option of ``kafka-acls`` that names one."""

    TOPIC = "--topic"
    GROUP = "--group"
    TRANSACTIONAL_ID = "--transactional-id"


@dataclass(frozen=True)
class Grant:
    """Operations on some things of one kind; or on all whose names begin with theirs.

    ``names`` are without the prefix of Keyart's names. Describe is left out where Read or Write imply it.
    """

    operations: tuple[str, ...]
    kind: Kind
    names: tuple[str, ...]
    is_prefix: bool = False

    def full_names(self, prefix: str) -> tuple[str, ...]:
        """The names on the cluster."""
        return tuple(prefix + name for name in self.names)


def _on(chosen: Iterable[Topic], *operations: str) -> Grant:
    return Grant(operations, Kind.TOPIC, tuple(topic.name for topic in chosen))


def _read_by(role: str) -> list[Topic]:
    return [topic for topic in topics.ALL if role in topic.read_by]


def _written_by(role: str) -> list[Topic]:
    return [topic for topic in topics.ALL if role in topic.written_by]


def _worker(job: str) -> tuple[Grant, ...]:
    return (
        _on(_read_by(job), "Read", "DescribeConfigs"),
        _on(_written_by(job), "Write", "DescribeConfigs"),
        Grant(("Read",), Kind.GROUP, (job,)),
        Grant(("Write",), Kind.TRANSACTIONAL_ID, (f"{job}.",), is_prefix=True),
    )


#: What each process needs, by the name of its role. Those that verify topics before they start see their settings.
ROLES: dict[str, tuple[Grant, ...]] = {
    "viewing": _worker("viewing"),
    "learner": _worker("learner"),
    "serving": (
        _on(_read_by("serving"), "Read", "DescribeConfigs"),
        _on(_written_by("serving"), "Write"),
    ),
    "app": (_on(_written_by("app"), "Write"),),
    "catalogue": (_on(_written_by("studio"), "Write", "DescribeConfigs"),),
    "replay": (_on(_written_by("studio") + _written_by("app"), "Write", "DescribeConfigs"),),
    "dead-letters": (
        _on((topics.DEAD_LETTERS, topics.CATALOGUE), "Read", "DescribeConfigs"),
        _on((topics.IMPRESSIONS, topics.PLAYS, topics.REWARDS, topics.DEAD_LETTERS), "Write", "DescribeConfigs"),
        Grant(("Write",), Kind.TRANSACTIONAL_ID, ("dead-letters.replay",)),
    ),
    "forget": (_on((topics.PLAYS,), "Write", "DescribeConfigs"),),
    "evaluate": (_on((topics.CATALOGUE, topics.IMPRESSIONS, topics.REWARDS), "Read", "DescribeConfigs"),),
    "doctor": (
        _on(topics.ALL, "Read", "DescribeConfigs"),
        Grant(("Describe",), Kind.GROUP, ("viewing", "learner")),
    ),
    "topics": (
        Grant(("Create", "Describe", "DescribeConfigs", "AlterConfigs"), Kind.TOPIC, ("",), is_prefix=True),
    ),
}

#: What each is for, in a few words.
USES = {
    "viewing": "`keyart viewing`",
    "learner": "`keyart learner`",
    "serving": "`keyart serving`, and apps that choose by themselves (`ArtworkChooser`)",
    "app": "apps that send events (`EventProducer`)",
    "catalogue": "`keyart catalogue`",
    "replay": "`keyart replay`",
    "dead-letters": "`keyart dead-letters`",
    "forget": "`keyart forget`",
    "evaluate": "`keyart evaluate`, `keyart tune`",
    "doctor": "`keyart doctor`, `keyart explain`",
    "topics": "`keyart topics`",
}


def user_of(role: str) -> str:
    """The name of a role's user in what is printed.

    >>> user_of("viewing")
    'keyart-viewing'
    """
    return f"keyart-{role}"


def commands(settings: Settings) -> Iterator[str]:
    """The ``kafka-acls`` commands that give every role what it needs, with a comment before each role's."""
    for role, grants in ROLES.items():
        yield f"# {user_of(role)}: {USES[role].replace('`', '')}"
        for grant in grants:
            names = grant.full_names(settings.topic_prefix)
            everything = names == ("",)
            yield shlex.join(
                [
                    *("kafka-acls", "--bootstrap-server", settings.bootstrap_servers),
                    *("--command-config", "admin.properties", "--add"),
                    *("--allow-principal", f"User:{user_of(role)}"),
                    *(word for operation in grant.operations for word in ("--operation", operation)),
                    *(word for name in names for word in (grant.kind.value, name or "*")),
                    *("--resource-pattern-type", "prefixed" if grant.is_prefix and not everything else "literal"),
                ]
            )


def table(prefix: str = "keyart.") -> str:
    """Who needs what, as a table in Markdown."""
    lines = ["| user | for | may |", "|---|---|---|"]
    for role, grants in ROLES.items():
        may = []
        for grant in grants:
            kind = "" if grant.kind is Kind.TOPIC else f"{grant.kind.value.strip('-').replace('-', ' ')} "
            star = "*" if grant.is_prefix else ""
            names = ", ".join(f"`{name}{star}`" for name in grant.full_names(prefix))
            may.append(f"{', '.join(grant.operations)}: {kind}{names}")
        lines.append(f"| `{user_of(role)}` | {USES[role]} | {'<br>'.join(may)} |")
    return "\n".join(lines)
