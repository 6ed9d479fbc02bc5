"""The seeded audience: a world that repeats itself, reactions that follow from it, and a report that is true."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest

from producers.audience import Audience, Habits
from producers.audience_world import BROAD, World, WorldRules
from producers.event_clock import EventClock
from producers.malformed import malformed
from producers.simulation import Simulation
from stream.choosing.choice import Choice
from stream.codec import decode
from stream.errors import DecodeError, InputError
from stream.plays.reward import ViewingRules
from stream.plays.viewing import Member
from stream.records import Artwork, Impression, Play, Title
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

START_MS = 1_760_000_000_000
RULES = ViewingRules.of(Settings(plays_per_day=0, title_once=False, flood_plays=0))
THEMES = ("comedy", "horror", "romance")


def catalogue(titles: int = 9) -> list[Title]:
    """Titles that lean to one theme each, with an artwork for every theme and one that shows nothing."""
    return [
        Title(
            title_id=f"title-{i}",
            name=f"Title {i}",
            runtime_seconds=3000.0 + 500.0 * i,
            themes={THEMES[i % 3]: 1.0, THEMES[(i + 1) % 3]: 0.4, "cast:Somebody": 1.0},
            artworks=(
                *(Artwork(theme, {theme: 1.0, "cast:Somebody": 1.0}) for theme in THEMES),
                Artwork("plain", {}),
            ),
        )
        for i in range(titles)
    ]


def world(seed: int = 1, **rules: object) -> World:
    """A small world."""
    return World(catalogue(), seed, WorldRules(**({"members": 400} | rules)))  # type: ignore[arg-type]


def everything(audience: Audience, count: int, batch: int) -> list[object]:
    """What the audience does of its own and in reaction to a fixed sequence of artworks, batch by batch."""
    done: list[object] = []
    for first in range(0, count, batch):
        visits = audience.visits(first, min(batch, count - first))
        numbers = first + np.arange(len(visits.members))
        taken, plays = audience.react(visits, numbers % 4)
        done += zip(visits.members.tolist(), visits.titles.tolist(), taken.tolist(), strict=True)
        done += [(first + row, reports) for row, reports in plays]
        done += audience.organic(visits) + audience.malformed(visits)
        done += [first + row for row in audience.repeated_impressions(visits)]
    return sorted(done, key=repr)


# --- the world


@pytest.mark.parametrize("batch", [1, 7, 1024, 5000])
def test_reactions_depend_on_seed_and_choices_alone(batch: int) -> None:
    """However visits are cut into batches, the same people come and react alike."""
    assert everything(Audience(world()), 3000, batch) == everything(Audience(world()), 3000, 300)


def test_another_seed_is_another_audience() -> None:
    """Members' tastes, what they have watched and who comes all follow from the seed."""
    one, other = Audience(world(seed=1)), Audience(world(seed=2))
    assert not np.allclose(one.world.taste, other.world.taste)
    assert [(p.title, p.watched_seconds) for p in one.history()] != [
        (p.title, p.watched_seconds) for p in other.history()
    ]
    assert one.visits(0, 50).members.tolist() != other.visits(0, 50).members.tolist()


def test_takes_are_as_frequent_as_the_world_says() -> None:
    """Over many visits, plays that count come as often as their chances add up to, whatever was shown."""
    audience = Audience(world())
    visits = audience.visits(0, 40_000)
    for artwork in range(4):
        shown = np.full(40_000, artwork)
        taken, plays = audience.react(visits, shown)
        chance, _, _ = audience.oracle(visits, shown)
        deviation = np.sqrt((chance * (1.0 - chance)).sum())
        assert abs(taken.sum() - chance.sum()) < 4.0 * deviation
        long = {row for row, reports in plays if reports[-1].watched_seconds >= RULES.min_seconds}
        assert long == set(np.flatnonzero(taken).tolist())


@pytest.mark.parametrize("theme", THEMES)
def test_lovers_are_drawn_by_what_they_love(theme: str) -> None:
    """For members of a persona the artwork that shows their theme is the best, by far, without clickbait."""
    world_ = world(clickbait_share=0.0)
    lovers = np.array([i for i, persona in enumerate(world_.persona_of) if persona == theme])
    for title in range(len(world_.titles)):
        values = world_.values(lovers, np.full(len(lovers), title))[:, :4].mean(axis=0)
        best = THEMES.index(theme)
        assert values[best] > 2.0 * np.delete(values, best).max()


def test_without_strength_it_hardly_matters_what_is_shown() -> None:
    """The strength is what choosing can gain: none of it, and the best artwork is hardly better than chance."""
    gains = []
    for strength in (0.0, 2.0, 4.0):
        audience = Audience(world(strength=strength, clickbait_share=0.0))
        _, best, uniform = audience.oracle(visits := audience.visits(0, 5000), np.zeros(len(visits.members), int))
        gains.append(best.mean() / uniform.mean())
    assert gains[0] < 1.3 < 1.5 < gains[1] < gains[2]


def test_clickbait_draws_plays_that_earn_nothing() -> None:
    """More members start a clickbait artwork's play than its honest twin's, and fewer of the plays count."""
    honest, bait = world(clickbait_share=0.0), world(clickbait_share=1.0)
    members, titles = np.arange(400), np.zeros(400, dtype=int)
    assert (bait.start_probability(members, titles) > honest.start_probability(members, titles))[:, :4].all()
    assert (bait.values(members, titles) < honest.values(members, titles))[:, :4].all()


def test_popularity_follows_zipf_and_the_wishes() -> None:
    """The n-th title is shown in proportion to a power of n; some can be put first, the others left out."""
    shares = world(zipf=1.0, busiest=("title-4", "title-2"), shown=3).popularity
    assert np.flatnonzero(shares).tolist() == [0, 2, 4]
    assert shares[[4, 2, 0]] == pytest.approx(np.array([6, 3, 2]) / 11)
    visits = Audience(world(zipf=1.0, shown=3)).visits(0, 6000)
    assert np.bincount(visits.titles) / 6000 == pytest.approx(np.array([6, 3, 2]) / 11, abs=0.03)


def test_personas_come_from_the_catalogue() -> None:
    """Every theme of the titles has its lovers, some members like a bit of everything, and people are no theme."""
    world_ = world(broad_share=0.25)
    assert world_.personas == (*THEMES, BROAD)
    assert Counter(world_.persona_of)[BROAD] == pytest.approx(100, abs=35)
    assert world_.taste.sum(axis=1) == pytest.approx(1.0)
    for number, theme in enumerate(THEMES):
        lovers = [i for i, persona in enumerate(world_.persona_of) if persona == theme]
        assert world_.taste[lovers].mean(axis=0)[number] > 0.6
        assert set(world_.lovers(theme)) == {world_.member_ids[i] for i in lovers}


@pytest.mark.parametrize(
    ("titles", "says"),
    [
        ([], "empty"),
        ([Title("t", "T", 100.0, {"cast:Somebody": 1.0}, (Artwork("a", {}),))], "theme"),
    ],
)
def test_a_catalogue_nobody_can_love_is_refused(titles: list[Title], says: str) -> None:
    """Without titles or themes there is no audience, and the error says which is missing."""
    with pytest.raises(InputError, match=says):
        World(titles, 1)


def test_an_artwork_it_does_not_know_shows_nothing() -> None:
    """Number -1, an artwork that came into the catalogue later, draws like one that shows nothing."""
    audience = Audience(world(clickbait_share=0.0))
    visits = audience.visits(0, 2000)
    chance = audience.world.start_probability(visits.members, visits.titles)
    assert chance[:, -1].mean() == pytest.approx(chance[:, 3].mean(), rel=0.2)
    taken, _ = audience.react(visits, np.full(2000, -1))
    assert 0 < taken.sum() < 2000


# --- what it reports


def all_reports(audience: Audience, count: int = 20_000) -> list[list]:
    """The reports of the plays that follow some visits."""
    _, plays = audience.react(audience.visits(0, count), np.arange(count) % 4)
    return [reports for _, reports in plays]


def test_a_play_is_reported_as_it_goes_on() -> None:
    """Each report of a play has more watched, later; the last comes in time, and never after the longest time."""
    audience = Audience(world())
    plays = all_reports(audience)
    assert {len(reports) for reports in plays} >= {1, 2, 3}
    for reports in plays:
        watched = [report.watched_seconds for report in reports]
        assert watched == sorted(set(watched))
        for report in reports:
            assert 1000.0 * report.watched_seconds <= report.played_ms + 100 <= report.sent_ms + 100
            assert max(report.sent_ms, report.again_ms or 0) <= audience.longest_ms


def test_reports_come_late_out_of_order_and_twice() -> None:
    """Some reports are overtaken by later ones of their play, and about as many as configured are repeated."""
    plays = all_reports(Audience(world(), Habits(repeated_share=0.1)))
    reports = [report for play in plays for report in play]
    overtaken = sum(a.sent_ms > b.sent_ms for play in plays for a, b in pairwise(play))
    assert overtaken > 20
    repeated = [report for report in reports if report.again_ms is not None]
    assert len(repeated) / len(reports) == pytest.approx(0.1, abs=0.02)
    assert all(report.again_ms > report.sent_ms for report in repeated)


def test_history_makes_tastes_that_resemble_the_truth() -> None:
    """What members have watched before gives nearly every lover a taste that their theme leads."""
    audience = Audience(world())
    members: dict[int, Member] = defaultdict(Member)
    history = audience.history()
    assert [play.played_ms for play in history] == sorted(play.played_ms for play in history)
    assert history[-1].played_ms < 0
    for play in history:
        title = audience.world.titles[play.title]
        record = Play(
            play.play_id, START_MS + play.played_ms, f"m{play.member}", title.title_id, play.watched_seconds, None
        )
        outcome, _ = members[play.member].watch(record, title.themes, title.runtime_seconds, RULES)
        assert outcome == "counted"
    assert {member.views for member in members.values()} == {3, 4, 5}
    led = []
    for number, persona in enumerate(audience.world.persona_of):
        if persona != BROAD:
            taste = members[number].taste("m").taste
            led.append(max(THEMES, key=lambda theme: taste.get(theme, 0.0)) == persona)
    assert np.mean(led) > 0.9


@pytest.mark.parametrize("kind", [0.0, 0.2, 0.4, 0.6, 0.8, 0.999])
def test_malformed_records_cannot_be_understood(kind: float) -> None:
    """Every kind of malformed record is refused by its reader: undecodable, or about a title nobody has."""
    output = malformed(kind, START_MS)
    record = output.topic.record
    assert record in (Impression, Play)
    try:
        decoded = decode(record, output.value)  # type: ignore[type-var]
    except DecodeError:
        return
    assert decoded.title_id not in {title.title_id for title in catalogue()}  # type: ignore[attr-defined]


# --- event time


def test_event_time_runs_fast_and_never_ahead() -> None:
    """It stands until started, runs at its speed, then stays behind the wall clock by what was asked."""
    wall = [1_000_000]
    clock = EventClock(100_000, 60.0, 50_000, wall_ms=lambda: wall[0])
    wall[0] += 5_000
    assert clock.now_ms() == 100_000
    clock.start()
    clock.start()
    wall[0] += 2_000
    assert clock.now_ms() == 220_000
    wall[0] += 100_000
    assert clock.now_ms() == wall[0] - 50_000
    clock.advance_to(wall[0] - 10_000)
    assert clock.now_ms() == wall[0] - 10_000
    clock.advance_to(wall[0] + 10_000)
    assert clock.now_ms() == wall[0]
    wall[0] -= 1_000
    assert clock.now_ms() == wall[0] + 1_000


@pytest.mark.parametrize("speed", [1.0, 60.0, 600.0])
def test_event_time_arrives_at_the_end(speed: float) -> None:
    """A clock made for a run of so many seconds has caught up at its end, and not before."""
    wall = [START_MS]
    clock = EventClock.ending_now(60.0, speed, 7_000, wall_ms=lambda: wall[0])
    clock.start()
    for _ in range(59):
        wall[0] += 1000
        before = clock.now_ms()
        assert before <= wall[0] - 7_000
    wall[0] += 1000
    assert clock.now_ms() == wall[0] - 7_000


# --- the simulation


class Recorder:
    """An app without Kafka: chooses in turn, keeps what it is told, and can refuse to."""

    def __init__(self, *, refuse: Sequence[int] = ()) -> None:
        self.made: dict[str, Impression] = {}
        self.impressions: list[Impression] = []
        self.plays: list[Play] = []
        self.raw: list[bytes | None] = []
        self.now_ms = lambda: START_MS
        self._refuse = set(refuse)

    def choose(self, member_id: str, title_id: str) -> Choice:
        """Each policy and each artwork in turn."""
        number = len(self.made)
        policy = ("explore", "popular", "personal")[number % 3]
        artwork = (*THEMES, "plain")[number % 4]
        name = f"i{number}"
        self.made[name] = Impression(name, self.now_ms(), member_id, title_id, artwork, {}, policy, 0.25, None)
        return Choice(title_id, artwork, 0.25, policy, {}, None, name, name)

    def taste(self, member_id: str) -> dict[str, float]:
        """Everybody is known."""
        return {"comedy": 1.0}

    def impression(self, choice: Choice) -> bool:
        """Keep it, or refuse to."""
        if len(self.made) in self._refuse:
            return False
        self.impressions.append(self.made[choice.token])
        return True

    def play(self, token, watched_seconds, *, play_id=None, played_ms=None, member_id=None, title_id=None) -> bool:
        """Keep it as the record it would be."""
        impression = None if token is None else self.made[token]
        if impression is not None:
            play_id, member_id, title_id = token, impression.member_id, impression.title_id
        self.plays.append(Play(play_id, played_ms, member_id, title_id, watched_seconds, impression))
        return True

    def write_raw(self, output) -> bool:
        """Keep the bytes."""
        self.raw.append(output.value)
        return True


def simulated(app: Recorder, visits: int = 6000) -> Simulation:
    """A simulation that has run to its end, and whose last plays were watched out."""
    wall = [START_MS]
    clock = EventClock(START_MS - 50 * 3_600_000, 600.0, wall_ms=lambda: wall[0])
    app.now_ms = clock.now_ms
    audience = Audience(world(), Habits(malformed_share=0.01))
    simulation = Simulation(RULES, audience, app, app, clock, write_raw=app.write_raw)
    simulation.history()
    clock.start()
    for _ in range(visits // 50):
        simulation.visit(50)
        wall[0] += 100
        simulation.send_due()
    assert simulation.outstanding > 0
    simulation.finish(float("inf"))
    assert simulation.outstanding == 0
    return simulation


def test_the_report_is_what_was_sent() -> None:
    """Impressions, plays, repetitions, organic plays and malformed records are counted as they were sent."""
    app = Recorder()
    report = simulated(app).report
    assert report.impressions == 6000
    assert len(app.impressions) == report.impressions + report.repeated_impressions
    assert len({impression.impression_id for impression in app.impressions}) == 6000
    led = [play for play in app.plays if play.impression is not None]
    assert len(led) == report.play_reports + report.repeated_plays
    assert len({play.play_id for play in led}) == report.plays
    assert len(led) - len({(play.play_id, play.watched_seconds) for play in led}) == report.repeated_plays
    assert len(app.plays) - len(led) == report.organic + report.history
    assert len(app.raw) == report.malformed > 0
    assert report.events == len(app.impressions) + len(app.plays) + len(app.raw)
    assert min(report.repeated_impressions, report.repeated_plays, report.organic) > 0
    assert sum(tally.impressions for tally in report.policies.values()) == 6000


def test_the_expected_rewards_are_those_that_viewing_gives() -> None:
    """Crediting every play that was sent, in the order it was sent, gives the rewards the audience expects."""
    app = Recorder()
    report = simulated(app).report
    titles = {title.title_id: title for title in catalogue()}
    members: dict[str, Member] = defaultdict(Member)
    rewards: Counter[str] = Counter()
    duplicates = 0
    for play in app.plays:
        title = titles[play.title_id]
        outcome, changes = members[play.member_id].watch(play, title.themes, title.runtime_seconds, RULES)
        duplicates += outcome == "duplicate"
        for change in changes:
            rewards[change.impression_id] += change.credit  # type: ignore[assignment]
    assert duplicates >= report.repeated_plays
    assert sum(reward > 0 for reward in rewards.values()) == report.rewards_expected
    assert sum(rewards.values()) == pytest.approx(report.credit_expected, abs=1e-9)
    assert sum(tally.taken for tally in report.policies.values()) == report.rewards_expected


def test_an_event_that_was_not_queued_counts_for_nothing() -> None:
    """An impression that the producer could not take has no play and is in no tally, but is reported."""
    app = Recorder(refuse=range(100, 300))
    report = simulated(app).report
    assert report.unqueued == 200
    assert report.impressions == 5800 == sum(tally.impressions for tally in report.policies.values())
    refused = {f"i{number - 1}" for number in range(100, 300)}
    assert not refused & {play.play_id for play in app.plays}


def test_a_uniform_choice_gains_nothing_and_the_best_everything() -> None:
    """The share of the possible gain is near 0 for choices in turn, and 1 for an app that knows the truth."""
    tally = simulated(Recorder(), visits=24_000).report.policies["personal"]
    assert tally.share_of_gain == pytest.approx(0.0, abs=0.03)
    assert tally.take_rate == pytest.approx(tally.uniform / tally.impressions, abs=0.02)

    class Oracle(Recorder):
        def choose(self, member_id: str, title_id: str) -> Choice:
            choice = super().choose(member_id, title_id)
            member, title = int(member_id.rsplit("-", 1)[1]), int(title_id.rsplit("-", 1)[1])
            best = truth.artwork_ids[title][int(truth.values(np.array([member]), np.array([title])).argmax())]
            return Choice(title_id, best, 1.0, "personal", {}, None, choice.impression_id, choice.token)

    truth = world()
    assert simulated(Oracle()).report.policies["personal"].share_of_gain == pytest.approx(1.0)


def test_it_plays_on_when_a_title_is_withdrawn() -> None:
    """A title that the chooser does not know any more is skipped, and counted."""

    class Forgetful(Recorder):
        def choose(self, member_id: str, title_id: str) -> Choice:
            if title_id == "title-0":
                raise InputError("title 'title-0' is not in the catalogue")
            return super().choose(member_id, title_id)

    report = simulated(app := Forgetful()).report
    assert report.unknown > 100
    assert report.impressions == 6000 - report.unknown
    assert "title-0" not in {impression.title_id for impression in app.impressions}


def test_the_report_as_plain_numbers() -> None:
    """It can be written as JSON: counts, and for each policy what its choices were worth."""
    told = simulated(Recorder()).report.as_dict()
    assert told["impressions"] == 6000
    assert set(told["policies"]) == {"explore", "popular", "personal"}
    assert told["policies"]["explore"]["take_rate"] > 0
    assert json.loads(json.dumps(told)) == told
