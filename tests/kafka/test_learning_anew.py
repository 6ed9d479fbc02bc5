"""docs/operating.md, *Recover*: its own commands, followed line by line, and what is known afterwards."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
import traffic
from doc_pages import commands
from waiting import until

from stream.kafka import Admin

if TYPE_CHECKING:
    from collections.abc import Callable

    from processes import Process
    from wire import Wire

    from stream.settings import Settings

pytestmark = pytest.mark.apache_kafka
TITLES = traffic.catalogue(titles=3)
SHOWN = traffic.impressions(random.Random(3), TITLES, 200)
PLAYED = traffic.plays(random.Random(4), SHOWN)


def told_to_delete() -> dict[str, list[list[str]]]:
    """The groups and topics that the page says to delete, by the kind of worker that is to begin anew."""
    found: dict[str, list[list[str]]] = {"learner": [], "viewing": []}
    kind = "learner"
    for command in commands():
        if command.page == "docs/operating.md" and "--delete" in command.words:
            kind = "viewing" if command.words[-1] == "keyart.viewing" else kind
            found[kind].append(command.words[-2:])
    return found


def follow(deletions: list[list[str]], wire: Wire, settings: Settings) -> None:
    """Delete as the page says, and make the topics anew."""
    topics = []
    for kind, name in deletions:
        ours = wire.prefix + name.removeprefix("keyart.")
        if kind == "--group":
            wire.admin.delete_groups([ours])
        else:
            topics.append(ours)
    wire.admin.delete_topics(topics)
    until(lambda: not {*topics} & {*wire.admin.list_topics()}, "the topics are gone")
    with Admin(settings) as admin:
        until(lambda: admin.create() is not None, "the topics can be made anew")


def known(wire: Wire) -> dict[str, Any]:
    """What was published of each artwork: exact counts, and what it is expected to earn."""
    return {
        (title_id, artwork["artwork_id"]): (artwork["impressions"], artwork["plays"], artwork["reward"])
        for title_id, snapshot in wire.latest("snapshots").items()
        for artwork in snapshot["artworks"]
    }


@pytest.fixture
def learned(settings: Settings, wire: Wire, keyart: Callable[..., Process]) -> Callable[[], dict[str, Any]]:
    """Everything is credited and learned; says what is known, each time it is called."""
    wire.send(("catalogue", title_id, title) for title_id, title in TITLES.items())
    wire.send(("impressions", one["title_id"], one) for one in SHOWN)
    wire.send(("plays", one["member_id"], one) for one in PLAYED)

    def learn() -> dict[str, Any]:
        for worker in ("viewing", "learner"):
            keyart(settings, worker, "--until-drained").succeed()
        return known(wire)

    return learn


def test_what_is_learned_anew_is_what_was_known(
    learned: Callable[[], dict[str, Any]], settings: Settings, wire: Wire
) -> None:
    """As long as the topics hold everything: learners alone, or both; members alone would be credited twice."""
    before = learned()
    assert sum(plays for _, plays, _ in before.values()) > 20
    deletions = told_to_delete()
    assert [len(deletions[kind]) for kind in ("learner", "viewing")] == [4, 3]
    follow(deletions["learner"], wire, settings)
    assert learned() == before
    follow([one for one in deletions["viewing"] if one[-1] != "keyart.rewards"], wire, settings)
    assert sum(reward for _, _, reward in learned().values()) > 1.5 * sum(r for _, _, r in before.values())
    follow([*deletions["learner"], *deletions["viewing"]], wire, settings)
    assert learned() == before


def test_what_follows_from_the_state_is_back_once_workers_start_again(
    learned: Callable[[], dict[str, Any]], settings: Settings, wire: Wire, keyart: Callable[..., Process]
) -> None:
    """Lost plays leave learners as they are; lost tables of theirs are filled again."""
    before = learned()
    lost = [one for one in told_to_delete()["viewing"] if one[-1] != "keyart.rewards"]
    follow([*lost, ["--topic", "keyart.plays"]], wire, settings)
    assert learned() == before
    taught = {record.key for record in wire.read("shared-prior")}
    follow([["--topic", "keyart.snapshots"], ["--topic", "keyart.shared-prior"]], wire, settings)
    learner = keyart(settings, "learner")
    until(lambda: known(wire) == before, "all titles are published")
    more = traffic.impressions(random.Random(5), TITLES, 60)
    wire.send(("impressions", one["title_id"], one | {"impression_id": f"more-{i}"}) for i, one in enumerate(more))
    until(lambda: {record.key for record in wire.read("shared-prior")} == taught, "every part is there")
    learner.terminate()
    assert learner.wait() == 0, learner.output()
