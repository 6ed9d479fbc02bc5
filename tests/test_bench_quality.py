"""The benchmark of choices: worlds keep what they promise, and rows say what was earned."""

import numpy as np
import pytest

from benchmarks.quality.audience import MEMBERS, THEMES, Strengths, dealt_anew, draw_truth, with_people
from benchmarks.quality.feedback import WINDOW_MS, Feedback, Shown, Visits
from benchmarks.quality.run import Tally, play
from benchmarks.quality.worlds import WORLDS


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

    def test_titles_of_the_wide_world_are_played_often_and_seldom(self):
        """Fifty times as often at the most, and nothing is more likely than certain."""
        world = WORLDS["wide"](1, 1000)
        rate, visits = world.truth.rate, world.visits()
        assert 10.0 < rate.max() / rate.min() <= 50.0
        assert visits.chance.max() <= 1.0
        assert np.bincount(visits.title, minlength=30).min() > 0

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
