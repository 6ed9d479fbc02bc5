"""What workers have learned beside a recount of their input: how much was lost, counted twice, or is off.

From the records on the topics alone, by the contract's arithmetic in :mod:`recount`, without Keyart's code.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import recount
from waiting import until
from wire import values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wire import Wire

Fields = dict[str, Any]
DUPLICATE_MS = 60_000
CLOSE = 1e-9
_POSITION = "\x00position"


@dataclass
class Findings:
    """What an audit found.

    Attributes
    ----------
    counted
        How many things there were to count: impressions, or rewarded plays.
    lost, twice
        How many of them are missing, and how many there are too many.
    deviation
        The largest difference of a sum, relative to its size where that is above 1.
    faults
        Everything that is not as it should be, in words.
    """

    counted: int = 0
    lost: int = 0
    twice: int = 0
    deviation: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether counts are exact and sums within 1e-9."""
        return not self.faults

    def count(self, what: str, expected: int, found: int) -> None:
        """Compare a count."""
        self.lost += max(expected - found, 0)
        self.twice += max(found - expected, 0)
        if expected != found:
            self.faults.append(f"{what}: {found} instead of {expected}")

    def same(self, what: str, expected: Any, found: Any) -> None:
        """Compare two things that must be equal."""
        if expected != found:
            self.faults.append(f"{what}: {found} instead of {expected}")

    def close(self, what: str, expected: Any, found: Any) -> None:
        """Compare sums."""
        expected, found = np.asarray(expected, float), np.asarray(found, float)
        if expected.shape != found.shape:
            self.faults.append(f"{what}: of shape {found.shape} instead of {expected.shape}")
            return
        off = float(np.max(np.abs(found - expected) / np.maximum(np.abs(expected), 1.0), initial=0.0))
        self.deviation = max(self.deviation, off)
        if not off <= CLOSE:
            self.faults.append(f"{what}: off by {off:.3g}")

    def __add__(self, other: Findings) -> Findings:
        return Findings(
            self.counted + other.counted,
            self.lost + other.lost,
            self.twice + other.twice,
            max(self.deviation, other.deviation),
            self.faults + other.faults,
        )


def audit_learner(wire: Wire, titles: Mapping[str, Fields]) -> Findings:
    """Snapshots and changelog beside the impressions and rewards on their topics."""
    found = Findings()
    by_partition = defaultdict(list)
    for record in wire.read("impressions"):
        by_partition[record.partition].append(json.loads(record.value))
    shown = [one for each in by_partition.values() for one in recount.once_within(each, DUPLICATE_MS)]
    rewards = list(values(wire.read("rewards")))
    rows = recount.joined(shown, recount.added_up(rewards))
    policies = recount.by_policy(shown, rewards)
    of_title = Counter(one["title_id"] for one in (*shown, *rewards))
    snapshots = wire.latest("snapshots")
    changelog = {key: value for key, value in wire.latest("learner-changelog").items() if key in titles}
    found.counted = len(shown)
    for title_id in sorted(of_title):
        if title_id not in changelog or title_id not in snapshots:
            found.lost += sum(one["title_id"] == title_id for one in shown)
            found.faults.append(f"{title_id} has no state or no snapshot")
            continue
        stored, snapshot = changelog[title_id], snapshots[title_id]
        for policy, sums in policies.get(title_id, {}).items():
            for where, record in (("state", stored), ("snapshot", snapshot)):
                kept = np.sum(record["policies"].get(policy, np.zeros((1, 3))), axis=0)
                found.close(f"what {policy} has earned with {title_id} in its {where}", sums, kept)
        found.same(f"version of {title_id}'s state", of_title[title_id], stored["version"])
        found.same(f"version of {title_id}'s snapshot", of_title[title_id], snapshot["version"])
        kept = {artwork["artwork_id"]: artwork for artwork in stored["artworks"]}
        for artwork in snapshot["artworks"]:
            name = f"{title_id}/{artwork['artwork_id']}"
            of = rows[title_id, artwork["artwork_id"]]
            if of.contexts or artwork["artwork_id"] in kept:
                _compare(found, name, of, kept[artwork["artwork_id"]], artwork, stored, snapshot)
    found.same("dead letters", 0, len(wire.read("dead-letters")))
    _audit_positions(found, wire, "learner", ("impressions", "rewards"))
    return found


def _compare(
    found: Findings, name: str, of: recount.Rows, kept: Fields, artwork: Fields, stored: Fields, snapshot: Fields
) -> None:
    """One artwork: its state and its snapshot beside its rows."""
    found.count(f"impressions of {name}", len(of.contexts), kept["impressions"])
    found.same(f"impressions of {name} in its snapshot", len(of.contexts), artwork["impressions"])
    found.same(f"plays of {name}", (of.plays, of.plays), (kept["plays"], artwork["plays"]))
    gram, moment = of.sums(stored["features"])
    lower = recount.unpacked(kept["gram"], len(moment))
    found.close(f"S of {name}", np.tril(gram), lower)
    found.close(f"c of {name}", moment, kept["moment"])
    gram, moment = of.sums(snapshot["features"])
    model = snapshot["model"]
    precision = np.diag(model["prior_precision"]) + model["noise_precision"] * gram
    start = np.array(model["prior_precision"]) * artwork["prior_mean"]
    mean = np.linalg.solve(precision, start + model["noise_precision"] * moment)
    found.close(f"mean of {name}", mean, artwork["mean"])


def audit_viewing(wire: Wire, titles: Mapping[str, Fields], limits: recount.Limits | None = None) -> Findings:
    """Rewards and tastes beside the plays on their topic."""
    found = Findings()
    sent = list(values(wire.read("plays")))
    due_all = recount.credited(sent, dict(titles), limits)
    expected = {name: reward for name, reward in due_all.items() if reward > 0}
    changes = list(values(wire.read("rewards")))
    total: dict[str, float] = defaultdict(float)
    for change in changes:
        total[change["impression_id"]] += change["credit"]
        found.close(f"a reward of {change['impression_id']}", total[change["impression_id"]], change["reward"])
    got = recount.added_up(changes)
    found.counted = len(expected)
    for name in sorted(expected.keys() | got.keys()):
        due, given = expected.get(name, 0.0), got.get(name, 0.0)
        found.lost += given < due - CLOSE
        found.twice += given > due + CLOSE
        found.close(f"the reward of {name}", due, given)
    tastes = wire.latest("tastes")
    views = {member_id: taste["views"] for member_id, taste in tastes.items() if taste["views"]}
    counted = recount.views(sent, dict(titles))
    for member_id in sorted(counted.keys() | views.keys()):
        found.same(f"views of {member_id}", counted.get(member_id, 0), views.get(member_id, 0))
    _audit_positions(found, wire, "viewing", ("plays",))
    return found


def _audit_positions(found: Findings, wire: Wire, worker: str, inputs: tuple[str, ...]) -> None:
    """The positions that checkpoints recorded never went back, and the last is what the group has committed.

    A checkpoint of a worker that had lost its partitions, had it landed, would be one that goes back.
    """
    last: dict[int, Fields] = defaultdict(dict)
    for record in wire.read(f"{worker}-changelog"):
        if record.key == _POSITION.encode():
            here = json.loads(record.value)["next"]
            if any(offset < last[record.partition].get(name, 0) for name, offset in here.items()):
                found.faults.append(f"{worker} {record.partition}: a checkpoint went back to {here}")
            last[record.partition] = here
    recorded = {
        place: last[place.partition][name]
        for name in inputs
        for place in wire.places(name)
        if name in last[place.partition]
    }
    with suppress(AssertionError):  # what was committed last takes a moment to show
        until(lambda: wire.committed(worker) == recorded, "the offsets committed are those recorded", 10)
    found.same(f"offsets committed of {worker}", recorded, wire.committed(worker))
