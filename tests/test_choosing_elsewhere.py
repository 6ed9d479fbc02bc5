"""The example in JavaScript chooses as Python does: the same artwork, with the same propensity, 10,000 times."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from builders import START_MS
from tables import MemoryTables, choosing

from stream.choosing.choice import key_of, left_to_app
from stream.learning.posterior import pack
from stream.records import Artwork, ArtworkSnapshot, ModelParameters, Snapshot, Taste, Title

EXAMPLES = Path(__file__).parent.parent / "deploy" / "examples"
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="there is no 'node' on the path to run the example with")

CHOICES = 10_000
SHARES = {"explore_share": 0.1, "popular_share": 0.2}
THEMES = ("action", "comedy", "drama", "romance", "sci-fi", "family", "crime")
PEOPLE = ("cast:Robin Williams", "cast:Uma Thurman", "cast:Zoë Kravitz")
DRIVER = """
import { readFileSync } from "node:fs";
import * as example from "EXAMPLE";
const { titles, snapshots, tastes, asked, settings } = JSON.parse(readFileSync(0, "utf8"));
const found = asked.map(({ member_id, title_id, context, canvas, now_ms }) => example.choose({
  snapshot: snapshots[title_id] ?? null, title: titles[title_id], taste: tastes[member_id] ?? {},
  member_id, context, canvas, now_ms, settings,
}));
const left = asked.slice(0, 500).map(({ member_id }) => example.leftToApp(example.keyOf(member_id), 0.3));
console.log(JSON.stringify({ found, left }));
"""


def some_titles(rng: np.random.Generator, count: int) -> tuple[list[Title], list[Snapshot]]:
    """Titles of every kind, and what was learned of most: some new, some large, some old snapshots' form."""
    titles, snapshots = [], []
    for number in range(count):
        k = int(rng.choice([1, 2, 3, 5, 9, 14, 30], p=[0.05, 0.2, 0.25, 0.25, 0.15, 0.05, 0.05]))
        artworks = tuple(_artwork(rng, f"artwork-{number}-{i}") for i in range(k))
        # Artwork for every canvas is always there, so that none is asked for in vain.
        artworks = (Artwork(artworks[0].artwork_id, artworks[0].themes), *artworks[1:])
        titles.append(Title(f"title-{number}-ü", "A title", 5400.0, {"drama": 1.0}, artworks))
        if rng.random() < 0.95:
            # The learner has not heard of every artwork, and remembers one that is withdrawn.
            listed = [artwork.artwork_id for artwork in artworks if rng.random() < 0.97]
            snapshots.append(_snapshot(rng, titles[-1].title_id, [*listed, "withdrawn"] if listed else []))
    return titles, [one for one in snapshots if one.artworks]


def _artwork(rng: np.random.Generator, artwork_id: str) -> Artwork:
    tags = {
        str(theme): round(float(rng.random()), 3) for theme in rng.choice([*THEMES, *PEOPLE], 3, replace=False)
    }
    canvas = str(rng.choice(["billboard", "panel"])) if rng.random() < 0.3 else None
    return Artwork(artwork_id, tags, canvas)


def _snapshot(rng: np.random.Generator, title_id: str, artwork_ids: list[str]) -> Snapshot:
    d = int(rng.integers(2, 2 + len(THEMES)))
    features = ("bias", *THEMES[: d - 1], *(("cast",) if rng.random() < 0.7 else ()))
    d = len(features)
    knows_popular, holds = rng.random() < 0.7, rng.random() < 0.5
    width = 10.0 ** rng.uniform(-4, -0.5)
    artworks = []
    for artwork_id in artwork_ids:
        # A new artwork is known far less than an old one.
        factor = np.tril(rng.normal(0, 0.2, (d, d)), -1) + np.diag(rng.uniform(0.5, 2.0, d))
        factor *= width * (30.0 if rng.random() < 0.1 else 1.0)
        impressions = int(rng.integers(0, 5000))
        artworks.append(
            ArtworkSnapshot(
                artwork_id,
                impressions,
                impressions // 5,
                round(float(rng.random()) * impressions / 5, 3),
                prior_mean=tuple(rng.normal(0.1, 0.05, d).tolist()),
                mean=tuple(rng.normal(0.1, 0.05, d).tolist()),
                factor=tuple(pack(factor).tolist()),
                held=tuple(rng.normal(0.1, 0.05, d).tolist()) if holds else None,
                popular=(float(rng.normal(0.1, 0.01)), float(width * rng.random() + 1e-4))
                if knows_popular
                else None,
            )
        )
    model = ModelParameters(tuple(rng.uniform(5, 20, d).tolist()), 20.0, None)
    return Snapshot(title_id, 10, START_MS, START_MS, features, model, tuple(artworks))


def some_tastes(rng: np.random.Generator, count: int) -> list[Taste]:
    """Members with a taste; one has more themes than a context can hold."""
    found = []
    for number in range(count):
        names = [f"theme-{i}" for i in range(90)] if number == 0 else []
        liked = [*names, *map(str, rng.choice([*THEMES, *PEOPLE], 4, replace=False))]
        shares = {name: round(float(rng.random()), 4) for name in liked}
        found.append(Taste(f"member-{number}", START_MS, 3, shares))
    return found


@pytest.fixture(scope="module")
def compared() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each of 10,000 choices as Python and as JavaScript have made it."""
    rng = np.random.default_rng(7)
    titles, snapshots = some_titles(rng, 150)
    tastes = some_tastes(rng, 300)
    asked = [
        {
            "member_id": f"member-{rng.integers(450)}",  # a third of them without a taste
            "title_id": titles[rng.integers(len(titles))].title_id,
            "context": {"comedy": round(float(rng.random()), 3), "evening": 1.0} if rng.random() < 0.3 else {},
            "canvas": str(rng.choice(["billboard", "panel", "box"])) if rng.random() < 0.2 else None,
            "now_ms": START_MS + int(rng.integers(0, 10**10)),
        }
        for _ in range(CHOICES)
    ]
    now = {"ms": 0}
    ours = []
    with choosing(MemoryTables(*titles, *snapshots, *tastes), now_ms=lambda: now["ms"], **SHARES) as chooser:
        for one in asked:
            now["ms"] = one["now_ms"]
            choice = chooser.choose(one["member_id"], one["title_id"], one["context"], canvas=one["canvas"])
            ours.append(
                {
                    "title_id": choice.title_id,
                    "artwork_id": choice.artwork_id,
                    "propensity": choice.propensity,
                    "policy": choice.policy,
                    "context": choice.context,
                    "snapshot_version": choice.snapshot_version,
                }
            )
    given = {
        "titles": {title.title_id: title for title in titles},
        "snapshots": {snapshot.title_id: snapshot for snapshot in snapshots},
        "tastes": {taste.member_id: taste.taste for taste in tastes},
        "asked": asked,
        "settings": SHARES,
    }
    answer = run_node(DRIVER.replace("EXAMPLE", (EXAMPLES / "choose.mjs").as_uri()), given)
    assert answer["left"] == [left_to_app(key_of(one["member_id"]), 0.3) for one in asked[:500]]
    return list(zip(ours, answer["found"], strict=True))


def run_node(script: str, given: Any) -> Any:
    """What a script prints, given something on its standard input."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", script],
        input=msgspec.json.encode(given),
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_same_artwork_10_000_times(compared):
    """Whatever the policy, canvas, context and snapshot: the same artwork, with all that is logged of it."""
    assert len(compared) == CHOICES
    for ours, theirs in compared:
        # The last bit of a sum may differ.
        near = pytest.approx(ours["context"], rel=1e-12)
        assert theirs == ours | {"propensity": theirs["propensity"], "context": near}
    policies = [ours["policy"] for ours, _ in compared]
    assert {policy: policies.count(policy) > 500 for policy in policies} == dict.fromkeys(
        ("explore", "popular", "personal"), True
    )
    without = [ours for ours, _ in compared if ours["snapshot_version"] is None]
    with_cast = [ours for ours, _ in compared if "cast" in ours["context"]]
    assert min(len(without), len(with_cast)) > 100
    assert any("cast" in ours["context"] for ours in without)


def test_propensities_agree(compared):
    """Every propensity is within 1e-9 of Python's."""
    furthest = max(abs(ours["propensity"] - theirs["propensity"]) for ours, theirs in compared)
    assert furthest < 1e-9
    uneven = [ours["propensity"] for ours, _ in compared if 0.01 < ours["propensity"] < 0.99]
    assert len(uneven) > CHOICES / 4


def test_the_request_of_the_docs():
    """``node choose.mjs request.json`` prints a choice, the one that docs/serving-elsewhere.md shows."""
    assert NODE is not None
    done = subprocess.run(
        [NODE, "choose.mjs", "request.json"], cwd=EXAMPLES, capture_output=True, text=True, timeout=30, check=True
    )
    choice = json.loads(done.stdout)
    page = (EXAMPLES.parent.parent / "docs" / "serving-elsewhere.md").read_text(encoding="utf-8")
    shown = json.loads(page[page.index("    {\n") : page.index("    }\n") + len("    }\n")])
    assert choice == shown | {"propensity": pytest.approx(shown["propensity"], abs=1e-12)}
