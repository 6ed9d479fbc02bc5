"""The checks: each kind of lying log is found by the check named for it, and an honest log by none."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from benchmarks.evaluation.lies import HONEST, LIES, findings
from benchmarks.evaluation.logs import KnownLog, explored
from consumers.evaluation.source import Earned
from stream.choosing.choice import key_of, policy_of
from stream.evaluation.checks import Checks, Finding, Split
from stream.evaluation.checks.people import SampleRatio
from stream.evaluation.checks.repeats import DistinctSample, mixed
from stream.evaluation.evaluation import Evaluation
from stream.evaluation.intervals import Interval
from stream.evaluation.log import Columns, Hearing, Logged, batches
from stream.evaluation.ours import Ours
from stream.evaluation.policies import Uniform, drawn
from stream.evaluation.rewards import Rewards
from stream.settings import Settings


@pytest.fixture(scope="module")
def log():
    """12,000 impressions by uniform choice."""
    return explored(1, 12_000)


def names(found: list[Finding]) -> list[str]:
    """Which checks have found something."""
    return [finding.check for finding in found]


def chosen_by_keyart(log: KnownLog, settings: Settings, *, of_next: bool) -> KnownLog:
    """The same visits, had Keyart chosen for them while it learned; with the propensities it would have logged.

    With ``of_next`` these are a lie: those of the title's next artwork.
    """
    rng = np.random.default_rng([1, 22])
    roster, keyart = log.roster, Ours("ours", settings, log.roster)
    hearing, earned, shown = Hearing(roster), list[Earned](), list[Logged]()
    for batch in batches(log.impressions, Columns(roster, Rewards())):
        chances = keyart.chances(batch)
        place, rewards = drawn(chances, rng.random(len(batch))), Rewards()
        records = []
        for row, record in enumerate(batch.records):
            ids = roster.offers[int(batch.offer[row])].artwork_ids
            p = float(chances[row, (place[row] + of_next) % len(ids)])
            changed = msgspec.structs.replace(record, artwork_id=ids[place[row]], policy="personal", propensity=p)
            records.append(changed)
            if rng.random() < log.chance[record.impression_id][place[row]]:
                earned.append(Earned(record.impression_id, 1.0, record.shown_ms + 45 * 60_000))
                rewards.add(*earned[-1])
        shown += records
        keyart.learn(hearing.hear(Columns(roster, rewards).batch(records)))
    return KnownLog(log.titles, shown, earned, log.end_ms, log.chance)


class TestLies:
    """Whole logs, as an evaluation reads them."""

    @pytest.mark.parametrize("name", LIES)
    def test_each_is_found_by_its_check(self, name, log):
        """Its name comes up, in a sentence that says what is wrong; rows twice are out of order as well."""
        make, expected = LIES[name]
        found = findings(make(log))
        assert set(names(found)) - {"order"} <= {expected}
        (finding,) = (one for one in found if one.check == expected)
        assert finding.wrong
        assert len(finding.sentence) > 60

    @pytest.mark.parametrize("name", HONEST)
    def test_honest_logs_are_let_pass(self, name, log):
        """Nothing is found where nothing is wrong."""
        assert findings(HONEST[name](log)) == []

    @pytest.mark.parametrize("seed", [1, 2])
    def test_what_keyart_chose_itself(self, seed):
        """Its own propensities match what it shows, to the letter; those of the next artwork do not."""
        visits, settings = explored(seed, 4000), Settings.model_construct()
        honest, lying = (chosen_by_keyart(visits, settings, of_next=lie) for lie in (False, True))
        # Uniform choice is another matter: of that a log of certain choices says little, and that is said.
        assert set(names(findings(honest))) <= {"overlap"}
        assert "propensities-mismatch" in names(findings(lying))

    def test_what_was_sent_twice_in_a_hurry_is_no_lie_yet_but_said(self, log):
        """Reading leaves repeats out: one in a hundred is how apps are, one in ten is a fault."""
        for share, wanted in ((0.01, []), (0.1, ["duplicates"])):
            checks = Checks(log.roster, log.end_ms, left_out=share)
            evaluation = Evaluation(log.roster, [Uniform()], checks)
            found = evaluation.run(batches(log.impressions, Columns(log.roster, log.rewards))).findings
            assert names(found) == wanted
            assert not any(finding.wrong for finding in found)

    def test_rewards_that_came_before(self, log):
        """A reward known an hour before its impression belongs to another."""
        early = [one._replace(known_ms=one.known_ms - 4 * 3_600_000) for one in log.earned]
        log_ = type(log)(log.titles, log.impressions, early, log.end_ms, log.chance)
        assert "future" in names(findings(log_))

    def test_a_log_too_short_to_say_anything(self):
        """Twenty impressions: it says so, and what it could not check."""
        log = explored(1, 20)
        checks = Checks(log.roster, log.end_ms)
        found = Evaluation(log.roster, [Uniform()], checks).run(
            batches(log.impressions, Columns(log.roster, log.rewards))
        )
        assert "too-few" in names(found.findings)
        assert set(found.unchecked) == {"future", "rewards-pending", "sample-ratio"}


def split_of(count: int, explore: float, popular: float) -> Split:
    """A split of so many members, by the rule that a node deals them by."""
    split = Split()
    for i in range(count):
        member = f"member-{i}"
        policy = policy_of(key_of(member), explore, popular)
        split.see(Logged(f"i{i}", 1, member, "t", "a", {}, policy))
    return split


class TestSampleRatio:
    """Members of each policy, held against the settings."""

    @pytest.mark.parametrize("seen", [1, 3])
    def test_a_split_by_the_rule(self, seen):
        """It is as it should be, however often each comes."""
        split = split_of(20_000, 0.1, 0.2)
        for _ in range(seen - 1):
            for i in range(0, 20_000, 3):
                member = f"member-{i}"
                split.see(Logged("i", 1, member, "t", "a", {}, policy_of(key_of(member), 0.1, 0.2)))
        assert sum(split.members.values()) == pytest.approx(20_000, rel=0.01)
        assert list(SampleRatio(split, {"explore": 0.1, "popular": 0.2, "personal": 0.7}).findings()) == []

    @pytest.mark.parametrize(
        ("shares", "said"),
        [
            (
                {"explore": 0.12, "popular": 0.2, "personal": 0.68},
                "have policy 'explore', by the settings it should",
            ),
            ({"popular": 0.2, "personal": 0.8}, "have policy 'explore', which by the settings nobody has"),
        ],
    )
    def test_a_split_that_is_off(self, shares, said):
        """It names the policy that is most off."""
        (finding,) = SampleRatio(split_of(20_000, 0.1, 0.2), shares).findings()
        assert finding.check == "sample-ratio"
        assert said in finding.sentence

    @pytest.mark.parametrize(
        ("split", "shares", "why"),
        [
            (split_of(50, 0.1, 0.2), {"explore": 0.02, "popular": 0.2, "personal": 0.78}, "too few"),
            (split_of(50, 1.0, 0.0), {"explore": 0.5, "popular": 0.5}, "one policy"),
            (split_of(50, 0.1, 0.2), None, "one policy"),
        ],
    )
    def test_what_cannot_be_checked_is_said(self, split, shares, why):
        """And nothing is found."""
        check = SampleRatio(split, shares)
        assert list(check.findings()) == []
        assert why in check.unchecked["sample-ratio"]


class TestOverlap:
    """How much a log says of a policy."""

    @pytest.mark.parametrize(
        ("weight", "samples", "largest", "said"),
        [
            (Interval(1.0, 0.98, 1.02), 5000.0, 0.001, None),
            (Interval(0.6, 0.5, 0.7), 5000.0, 0.001, "40 % of what it wants was hardly ever shown"),
            (Interval(1.0, 0.5, 1.5), 90.0, 0.01, "few impressions say much of it"),
            (Interval(1.0, 0.5, 1.5), 900.0, 0.07, "one impression alone decides 7 % of it"),
        ],
    )
    def test_what_is_said(self, log, weight, samples, largest, said):
        """By the mean weight, the effective sample size and the largest weight."""
        checks = Checks(log.roster, log.end_ms)
        checks._taken = 100
        found = checks.findings(10_000, 500, {"p": weight}, {"p": samples}, {"p": largest})
        said_so = [one.sentence for one in found if one.check == "overlap"]
        assert len(said_so) == (said is not None)
        assert all(said in sentence for sentence in said_so)


class TestDistinctSample:
    """Repeats in bounded memory."""

    def test_many(self):
        """Of three million things a tenth comes twice: the sample says so within a hundredth, and stays small."""
        sample = DistinctSample()
        numbers = np.arange(2_727_272, dtype=np.uint64)
        for part in np.array_split(np.append(numbers, numbers[:272_727]), 40):
            sample.add(mixed(part))
        assert sample.repeated == pytest.approx(1 / 11, rel=0.02)
        assert sum(map(len, sample._kept)) <= 1 << 20


def test_a_log_without_anything_usable(log):
    """Without propensities there are no estimates, and there is a reason."""
    without = [msgspec.structs.replace(one, propensity=None) for one in log.impressions[:100]]
    checks = Checks(log.roster, log.end_ms)
    found = Evaluation(log.roster, [Uniform()], checks).run(batches(without, Columns(log.roster, log.rewards)))
    assert found.rows == 0
    assert np.isnan(found.estimate("uniform").interval.value)
    assert "propensities-missing" in names(found.findings)
