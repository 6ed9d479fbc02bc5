"""The contract on the wire: events in, snapshots out, and a recount of the records agrees.

Nothing of the workers is imported here: records go in and come out through a plain client as JSON, and the workers
are the processes that ``keyart`` starts.
"""

from __future__ import annotations

import json
import random

import numpy as np
import pandas as pd
import pytest
import recount
import traffic
from river.linear_model import BayesianLinearRegression
from wire import values

CLOSE = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture
def settings(settings):
    """Every artwork learns by itself: what the catalogue teaches is not in the records of one title."""
    return settings.model_copy(update={"shared_prior": False})


@pytest.fixture
def wide(settings):
    """Settings under which a repeated impression counts once, however late in these tests it is repeated."""
    return settings.model_copy(update={"duplicate_seconds": 3600.0})


def check_snapshots(wire, settings, titles, rows):
    """Every title's snapshot is the posterior of the joined rows, by NumPy and by River's own batch learning."""
    snapshots = wire.latest("snapshots")
    assert set(snapshots) == set(titles)
    for title_id, snapshot in snapshots.items():
        features, model = snapshot["features"], snapshot["model"]
        d = len(features)
        assert {"bias", *traffic.THEMES} <= set(features)
        assert model["prior_precision"] == [settings.prior_precision] * d
        assert model["noise_precision"] == settings.noise_precision
        assert model["half_life_days"] is None
        assert [a["artwork_id"] for a in snapshot["artworks"]] == [
            a["artwork_id"] for a in titles[title_id]["artworks"]
        ]
        for artwork in snapshot["artworks"]:
            of = rows[title_id, artwork["artwork_id"]]
            assert artwork["impressions"] == len(of.contexts)
            assert artwork["plays"] == of.plays
            assert artwork["reward"] == pytest.approx(sum(of.rewards), rel=1e-9, abs=1e-9)
            assert artwork["prior_mean"] == [0.0] * d
            factor = recount.unpacked(artwork["factor"], d)
            covariance = factor @ factor.T
            gram, moment = of.sums(features)
            precision = np.diag(model["prior_precision"]) + model["noise_precision"] * gram
            by_numpy = np.linalg.solve(precision, model["noise_precision"] * moment)
            np.testing.assert_allclose(artwork["mean"], by_numpy, **CLOSE)
            np.testing.assert_allclose(covariance, np.linalg.inv(precision), **CLOSE)
            river = BayesianLinearRegression(alpha=1 / settings.prior_precision, beta=settings.noise_precision)
            x = pd.DataFrame(of.design(features), columns=features)
            river.learn_many(x, pd.Series(of.rewards))
            at = [river._idx[name] for name in features]
            by_river = [river.predict_one({name: 1.0}) for name in features]
            np.testing.assert_allclose(artwork["mean"], by_river, **CLOSE)
            np.testing.assert_allclose(covariance, river._ss_inv_arr[np.ix_(at, at)], **CLOSE)


def check_dead_letters(wire, sent):
    """The dead letters are exactly these bad records, bytes untouched, each with where it was and a reason."""
    letters = wire.read("dead-letters")
    assert sorted((r.key or b"", r.value or b"") for r in letters) == sorted(
        (k or b"", v or b"") for _, k, v in sent
    )
    originals = {
        topic: {(r.partition, r.offset): r for r in wire.read(topic)} for topic in {t for t, _, _ in sent}
    }
    for letter in letters:
        headers = {name: value.decode() for name, value in letter.headers}
        topic = headers["keyart.topic"].removeprefix(wire.prefix)
        original = originals[topic][int(headers["keyart.partition"]), int(headers["keyart.offset"])]
        assert original.value == letter.value
        assert (original.key or b"") == (letter.key or b"")
        assert len(headers["keyart.reason"].split()) >= 3
        assert headers["keyart.worker"]


def shuffled(rng, records):
    """A new list in another order."""
    return rng.sample(records, len(records))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_impressions_and_plays_in_snapshots_out(seed, wide, wire, keyart):
    """Whatever the order of arrival, with repetitions and nonsense in between, every posterior is exact."""
    rng = random.Random(seed)
    titles = traffic.catalogue()
    shown = traffic.impressions(rng, titles, 400)
    played = traffic.plays(rng, shown)
    bad = [("impressions", *pair) for pair in traffic.malformed(shown[0], "impressions")]
    bad += [("plays", *pair) for pair in traffic.malformed(played[0], "plays")]
    bad.append(("impressions", shown[1]["title_id"], json.dumps(shown[1] | {"artwork_id": "unlisted"}).encode()))
    bad.append(("impressions", shown[1]["title_id"], json.dumps(shown[1] | {"propensity": 0}).encode()))
    bad = [(topic, key.encode() if isinstance(key, str) else key, value) for topic, key, value in bad]
    good = [("impressions", one["title_id"], one) for one in shown + rng.sample(shown, 60)]
    good += [("plays", one["member_id"], one) for one in played + rng.sample(played, 60)]

    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())
    wire.send(shuffled(rng, good + bad))
    keyart(wide, "viewing", "--until-drained").succeed()
    keyart(wide, "learner", "--until-drained").succeed()

    expected = recount.credited(played, titles)
    assert sum(reward > 0 for reward in expected.values()) > 50
    found = recount.added_up(values(wire.read("rewards")))
    assert found == pytest.approx({k: r for k, r in expected.items() if r > 0}, rel=1e-9, abs=1e-9)
    check_snapshots(wire, wide, titles, recount.joined(shown, expected))
    check_dead_letters(wire, bad)


@pytest.mark.parametrize("seed", [4, 5])
def test_impressions_and_rewards_in_snapshots_out(seed, wide, wire, keyart):
    """A learner fed with rewards by another program than ours, some before their impressions, is as exact."""
    rng = random.Random(seed)
    titles = traffic.catalogue(titles=3, artworks=2)
    shown = traffic.impressions(rng, titles, 600)
    changes = traffic.rewards(rng, shown)
    records = [("impressions", one["title_id"], one) for one in shown]
    credits_ = [("rewards", one["title_id"], one) for one in changes]

    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())
    if seed % 2:
        wire.send(credits_)
        wire.send(shuffled(rng, records))
    else:
        # An impression's own credits keep their order: they come from one viewing worker's partition.
        where = iter(credits_)
        mixed = shuffled(rng, records + [None] * len(credits_))
        wire.send(next(where) if record is None else record for record in mixed)
    keyart(wide, "learner", "--until-drained").succeed()

    check_snapshots(wire, wide, titles, recount.joined(shown, recount.added_up(changes)))
    assert wire.read("dead-letters") == []


@pytest.mark.apache_kafka
def test_a_learner_that_comes_back_goes_on_where_it_stood(wide, wire, keyart):
    """Learned in three sittings by three processes, the posterior is that of all the records together."""
    rng = random.Random(6)
    titles = traffic.catalogue(titles=3)
    shown = traffic.impressions(rng, titles, 300)
    changes = traffic.rewards(rng, shown)
    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())
    for part in range(3):
        wire.send(("impressions", one["title_id"], one) for one in shown[part::3])
        wire.send(("rewards", one["title_id"], one) for one in changes[part * 40 : (part + 1) * 40])
        keyart(wide, "learner", "--until-drained").succeed()
    wire.send(("rewards", one["title_id"], one) for one in changes[120:])
    keyart(wide, "learner", "--until-drained").succeed()
    check_snapshots(wire, wide, titles, recount.joined(shown, recount.added_up(changes)))
    versions = {title_id: snapshot["version"] for title_id, snapshot in wire.latest("snapshots").items()}
    assert sum(versions.values()) == len(shown) + len(changes)


def test_a_play_too_late_to_matter_and_one_that_is_repeated_late(settings, wire, keyart):
    """A play counts once however late it is repeated; one first heard of when all is settled counts not at all."""
    rng = random.Random(7)
    titles = traffic.catalogue(titles=1)
    first, second = traffic.impressions(rng, titles, 2, members=1)

    def play(play_id, impression, played_ms, watched):
        return (
            "plays",
            impression["member_id"],
            {
                "play_id": play_id,
                "played_ms": played_ms,
                "member_id": impression["member_id"],
                "title_id": impression["title_id"],
                "watched_seconds": watched,
                "impression": impression,
            },
        )

    once = play("once", first, first["shown_ms"] + traffic.MINUTE_MS, 3000.0)
    days_later = second | {"impression_id": "days-later", "shown_ms": first["shown_ms"] + 80 * traffic.HOUR_MS}
    wire.send(("catalogue", title_id, title) for title_id, title in titles.items())
    wire.send([once, once, play("days later", days_later, days_later["shown_ms"], 900.0)])
    keyart(settings, "viewing", "--until-drained").succeed()
    wire.send([once, play("unheard of", second, second["shown_ms"] + traffic.MINUTE_MS, 3000.0), once])
    keyart(settings, "viewing", "--until-drained").succeed()

    written = list(values(wire.read("rewards")))
    assert [change["impression_id"] for change in written] == [first["impression_id"], "days-later"]
    taste = wire.latest("tastes")[first["member_id"]]
    assert taste["views"] == 2
    assert sum(taste["taste"].values()) == pytest.approx(1.0)
