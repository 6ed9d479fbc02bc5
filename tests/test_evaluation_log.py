"""Logs: what is read of them, how names become numbers, and what is left out."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks.evaluation.logs import explored
from consumers.evaluation.files import Files
from consumers.evaluation.source import Wanted, open_log
from stream.errors import InputError
from stream.evaluation.log import Columns, Logged, batches
from stream.evaluation.rewards import Rewards
from stream.evaluation.roster import roster_of
from stream.records import Artwork, Title
from stream.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

FILM = Title(
    "film", "Film", 6000.0, {}, (Artwork("a", {}), Artwork("b", {}), Artwork("wide", {}, canvas="billboard"))
)


def impression(number: int, artwork: str = "a", **changes) -> Logged:
    """Member m is shown an artwork of the film, a second after the one before."""
    given = {"context": {"drama": 0.5}, "policy": "explore", "propensity": 0.5, "title_id": "film"}
    return Logged(f"i{number}", number * 1000, artwork_id=artwork, **({"member_id": "m"} | given | changes))


def line(topic: str, **record) -> str:
    """A line of a log."""
    return json.dumps({"topic": topic, "record": record}) + "\n"


def shown(number: int, **changes) -> str:
    """An impression as a line."""
    record = {
        "impression_id": f"i{number}",
        "shown_ms": number * 1000,
        "member_id": f"m{number % 3}",
        "title_id": "film",
        "artwork_id": "ab"[number % 2],
        "context": {},
        "policy": "explore",
        "propensity": 0.5,
    }
    return line("impressions", **(record | changes))


class TestRoster:
    """Titles, artworks and features."""

    def test_artworks_come_in_the_catalogue_s_order_and_withdrawn_ones_last(self):
        """Those that were never shown are there: a policy may want them."""
        roster = roster_of([impression(1, "gone"), impression(2, "b")], [FILM])
        (offer,) = roster.offers
        assert offer.artwork_ids == ("a", "b", "wide", "gone")
        assert [one.artwork_id for one in roster.titles["film"].artworks] == ["a", "b", "wide", "gone"]
        assert roster.first_ms.tolist() == [-1, 2000, -1, 1000]

    def test_a_canvas_is_an_offer_of_its_own(self):
        """Artwork made for another canvas does not compete; artwork without one competes for each."""
        roster = roster_of([impression(1, "a"), impression(2, "wide", canvas="billboard")], [FILM])
        offers = {offer.canvas: offer.artwork_ids for offer in roster.offers}
        assert offers == {None: ("a", "b", "wide"), "billboard": ("a", "b", "wide")}
        poster = roster_of([impression(1, "a", canvas="box")], [FILM])
        assert poster.offers[0].artwork_ids == ("a", "b")

    def test_without_a_catalogue_there_is_what_was_shown(self):
        """In the order of names."""
        roster = roster_of([impression(1, "z"), impression(2, "y")])
        assert roster.offers[0].artwork_ids == ("y", "z")
        assert [one.artwork_id for one in roster.titles["film"].artworks] == ["y", "z"]

    def test_features_are_what_contexts_hold(self):
        """But for Keyart's own names and for people, and the 64 most frequent."""
        contexts = [
            {"bias": 9.0, "cast": 0.1, "cast:Uma Thurman": 1.0, "drama": 1.0, f"f{i}": 1.0} for i in range(80)
        ]
        contexts += [{"f7": 1.0}]
        roster = roster_of([impression(i, context=context) for i, context in enumerate(contexts)])
        assert roster.features[0] == "bias"
        assert len(roster.features) == 65
        assert {"drama", "f7"} < set(roster.features)
        assert not {"cast", "cast:Uma Thurman"} & set(roster.features)


class TestColumns:
    """A batch."""

    def test_rows(self):
        """Earliest first, with contexts by feature and what was earned in the end."""
        rewards = Rewards()
        rewards.add("i1", 0.25, 7000)
        rewards.add("i1", 0.75, 9000)
        rewards.add("i2", 1.0, 8000)
        rewards.add("i2", 0.0, 9500)
        records = [impression(2, "b"), impression(1, "a", context={"drama": 2.0, "late": 3.0}, propensity=0.0)]
        roster = roster_of(records, [FILM])
        batch = Columns(roster, rewards).batch(records)
        assert batch.place.tolist() == [0, 1]
        assert batch.count.tolist() == [3, 3]
        assert batch.context.tolist() == [[1.0, 2.0, 3.0], [1.0, 0.5, 0.0]]
        assert batch.reward.tolist() == [0.75, 0.0]
        assert batch.reward_ms.tolist() == [9000, -1]
        assert np.isnan(batch.propensity).tolist() == [True, False]
        assert batch.taken.tolist() == [1.0, 0.0]

    @pytest.mark.parametrize("propensity", [None, 0.0, -0.1, 1.5, float("nan")])
    def test_a_propensity_that_is_none(self, propensity):
        """It is no number of the batch."""
        records = [impression(1, propensity=propensity)]
        batch = Columns(roster_of(records), Rewards()).batch(records)
        assert np.isnan(batch.propensity).all()

    def test_batches_grow_with_what_is_known(self):
        """A twentieth of what came before, and never more than fits."""
        log = explored(1, 9000)
        sizes = [len(batch) for batch in batches(log.impressions, Columns(log.roster, log.rewards))]
        assert sum(sizes) == 9000
        assert sizes[:2] == [250, 250]
        assert max(sizes) <= 450


class TestFiles:
    """JSON lines."""

    def read(self, *files: Path, **wanted):
        """The impressions' ids, and what each earned."""
        log = open_log(Files(files, Settings()), Wanted(**wanted))
        records = list(log.impressions())
        batch = Columns(log.roster, log.rewards).batch(records)
        earned = dict(zip((one.impression_id for one in batch.records), batch.reward.tolist(), strict=True))
        return log, [one.impression_id for one in records], earned

    @pytest.mark.parametrize("name", ["log.jsonl", "log.jsonl.gz"])
    def test_impressions_and_rewards(self, name, tmp_path):
        """Of an impression's rewards the last one counts; empty lines are passed over."""
        text = "\n" + shown(1) + shown(2) + "  \n"
        for reward in (0.25, 0.5):
            text += line("rewards", impression_id="i1", reward=reward, credited_ms=9000, artwork_id="a")
        file = tmp_path / name
        file.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
        log, ids, earned = self.read(file)
        assert ids == ["i1", "i2"]
        assert earned == {"i1": 0.5, "i2": 0.0}
        assert log.end_ms == 9000

    def test_plays_where_there_are_no_rewards(self, tmp_path):
        """An impression earns what the best of its plays is worth, by the settings and the title's runtime."""
        title = {"title_id": "film", "name": "F", "runtime_seconds": 1000, "themes": {}}
        title["artworks"] = [{"artwork_id": name, "themes": {}} for name in "ab"]
        impressions = [json.loads(shown(number))["record"] for number in (1, 2, 3)]
        text = line("catalogue", **title) + shown(1) + shown(2) + shown(3)
        for seconds, of, at_ms in (
            (150, 0, 5000),
            (300, 0, 6000),
            (200, 0, 7000),
            (60, 1, 8000),
            (900, 2, 1 << 40),
        ):
            text += line(
                *("plays",),
                play_id=f"p{at_ms}",
                played_ms=at_ms,
                member_id="m",
                title_id="film",
                watched_seconds=seconds,
                impression=impressions[of],
            )
        text += line("plays", play_id="o", played_ms=1, member_id="m", title_id="x", watched_seconds=9)
        file = tmp_path / "log.jsonl"
        file.write_text(text)
        assert self.read(file)[2] == {"i1": 1.0, "i2": 0.0, "i3": 0.0}

    def test_files_are_merged_by_time(self, tmp_path):
        """Whatever their order."""
        for name, numbers in (("late", (2, 4)), ("early", (1, 3, 5))):
            (tmp_path / name).write_text("".join(map(shown, numbers)))
        assert self.read(tmp_path / "late", tmp_path / "early")[1] == ["i1", "i2", "i3", "i4", "i5"]

    def test_what_is_wanted(self, tmp_path):
        """A stretch of time, and some policies; rewards and the end of the log are those of the whole."""
        file = tmp_path / "log.jsonl"
        file.write_text(
            "".join(shown(number, policy="explore" if number % 2 else "personal") for number in range(1, 9))
            + line("rewards", impression_id="i3", reward=1.0, credited_ms=20_000)
        )
        log, ids, earned = self.read(file, since_ms=2000, until_ms=7000, policies=("explore",))
        assert ids == ["i3", "i5"]
        assert earned["i3"] == 1.0
        assert log.end_ms == 20_000
        assert set(log.split.members) == {"explore", "personal"}

    def test_repeats_soon_after_are_left_out(self, tmp_path):
        """An app that is unsure whether an impression arrived sends it again."""
        file = tmp_path / "log.jsonl"
        file.write_text(shown(1) + shown(2) + shown(1) + shown(3))
        log, ids, _ = self.read(file)
        assert ids == ["i1", "i2", "i3"]
        assert log.left_out == 0.25
        assert log.roster.rows == 3

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "there are no impressions"),
            (shown(1) + "{}\n", r"log\.jsonl:2: not a line of a log"),
            (shown(1) + "\n" + shown(2, shown_ms=-1), r"log\.jsonl:3: .*shown_ms"),
            (shown(1, policy="linucb"), r"log\.jsonl:1: .*policy"),
            (shown(1)[:-40], r"log\.jsonl:1: "),
            (
                line(
                    "plays",
                    played_ms=1,
                    title_id="film",
                    watched_seconds=9,
                    impression=json.loads(shown(1))["record"],
                ),
                "whose runtime",
            ),
        ],
        ids=["empty", "no line", "time", "policy", "cut off", "no catalogue"],
    )
    def test_what_cannot_be_used(self, text, said, tmp_path):
        """One sentence, with the file and the line."""
        (tmp_path / "log.jsonl").write_text(text)
        with pytest.raises(InputError, match=said):
            self.read(tmp_path / "log.jsonl")

    def test_a_file_that_is_not_there(self, tmp_path):
        """It is named."""
        with pytest.raises(InputError, match="absent"):
            Files([tmp_path / "absent"], Settings())

    def test_nothing_that_is_wanted(self, tmp_path):
        """That is another matter than an empty log."""
        (tmp_path / "log.jsonl").write_text(shown(1))
        with pytest.raises(InputError, match="asked for"):
            self.read(tmp_path / "log.jsonl", since_ms=5000)
