"""What a node says that people with a taste would see: shares, reasons, and every question it does not take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import START_MS, some_settings, some_title
from learned import app_on, learned_catalogue
from starlette.testclient import TestClient
from tables import FEATURES, MemoryTables, choosing, members_of, some_snapshot

from consumers.serving.look import MAX_TITLES, MAX_WATCHED, look_at, taste_of
from stream.features import BIAS, CAST
from stream.records import Artwork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers import ArtworkChooser


def node(chooser: ArtworkChooser) -> TestClient:
    """A node's interface on a chooser."""
    return TestClient(app_on(chooser, http_max_bytes=16384))


@pytest.fixture(scope="module")
def http() -> Iterator[TestClient]:
    """A node that has learned of the whole catalogue."""
    with choosing(learned_catalogue()) as chooser:
        yield node(chooser)


def look(http: TestClient, watched: list[str], *title_ids: str) -> dict[str, Any]:
    """``POST /look``."""
    answer = http.post("/look", json={"watched": watched, "title_ids": list(title_ids)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_two_people_see_two_artworks(http: TestClient) -> None:
    """Who watches romances gets the couple, and because of romance; who watches comedies gets the comedian."""
    for watched, artwork_id, theme in (
        (["notting-hill", "pride-prejudice", "in-the-mood-for-love"], "the-couple", "romance"),
        (["friends", "the-big-lebowski", "the-intouchables"], "robin-williams", "comedy"),
    ):
        (looked,) = look(http, watched, "good-will-hunting")["titles"]
        assert looked["artwork_id"] == artwork_id
        assert looked["why"][0]["feature"] == theme
        assert looked["why"][0]["effect"] > 0
        assert looked["why"][0]["sure"] > 0.9


def test_shares_are_of_every_artwork_and_sum_to_one(http: TestClient) -> None:
    """The nine of Stranger Things, the most first; a floor below which none falls."""
    (looked,) = look(http, ["alien", "notting-hill"], "stranger-things")["titles"]
    shares = list(looked["shares"].values())
    assert len(shares) == 9
    assert sum(shares) == pytest.approx(1.0, abs=1e-8)
    assert shares == sorted(shares, reverse=True)
    assert next(iter(looked["shares"])) == looked["artwork_id"]
    assert min(shares) >= some_settings().uniform_floor / 9


def test_shares_are_what_members_get() -> None:
    """Of 3,000 members with this taste so many are shown each artwork; the tolerance is four standard errors."""
    taste, settings = {"comedy": 0.49, "romance": 0.51}, some_settings()
    with choosing(MemoryTables(some_title(), some_snapshot(sd=0.1))) as chooser:
        served = chooser.follower.view.served["film"]
        rules = {"floor": settings.uniform_floor, "exploration": settings.exploration}
        looked = look_at(served.title, served.require(None), taste, **rules)
        members = members_of("personal", 3000, settings.explore_share, settings.popular_share)
        seen = sum(chooser.choose(name, "film", taste).artwork_id == "kiss" for name in members)
    share = looked.shares["kiss"]
    assert 0.6 < share < 0.9
    assert abs(seen / len(members) - share) < 4 * np.sqrt(share * (1 - share) / len(members))


def test_reasons_sum_to_the_lead(http: TestClient) -> None:
    """They are all there is to it: the expected reward above the average of the others, with nothing left over."""
    means = {"face": (0.1, 0.5, 0.0), "kiss": (0.2, 0.0, 0.5), "hug": (0.15, 0.1, 0.3)}
    tables = MemoryTables(some_title(artworks=list(means)), some_snapshot(means=means))
    with choosing(tables) as chooser:
        (looked,) = look(node(chooser), ["film"], "film")["titles"]
    taste = taste_of([some_title()])
    x = np.array([1.0, taste["comedy"], taste["romance"]])
    scores = {name: float(x @ mean) for name, mean in means.items()}
    best = max(scores, key=scores.__getitem__)
    others = [score for name, score in scores.items() if name != best]
    assert looked["artwork_id"] == best
    assert sum(reason["effect"] for reason in looked["why"]) == pytest.approx(scores[best] - np.mean(others))
    sizes = [abs(reason["effect"]) for reason in looked["why"]]
    assert sizes == sorted(sizes, reverse=True)
    assert {reason["feature"] for reason in looked["why"]} <= set(FEATURES)


def test_people_on_an_artwork_count() -> None:
    """Somebody who has watched a person's film is shown the artwork with that person, and that is the reason."""
    artworks = (Artwork("face", {"cast:Uma": 1.0}), Artwork("kiss", {}))
    snapshot = some_snapshot(
        features=(BIAS, "comedy", CAST), means={"face": (0.1, 0.0, 0.4), "kiss": (0.1, 0.0, 0.0)}
    )
    tables = MemoryTables(
        some_title(artworks=artworks), some_title("other", themes={"comedy": 1.0, "cast:Uma": 1.0}), snapshot
    )
    with choosing(tables) as chooser:
        answer = look(node(chooser), ["other"], "film")
    (looked,) = answer["titles"]
    assert answer["taste"] == {"comedy": 1.0, "cast:Uma": 1.0}
    assert looked["artwork_id"] == "face"
    assert [reason["feature"] for reason in looked["why"]] == [CAST]


def test_nothing_published_is_told_as_nothing() -> None:
    """Everybody sees the first artwork; there are no shares and no reasons to make up."""
    with choosing(MemoryTables(some_title())) as chooser:
        answer = look(node(chooser), ["film"], "film")
    assert answer["titles"] == [
        {
            "title_id": "film",
            "artwork_id": "face",
            "shares": {},
            "why": [],
            "version": None,
            "learned_through_ms": None,
        }
    ]


def test_equals_come_in_the_catalogues_order() -> None:
    """Before anything is learned all are as likely; nobody is told that taste makes a difference."""
    nothing = dict.fromkeys(("face", "kiss", "hug"), (0.1, 0.2, 0.2))
    tables = MemoryTables(some_title(artworks=list(nothing)), some_snapshot(means=nothing), some_title("other"))
    with choosing(tables) as chooser:
        http = node(chooser)
        found = [look(http, watched, "film")["titles"][0] for watched in ([], ["film"], ["film", "other"])]
    for looked in found:
        assert list(looked["shares"]) == ["face", "kiss", "hug"]
        assert looked["shares"]["face"] == pytest.approx(1 / 3)
        assert looked["why"] == []


def test_somebody_who_has_watched_nothing_has_no_taste(http: TestClient) -> None:
    """Then what is popular decides; here all artworks are, and nothing speaks for one of them."""
    answer = look(http, [], "good-will-hunting")
    assert answer["taste"] == {}
    assert answer["titles"][0]["why"] == []
    shares = list(answer["titles"][0]["shares"].values())
    assert shares == pytest.approx([1 / len(shares)] * len(shares))
    assert answer["titles"][0]["learned_through_ms"] == START_MS - 500


def test_order_is_kept_and_what_is_unknown_is_named_once(http: TestClient) -> None:
    """Watched or looked at; a title that is asked for twice is answered once."""
    answer = look(http, ["lost", "alien"], "titanic", "lost", "alien", "gone", "titanic")
    assert [looked["title_id"] for looked in answer["titles"]] == ["titanic", "alien"]
    assert answer["unknown"] == ["lost", "gone"]


FAULTS = {
    "nothing": ({}, "missing required field `watched`"),
    "more": ({"watched": [], "title_ids": [], "member_id": "ann"}, "unknown field `member_id`"),
    "a number": ({"watched": [7], "title_ids": []}, "at `$.watched[0]`"),
    "too many titles": ({"watched": [], "title_ids": ["x"] * (MAX_TITLES + 1)}, "at `$.title_ids`"),
    "too much watched": ({"watched": ["x"] * (MAX_WATCHED + 1), "title_ids": []}, "at `$.watched`"),
    "an endless id": ({"watched": [], "title_ids": ["x" * 129]}, "at `$.title_ids[0]`"),
}


@pytest.mark.parametrize(("body", "sentence"), FAULTS.values(), ids=FAULTS)
def test_a_bad_question_is_named(body: dict[str, Any], sentence: str, http: TestClient) -> None:
    """400, and which field it is."""
    answer = http.post("/look", json=body)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_a_long_question_is_refused(http: TestClient) -> None:
    """As every long body is."""
    assert http.post("/look", content=b" " * 16385).status_code == 413


def test_a_node_that_has_not_read_its_tables_says_so() -> None:
    """Nobody is told that a title is unknown which the node has not read of yet."""
    tables = learned_catalogue()
    with choosing(tables) as chooser:
        chooser.follower._complete_at = None
        answer = node(chooser).post("/look", json={"watched": [], "title_ids": ["alien"]})
    assert answer.status_code == 503
    assert "not read" in answer.json()["error"]


def test_a_page_of_another_site_cannot_ask(http: TestClient) -> None:
    """As for everything that is not a GET."""
    body = json.dumps({"watched": [], "title_ids": []})
    assert http.post("/look", content=body, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
