"""The Open Bandit Dataset as events."""

from __future__ import annotations

import csv
import tracemalloc
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from producers.openbandit import Behaviour, Campaign, survey
from stream.codec import decode, encode
from stream.errors import ConfigurationError, InputError
from stream.plays.reward import ViewingRules, reward_of
from stream.records import Impression, Play, Title
from stream.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("", "timestamp", "item_id", "position", "click", "propensity_score", "user_feature_0", "user_feature_1")
ROW = ("2019-11-24 00:00:34.762830+00:00", "1", "3", "0", "0.5", "81ce123cbb5b", "03a5648a7683")


def write_log(folder: Path, rows: list[tuple[str, ...]], items: range = range(2), columns: Any = COLUMNS) -> Path:
    """A log of campaign men, uniform choice; returns its directory."""
    there = folder / "random" / "men"
    there.mkdir(parents=True)
    with (there / "item_context.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("", "item_id", "item_feature_0"), *((i, i, 0.5) for i in items)])
    with (there / "men.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *((str(i), *row) for i, row in enumerate(rows))])
    return folder


def with_cell(column: str, value: str) -> tuple[str, ...]:
    """A good row but for one cell."""
    where = COLUMNS.index(column) - 1
    return (*ROW[:where], value, *ROW[where + 1 :])


def read(sample: Path, behaviour: Behaviour, campaign: Campaign) -> list[dict[str, str]]:
    """A log by the standard library alone."""
    with (sample / behaviour / campaign / f"{campaign}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """The defaults, whatever the environment says."""
    monkeypatch.chdir(tmp_path)
    return Settings()


@pytest.mark.parametrize("campaign", Campaign)
@pytest.mark.parametrize("behaviour", Behaviour)
def test_every_row_becomes_what_it_says(
    open_bandit_sample: Path, settings: Settings, behaviour: Behaviour, campaign: Campaign
) -> None:
    """Each row of a real log is one impression with its true propensity, and each click is one play."""
    rows = read(open_bandit_sample, behaviour, campaign)
    log = survey(open_bandit_sample, campaign, behaviour)
    events = list(log.events(settings))
    impressions = [event for event in events if isinstance(event, Impression)]
    plays = [event for event in events if isinstance(event, Play)]

    assert (log.rows, log.clicks) == (len(rows), sum(row["click"] == "1" for row in rows))
    assert log.records == 3 + len(events)
    assert [play.impression for play in plays] == [
        impression for impression, row in zip(impressions, rows, strict=True) if row["click"] == "1"
    ]
    features = set()
    for impression, row in zip(impressions, rows, strict=True):
        expected = {f"{name}={value[:8]}" for name, value in row.items() if name.startswith("user_feature_")}
        features |= expected
        assert impression.context == dict.fromkeys(expected, 1.0)
        assert impression.title_id == f"open-bandit-{campaign}-{row['position']}"
        assert impression.artwork_id == f"item-{row['item_id']}"
        assert impression.propensity == float(row["propensity_score"])
        assert impression.shown_ms == int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1_000_000) // 1000
        assert impression.policy == {"random": "explore", "bts": "popular"}[behaviour]
        assert impression.snapshot_version is None
    assert log.features == tuple(sorted(features))


def test_its_records_keep_the_limits(open_bandit_sample: Path, settings: Settings) -> None:
    """What is sent decodes, and each row's item is an artwork of its title."""
    log = survey(open_bandit_sample, Campaign.WOMEN)
    titles = {title.title_id: decode(Title, encode(title)) for title in log.titles(settings)}
    for event in log.events(settings):
        assert decode(type(event), encode(event)) == event
        if isinstance(event, Impression):
            assert event.artwork_id in {artwork.artwork_id for artwork in titles[event.title_id].artworks}


def test_ids_are_those_of_the_last_time(open_bandit_sample: Path, settings: Settings) -> None:
    """A repeated replay has the same records, no two rows share an id, and each row is a member of its own."""
    logs = [survey(open_bandit_sample, Campaign.ALL, behaviour) for behaviour in Behaviour]
    shown = [event for log in logs for event in log.events(settings) if isinstance(event, Impression)]
    assert shown == [event for log in logs for event in log.events(settings) if isinstance(event, Impression)]
    assert len({event.impression_id for event in shown}) == len({event.member_id for event in shown}) == 20_000
    assert len({event.title_id for event in shown}) == 3, "both behaviours share a campaign's titles"


@pytest.mark.parametrize(
    "overrides",
    [{}, {"min_seconds": 7200}, {"full_fraction": 1}, {"min_seconds": 0, "full_fraction": 0.01}],
    ids=str,
)
def test_a_click_earns_exactly_1(
    open_bandit_sample: Path, settings: Settings, overrides: dict[str, float]
) -> None:
    """Whatever a play has to last to be worth something."""
    settings = Settings(**overrides)
    log = survey(open_bandit_sample, Campaign.MEN, limit=1000)
    runtimes = {title.title_id: title.runtime_seconds for title in log.titles(settings)}
    rules = ViewingRules.of(settings)
    plays = [event for event in log.events(settings) if isinstance(event, Play)]
    assert plays
    assert {reward_of(play.watched_seconds, runtimes[play.title_id], rules) for play in plays} == {1.0}


def test_no_click_can_earn_anything(open_bandit_sample: Path, settings: Settings) -> None:
    """Where a title would have to last longer than a title may, the setting is named."""
    log = survey(open_bandit_sample, Campaign.MEN, limit=1)
    with pytest.raises(ConfigurationError, match="min_seconds"):
        log.titles(Settings(min_seconds=2e7))


def test_a_limit_takes_the_first_rows(open_bandit_sample: Path, settings: Settings) -> None:
    """And with the ids that they have in the whole log."""
    some, all_ = (survey(open_bandit_sample, Campaign.ALL, limit=limit) for limit in (500, None))
    events = list(some.events(settings))
    assert some.rows == sum(isinstance(event, Impression) for event in events) == 500
    assert events == list(all_.events(settings))[: len(events)]
    with pytest.raises(InputError, match="limit"):
        survey(open_bandit_sample, Campaign.ALL, limit=0)


def test_the_setting_is_understood(
    open_bandit_sample: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The features it says to configure come out of the environment as they went in."""
    log = survey(open_bandit_sample, Campaign.ALL)
    monkeypatch.setenv(*log.feature_setting.split("=", 1))
    assert Settings().features == log.features


# --- bad logs


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("propensity_score", "0", "propensity_score"),
        ("propensity_score", "", "propensity_score"),
        ("propensity_score", "1.5", "propensity_score"),
        ("propensity_score", "nan", "propensity_score"),
        ("timestamp", "yesterday", "timestamp"),
        ("timestamp", "1969-12-31 23:59:59+00:00", "before 1970"),
        ("position", "4", "position"),
        ("click", "2", "click"),
        ("item_id", "2", "item 2 is not in"),
        ("item_id", "none", "item_id"),
        ("user_feature_0", "a,b", "user_feature_0"),
        ("user_feature_0", "81ce123cffff", "two values begin with"),
        ("user_feature_1", "x\nx", "user_feature_1"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, column: str, value: str, reason: str) -> None:
    """One bad cell, and the message names the file, the line and what is wrong; nothing is replayed in part."""
    directory = write_log(tmp_path, [ROW, ROW, with_cell(column, value), ROW])
    with pytest.raises(InputError, match=reason) as caught:
        survey(directory, Campaign.MEN)
    assert f"men.csv:{5 if chr(10) in value else 4}: " in str(caught.value)


def test_a_good_row_is_taken(tmp_path: Path, settings: Settings) -> None:
    """The row that the bad ones are made of is good; a missing user feature is no feature, a local time is UTC."""
    odd = with_cell("user_feature_0", "")
    local = with_cell("timestamp", "2019-11-24 00:00:34.762830")
    log = survey(write_log(tmp_path, [ROW, odd, local]), Campaign.MEN)
    events = [event for event in log.events(settings) if isinstance(event, Impression)]
    assert [list(event.context) for event in events] == [
        ["user_feature_0=81ce123c", "user_feature_1=03a5648a"],
        ["user_feature_1=03a5648a"],
        ["user_feature_0=81ce123c", "user_feature_1=03a5648a"],
    ]
    assert {event.shown_ms for event in events} == {1574553634762}


def _short_row(folder: Path) -> None:
    with (folder / "men.csv").open("a") as file:
        file.write("1,2019-11-24 00:00:34\n")


def _broken_quote(folder: Path) -> None:
    with (folder / "men.csv").open("a") as file:
        file.write('1,"a"b\n')


def _not_utf8(folder: Path) -> None:
    with (folder / "men.csv").open("ab") as file:
        file.write(b"1,\xff\n")


def _endless_line(folder: Path) -> None:
    with (folder / "men.csv").open("a") as file:
        file.write("1" * 200_000)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "men.csv").unlink(), r"men\.csv: cannot be read: No such file"),
        (
            lambda folder: (folder / "item_context.csv").unlink(),
            r"item_context\.csv: cannot be read: No such file",
        ),
        (lambda folder: (folder / "men.csv").write_text(""), r"men\.csv: there is no column 'timestamp'"),
        (lambda folder: (folder / "men.csv").write_text(",".join(COLUMNS) + "\n"), "there are no rows"),
        (lambda folder: (folder / "men.csv").write_text("timestamp,item_id,position,click\n"), "propensity_score"),
        (_short_row, r"men\.csv:3: 2 columns, the first line names 8"),
        (_broken_quote, r"men\.csv:3: "),
        (_not_utf8, r"men\.csv:3: not UTF-8"),
        (_endless_line, r"men\.csv:3: longer than"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, spoil: Any, reason: str) -> None:
    """What cannot be read is said with the file and, where there is one, the line."""
    directory = write_log(tmp_path, [ROW])
    spoil(directory / "random" / "men")
    with pytest.raises(InputError, match=reason):
        survey(directory, Campaign.MEN)


def test_more_features_than_a_context_holds(tmp_path: Path) -> None:
    """64 user features are taken, the 65th is refused."""
    rows = [with_cell("user_feature_0", f"value-{i:02}") for i in range(64)]  # and one more in the other column
    directory = write_log(tmp_path, rows)
    assert len(survey(directory, Campaign.MEN, limit=63).features) == 64
    with pytest.raises(InputError, match=r"men\.csv:65: more than 64 user features"):
        survey(directory, Campaign.MEN)


@pytest.mark.parametrize(
    ("items", "reason"), [(range(257), ":258: more than 256 items"), ([0, 1, 0], ":4: item 0")]
)
def test_items_that_no_title_can_have(tmp_path: Path, items: Any, reason: str) -> None:
    """More artworks than a title may have, and an item listed twice."""
    with pytest.raises(InputError, match=rf"item_context\.csv{reason}"):
        survey(write_log(tmp_path, [ROW], items), Campaign.MEN)


def test_memory_does_not_grow_with_the_log(tmp_path: Path, settings: Settings) -> None:
    """Reading a log of 1 MB holds a small part of it at any time."""
    directory = write_log(tmp_path, [ROW] * 15_000)
    size = (directory / "random" / "men" / "men.csv").stat().st_size
    tracemalloc.start()
    try:
        log = survey(directory, Campaign.MEN)
        assert sum(1 for _ in log.events(settings)) == 15_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < size / 10
