"""What some titles teach reaches all of them, whichever learner has them."""

from __future__ import annotations

import random

import traffic
from waiting import until


def lovers(rng, title_ids, count):
    """Impressions, each by somebody who loves one theme; what shows that theme is rewarded five times as often."""
    shown, rewards = [], []
    for i in range(count):
        theme = rng.choice(traffic.THEMES)
        artwork = rng.randrange(len(traffic.THEMES))
        record = {
            "impression_id": f"impression-{i}",
            "shown_ms": traffic.START_MS + i,
            "title_id": rng.choice(title_ids),
            "artwork_id": f"art-{artwork}",
            "context": {theme: 1.0},
            "policy": "explore",
            "propensity": 1 / len(traffic.THEMES),
        }
        shown.append(record | {"member_id": f"member-{i % 50}", "snapshot_version": None})
        if rng.random() < (0.25 if traffic.THEMES[artwork] == theme else 0.05):
            rewards.append(record | {"credited_ms": traffic.START_MS + count, "credit": 1.0, "reward": 1.0})
    return shown, rewards


def liking(snapshot, theme):
    """What is expected of each of a title's artworks from somebody who loves that theme."""
    features = snapshot["features"]
    wanted = [features.index("bias"), features.index(theme)]
    return [sum(artwork["mean"][i] for i in wanted) for artwork in snapshot["artworks"]]


def test_titles_that_were_never_shown_start_from_their_tags_at_every_learner(settings, wire, keyart):
    """The artwork that shows a theme is soon in front for those who love it, wherever the records were learned."""
    titles = traffic.catalogue(titles=12)
    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())
    learners = [keyart(settings, "learner", "--ready") for _ in range(2)]
    for learner in learners:
        learner.wait_ready()
    until(lambda: wire.members("learner") == 2, "both learners are members")
    until(lambda: len(wire.latest("snapshots")) == 12, "every title is published")
    partition = {record.key.decode(): record.partition for record in wire.read("catalogue")}
    shown_in = partition["title-0"]
    taught = [title_id for title_id in titles if partition[title_id] == shown_in]
    others = sorted(set(titles) - set(taught))
    assert others, "every title lies in one partition: nothing to show"
    shown, rewards = lovers(random.Random(1), taught, 6000)
    wire.send(("impressions", record["title_id"], record) for record in shown)
    wire.send(("rewards", record["title_id"], record) for record in rewards)

    def learned():
        snapshots = wire.latest("snapshots")
        return all(
            max(likings) == likings[place] and likings[place] > 1.2 * min(likings)
            for title_id in others
            for place, theme in enumerate(traffic.THEMES)
            for likings in [liking(snapshots[title_id], theme)]
        )

    until(learned, "titles that were never shown start from what the others taught", 40)
    snapshots = wire.latest("snapshots")
    assert {snapshots[title_id]["version"] for title_id in others} == {0}
    assert {artwork["impressions"] for title_id in others for artwork in snapshots[title_id]["artworks"]} == {0}
    assert set(wire.latest("shared-prior")) == {str(shown_in)}
    for learner in learners:
        learner.terminate()
        learner.succeed(10)
