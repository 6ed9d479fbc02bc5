"""Seeded traffic as plain dictionaries: a catalogue, what members were shown, and what they played of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

Fields = dict[str, Any]

START_MS = 1_750_000_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
THEMES = ("comedy", "drama", "romance")
LATE_MEMBERS = ("member-0", "member-1")


def catalogue(titles: int = 4, artworks: int = 3) -> dict[str, Fields]:
    """Titles by id, each with artworks of differing themes."""
    return {
        f"title-{t}": {
            "title_id": f"title-{t}",
            "name": f"Title {t}",
            "runtime_seconds": 5400 + 600 * t,
            "themes": dict.fromkeys(THEMES, 0.5),
            "artworks": [
                {"artwork_id": f"art-{a}", "themes": {THEMES[a % len(THEMES)]: 1.0}} for a in range(artworks)
            ],
        }
        for t in range(titles)
    }


def impressions(
    rng: random.Random, titles: dict[str, Fields], count: int, *, members: int = 20, span_ms: int = 30 * MINUTE_MS
) -> list[Fields]:
    """What was shown, in the order of time, evenly over the span. Contexts lack some of the features."""
    made = []
    for i in range(count):
        title = titles[rng.choice(sorted(titles))]
        known = [theme for theme in THEMES if rng.random() < 0.7]
        made.append(
            {
                "impression_id": f"impression-{i}",
                "shown_ms": START_MS + i * span_ms // count,
                "member_id": f"member-{rng.randrange(members)}",
                "title_id": title["title_id"],
                "artwork_id": rng.choice(title["artworks"])["artwork_id"],
                "context": {theme: rng.random() for theme in known} | {"weather": 1.0},
                "policy": rng.choice(["personal", "popular", "explore"]),
                "propensity": 0.05 + 0.95 * rng.random(),
                "snapshot_version": None,
            }
        )
    return made


def plays(rng: random.Random, shown: list[Fields], *, share: float = 0.4) -> list[Fields]:
    """What was played of it.

    Some plays are reported again and again as they go on, some impressions lead to two plays, some plays are too
    short to count, and some have no impression. A few members play long after they were shown anything, which is
    no artwork's merit; and nobody else does, as it would settle what the member played before.
    """
    made: list[Fields] = []

    def add(play_id: str, impression: Fields, after_ms: int, watched: float, *, bare: bool = False) -> None:
        made.append(
            {
                "play_id": play_id,
                "played_ms": impression["shown_ms"] + after_ms,
                "member_id": impression["member_id"],
                "title_id": impression["title_id"],
                "watched_seconds": watched,
                "impression": None if bare else impression,
            }
        )

    for impression in shown:
        if rng.random() > share:
            continue
        play_id = f"play-of-{impression['impression_id']}"
        kind = rng.random()
        if impression["member_id"] in LATE_MEMBERS:
            add(play_id, impression, 26 * HOUR_MS, 3000.0)
        elif kind < 0.2:
            add(play_id, impression, MINUTE_MS, 600.0, bare=True)
        else:
            watched = 0.0
            for report in range(rng.randint(1, 3)):
                watched += rng.choice([60.0, 400.0, 900.0])
                add(play_id, impression, (1 + report) * MINUTE_MS, watched)
            if kind > 0.85:
                add(f"{play_id}-again", impression, 20 * MINUTE_MS, rng.choice([100.0, 1500.0]))
    return made


def rewards(rng: random.Random, shown: list[Fields], *, share: float = 0.3) -> list[Fields]:
    """Rewards as a viewing worker would write them: credits that add up to each impression's reward."""
    made: list[Fields] = []
    for impression in shown:
        if rng.random() > share:
            continue
        about = {key: value for key, value in impression.items() if key not in ("member_id", "snapshot_version")}
        total = 0.0
        for step in range(rng.randint(1, 3)):
            larger = min(total + rng.random() / 2, 1.0)
            credited_ms = impression["shown_ms"] + (1 + step) * MINUTE_MS
            made.append(about | {"credited_ms": credited_ms, "credit": larger - total, "reward": larger})
            total = larger
        if rng.random() < 0.1:
            made.append(about | {"credited_ms": credited_ms + MINUTE_MS, "credit": -total, "reward": 0.0})
    return made


def malformed(shown: Fields, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Keys and values that nothing can be learned from, made from a good record of the topic."""
    key = shown["member_id" if topic == "plays" else "title_id"].encode()

    def changed(**fields: Any) -> bytes:
        return json.dumps(shown | fields).encode()

    return [
        (key, b"\xff\xfe not text"),
        (key, b'{"cut off": '),
        (key, b"[1, 2, 3]"),
        (key, b'"\xff"'),
        # A play without a value is no bad record, but the wish to forget a member.
        (key, b"" if topic == "plays" else None),
        (key, changed(title_id="a title nobody loaded")),
        (b"somebody else", changed()),
        (None, changed()),
        (b"\xff", changed()),
        (key, changed(title_id=7)),
        (key, changed(padding="x" * 70_000)),
        (key, changed().replace(b'"title_id"', b'"no_title_id"')),
    ]
