"""Policies: each has learned from earlier rows alone, and Keyart is Keyart itself."""

from __future__ import annotations

import sys
from types import ModuleType

import msgspec
import numpy as np
import pytest
from builders import messages_of
from prometheus_client import CollectorRegistry

from benchmarks.arrived import ANY_TIME
from benchmarks.evaluation.logs import explored
from consumers.catalogue_view import CatalogueView
from consumers.evaluation.lineup import lineup, parse_changes
from consumers.learner import LearnerTask
from stream.choosing.propensity import win_probabilities
from stream.choosing.servable import ServableTitle
from stream.codec import decode
from stream.errors import ConfigurationError, InputError
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Batch, Columns, Heard, Hearing, batches
from stream.evaluation.ours import Ours, _change
from stream.evaluation.policies import BestSingle, Custom, Thompson, Uniform, custom, drawn
from stream.metrics import WorkerMetrics
from stream.records import Impression, Snapshot
from stream.settings import UNLIMITED, Settings
from stream.topics import IMPRESSIONS, REWARDS


@pytest.fixture(scope="module")
def log():
    """4,000 impressions by uniform choice."""
    return explored(1, 4000)


@pytest.fixture(scope="module")
def batch(log):
    """All of them."""
    return Columns(log.roster, log.rewards).batch(log.impressions)


def heard(log, batch: Batch) -> Heard:
    """All of it, with every reward."""
    whole = Hearing(log.roster)
    at_last = batch.rows(np.arange(1))
    at_last.shown_ms[:] = log.end_ms
    first = whole.hear(batch)
    rest = whole.hear(at_last).rewarded
    rewarded = np.concatenate([first.rewarded.identity, rest.identity])
    both = batch.rows(np.isin(batch.identity, rewarded))
    return Heard(batch, first.artwork, both, log.roster.starts[both.offer] + both.place)


class TestOurs:
    """Keyart as a policy."""

    @pytest.mark.parametrize(
        "settings",
        [{}, {"exploration": 1.0, "uniform_floor": 0.1}, {"hold": 0.0}, {"impressions_per_hour": 1}],
        ids=str,
    )
    def test_it_shows_what_a_node_shows_after_the_learner_has_learned_the_same(self, log, batch, settings):
        """Chances equal the propensities from a learner's snapshots, read as bytes: to 1e-5, for every artwork."""
        chosen = Settings.model_construct(**(ANY_TIME | UNLIMITED | {"shared_prior": False} | settings))
        ours = Ours("ours", chosen, log.roster)
        after = heard(log, batch)
        ours.learn(after)
        some = batch.rows(np.arange(300))
        some.context[:20, 1:] = 0.0  # members without a taste
        found = ours.chances(some)

        # Themes that nobody has are features of the live learner's, and say nothing.
        features = tuple(name for name in log.roster.features if name != "bias")
        live = chosen.model_copy(update={"features": features, "worker_id": "test"})
        catalogue = CatalogueView()
        catalogue.apply(messages_of(log.titles))
        task = LearnerTask(0, live, catalogue, WorkerMetrics(CollectorRegistry()), lambda: None)
        impressions = [
            msgspec.convert(msgspec.to_builtins(one) | {"snapshot_version": None}, Impression)
            for one in after.shown.records
        ]
        rewards = [
            _change(record, reward, at_ms)
            for record, reward, at_ms in zip(
                after.rewarded.records,
                after.rewarded.reward.tolist(),
                after.rewarded.reward_ms.tolist(),
                strict=True,
            )
        ]
        task.handle(IMPRESSIONS, messages_of(impressions))
        task.handle(REWARDS, messages_of(rewards))
        served = {
            output.key.decode(): ServableTitle(decode(Snapshot, output.value, limit=None))
            for output in task.publish(0, float("inf"))
        }
        for row in range(300):
            record, count = batch.records[row], int(batch.count[row])
            mean, sd = served[record.title_id].scores({} if row < 20 else record.context, "personal")
            sd = np.maximum(chosen.exploration * sd, 1e-9)
            each = np.arange(count)
            wins = win_probabilities(np.tile(mean, (count, 1)), np.tile(sd, (count, 1)), each)
            floor = chosen.uniform_floor
            assert found[row, :count] == pytest.approx((1 - floor) * wins + floor / count, abs=1e-5)

    def test_titles_teach_each_other(self, log, batch):
        """With a shared prior an artwork that was never shown is not taken to be like any other."""
        settings = Settings.model_construct(**UNLIMITED)
        title = log.roster.offers[0].title_id
        others = batch.rows(np.array([record.title_id != title for record in batch.records]))
        about = batch.rows(np.array([record.title_id == title for record in batch.records]))
        spread = {}
        for shared in (True, False):
            ours = Ours("ours", settings.model_copy(update={"shared_prior": shared}), log.roster)
            ours.learn(heard(log, others))
            spread[shared] = float(np.ptp(ours.chances(about), axis=1).mean())
        assert spread[False] == pytest.approx(0.0, abs=1e-6)
        assert spread[True] > 0.2

    def test_what_was_never_learned_is_shown_uniformly_or_by_its_tags(self, log, batch):
        """Before anything is heard chances are there, and sum to 1."""
        found = Ours("ours", Settings.model_construct(), log.roster).chances(batch)
        assert found.sum(axis=1) == pytest.approx(1.0)


class TestPlain:
    """Policies that see no context."""

    def test_uniform(self, batch):
        """One over the number of artworks of each title, and nothing beyond them."""
        found = Uniform().chances(batch)
        rows = np.arange(len(batch))
        assert found[rows, batch.place] == pytest.approx(1.0 / batch.count)
        assert ((found > 0).sum(axis=1) == batch.count).all()

    def test_best_single(self, log, batch):
        """The artwork that has earned most a look, after shrinking to its title; any, before anything is known."""
        best = BestSingle("best", log.roster)
        assert best.chances(batch) == pytest.approx(Uniform().chances(batch))
        best.learn(heard(log, batch))
        found = best.chances(batch)
        assert found.max(axis=1).min() >= 0.5  # two may have done equally well
        busiest = int(np.bincount(batch.offer).argmax())
        rows = batch.rows(batch.offer == busiest)
        shown = np.bincount(rows.place, minlength=int(rows.count[0]))
        earned = np.bincount(rows.place, rows.reward, int(rows.count[0]))
        mean = earned.sum() / shown.sum()
        strength = (1 - mean) / (mean * 0.25)
        wanted = np.argmax((earned + strength * mean) / (shown + strength))
        assert found[batch.offer == busiest].argmax(axis=1).tolist() == [wanted] * len(rows)

    def test_thompson(self, log, batch):
        """Between the two: the better an artwork has done the likelier it is, and none is ruled out at once."""
        thompson, best = Thompson("thompson", log.roster), BestSingle("best", log.roster)
        for policy in (thompson, best):
            policy.learn(heard(log, batch))
        found, best_one = thompson.chances(batch), best.chances(batch).argmax(axis=1)
        assert found.sum(axis=1) == pytest.approx(1.0)
        assert (found.argmax(axis=1) == best_one).mean() > 0.9
        assert 0.2 < found.max(axis=1).mean() < 0.99

    def test_draws(self):
        """A draw in the first fifth of probabilities 0.2, 0, 0.8 is the first, any other the last."""
        chances = np.tile([0.2, 0.0, 0.8], (4, 1))
        assert drawn(chances, np.array([0.0, 0.19, 0.21, 1.0])).tolist() == [0, 0, 2, 2]


class Spy:
    """A policy that notes what it was asked and told."""

    name, learns = "spy", True

    def __init__(self) -> None:
        self.told: set[str] = set()
        self.through_ms = 0

    def chances(self, batch: Batch) -> np.ndarray:
        """Never about a row that it was told of."""
        assert not self.told & {record.impression_id for record in batch.records}
        assert (batch.shown_ms >= self.through_ms).all()
        return Uniform().chances(batch)

    def learn(self, heard: Heard) -> None:
        """Never of a reward that nobody could know."""
        self.through_ms = int(heard.shown.shown_ms.max())
        assert (heard.rewarded.reward_ms <= self.through_ms).all()
        assert not self.told & {record.impression_id for record in heard.shown.records}
        self.told |= {record.impression_id for record in heard.shown.records}


class TestProgressive:
    """Judged first, learned from afterwards."""

    def test_nobody_sees_the_future(self, log):
        """Every row is judged before it is told, every reward is heard when it was known, and none is left out."""
        spy, heard_of = Spy(), list[str]()
        learn = spy.learn
        spy.learn = lambda heard: (
            learn(heard),
            heard_of.extend(one.impression_id for one in heard.rewarded.records),
        )
        Evaluation(log.roster, [spy]).run(batches(log.impressions, Columns(log.roster, log.rewards)))
        assert len(spy.told) == 4000
        due = {one.impression_id for one in log.earned if one.known_ms <= log.impressions[-1].shown_ms}
        assert sorted(heard_of) == sorted(due)

    def test_a_policy_that_remembers_answers_gains_nothing(self, log):
        """One that shows what has just earned something to the same member is valued like any other guess."""

        class Cheat:
            name, learns = "cheat", True

            def __init__(self) -> None:
                self.known = {}

            def chances(self, batch):
                found = Uniform().chances(batch)
                for row, record in enumerate(batch.records):
                    if record.impression_id in self.known:
                        found[row] = 0.0
                        found[row, batch.place[row]] = self.known[record.impression_id]
                return found

            def learn(self, heard):
                for record, reward in zip(heard.shown.records, heard.shown.reward, strict=True):
                    self.known[record.impression_id] = reward

        found = Evaluation(log.roster, [Cheat(), Uniform()]).run(
            batches(log.impressions, Columns(log.roster, log.rewards))
        )
        assert found.estimate("cheat").interval == found.estimate("uniform").interval


def always_first(title_id, artwork_ids, context):
    """The first artwork."""
    return artwork_ids[0]


class Counting:
    """Shows what was rewarded most often."""

    def __init__(self) -> None:
        self.heard: list[tuple] = []

    def __call__(self, title_id, artwork_ids, context):
        """Any, equally likely."""
        return [1.0 / len(artwork_ids)] * len(artwork_ids)

    def shown(self, *told):
        """An impression."""
        self.heard.append(told)

    def rewarded(self, *told):
        """A reward."""
        self.heard.append(told)


class TestCustom:
    """An app's own policy, by a dotted name."""

    @pytest.fixture(autouse=True)
    def module(self, monkeypatch):
        """A module of the app's."""
        mine = ModuleType("my_app")
        mine.always_first, mine.Counting, mine.number = always_first, Counting, 7
        mine.wrong = lambda *_: "nothing"
        mine.unequal = lambda *_: [0.5, 0.1]
        monkeypatch.setitem(sys.modules, "my_app", mine)

    @pytest.mark.parametrize("name", ["my_app.always_first", "my_app:always_first"])
    def test_a_function(self, name, log, batch):
        """It is asked row by row; the name of an artwork is a certain choice."""
        found = custom(name, log.roster).chances(batch)
        assert found[:, 0].tolist() == [1.0] * len(batch)

    def test_a_class_that_learns(self, log, batch):
        """It is made, and told what was heard; one that is told nothing does not learn."""
        policy = custom("my_app.Counting", log.roster)
        assert policy.learns
        assert not custom("my_app.always_first", log.roster).learns
        assert policy.chances(batch) == pytest.approx(Uniform().chances(batch))
        policy.learn(heard(log, batch))
        told = policy._choose.heard
        assert len(told) == len(batch) + len(log.earned)
        assert {len(one) for one in told} == {3, 4}

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("my_app.absent", "absent"),
            ("no_such_module.policy", "no_such_module"),
            ("my_app.number", "cannot be called"),
            ("plain", "module.function"),
        ],
    )
    def test_what_is_no_policy(self, name, said, log):
        """One sentence that names it."""
        with pytest.raises(InputError, match=said):
            custom(name, log.roster)

    @pytest.mark.parametrize(
        ("name", "said"), [("wrong", "'nothing' is no artwork"), ("unequal", "that sum to 1")]
    )
    def test_answers_that_are_none(self, name, said, log, batch):
        """They are not valued as if they were."""
        with pytest.raises(InputError, match=said):
            custom(f"my_app.{name}", log.roster).chances(batch)

    def test_a_policy_of_the_same_kind(self, log):
        """Policies are compared by what they do: one's own uniform choice earns what Keyart's does."""
        mine = Custom("mine", Counting(), log.roster)
        found = Evaluation(log.roster, [mine, Uniform()]).run(
            batches(log.impressions, Columns(log.roster, log.rewards))
        )
        assert found.estimate("mine").interval == pytest.approx(found.estimate("uniform").interval)


class TestLineup:
    """By the names that a person gives."""

    def test_all(self, log):
        """Without names every policy that Keyart knows, and the changed one at the end."""
        found = lineup([], {"exploration": "0.7"}, Settings(), log.roster)
        assert [policy.name for policy in found] == [
            "uniform",
            "best",
            "thompson",
            "ours",
            "ours (exploration=0.7)",
        ]
        assert found[-1]._exploration == 0.7

    def test_some(self, log):
        """In their order, each once; the logged one needs no policy."""
        found = lineup(["ours", "logged", "uniform", "ours"], {}, Settings(), log.roster)
        assert [policy.name for policy in found] == ["ours", "uniform"]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ("exploration", "name=value"),
            ("partitions=3", "makes no difference"),
            ("explorasion=1", "is not a setting"),
        ],
    )
    def test_changes_that_are_none(self, change, said):
        """One sentence that names the setting."""
        with pytest.raises(InputError, match=said):
            parse_changes([change])

    def test_a_wrong_value(self, log):
        """As for any setting."""
        with pytest.raises(ConfigurationError, match="exploration"):
            lineup([], {"exploration": "much"}, Settings(), log.roster)

    def test_no_such_policy(self, log):
        """It says which there are."""
        with pytest.raises(InputError, match="uniform, best, thompson, ours"):
            lineup(["linucb"], {}, Settings(), log.roster)
