"""The benchmark of choices: worlds keep what they promise, and rows say what was earned."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import cache, partial
from importlib.util import find_spec

import numpy as np
import pytest
from rich.console import Console

from benchmarks.quality import roster
from benchmarks.quality.audience import MEMBERS, THEMES, Strengths, dealt_anew, draw_truth, with_people
from benchmarks.quality.feedback import WINDOW_MS, Feedback, Shown, Visits
from benchmarks.quality.logs import LOGGING, Logs, rows, value
from benchmarks.quality.ours import Ours
from benchmarks.quality.parts import PARTS, Part, Without
from benchmarks.quality.policies import Uniform, _win_chances
from benchmarks.quality.roster import POLICIES, fitting, several
from benchmarks.quality.run import Row, Tally, plan, play
from benchmarks.quality.table import Estimate, lines, recoveries, recovery_table, tables
from benchmarks.quality.worlds import WORLDS, World
from consumers import cli
from stream import prior
from stream.codec import decode
from stream.records import Snapshot
from stream.snapshot import ServableTitle


def some_visits(n=4, delay_ms=0, shown_ms=0):
    """Visits to title 0, with three artworks played for certain, never, and not there."""
    zero = np.zeros(n, dtype=np.intp)
    late = np.full(n, delay_ms), np.full(n, shown_ms)
    chance = np.tile([1.0, 0.0, np.nan], (n, 1))
    return Visits(np.arange(n), zero, zero, np.ones((n, 1)), chance, np.full(n, 0.5), late[1], late[0])


def shown(visits, artwork):
    """Everybody is shown this."""
    n = len(visits)
    return Shown.of(visits, np.full(n, artwork), np.ones(n))


def printed(table):
    """What a table looks like."""
    console = Console(width=120)
    with console.capture() as said:
        console.print(table)
    return said.get()


class TestAudience:
    """What truly decides plays."""

    @pytest.fixture
    def truth(self):
        """A small catalogue."""
        return draw_truth(np.random.default_rng(1), 40, 9, Strengths())

    def test_plays_are_as_likely_as_promised(self, truth):
        """Title by title, the mean over members and artworks is the title's rate, between 3 % and 10 %."""
        assert ((truth.rate >= 0.03) & (truth.rate <= 0.10)).all()
        title = np.repeat(np.arange(40), 500)
        chance = truth.chance(title, truth.members[np.tile(np.arange(500), 40)])
        relative = chance.reshape(40, 500, 9).mean(axis=(1, 2)) / truth.rate
        assert 0.95 < relative.mean() < 1.15  # what is cut off below lifts it a little

    def test_the_best_single_artwork_is_the_best_on_average(self, truth):
        """Nothing that everybody is shown earns more, among the artworks there are."""
        there = np.ones((40, 9), dtype=bool)
        there[:, 0] = False
        best = truth.best_single(there)
        title = np.repeat(np.arange(40), MEMBERS // 20)
        means = (
            truth.chance(title, np.tile(truth.members[: MEMBERS // 20], (40, 1))).reshape(40, -1, 9).mean(axis=1)
        )
        earned = means[np.arange(40), best]
        assert (best > 0).all()
        assert (earned >= means[:, 1:].max(axis=1) * 0.98).all()

    def test_seeds_differ_in_structure(self):
        """Strengths, tags and tastes are another seed's, not only the draws."""
        truths = [draw_truth(np.random.default_rng(seed), 40, 9, Strengths()) for seed in range(8)]
        assert len({truth.strengths for truth in truths}) == 8
        assert len({int((truth.tags > 0).sum(axis=2).max()) for truth in truths}) > 1
        assert np.ptp([np.sort(truth.members, axis=1)[:, -1].mean() for truth in truths]) > 0.03

    def test_effects_alone_are_dealt_anew(self, truth):
        """Members, tags and rates stay; what a theme is worth, and what is each artwork's own, do not."""
        after = dealt_anew(np.random.default_rng(2), truth, truth.matter[::-1])
        assert after.members is truth.members
        assert after.tags is truth.tags
        assert after.rate is truth.rate
        assert np.array_equal(after.matter, truth.matter[::-1])
        nowhere = truth.tags == 0.0
        assert abs(np.corrcoef(after.weights[nowhere], truth.weights[nowhere])[0, 1]) < 0.1


class TestPeople:
    """People whom members like and artworks show."""

    @pytest.fixture
    def both(self):
        """A small catalogue without people, and with them."""
        truth = draw_truth(np.random.default_rng(1), 40, 9, Strengths())
        return truth, with_people(np.random.default_rng(2), truth, 8.0)

    def test_they_are_further_columns(self, both):
        """Named as a catalogue names them; themes stay as they were, and each group of shares sums to 1."""
        without, truth = both
        assert [name for name in truth.names if not name.startswith("cast:")] == without.names
        assert np.array_equal(truth.tags[:, :, :THEMES], without.tags)
        assert np.array_equal(truth.members[:, :THEMES], without.members)
        assert truth.members[:, THEMES:].sum(axis=1) == pytest.approx(np.ones(MEMBERS))
        shown = truth.tags[:, :, THEMES:] > 0
        assert (shown.any(axis=1).sum(axis=1) <= 4).all()
        assert 0.5 < shown.sum(axis=2).mean() < 2.0

    def test_those_who_like_whom_an_artwork_shows_play_it_more(self, both):
        """And the others do so less, so that play rates stay what they are."""
        without, truth = both
        title = np.repeat(np.arange(40), 500)
        member = np.tile(np.arange(500), 40)
        chance = truth.chance(title, truth.members[member])
        before = without.chance(title, without.members[member])
        liking = np.einsum("nkf,nf->nk", truth.tags[title][:, :, THEMES:], truth.members[member][:, THEMES:])
        assert (chance - before)[liking > 0.3].mean() > 0.03
        assert (chance - before)[liking < 0.01].mean() < 0.0
        assert 0.9 < chance.mean() / before.mean() < 1.15


class TestWorlds:
    """Streams of visits."""

    @pytest.mark.parametrize("name", sorted(WORLDS))
    def test_the_same_seed_makes_the_same_world(self, name):
        """Visit by visit, and another seed another one."""
        one, same, other = (WORLDS[name](seed, 2000) for seed in (3, 3, 4))
        for _ in range(2):
            a, b, c = one.visits(), same.visits(), other.visits()
            assert all(np.array_equal(getattr(a, s), getattr(b, s), equal_nan=True) for s in Visits.__slots__)
            assert not np.array_equal(a.chance, c.chance, equal_nan=True)

    def test_the_best_single_artwork_reaches_two_fifths_of_the_gain(self):
        """In ``shared``, over seeds."""
        found = [play(WORLDS["shared"](seed, 2000), "best-single")[-1].share for seed in range(1, 6)]
        assert 0.3 < np.mean(found) < 0.5

    def test_only_in_the_shared_world_do_tags_say_something(self):
        """How well taste and tags agree goes with the chance of a play; in the idiosyncratic world it does not."""
        agree = {}
        for name in ("shared", "idiosyncratic"):
            world = WORLDS[name](1, 3000)
            visits = world.visits()
            match = np.einsum("nf,nkf->nk", visits.taste, world.truth.tags[visits.title])
            relative = visits.chance / visits.chance.mean(axis=1, keepdims=True)
            agree[name] = np.corrcoef((match - match.mean(axis=1, keepdims=True)).ravel(), relative.ravel())[0, 1]
        assert agree["shared"] > 0.4
        assert abs(agree["idiosyncratic"]) < 0.1

    def test_in_the_null_world_nothing_matters(self):
        """Every policy earns exactly what uniform choice earns, and there is no share to speak of."""
        rows = {name: play(WORLDS["null"](1, 2000), name) for name in ("uniform", "oracle", "thompson")}
        assert len({round(found[-1].take_rate, 12) for found in rows.values()}) == 1
        assert all(row.share is None for found in rows.values() for row in found)

    def test_a_few_titles_of_the_sparse_world_get_most_visits(self):
        """It has a long tail: most titles are not visited at all in the beginning."""
        world = WORLDS["sparse"](1, 3000)
        counts = np.bincount(np.concatenate([world.visits().title for _ in range(3)]), minlength=5000)
        assert (counts == 0).mean() > 0.7
        assert counts[:50].sum() > 1000

    def test_launched_titles_and_artworks_come_when_they_should(self):
        """Not shown before; counted by title from then on."""
        world = WORLDS["launch"](1, 2000)
        before = [world.visits(), world.visits()]
        assert all((v.title < world.OLD).all() and np.isnan(v.chance[:, 9]).all() for v in before)
        assert all(not counted.any() for v in before for counted in world.counted(v).values())
        seen = dict.fromkeys(range(len(world.offered)), 0)
        for _ in range(3):
            visits = world.visits()
            counted = world.counted(visits)
            new, old = visits.title >= world.OLD, visits.title < world.NEW
            assert 300 < new.sum() < 500
            assert np.isnan(visits.chance[new, 9]).all()
            assert np.isfinite(visits.chance[old]).all()
            for i, title in enumerate(visits.title.tolist()):
                seen[title] += 1
                assert counted["launch"][i] == (seen[title] if title >= world.OLD else 0)
                assert counted["launch-artwork"][i] == (seen[title] if title < world.NEW else 0)

    def test_late_rewards_take_up_to_an_hour_and_so_does_the_launch(self):
        """1 to 60 minutes; a launched title's first 1,000 impressions take an hour."""
        world = WORLDS["late"](1, 1000)
        visits = [world.visits() for _ in range(51)][1:]
        delay = np.concatenate([v.delay_ms for v in visits])
        assert 60_000 <= delay.min() < 120_000
        assert WINDOW_MS - 60_000 < delay.max() <= WINDOW_MS
        took = visits[-1].shown_ms[-1] - visits[0].shown_ms[0]
        assert abs(took / WINDOW_MS - 1.0) < 0.01
        assert abs(sum((v.title == world.OLD).sum() for v in visits) - 1000) < 150

    def test_drift_turns_half_way(self):
        """The best artworks are others afterwards, for the same members and titles."""
        world = WORLDS["drift"](1, 4000)
        before, mattered = world.best_single(), world.truth.matter > 0
        world.visits(), world.visits()
        assert np.array_equal(world.best_single(), before)
        world.visits()
        assert (world.best_single() != before).mean() > 0.7
        assert np.array_equal(world.truth.matter > 0, ~mattered)


class TestFeedback:
    """Who hears what when."""

    def test_at_once(self):
        """Impressions with what came of them."""
        heard = Feedback("at once").hear(shown(some_visits(delay_ms=60_000), 0))
        assert (len(heard.shown), len(heard.rewarded)) == (4, 4)

    def test_as_they_come(self):
        """Impressions at once; rewards when they are due, once."""
        feedback = Feedback("as they come")
        first = feedback.hear(shown(some_visits(delay_ms=60_000), 0))
        assert (len(first.shown), len(first.rewarded)) == (4, 0)
        unrewarded = feedback.hear(shown(some_visits(2, shown_ms=59_999), 1))
        assert (len(unrewarded.shown), len(unrewarded.rewarded)) == (2, 0)
        due = feedback.hear(shown(some_visits(3, shown_ms=60_000), 1))
        assert (len(due.shown), len(due.rewarded), due.rewarded.reward.sum()) == (3, 4, 4.0)
        assert len(feedback.hear(shown(some_visits(shown_ms=90_000), 1)).rewarded) == 0

    def test_joined(self):
        """Both, once the window has closed."""
        feedback = Feedback("joined")
        first = feedback.hear(shown(some_visits(delay_ms=60_000), 0))
        assert (len(first.shown), len(first.rewarded)) == (0, 0)
        closed = feedback.hear(shown(some_visits(2, shown_ms=WINDOW_MS), 1))
        assert (len(closed.shown), len(closed.rewarded)) == (4, 4)


class TestTally:
    """Shares are of true expected rewards."""

    def test_share_so_far_and_since_the_mark_before(self):
        """Artwork 0 is the oracle's, artwork 1 earns nothing; uniform choice earns a half."""
        tally = Tally((2, 4, 100))
        tally.add(np.array([1, 2, 3, 4]), some_visits(), np.array([0, 0, 1, 1]))
        tally.add(np.array([0, 5, 0, 0]), some_visits(), np.array([1, 1, 1, 1]))
        first, second = tally.rows("w", 1, "p", through=5)
        assert (first.impressions, first.take_rate, first.share, first.share_now) == (2, 1.0, 1.0, 1.0)
        assert (second.impressions, second.take_rate, second.share, second.share_now) == (4, 0.5, 0.0, -1.0)

    def test_the_references_are_what_shares_are_measured_by(self):
        """Uniform choice has none of the gain, the oracle all of it, whatever the draws."""
        oracle = play(WORLDS["shared"](5, 3000), "oracle")
        assert [row.impressions for row in oracle] == [1000, 3000]
        assert [row.share for row in oracle] == pytest.approx([1.0, 1.0])
        assert abs(play(WORLDS["shared"](5, 3000), "uniform")[-1].share) < 0.05


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
        monkeypatch.setattr(Ours, "learn", lambda self, heard: seen.append(prior._CAUTION))
        policy = Without(WORLDS["shared"](1, 1000), PARTS["ours-incautious"])
        policy.learn(None)
        assert seen == [1.0]
        assert prior._CAUTION > 1.0

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
            pytest.param(np.sqrt, id="too large"),
            pytest.param(lambda p: p**1.5, id="too small"),
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


class TestCommand:
    """``keyart bench``."""

    @pytest.fixture
    def keyart_bench(self, monkeypatch, capsys):
        """Runs a benchmark; what it printed, and what it complained of."""
        monkeypatch.setenv("COLUMNS", "100")

        def run(*arguments):
            monkeypatch.setattr(sys, "argv", ["keyart", "bench", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            return int(ended.value.code or 0), *capsys.readouterr()

        return run

    @pytest.fixture
    def keyart(self, keyart_bench):
        """Likewise ``keyart bench quality``."""
        return partial(keyart_bench, "quality")

    def test_rows_and_curves(self, keyart, tmp_path):
        """Options take several values; the file holds a row for each world, seed, policy and mark."""
        rows_file, curves = tmp_path / "rows.json", tmp_path / "curves.png"
        code, table, _ = keyart(
            *("--world", "shared", "null", "--seed", "1", "2", "--policy", "oracle", "--policy", "thompson"),
            *("--impressions", "2000", "--json", str(rows_file)),
            *(("--plot", str(curves)) if find_spec("matplotlib") else ()),
        )
        assert code == 0
        rows = json.loads(rows_file.read_text())
        assert {(row["world"], row["seed"], row["policy"], row["impressions"]) for row in rows} == {
            (world, seed, policy, mark)
            for world in ("shared", "null")
            for seed in (1, 2)
            for policy in ("oracle", "thompson")
            for mark in (1000, 2000)
        }
        assert all({"take_rate", "share", "share_now"} <= row.keys() for row in rows)
        assert "shared, 2,000 impressions, 2 seeds" in table
        assert "1.000 ± 0.000" in table
        if find_spec("matplotlib"):
            assert curves.read_bytes().startswith(b"\x89PNG")

    def test_values_from_logs(self, keyart_bench, tmp_path):
        """``keyart bench ips``: a row for each log and policy."""
        rows_file = tmp_path / "rows.json"
        code, table, _ = keyart_bench(
            *("ips", "--seed", "1", "--learn", "1000", "--keep", "1000", "--json", str(rows_file))
        )
        assert code == 0
        assert "seeds 1: 1,000 impressions each, after 1,000" in table
        assert len(json.loads(rows_file.read_text())) == 12

    def test_flicker(self, keyart_bench, tmp_path):
        """``keyart bench flicker``: a row for each seed, kind of week and number of looks a day."""
        rows_file = tmp_path / "rows.json"
        small = ("--weeks", "2", "--old", "2", "--new", "1", "--a-day", "10")
        code, table, _ = keyart_bench("flicker", "--seed", "1", "2", *small, "--json", str(rows_file))
        assert code == 0
        assert "seed 2: 2 + 1 titles" in table
        found = json.loads(rows_file.read_text())
        assert len(found) == 16
        assert {(row["seed"], row["looks_a_day"]) for row in found} == {(1, 1), (1, 4), (2, 1), (2, 4)}
        assert all(row["changed_again"] == 0 for row in found if row["week"] == "fixed evidence")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [(["--world", "flat"], "'flat' is no world: shared, "), (["--policy", "best"], "'best' is no policy: ")],
    )
    def test_what_there_is_not(self, arguments, said, keyart):
        """One sentence that names what there is."""
        code, _, complaint = keyart(*arguments)
        assert (code, complaint.count("\n")) == (65, 1)
        assert said in complaint

    def test_a_peer_that_is_not_installed_is_left_out_aloud(self, keyart, monkeypatch):
        """A line names it and the extra that brings it."""
        monkeypatch.setattr(roster, "missing", lambda library: library == "mabwiser")
        code, table, said = keyart("--policy", "uniform", "mabwiser-lints", "--seed", "1", "--impressions", "1000")
        assert code == 0
        assert "left out without mabwiser (pip install 'keyart[bench]'): mabwiser-lints" in said
        assert "uniform" in table
        assert "lints" not in table

    def test_curves_without_the_library(self, keyart, monkeypatch):
        """It says so before it works for minutes."""
        monkeypatch.setattr(roster, "missing", lambda library: True)
        code, _, complaint = keyart("--plot", "curves.png")
        assert code == 78
        assert "keyart[bench]" in complaint

    def test_without_a_checkout(self, keyart, monkeypatch):
        """The benchmarks are not installed: one sentence says what to do."""
        monkeypatch.setitem(sys.modules, "benchmarks", None)
        monkeypatch.setitem(sys.modules, "benchmarks.quality", None)
        code, _, complaint = keyart()
        assert code == 78
        assert "needs a checkout" in complaint
        assert "Traceback" not in complaint


class TestTable:
    """What several seeds say together."""

    def test_interval(self):
        """Student's t: of 1, 2, 3 the mean is 2, and half the 95 % interval 4.303 / sqrt(3)."""
        estimate = Estimate.of([1.0, 2.0, 3.0])
        assert estimate.mean == 2.0
        assert estimate.half == pytest.approx(4.302653 / 3**0.5)
        assert Estimate.of([1.0, None]) is None

    def test_best_peer(self):
        """Shares are relative to the best peer that is not told the tags, and to the best one that is."""
        shares = {"ours": 0.8, "thompson": 0.1, "river-linucb": 0.2, "vw-bag-tags": 0.4}
        found = lines(Row("shared", 1, policy, 1000, 0.1, share, share) for policy, share in shares.items())
        by_policy = {line.policy: line for line in found}
        assert by_policy["ours"].of_peers == pytest.approx(4.0)
        assert by_policy["ours"].of_tagged == pytest.approx(2.0)
        assert len(tables(found)) == 1

    def test_recovery(self):
        """Before the turn, right after it, and one half-life later."""
        now = [0.1] * 9 + [0.8, 0.3, 0.5, 0.6, 0.72] + [0.9] * 6
        rows = [Row("drift", 1, "ours", 10 * i, 0.1, 0.5, share) for i, share in enumerate(now, 1)]
        other = [replace(row, seed=2, share_now=row.share_now / 2) for row in rows]
        (found,) = recoveries(rows + other)
        assert [str(part) for part in (found.before, found.after, found.later)] == [
            "0.600 ± 2.541",
            "0.225 ± 0.953",
            "0.540 ± 2.287",
        ]
        assert found.recovered.mean == pytest.approx(0.9)
        assert found.recovered.half == pytest.approx(0.0, abs=1e-9)
        assert recoveries(rows[:19]) == []
        assert "0.540" in printed(recovery_table([found]))


def test_policies_that_say_something_in_a_world():
    """What differs only where rewards are late, or where things change, is compared there alone."""
    assert "ours-joined" not in fitting("shared")
    assert "ours-joined" in fitting("late")
    turning = [one.policy for one in plan(["drift"], [1], None, 1000)]
    assert {"ours-forgetting", "ours-detecting"} <= set(turning)
    assert not {"ours-forgetting", "ours-detecting", "ours-without-cast"} & set(fitting("shared"))
