"""The policies that the benchmark of choices compares, and what their logs say."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks.quality.audience import THEMES, Strengths, draw_truth
from benchmarks.quality.feedback import Feedback, Shown
from benchmarks.quality.logs import LOGGING, Logs, rows, value
from benchmarks.quality.ours import Ours
from benchmarks.quality.parts import PARTS, Part, Without
from benchmarks.quality.policies import Uniform, _win_chances
from benchmarks.quality.roster import POLICIES, fitting, several
from benchmarks.quality.run import plan, play
from benchmarks.quality.worlds import WORLDS, World
from stream.choosing.servable import ServableTitle
from stream.codec import decode
from stream.learning import lessons
from stream.records import Snapshot


class TestOurs:
    """Keyart's own code."""

    def test_it_learns_what_tags_say(self):
        """In a few thousand impressions it is far ahead of artworks that learn by themselves."""
        rows = {name: play(WORLDS["shared"](1, 4000), name)[-1] for name in ("ours", "ours-independent")}
        assert rows["ours"].share > rows["ours-independent"].share + 0.1

    def test_it_is_the_same_in_every_run(self):
        """Nothing depends on the clock or on chance."""
        assert play(WORLDS["shared"](1, 2000), "ours") == play(WORLDS["shared"](1, 2000), "ours")

    def test_nothing_is_lost_on_the_way(self):
        """Every impression and every reward is in what it chooses from: no dead letter, no duplicate."""
        world = WORLDS["shared"](2, 2000)
        policy = Ours(world)
        policy.meet(world)
        plays = 0
        while world.visited < world.length:
            visits = world.visits()
            artwork, propensity = policy.choose(visits)
            assert ((propensity > 0) & (propensity <= 1)).all()
            batch = Shown.of(visits, artwork, propensity)
            plays += int(batch.reward.sum())
            policy.learn(Feedback("at once").hear(batch))
        served = [ServableTitle(decode(Snapshot, value, limit=None)) for value in policy.published.values()]
        assert sum(title.impressions.sum() for title in served) == 2000
        assert sum(title.version for title in served) == 2000 + plays

    def test_it_meets_new_titles_and_artworks(self):
        """What is launched is chosen from at once, and what is not yet there is not."""
        world = WORLDS["launch"](1, 1000)
        policy = Ours(world)
        policy.meet(world)
        policy.choose(world.visits())
        visits = world.visits()
        policy.meet(world)
        artwork, _ = policy.choose(visits)
        assert np.isfinite(visits.chance[np.arange(len(visits)), artwork]).all()
        assert (visits.title >= world.OLD).sum() > 300
        assert (artwork == 9).sum() > 10

    def test_it_knows_whom_artworks_show(self):
        """A fan gets what shows whom he likes; without being told of people it earns less."""
        rows = {name: play(WORLDS["cast"](1, 3000), name)[-1] for name in ("ours", "ours-without-cast")}
        assert rows["ours"].share > rows["ours-without-cast"].share + 0.1

    def test_people_are_logged_as_the_product_logs_them(self):
        """A context holds themes, and the affinity to those whom the shown artwork shows."""
        world = WORLDS["cast"](1, 1000)
        policy = Ours(world)
        policy.meet(world)
        visits = world.visits()
        log = Shown.of(visits, *policy.choose(visits))
        records = policy._impressions(log)
        tags = world.truth.tags[visits.title, log.artwork]
        liked = (visits.taste * tags)[:, THEMES:].sum(axis=1)
        assert [record.context.get("cast", 0.0) for record in records] == pytest.approx(liked)
        assert liked.max() > 0.3
        assert not any(name.startswith("cast:") for record in records for name in record.context)


@cache
def learned_means(policy):
    """Of each title's first artwork, from 1,000 impressions chosen uniformly."""
    world = WORLDS["shared"](1, 1000)
    made = POLICIES[policy].make(world)
    made.meet(world)
    visits = world.visits()
    made.learn(Feedback("at once").hear(Shown.of(visits, *Uniform(world).choose(visits))))
    return [decode(Snapshot, value, limit=None).artworks[0].mean for value in made.published.values()]


class TestParts:
    """Keyart without each part."""

    def test_constants_are_changed_while_it_learns_and_no_longer(self, monkeypatch):
        """Whoever learns next has the product's own."""
        seen = []
        monkeypatch.setattr(Ours, "learn", lambda self, heard: seen.append(lessons._CAUTION))
        policy = Without(WORLDS["shared"](1, 1000), PARTS["ours-incautious"])
        policy.learn(None)
        assert seen == [1.0]
        assert lessons._CAUTION > 1.0

    def test_a_constant_that_is_no_longer_there_is_said(self):
        """Otherwise nothing would be taken out, and nobody would know."""
        with pytest.raises(AttributeError, match="_GONE"):
            Without(WORLDS["shared"](1, 1000), Part("", {"_GONE": 1.0}))

    @pytest.mark.parametrize("name", sorted(PARTS))
    def test_each_makes_a_difference(self, name):
        """It is really taken out."""
        assert learned_means(name) != learned_means("ours")

    def test_groups_of_policies(self):
        """A name for several; other names stand for themselves."""
        assert set(several(["peers"])) == {n for n, named in POLICIES.items() if named.kind in {"peer", "tagged"}}
        assert several(["ours", "references"]) == ["ours", "uniform", "best-single", "oracle"]
        assert set(PARTS) < set(several(["parts"])) <= set(POLICIES)


@pytest.fixture(scope="module")
def kept():
    """Logs: 3,000 impressions of each policy, after 3,000 to learn from."""
    return Logs.keep("shared", 3, 3000, 3000)


class TestLogs:
    """What logs say of policies that were not followed."""

    def test_values_by_inverse_propensity_are_the_true_ones(self, kept):
        """From its own log and others': each value, and the mean weight, is as far off as chance has it.

        Within 2 standard errors nineteen times in twenty. What the product has learned, and so what it logs, is
        another thing with every change of how it learns: some more of the 24 may be further off, and none far.
        """
        found = rows([kept])
        assert {(row.log, row.policy) for row in found} == {
            (by, policy)
            for by in ("uniform", "thompson", "ours")
            for policy in ("uniform", "thompson", "ours", "oracle")
        }
        off = np.array([(row.off, row.weight_off) for row in found])
        assert (np.abs(off) < 2.0).mean() >= 0.8
        assert (np.abs(off) < 3.5).all()
        assert np.sqrt((off**2).mean()) < 1.5

    @pytest.mark.parametrize("by", ["ours", "thompson"])
    @pytest.mark.parametrize(
        "wrong",
        [
            pytest.param(lambda p: np.full(len(p), 1 / 9), id="as if the choice had been uniform"),
            pytest.param(np.ones_like, id="as if it had been certain"),
            pytest.param(lambda p: p**2, id="too small"),
            pytest.param(lambda p: np.random.default_rng(1).permutation(p), id="another visit's"),
        ],
    )
    def test_wrong_propensities_are_found(self, kept, by, wrong):
        """The weights' mean is off by more than chance allows."""
        log = replace(kept.shown[by], propensity=wrong(kept.shown[by].propensity))
        off = [value(log, wants, kept.propensity[by, policy])[1].off for policy, wants in kept.wanted.items()]
        assert max(np.abs(off)) > 3.5

    def test_a_policy_in_its_own_log_is_drawn_anew(self, kept):
        """Otherwise it would want all that it showed, and weights would say nothing."""
        same = (kept.shown["ours"].artwork == kept.wanted["ours"]).mean()
        assert 0.2 < same < 0.99

    def test_propensities_sum_to_one(self):
        """Over a title's artworks, for each policy that keeps a log."""
        for make in LOGGING.values():
            world = WORLDS["shared"](1, 1000)
            policy = make(world)
            policy.meet(world)
            visits = world.visits().rows(np.arange(20))
            total = sum(policy.propensity(visits, np.full(20, artwork)) for artwork in range(9))
            assert total == pytest.approx(np.ones(20), abs=1e-6)

    def test_several_seeds(self, kept):
        """Their mean is twice as sure when there are four of them."""
        one, four = rows([kept])[0], rows([kept] * 4)[0]
        assert four.error == pytest.approx(one.error / 2)
        assert four.found == pytest.approx(one.found)
        assert one.off == pytest.approx((one.found - one.truth) / one.error)


def test_thompson_s_propensities_are_how_often_it_chooses():
    """Simulated draws agree within 4 standard errors."""
    taken, refused = np.array([1.0, 5.0, 30.0, 3.0]), np.array([19.0, 60.0, 500.0, 20.0])
    draws = np.random.default_rng(1).beta(taken, refused, (200_000, 4)).argmax(axis=1)
    share = np.bincount(draws, minlength=4) / 200_000
    assert _win_chances(taken, refused) == pytest.approx(share, abs=4 * 0.5 / 200_000**0.5)


@pytest.mark.parametrize("name", sorted(name for name in POLICIES if POLICIES[name].kind in {"peer", "tagged"}))
def test_peers_learn(name):
    """With a single title each is better than chance soon, and the same in every run."""
    if POLICIES[name].needs:
        pytest.importorskip(POLICIES[name].needs)

    def rows(length):
        truth = draw_truth(np.random.default_rng(1), 1, 9, Strengths())
        return play(World("small", 1, truth, np.ones(1), length=length), name)

    found = rows(3000)
    assert found[-1].share > 0.1
    assert rows(2000)[0] == found[0]


def test_policies_that_say_something_in_a_world():
    """What differs only where rewards are late, or where things change, is compared there alone."""
    assert "ours-joined" not in fitting("shared")
    assert "ours-joined" in fitting("late")
    turning = [one.policy for one in plan(["drift"], [1], None, 1000)]
    assert {"ours-forgetting", "ours-detecting"} <= set(turning)
    assert not {"ours-forgetting", "ours-detecting", "ours-without-cast"} & set(fitting("shared"))
