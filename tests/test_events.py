"""What an app tells Keyart becomes the right record, or is refused with the reason. No broker is needed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from stand_in import install

from producers import EventProducer
from producers.token import sign
from stream import topics
from stream.choosing.choice import Choice
from stream.codec import decode
from stream.errors import ConfigurationError, TokenError
from stream.records import Impression, Play
from stream.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from stand_in import Cluster

SECRET = "a secret for the tests"
SHOWN_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
IMPRESSION = Impression(
    "impression-1", SHOWN_MS, "member-1", "title-1", "art-1", {"drama": 0.25}, "personal", 0.4, 12
)
TOKEN = sign(IMPRESSION, SECRET.encode())
CHOICE = Choice("title-1", "art-1", 0.4, "personal", {"drama": 0.25}, 12, "impression-1", TOKEN)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The stand-in for Kafka."""
    return install(monkeypatch)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings that owe nothing to the environment."""
    for variable in [name for name in os.environ if name.startswith("KEYART_")]:
        monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)  # away from any keyart.toml
    return Settings(token_secrets=(SECRET,))


@pytest.fixture
def events(cluster: Cluster, settings: Settings) -> Iterator[EventProducer]:
    """A producer on the stand-in, ten minutes after the impression."""
    with EventProducer(settings, now_ms=lambda: SHOWN_MS + 600_000) as producer:
        yield producer


@pytest.mark.parametrize("by", ["choice", "token"])
def test_an_impression_is_the_one_in_the_token(events: EventProducer, cluster: Cluster, by: str) -> None:
    """It is written by title, as it was signed: shown when it was chosen."""
    assert events.impression(CHOICE) if by == "choice" else events.impression_token(TOKEN)
    events.flush()
    (output,) = cluster.written
    assert (output.topic, output.key, output.partition) == (topics.IMPRESSIONS, b"title-1", None)
    assert decode(Impression, output.value) == IMPRESSION
    assert (events.delivered, events.dropped, events.queued) == (1, {}, 0)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {"play_id": "impression-1", "played_ms": SHOWN_MS + 600_000}),
        ({"play_id": "play-7", "played_ms": SHOWN_MS + 5}, {"play_id": "play-7", "played_ms": SHOWN_MS + 5}),
        ({"member_id": "member-1", "title_id": "title-1"}, {"play_id": "impression-1"}),
    ],
)
def test_a_play_with_a_token(
    events: EventProducer, cluster: Cluster, arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    """It is written by member, with the impression in it; a second call for one choice supersedes the first."""
    assert events.play(TOKEN, 300, **arguments)
    events.flush()
    (output,) = cluster.written
    assert (output.topic, output.key) == (topics.PLAYS, b"member-1")
    play = decode(Play, output.value)
    assert (play.member_id, play.title_id, play.watched_seconds) == ("member-1", "title-1", 300)
    assert play.impression == IMPRESSION
    assert {name: getattr(play, name) for name in expected} == expected


def test_a_play_without_a_token(events: EventProducer, cluster: Cluster) -> None:
    """A play that no artwork led to says itself who played what."""
    assert events.play(None, 1.5, play_id="p", member_id="m", title_id="t")
    events.flush()
    assert decode(Play, cluster.written[0].value) == Play("p", SHOWN_MS + 600_000, "m", "t", 1.5, None)


@pytest.mark.parametrize(
    ("token", "watched", "arguments", "says"),
    [
        (None, 1, {"play_id": "p", "member_id": "m"}, "needs member_id, title_id and play_id"),
        (None, 1, {"play_id": "p", "title_id": "t"}, "needs member_id, title_id and play_id"),
        (None, 1, {"member_id": "m", "title_id": "t"}, "needs member_id, title_id and play_id"),
        (None, 1, {"play_id": "p", "member_id": "", "title_id": "t"}, "member_id"),
        (None, 1, {"play_id": "p", "member_id": "m", "title_id": "t" * 129}, "title_id"),
        (None, 1, {"play_id": "p", "member_id": "\ud800", "title_id": "t"}, "surrogates"),
        (TOKEN, 1, {"member_id": "member-2"}, "member_id is 'member-2', but the token is of another"),
        (TOKEN, 1, {"title_id": "title-2"}, "title_id is 'title-2', but the token is of another"),
        (TOKEN, 1, {"played_ms": -1}, "played_ms"),
        (TOKEN, 1, {"played_ms": 1.5}, "played_ms"),
        (TOKEN, -0.1, {}, "watched_seconds"),
        (TOKEN, 1e8, {}, "watched_seconds"),
        (TOKEN, float("nan"), {}, "watched_seconds"),
        (TOKEN, float("inf"), {}, "watched_seconds"),
        (TOKEN, "300", {}, "watched_seconds"),
        (TOKEN, None, {}, "watched_seconds"),
        (TOKEN, object(), {}, "Play"),
    ],
)
def test_a_wrong_play_is_raised(
    events: EventProducer, cluster: Cluster, token: str | None, watched: Any, arguments: dict[str, Any], says: str
) -> None:
    """What is wrong with a play itself is the caller's to mend: ValueError names it, and nothing is written."""
    with pytest.raises(ValueError, match=says):
        events.play(token, watched, **arguments)
    assert (events.queued, events.dropped, cluster.written) == (0, {}, [])


def test_a_token_is_good_as_long_as_a_play_can_be_credited(cluster: Cluster, settings: Settings) -> None:
    """Attribution and lateness together are the age limit; beyond it, and for forgeries, TokenError."""
    limit_ms = round((settings.attribution_hours + settings.late_hours) * HOUR_MS)
    now_ms = SHOWN_MS + limit_ms
    with EventProducer(settings, now_ms=lambda: now_ms) as events:
        assert events.play(TOKEN, 300)
        now_ms += 1
        for call in (events.play, lambda token, _: events.impression_token(token)):
            with pytest.raises(TokenError, match="expired"):
                call(TOKEN, 300)
            with pytest.raises(TokenError):
                call(TOKEN[:-2], 300)
        assert events.dropped == {}


def test_every_configured_secret_is_accepted(cluster: Cluster, settings: Settings) -> None:
    """Tokens from before a rotation are still credited."""
    rotated = Settings(token_secrets=("a newer secret for it", SECRET))
    with EventProducer(rotated, now_ms=lambda: SHOWN_MS) as events:
        assert events.impression(CHOICE)


def test_without_secrets_there_is_no_producer(settings: Settings) -> None:
    """A missing setting is said when the producer is made, by its name."""
    with pytest.raises(ConfigurationError, match="token_secrets"):
        EventProducer(Settings())


def test_settings_are_read_from_the_environment(
    cluster: Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An app needs to pass nothing."""
    with pytest.raises(ConfigurationError, match="token_secrets"):
        EventProducer()
    monkeypatch.setenv("KEYART_TOKEN_SECRETS", SECRET)
    with EventProducer() as events:
        assert events.play(None, 5, play_id="p", member_id="m", title_id="t")
        events.flush()
    (output,) = cluster.written
    assert abs(decode(Play, output.value).played_ms - time.time() * 1000) < 60_000
