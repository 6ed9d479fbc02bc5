"""Dead letters as a person works with them: told apart, looked at, mended, put back, and counted once."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import traffic
from kafka import KafkaProducer
from processes import environment
from prometheus_client import CollectorRegistry
from wire import values

from consumers import cli
from consumers.catalogue_view import CatalogueView
from consumers.dead_letters import DeadLetterBox, Replay, Selection, grouped
from consumers.learner import learner_job
from consumers.viewing import viewing_job
from stream.dead_letters import MAX_KEPT_BYTES
from stream.errors import BrokerUnavailable, InputError
from stream.metrics import WorkerMetrics
from stream.running.session import MOST_HELD_BYTES
from stream.running.worker import Worker

if TYPE_CHECKING:
    from wire import Wire

    from stream.settings import Settings

EVERYTHING = Selection()
UNKNOWN = Selection(codes=frozenset({"unknown_title", "unknown_artwork"}))
TITLES = traffic.catalogue(2)


Done = tuple[int, str]
Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs ``keyart`` in this process, as its script does: the exit code, and all that was printed."""

    def command(settings: Settings, *arguments: str) -> Done:
        for name, value in environment(settings).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["keyart", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out + printed.err

    yield command
    structlog.reset_defaults()
    logging.getLogger("kafka").setLevel(logging.NOTSET)


def succeed(done: Done) -> str:
    """What a command that went well has printed."""
    code, told = done
    assert code == 0, told
    return told


def work(settings: Settings) -> None:
    """A viewing worker and then a learner, each until there is nothing left to do."""
    for make_job in (viewing_job, learner_job):
        metrics = WorkerMetrics(CollectorRegistry())
        Worker(settings, make_job(settings, CatalogueView(), metrics), metrics).run(until_drained=True)


def load(wire: Wire, *titles: dict[str, Any]) -> None:
    """Put titles on the catalogue's topic."""
    wire.send([("catalogue", title["title_id"], title) for title in titles])


def shown(count: int = 6, title: str = "title-0", **changes: Any) -> list[dict[str, Any]]:
    """Impressions of one title, a second apart."""
    made = traffic.impressions(random.Random(1), {title: TITLES[title]}, count, span_ms=count * 1000)
    return [
        one | {"member_id": f"member-{n}", "impression_id": f"{title}-{n}"} | changes for n, one in enumerate(made)
    ]


def send_shown(wire: Wire, impressions: list[dict[str, Any]]) -> None:
    """Put impressions on their topic."""
    wire.send([("impressions", one["title_id"], one) for one in impressions])


def send_played(wire: Wire, impressions: list[dict[str, Any]], watched: float = 3000.0) -> None:
    """Each of these impressions led to a play a minute later."""
    plays = [
        {
            "play_id": f"play-of-{one['impression_id']}",
            "played_ms": one["shown_ms"] + traffic.MINUTE_MS,
            "member_id": one["member_id"],
            "title_id": one["title_id"],
            "watched_seconds": watched,
            "impression": one,
        }
        for one in impressions
    ]
    wire.send([("plays", play["member_id"], play) for play in plays])


def learned(wire: Wire) -> dict[str, tuple[int, int]]:
    """Impressions and plays of each title that anything was learned of."""
    counts = {
        title_id: tuple(sum(artwork[name] for artwork in title["artworks"]) for name in ("impressions", "plays"))
        for title_id, title in wire.latest("snapshots").items()
    }
    return {title_id: count for title_id, count in counts.items() if any(count)}


def put_back(settings: Settings, selection: Selection = EVERYTHING, **options: Any) -> tuple[int, dict[str, int]]:
    """Replay; how many were put back, and how many were not, by the reason."""
    with Replay(settings, selection, **options) as replay:
        plan = replay.plan()
        return replay.run(plan), dict(plan.left)


# --- what comes back


def test_what_died_for_want_of_a_title_comes_back_once(settings: Settings, wire: Wire, run: Run) -> None:
    """Unknown titles and artworks: left alone until the catalogue knows them, then learned, and only once."""
    late = TITLES["title-1"]
    load(wire, TITLES["title-0"])
    impressions = shown() + shown(title="title-1")
    one_more = impressions[0] | {"impression_id": "art", "artwork_id": "art-9"}
    send_shown(wire, [*impressions, one_more])
    send_played(wire, impressions[::2])
    work(settings)
    assert learned(wire) == {"title-0": (6, 3)}
    counts = {
        (group.code, group.topic.split(".")[1]): group.count
        for group in grouped(DeadLetterBox(settings), EVERYTHING)
    }
    assert counts == {
        ("unknown_title", "impressions"): 6,
        ("unknown_title", "plays"): 3,
        ("unknown_artwork", "impressions"): 1,
    }
    assert put_back(settings, UNKNOWN) == (0, {"unknown_title": 9, "unknown_artwork": 1})

    load(wire, late)
    told = succeed(run(settings, "replay", "--dead-letters", "--dry-run"))
    assert "9 dead letters to put back" in told
    assert len(wire.read("impressions")) == 13
    told = succeed(run(settings, "replay", "--dead-letters"))
    assert "9 dead letters put back" in told
    assert "1 stay where they are (1 unknown_artwork)" in told
    work(settings)
    assert learned(wire) == {"title-0": (6, 3), "title-1": (6, 3)}

    told = succeed(run(settings, "replay", "--dead-letters"))
    assert "0 dead letters to put back" in told
    assert "9 put back before" in told
    work(settings)
    assert learned(wire) == {"title-0": (6, 3), "title-1": (6, 3)}
    (group,) = json.loads(
        succeed(run(settings, "dead-letters", "list", "--code", "unknown_title", "--topic", "plays", "--json"))
    )["groups"]
    assert (group["count"], group["replayed"]) == (3, 3)
    headers = [dict(record.headers).get("keyart.replay") for record in wire.read("plays")]
    assert sum(header is not None for header in headers) == 3


def test_an_impression_is_learned_once_also_after_the_duplicates_window(settings: Settings, wire: Wire) -> None:
    """Sent again and again while its title was unknown, put back when its minute is long over: one impression."""
    first, other = shown(2)
    send_shown(wire, [first, first, other, first])
    work(settings)
    load(wire, TITLES["title-0"])
    later = shown(1, impression_id="hours later", shown_ms=first["shown_ms"] + 5 * traffic.HOUR_MS)
    send_shown(wire, later)
    work(settings)
    with Replay(settings, EVERYTHING) as replay:
        plan = replay.plan()
        assert (len(plan.put_back), len(plan.repeated)) == (2, 2)
        assert replay.run(plan) == 2
    work(settings)
    assert learned(wire) == {"title-0": (3, 0)}
    # Dead once more, for a reason of its own; what it says was learned by then.
    wire.send([("impressions", "somebody else", first)])
    work(settings)
    assert put_back(settings, rekey=True) == (0, {"put back before": 4})
    work(settings)
    assert learned(wire) == {"title-0": (3, 0)}


def test_of_two_who_replay_at_once_one_ends(settings: Settings, wire: Wire) -> None:
    """Both have seen the same letters; the first to begin is told, and nothing is put back twice."""
    send_shown(wire, shown(4))
    work(settings)
    load(wire, TITLES["title-0"])
    with Replay(settings, EVERYTHING) as first:
        plan = first.plan()
        assert put_back(settings) == (4, {})
        with pytest.raises(
            BrokerUnavailable, match=r"^0 dead letters were put back and are marked, the rest is left"
        ):
            first.run(plan)
    work(settings)
    assert learned(wire) == {"title-0": (4, 0)}


def test_old_dead_letters_come_back_within_the_limits(settings: Settings, wire: Wire) -> None:
    """What is too old to be learned as it comes is learned when a person puts it back."""
    limited = settings.model_copy(update={"max_behind_days": 7})
    load(wire, TITLES["title-0"])
    now_ms = time.time_ns() // 1_000_000
    old, early, good = (
        shown(1, impression_id=name, shown_ms=now_ms + off * traffic.HOUR_MS)[0]
        for name, off in (("old", -8 * 24), ("early", 1), ("good", -1))
    )
    send_shown(wire, [old, early, good])
    work(limited)
    assert learned(wire) == {"title-0": (1, 0)}
    assert {group.code for group in grouped(DeadLetterBox(settings), EVERYTHING)} == {
        "too_far_ahead",
        "too_far_behind",
    }
    assert put_back(limited) == (1, {"too_far_ahead": 1})
    work(limited)
    assert learned(wire) == {"title-0": (2, 0)}


def test_a_backlog_is_not_refused(settings: Settings, wire: Wire) -> None:
    """Written in time and read a month later: the worker holds an event against its record, not against now."""
    limited = settings.model_copy(update={"max_behind_days": 7})
    load(wire, TITLES["title-0"])
    with closing(KafkaProducer(bootstrap_servers=settings.bootstrap_servers)) as producer:
        for one in shown(3):
            key, value = one["title_id"].encode(), json.dumps(one).encode()
            stamp = one["shown_ms"] + 100
            producer.send(f"{settings.topic_prefix}impressions", key=key, value=value, timestamp_ms=stamp)
        producer.flush(timeout=20)
    work(limited)
    assert learned(wire) == {"title-0": (3, 0)}
    assert wire.read("dead-letters") == []


# --- mending


def test_a_mended_letter_is_learned(settings: Settings, wire: Wire, run: Run, tmp_path: Any) -> None:
    """Shown, saved, mended and put back; a value that is still no good is refused before anything is written."""
    load(wire, TITLES["title-0"])
    good, bad = shown(2)
    broken = json.dumps(bad)[:-1] + ', "note": "\x1b[31m"'
    wire.send([("impressions", "title-0", good), ("impressions", "title-0", broken)])
    work(settings)
    (letter,) = wire.read("dead-letters")
    place = f"{letter.partition}:{letter.offset}"
    saved = tmp_path / "mended.json"
    told = succeed(run(settings, "dead-letters", "show", place, "--save", str(saved)))
    assert "not_json" in told
    assert "\\x1b[31m" in told
    assert "\x1b" not in told
    assert saved.read_bytes() == letter.value == broken.encode()

    replay = ("dead-letters", "replay", place, "--file", str(saved))
    code, told = run(settings, *replay, "--yes")
    assert code == 65
    assert "cannot be put back like this: Impression: not JSON" in told
    saved.write_text(json.dumps(bad))
    code, told = run(settings, *replay)
    assert code == 2
    assert "give --yes" in told
    assert "1 dead letters put back" in succeed(run(settings, *replay, "--yes"))
    work(settings)
    assert learned(wire) == {"title-0": (2, 0)}
    told = json.loads(succeed(run(settings, "dead-letters", "show", place, "--json")))
    assert told["replayed"] is True
    assert run(settings, "dead-letters", "show", "0:99999")[0] == 65


def test_wrong_keys_are_mended_for_all_at_once(settings: Settings, wire: Wire) -> None:
    """As they are they would die again, and stay; under the keys that their values name they are learned."""
    load(wire, TITLES["title-0"])
    impressions = shown(5)
    wire.send(
        [("impressions", key, one) for key, one in zip([None, b"\xff", "x", "y", "z"], impressions, strict=True)]
    )
    work(settings)
    assert put_back(settings) == (0, {"bad_key": 2, "wrong_key": 3})
    assert put_back(settings, rekey=True) == (5, {})
    work(settings)
    assert learned(wire) == {"title-0": (5, 0)}


# --- what is large, and what dies again


@pytest.mark.apache_kafka
def test_what_is_over_a_mebibyte_is_kept_in_part(settings: Settings, wire: Wire) -> None:
    """A batch may unpack to more than it takes: the letter has the beginning, and length and hash of the whole."""
    load(wire, TITLES["title-0"])
    before, after = shown(2)
    huge = b'{"padding": "' + b"x" * (2 * MAX_KEPT_BYTES) + b'"}'
    with closing(
        KafkaProducer(
            bootstrap_servers=settings.bootstrap_servers,
            compression_type="gzip",
            max_request_size=8 * MAX_KEPT_BYTES,
            batch_size=8 * MAX_KEPT_BYTES,
        )
    ) as producer:
        name = f"{settings.topic_prefix}impressions"
        sent = [
            producer.send(name, key=b"title-0", value=value)
            for value in (json.dumps(before).encode(), huge, json.dumps(after).encode())
        ]
        producer.flush(timeout=20)
        for future in sent:
            future.get(timeout=1)
    work(settings)
    assert learned(wire) == {"title-0": (2, 0)}
    (letter,) = wire.read("dead-letters")
    headers = dict(letter.headers)
    assert letter.value == huge[:MAX_KEPT_BYTES]
    assert headers["keyart.code"] == b"too_large"
    assert headers["keyart.length"] == str(len(huge)).encode()
    assert headers["keyart.sha256"] == hashlib.sha256(huge).hexdigest().encode()
    (left,) = put_back(settings)[1]
    assert left.startswith("cut off")


def test_a_letter_that_dies_again_names_the_first(settings: Settings, wire: Wire) -> None:
    """Withdrawn between the judgement and the worker's: a new letter, which can be put back in its turn."""
    send_shown(wire, shown(1))
    work(settings)
    load(wire, TITLES["title-0"])
    assert put_back(settings) == (1, {})
    wire.send([("catalogue", "title-0", None)])
    work(settings)
    letters = [record for record in wire.read("dead-letters") if "keyart.code" in dict(record.headers)]
    assert len(letters) == 2
    first, second = sorted(letters, key=lambda record: record.timestamp)
    assert dict(second.headers)["keyart.replay"] == f"{first.partition}:{first.offset}".encode()
    load(wire, TITLES["title-0"])
    assert put_back(settings) == (1, {"put back before": 1})
    work(settings)
    assert learned(wire) == {"title-0": (1, 0)}


def test_a_flood_brings_checkpoints_on(settings: Settings, wire: Wire) -> None:
    """Bad records are not held until a checkpoint is due: what waits for one is bounded."""
    load(wire, TITLES["title-0"])
    (one,) = shown(1)
    flood = 3 * MOST_HELD_BYTES // 2000
    wire.send([("impressions", f"hostile-{n}", one | {"title_id": f"hostile-{n}"}) for n in range(flood)])
    patient = settings.model_copy(update={"checkpoint_seconds": 3600.0, "max_poll_records": 1000})
    metrics = WorkerMetrics(CollectorRegistry())
    counts = Worker(patient, learner_job(patient, CatalogueView(), metrics), metrics).run(until_drained=True)
    assert counts.records == flood
    assert counts.checkpoints >= 3
    assert len(wire.read("dead-letters")) == flood


# --- looking


def test_a_selection_is_what_it_says(settings: Settings, wire: Wire) -> None:
    """By reason, topic, time, place and number; the newest are the last that died."""
    load(wire, TITLES["title-0"])
    for value in (
        b"{",
        b'{"impression_id":"\xff","play_id":"\xff"}',
        b"[]",
    ):  # one after another, so that each has a time of its own
        wire.send([("impressions", "title-0", value), ("plays", "ann", value)])
        work(settings)
    box = DeadLetterBox(settings)

    def found(**fields: Any) -> list[tuple[str, str]]:
        letters: list[Any] = []
        box.letters(Selection(**fields), letters.append)
        return sorted((letter.code, letter.topic.split(".")[1]) for letter in letters)

    everything = found()
    assert len(everything) == 6
    assert found(codes=frozenset({"not_utf8"})) == [("not_utf8", "impressions"), ("not_utf8", "plays")]
    plays = f"{settings.topic_prefix}plays"
    assert {topic for _, topic in found(topics=frozenset({plays}))} == {"plays"}
    assert [code for code, _ in found(topics=frozenset({plays}), limit=2)] == ["invalid", "not_utf8"]
    stamps = sorted(record.timestamp for record in wire.read("dead-letters"))
    assert len(found(since_ms=stamps[-1])) >= 1
    assert found(since_ms=stamps[-1] + 1) == []
    (record, *_) = wire.read("dead-letters")
    letter = box.letter((record.partition, record.offset))
    assert (letter.key, letter.value) == (record.key, record.value)
    with pytest.raises(InputError, match="there is no dead letter at 0:9999"):
        box.letter((0, 9999))


def test_nothing_hostile_reaches_the_terminal(settings: Settings, wire: Wire, run: Run) -> None:
    """Neither from keys nor from values nor from the sentences made of them, in any of the views."""
    nasty = "\x1b]0;owned\x07\u202e"
    one = shown(1, title_id=f"t{chr(0x9B)}2J")[0]
    wire.send(
        [("plays", nasty, nasty), ("impressions", one["title_id"], one), ("plays", b"\xff\x1b", b"\xff\x1b[2J")]
    )
    work(settings)
    letters = wire.read("dead-letters")
    assert len(letters) == 3
    commands = [("list",), ("list", "--each"), ("list", "--json"), ("list", "--each", "--json")]
    commands += [("show", f"{record.partition}:{record.offset}") for record in letters]
    for command in commands:
        told = succeed(run(settings, "dead-letters", *command))
        assert all(line.isprintable() for line in told.split("\n"))


# --- replayed logs


def test_an_old_log_is_learned_as_of_now(settings: Settings, wire: Wire, run: Run, tmp_path: Any) -> None:
    """Its times are moved, so that workers with everyday limits take it in; kept, it is refused with advice."""
    limited = settings.model_copy(update={"max_behind_days": 7})
    impressions = shown(5)
    lines = [{"topic": "catalogue", "record": TITLES["title-0"]}]
    lines += [{"topic": "impressions", "record": one} for one in impressions]
    file = tmp_path / "log.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, told = run(limited, "replay", str(file), "--keep-times")
    assert code == 78
    assert "max_behind_days" in told
    assert wire.read("impressions") == []
    before = time.time_ns() // 1_000_000
    assert "5 impressions" in succeed(run(limited, "replay", str(file)))
    times = [one["shown_ms"] for one in values(wire.read("impressions"))]
    assert before - 1000 <= max(times) <= time.time_ns() // 1_000_000
    assert [b - a for a, b in pairwise(times)] == [1000] * 4
    work(limited)
    assert learned(wire) == {"title-0": (5, 0)}
    assert "5 impressions" in succeed(run(settings, "replay", str(file), "--keep-times"))
    assert [one["shown_ms"] for one in values(wire.read("impressions"))][5:] == [
        one["shown_ms"] for one in impressions
    ]
