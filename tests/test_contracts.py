"""The contract of the topics: files made from the record types, and breaking changes refused by name."""

from __future__ import annotations

import copy
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumers import cli
from stream import topics
from stream.contracts import breaks, documents, schema_of
from stream.contracts.documents import PUBLIC

FOLDER = Path(__file__).parent.parent / "docs" / "contracts"
MADE = documents(version("keyart"))
ASYNCAPI = yaml.safe_load(MADE["asyncapi.yaml"])


def released() -> dict[str, Any]:
    """The schemas of the last release, by topic."""
    files = (FOLDER / "released").glob("*.schema.json")
    return {path.name.removesuffix(".schema.json"): json.loads(path.read_text(encoding="utf-8")) for path in files}


def present() -> dict[str, Any]:
    """The schemas of today, by topic: a copy to be changed."""
    return copy.deepcopy({topic.name: schema_of(topic) for topic in PUBLIC})


@pytest.mark.parametrize("name", MADE)
def test_the_committed_files_are_the_present_ones(name):
    """What docs/contracts holds is what the record types say; ``keyart contracts`` writes it."""
    assert (FOLDER / name).read_text(encoding="utf-8") == MADE[name]


def test_nothing_breaks_the_last_release():
    """Those who read and write by the last release can go on."""
    assert released(), "the last release has schemas"
    assert breaks(released(), present()) == []


def test_every_topic_that_others_see_has_a_schema():
    """Six topics are public; what is private to workers is not part of the contract."""
    names = {topic.name for topic in PUBLIC}
    assert names == {"catalogue", "impressions", "plays", "rewards", "tastes", "snapshots"}
    with pytest.raises(ValueError, match="private"):
        schema_of(topics.LEARNER_CHANGELOG)


def references(node: Any) -> list[str]:
    """Every ``$ref`` in a document."""
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [one for value in node.values() for one in references(value)]
    return [one for value in node for one in references(value)] if isinstance(node, list) else []


def resolve(document: Any, reference: str) -> Any:
    """What a reference within a document points at."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def test_references_lead_somewhere():
    """The AsyncAPI file points at itself and at the schemas beside it, and every schema at its own parts."""
    for reference in references(ASYNCAPI):
        if reference.startswith("#/"):
            assert resolve(ASYNCAPI, reference)
        else:
            assert reference.removeprefix("./") in MADE
    for schema in present().values():
        assert all(resolve(schema, reference) for reference in references(schema))


def test_asyncapi_says_who_sends_what():
    """Keyart receives what apps and the studio write, and sends what its workers do."""
    actions = {one["channel"]["$ref"].rpartition("/")[2]: one["action"] for one in ASYNCAPI["operations"].values()}
    assert actions == {
        **dict.fromkeys(("catalogue", "impressions", "plays"), "receive"),
        **dict.fromkeys(("rewards", "tastes", "snapshots"), "send"),
    }
    assert ASYNCAPI["info"]["version"] == version("keyart")
    plays = ASYNCAPI["channels"]["plays"]
    assert plays["address"] == "keyart.plays"
    assert plays["bindings"]["kafka"]["topicConfiguration"] == {
        "cleanup.policy": ["delete"],
        "retention.ms": topics.PLAYS.retention_ms,
    }


def test_patterns_are_those_of_other_languages():
    r"""``\Z`` is Python's own; everybody else would take it for a letter."""
    assert r"\Z" not in "".join(MADE.values())
    assert '"pattern"' in MADE["impressions.schema.json"]


# --- planted breaks


def impression(schemas: Any) -> Any:
    """The fields of an impression."""
    return schemas["impressions"]["properties"]


def artwork(schemas: Any) -> Any:
    """What a snapshot says of an artwork."""
    return schemas["snapshots"]["$defs"]["ArtworkSnapshot"]


def _remove(fields: Any, name: str) -> None:
    del fields[name]


PLANTED = {
    "a field goes": (
        lambda s: _remove(impression(s), "canvas"),
        "impressions.canvas: the field is removed",
    ),
    "a field of a part goes": (
        lambda s: _remove(artwork(s)["properties"], "popular"),
        "snapshots.artworks[].popular: the field is removed",
    ),
    "a new field is required": (
        lambda s: (impression(s).update(device={"type": "string"}), s["impressions"]["required"].append("device")),
        "impressions.device: the field is new, and required",
    ),
    "an optional field becomes required": (
        lambda s: s["impressions"]["required"].append("canvas"),
        "impressions.canvas: the field was optional, and is required",
    ),
    "null is no longer allowed": (
        lambda s: impression(s).update(snapshot_version={"type": "integer", "minimum": 0}),
        "impressions.snapshot_version: the type is narrowed, it was integer or null and is integer",
    ),
    "a number becomes an integer": (
        lambda s: s["plays"]["properties"]["watched_seconds"].update(type="integer"),
        "plays.watched_seconds: the type is narrowed, it was number and is integer",
    ),
    "a shorter id": (
        lambda s: impression(s)["title_id"].update(maxLength=64),
        "impressions.title_id: the limit is tightened, maxLength was 128 and is 64",
    ),
    "a limit where there was none": (
        lambda s: s["snapshots"]["properties"]["artworks"].update(maxItems=10),
        "snapshots.artworks: the limit is tightened, maxItems was None and is 10",
    ),
    "a smaller range": (
        lambda s: s["rewards"]["properties"]["credit"].update(minimum=0),
        "rewards.credit: the limit is tightened, it was [-1, 1] and is [0, 1]",
    ),
    "an open end becomes closed": (
        lambda s: s["rewards"]["properties"]["reward"].update(exclusiveMinimum=0),
        "rewards.reward: the limit is tightened, it was [0, 1] and is (0, 1]",
    ),
    "fewer features in a context": (
        lambda s: impression(s)["context"].update(maxProperties=32),
        "impressions.context: the limit is tightened, maxProperties was 64 and is 32",
    ),
    "smaller values in a context": (
        lambda s: impression(s)["context"]["additionalProperties"].update(maximum=1),
        "impressions.context{}: the limit is tightened, it was [-1e+06, 1e+06] and is [-1e+06, 1]",
    ),
    "another pattern": (
        lambda s: impression(s)["title_id"].update(pattern="^[a-z]+$"),
        "impressions.title_id: the limit is tightened, the pattern was ^[^\\x00-\\x1f\\x7f]+$ and is ^[a-z]+$",
    ),
    "a policy is refused": (
        lambda s: impression(s)["policy"]["enum"].remove("popular"),
        "impressions.policy: 'popular' is no longer allowed",
    ),
    "a policy that readers of rewards do not know": (
        lambda s: s["rewards"]["properties"]["policy"]["enum"].append("oracle"),
        "rewards.policy: 'oracle' is new, and readers do not know it",
    ),
    "a snapshot without its factor": (
        lambda s: artwork(s)["required"].remove("factor"),
        "snapshots.artworks[].factor: the field was always there, and may be missing",
    ),
    "a snapshot whose version is null": (
        lambda s: s["snapshots"]["properties"].update(version={"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        "snapshots.version: the type is widened, it was integer and is integer or null",
    ),
    "another key": (
        lambda s: s["plays"].update({"x-kafka-key": "title_id"}),
        "plays: its key was member_id, and is title_id",
    ),
    "a topic goes": (lambda s: _remove(s, "tastes"), "tastes: the topic is removed"),
}


@pytest.mark.parametrize(("plant", "said"), PLANTED.values(), ids=PLANTED)
def test_a_planted_break_is_refused_by_name(plant, said):
    """The one change that was made is named, with its topic and field, and nothing else."""
    changed = present()
    plant(changed)
    assert breaks(present(), changed) == [said]


GROWTH = {
    "a new optional field": lambda s: impression(s).update(device={"type": "string", "maxLength": 10}),
    "a new optional field of a part": lambda s: artwork(s)["properties"].update(shown={"type": "integer"}),
    "a longer id": lambda s: impression(s)["title_id"].update(maxLength=256),
    "an app may leave a field out": lambda s: s["impressions"]["required"].remove("propensity"),
    "an app may say null": lambda s: impression(s).update(
        propensity={"anyOf": [impression(s)["propensity"], {"type": "null"}]}
    ),
    "apps may name another policy": lambda s: impression(s)["policy"]["enum"].append("oracle"),
    "a new topic": lambda s: s.update(devices=s["tastes"]),
    "another description": lambda s: s["tastes"].update(description="otherwise said"),
}


@pytest.mark.parametrize("grow", GROWTH.values(), ids=GROWTH)
def test_growth_is_no_break(grow):
    """What readers ignore, and what apps may do beyond what they did, is allowed."""
    changed = present()
    grow(changed)
    assert breaks(present(), changed) == []


# --- the command


def keyart(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr(sys, "argv", ["keyart", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_the_command_writes_and_checks(tmp_path, monkeypatch, capsys):
    """It writes every file; with --check it refuses what is stale, and either way what breaks the last release."""
    folder = tmp_path / "contracts"
    assert keyart(monkeypatch, "contracts", str(folder), "--release") == 0
    assert {path.name for path in folder.iterdir()} == {*MADE, "released"}
    assert keyart(monkeypatch, "contracts", str(folder), "--check") == 0
    stale = folder / "tastes.schema.json"
    stale.write_text("{}", encoding="utf-8")
    assert keyart(monkeypatch, "contracts", str(folder), "--check") == 65
    assert "tastes.schema.json out of date: run keyart contracts" in capsys.readouterr().err
    before = folder / "released" / "plays.schema.json"
    schema = json.loads(before.read_text(encoding="utf-8"))
    schema["properties"]["device"] = {"type": "string"}
    before.write_text(json.dumps(schema), encoding="utf-8")
    assert keyart(monkeypatch, "contracts", str(folder)) == 65
    assert "plays.device: the field is removed" in capsys.readouterr().err
    assert stale.read_text(encoding="utf-8") == "{}", "nothing is written over a break"
