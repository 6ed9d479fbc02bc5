"""The estimators: equal to the Open Bandit Pipeline's own on its own data, and right where the truth is known."""

from __future__ import annotations

import numpy as np
import obp_estimators
import pytest

from consumers.evaluation.openbandit import OpenBandit
from consumers.evaluation.source import Wanted, open_log
from producers.openbandit import Behaviour, Campaign, survey
from stream.choosing.propensity import win_probabilities
from stream.evaluation import estimators
from stream.evaluation.chances import win_chances
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.log import Batch, Columns
from stream.evaluation.policies import BestSingle, Thompson, Uniform
from stream.settings import Settings

LOGS = [(behaviour, campaign) for campaign in Campaign for behaviour in Behaviour]


@pytest.fixture(scope="module")
def theirs():
    """The pipeline's estimators."""
    return obp_estimators.load()


@pytest.fixture(scope="module", params=LOGS, ids=lambda log: f"{log[0]}-{log[1]}")
def inputs(request, open_bandit_sample):
    """All 10,000 rows of a log, and a policy, a policy that is certain, and a model of rewards for them.

    The policy prefers items by chance and by the context; the model is off at random. Titles are the pipeline's
    positions.
    """
    behaviour, campaign = request.param
    log = open_log(OpenBandit(survey(open_bandit_sample, campaign, behaviour), Settings()), Wanted())
    batch = Columns(log.roster, log.rewards).batch(list(log.impressions()))
    assert len(batch) == 10_000
    rng = np.random.default_rng([3, len(log.roster.offers[0].artwork_ids)])
    scores = rng.normal(size=(3, batch.most))[batch.offer] + batch.context @ rng.normal(
        size=(batch.context.shape[1], batch.most)
    )
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    certain = np.eye(batch.most)[scores.argmax(axis=1)]
    expected = rng.uniform(0.0, 0.02, size=(10_000, batch.most))
    return batch, chances, certain, expected


def told(batch: Batch, chances: np.ndarray, expected: np.ndarray) -> dict[str, np.ndarray]:
    """The same as the pipeline's arguments: an axis for positions is put to arrays of items."""
    wide = np.zeros((len(batch), batch.most, 3))
    wide[np.arange(len(batch)), :, batch.offer] = chances
    model = np.zeros_like(wide)
    model[np.arange(len(batch)), :, batch.offer] = expected
    # Of the positions not shown the pipeline only wants to see that chances sum to 1.
    wide[:, 0][wide.sum(axis=1) == 0] = 1.0
    return {
        "reward": batch.reward,
        "action": batch.place,
        "position": batch.offer,
        "pscore": batch.propensity,
        "action_dist": wide,
        "estimated_rewards_by_reg_model": model,
    }


class TestOpenBanditPipeline:
    """On all three campaigns and both behaviours, to 1e-9."""

    def test_replay(self, theirs, inputs):
        """Of a policy that is certain: the pipeline's replay knows no other."""
        batch, _, certain, expected = inputs
        earned, match = estimators.replay(certain.argmax(axis=1), batch.place, batch.reward)
        assert match.sum() > 50
        wanted = theirs.ReplayMethod().estimate_policy_value(**told(batch, certain, expected))
        assert earned.mean() / match.mean() == pytest.approx(wanted, abs=1e-9)

    @pytest.mark.parametrize("policy", ["soft", "certain"])
    @pytest.mark.parametrize("name", ["ips", "snips", "dm", "dr", "switch_dr"])
    def test_the_others(self, theirs, inputs, name, policy):
        """Of a policy that draws and of one that is certain."""
        batch, chances, certain, expected = inputs
        pi = chances if policy == "soft" else certain
        weight = estimators.weights(pi, batch.place, batch.propensity)
        rest = pi, expected, batch.place, weight, batch.reward
        match name:
            case "ips":
                found, their = estimators.ips(weight, batch.reward).mean(), theirs.InverseProbabilityWeighting()
            case "snips":
                earned, weights = estimators.snips(weight, batch.reward)
                found, their = earned.mean() / weights.mean(), theirs.SelfNormalizedInverseProbabilityWeighting()
            case "dm":
                found, their = estimators.dm(pi, expected).mean(), theirs.DirectMethod()
            case "dr":
                found, their = estimators.dr(*rest).mean(), theirs.DoublyRobust()
            case _:
                assert (weight > estimators.SWITCH).any()
                found, their = estimators.switch_dr(*rest).mean(), theirs.SwitchDoublyRobust(estimators.SWITCH)
        wanted = their.estimate_policy_value(**told(batch, pi, expected))
        assert policy == "certain" or wanted > 0
        assert found == pytest.approx(wanted, abs=1e-9)


class TestStreaming:
    """A log read in batches gives what its rows give all at once."""

    @pytest.mark.parametrize("size", [997, 10_000])
    def test_sums_are_the_rows(self, theirs, open_bandit_sample, size):
        """IPS, SNIPS and replay of a whole evaluation equal the pipeline's of the chances that policies had.

        Doubly robust estimates do as well, given what the reward model expected of each batch.
        """
        log = open_log(OpenBandit(survey(open_bandit_sample, Campaign.MEN, Behaviour.BTS), Settings()), Wanted())
        records = list(log.impressions())
        columns = Columns(log.roster, log.rewards)
        policies = [Uniform(), BestSingle("best", log.roster), Thompson("thompson", log.roster)]
        asked: dict[str, list[np.ndarray]] = {policy.name: [] for policy in policies}
        expected: list[np.ndarray] = []
        for policy in policies:
            chances = policy.chances
            policy.chances = lambda batch, ask=chances, of=policy.name: (
                asked[of].append(ask(batch)) or asked[of][-1]
            )
        evaluation = Evaluation(log.roster, policies)
        model = evaluation._model.expected
        evaluation._model.expected = lambda batch: expected.append(model(batch)) or expected[-1]
        whole = columns.batch(records)
        for begin in range(0, len(whole), size):
            evaluation.add(whole.rows(np.arange(begin, min(begin + size, len(whole)))))
        found = evaluation.found()
        known = np.concatenate([part[1] for part in expected])
        for policy in policies:
            inputs = told(whole, np.concatenate(asked[policy.name]), known)
            for name, their in (
                ("ips", theirs.InverseProbabilityWeighting()),
                ("snips", theirs.SelfNormalizedInverseProbabilityWeighting()),
                ("dr", theirs.DoublyRobust()),
                ("switch_dr", theirs.SwitchDoublyRobust(estimators.SWITCH)),
            ):
                value = found.estimate(policy.name, name).interval.value
                assert value == pytest.approx(their.estimate_policy_value(**inputs), abs=1e-9)


class TestChances:
    """How likely Thompson sampling is to choose each artwork."""

    @pytest.mark.parametrize("count", [2, 3, 6, 20, 80])
    def test_they_are_what_would_be_logged(self, count):
        """Each equals the propensity that a node logs, whatever the widths; they sum to 1."""
        rng = np.random.default_rng(count)
        mean = rng.normal(0.1, 0.05, size=(200, count))
        sd = np.exp(np.where(np.arange(200) < 100, rng.uniform(-12.0, -1.0), rng.uniform(-5.0, -3.0))[:, None])
        sd = sd * np.exp(rng.uniform(-2.0, 2.0, size=mean.shape))
        found = win_chances(mean, sd)
        assert found.sum(axis=1) == pytest.approx(1.0, abs=1e-12)
        for chosen in range(count):
            logged = win_probabilities(mean, sd, np.full(200, chosen))
            assert found[:, chosen] == pytest.approx(logged, abs=1e-5)

    def test_one_artwork_is_certain(self):
        """There is nothing else to show."""
        assert win_chances(np.array([[0.3]]), np.array([[0.1]])).tolist() == [[1.0]]
