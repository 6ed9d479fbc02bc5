"""What a node tells of what policies have earned: ``GET /live``, its metrics, the alarm, and the apprentice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from builders import FakeMessage, some_title
from structlog.testing import capture_logs
from tables import MemoryTables, some_snapshot, some_taste, table_message
from test_serving import KEY, Node, Outbox, fault, outbox  # noqa: F401 - the fixture

from consumers.chooser.view import ServingView
from consumers.serving.live import BUSIEST
from stream.topics import SNAPSHOTS
from stream.worth.policies import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stream.records import Snapshot


def rows(impressions: float, plays: float, reward: float) -> tuple[tuple[float, ...], ...]:
    """A policy's sums, the same in each group."""
    return ((impressions / GROUPS, plays / GROUPS, reward / GROUPS),) * GROUPS


def earned(title_id: str = "film", *, version: int = 10, **policies: tuple[float, float, float]) -> Snapshot:
    """A title's snapshot with what its policies have earned."""
    return some_snapshot(
        title_id, version=version, policies={name: rows(*sums) for name, sums in policies.items()}
    )


FILM = earned(personal=(16_000, 1600, 1280), popular=(1600, 128, 96), explore=(800, 48, 32))


@pytest.fixture
def node(outbox: Outbox) -> Iterator[Node]:  # noqa: F811
    """A node that knows a film, and what its policies have earned, and a series, of which nothing was learned."""
    made = Node(MemoryTables(some_title(), some_title("series"), FILM, some_taste("ann", romance=1.0)), outbox)
    yield made
    made.chooser.close()


@pytest.fixture
def make(outbox: Outbox) -> Iterator[Any]:  # noqa: F811
    """Makes nodes with other records and settings."""
    made: list[Node] = []

    def make_one(*records: Any, **changes: Any) -> Node:
        made.append(Node(MemoryTables(some_title(), *records), outbox, **changes))
        return made[-1]

    yield make_one
    for one in made:
        one.chooser.close()


def members_of(node: Node, policy: str, count: int) -> list[str]:
    """Tokens of choices for so many members of a policy."""
    found: list[str] = []
    number = 0
    while len(found) < count:
        choice = node.chooser.choose(f"member-{number}", "film")
        number += 1
        if choice.policy == policy:
            found.append(choice.token)
    return found


# --- what is told


def test_live_tells_what_policies_have_earned(node: Node) -> None:
    """Counts, rates with their intervals, and what a personal choice is worth beside the others."""
    told = node.http.get("/live").json()
    personal = told["policies"]["personal"]
    assert (personal["impressions"], personal["plays"], personal["reward"]) == (16_000, 1600, 1280.0)
    assert (personal["take_rate"], personal["mean_reward"]) == (0.1, 0.08)
    assert personal["low"] < 0.1 < personal["high"]
    assert personal["mean_reward_low"] < 0.08 < personal["mean_reward_high"]
    assert told["lift"]["popular"]["ratio"] == pytest.approx(0.08 / 0.06)
    assert told["lift"]["explore"]["ratio"] == pytest.approx(0.08 / 0.04)
    assert told["lift"]["popular"]["low"] < 4 / 3 < told["lift"]["popular"]["high"]
    assert told["design_effect"] == 1.0  # groups that are all the same have no spread at all
    assert told["apprentice"] is None
    assert told["freshness_seconds"] > 0
    assert told["split"]["ok"]


def test_live_tells_of_the_busiest_titles(make: Any) -> None:
    """Those with the most impressions, the most first, and no more than so many."""
    titles = [some_title(f"t{i:02}") for i in range(BUSIEST + 5)]
    learned = [earned(title.title_id, personal=(160.0 * (i + 1), 16, 16)) for i, title in enumerate(titles)]
    told = make(*titles, *learned).http.get("/live").json()
    assert [title["title_id"] for title in told["titles"]] == [f"t{i:02}" for i in range(14, 4, -1)]
    assert told["titles"][0]["name"] == "The t14"
    assert told["titles"][0]["policies"]["personal"]["impressions"] == 160 * 15
    assert told["policies"]["personal"]["impressions"] == sum(160 * (i + 1) for i in range(15))


def test_live_without_anything_learned(make: Any) -> None:
    """Nothing is told as null, before the first snapshot and with one of a learner that does not sum yet."""
    for records in ((), (some_snapshot(),)):
        told = make(*records).http.get("/live").json()
        assert told["policies"]["personal"]["take_rate"] is None
        assert told["lift"]["popular"] == {"ratio": None, "low": 0.0, "high": None}
        assert told["titles"] == []


def test_a_newer_snapshot_takes_the_place_of_the_one_before(make: Any) -> None:
    """Sums are not added to those that they replace; an older one changes nothing, a tombstone takes them away."""
    view = ServingView()

    def impressions() -> float:
        return float(view.earnings.total[:, :, 0].sum())

    def apply(snapshot: Snapshot) -> None:
        topic, message = table_message(snapshot)
        view.tables[topic]([message])

    apply(earned(personal=(160, 16, 16)))
    apply(earned("series", personal=(1600, 16, 16)))
    assert impressions() == 1760
    apply(earned(version=12, personal=(320, 16, 16), explore=(16, 0, 0)))
    assert impressions() == 1936
    apply(earned(version=11, personal=(16_000, 16, 16)))
    assert impressions() == 1936
    rebuilt = ServingView()
    rebuilt.tables[SNAPSHOTS]([table_message(earned(version=9, personal=(16, 0, 0)))[1]])
    rebuilt.keep_newer(view)
    assert float(rebuilt.earnings.total[:, :, 0].sum()) == 336
    view.tables[SNAPSHOTS]([FakeMessage("", 0, 9, b"film", None)])
    assert impressions() == 1600


def test_sums_that_are_none_are_refused_with_their_snapshot() -> None:
    """What is known of the title stays."""
    view = ServingView()
    for snapshot in (earned(personal=(160, 16, 16)), some_snapshot(version=11, policies={"personal": ((1.0,),)})):
        topic, message = table_message(snapshot)
        view.tables[topic]([message])
    assert view.refused["snapshots"] == 1
    assert view.earnings.total.sum() == 192


def test_live_is_for_who_shows_a_key(make: Any) -> None:
    """As everything else is."""
    node = make(FILM, http_api_keys=(KEY,))
    fault(node.http.get("/live"), 401)
    assert node.http.get("/live", headers={"Authorization": f"Bearer {KEY}"}).status_code == 200


def test_metrics_tell_the_same(node: Node) -> None:
    """By policy, and of the busiest titles by title too; what has no number yet has no series."""
    found, told = node.metrics(), node.http.get("/live").json()
    for policy, earned_ in told["policies"].items():
        assert found["keyart_live_impressions", policy] == earned_["impressions"]
        assert found["keyart_live_take_rate_ratio", policy] == earned_["take_rate"]
        assert found["keyart_live_take_rate_low_ratio", policy] == earned_["low"]
        assert found["keyart_live_mean_reward_high_ratio", policy] == earned_["mean_reward_high"]
        assert found["keyart_live_title_take_rate_ratio", f"{policy},film"] == earned_["take_rate"]
    assert found["keyart_live_lift_ratio", "popular"] == told["lift"]["popular"]["ratio"]
    assert found["keyart_live_lift_low_ratio", "explore"] == told["lift"]["explore"]["low"]
    assert found["keyart_live_title_lift_high_ratio", "popular,film"] == told["lift"]["popular"]["high"]
    assert not [name for name, labels in found if "series" in labels or "apprentice" in name]
    assert found["keyart_split_mismatch", ""] == 0


# --- the split


def test_members_who_are_not_split_as_they_should_be_are_told_once(make: Any) -> None:
    """A sentence in the log, a metric that stays, and what was observed; a repeated impression is nothing new."""
    node = make(FILM)
    tokens = members_of(node, "explore", 12)
    with capture_logs() as logs:
        for _ in range(2):
            assert node.http.post("/impressions", json={"tokens": tokens}).status_code == 202
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == [
        "members are not split as the settings say: what policies earn cannot be compared"
    ]
    split = node.http.get("/live").json()["split"]
    assert (split["ok"], split["members"], split["observed"]["explore"]) == (False, 12, 1.0)
    assert split["expected"] == pytest.approx({"personal": 0.93, "popular": 0.05, "explore": 0.02, "app": 0.0})
    found = node.metrics()
    assert (found["keyart_split_mismatch", ""], found["keyart_split_members", "explore"]) == (1, 12)


def test_members_who_are_split_as_they_should_be_raise_no_alarm(make: Any) -> None:
    """Forty of each hundred explore, and the settings say so."""
    node = make(FILM, explore_share=0.4)
    tokens = [node.chooser.choose(f"m{i}", "film").token for i in range(400)]
    for start in range(0, 400, 5):
        node.http.post("/impressions", json={"tokens": tokens[start : start + 5]})
    assert node.http.get("/live").json()["split"] == {
        "ok": True,
        "members": 400,
        "expected": pytest.approx({"personal": 0.55, "popular": 0.05, "explore": 0.4, "app": 0.0}),
        "observed": pytest.approx({"personal": 0.55, "popular": 0.05, "explore": 0.4, "app": 0.0}, abs=0.08),
    }


# --- the apprentice


def test_an_apprentice_shows_what_the_app_shows(make: Any) -> None:
    """Whatever was learned; the choice says what Keyart would have shown."""
    node = make(FILM, some_taste("ann", romance=1.0), app_share=1)
    for own in ("face", "kiss"):
        (choice,) = node.choose(title_id="film", own=own).json()["choices"]
        assert (choice["artwork_id"], choice["policy"], choice["propensity"]) == (own, "app", 1.0)
        assert choice["advised"] == "kiss"
    (choice,) = node.choose(title_id="film").json()["choices"]
    assert choice["artwork_id"] == "face"


def test_an_apprentice_says_which_of_the_apps_artwork_it_does_not_know(make: Any) -> None:
    """One title is refused with 404; of a page the others are chosen."""
    node = make(FILM, some_title("series"), app_share=1)
    assert "'poster'" in fault(node.choose(title_id="film", own="poster"), 404)
    told = node.choose(title_ids=["film", "series", "lost"], own={"film": "poster", "series": "kiss"}).json()
    assert [(choice["title_id"], choice["artwork_id"]) for choice in told["choices"]] == [("series", "kiss")]
    assert (told["without_own"], told["unknown"], told["without_canvas"]) == (["film"], ["lost"], [])


@pytest.mark.parametrize(
    "body", [{"title_id": "film", "own": {"film": "face"}}, {"title_ids": ["film"], "own": "x"}]
)
def test_own_fits_what_is_asked_for(node: Node, body: dict[str, Any]) -> None:
    """One artwork with one title, a mapping with several."""
    assert "own" in fault(node.choose(**body), 400)


def test_live_tells_how_the_apprentice_would_have_done(make: Any) -> None:
    """How often it agreed, what was earned where it did and where not, and that for the same titles."""
    node = make(
        some_title("series"),
        earned(agreed=(160, 32, 32), disagreed=(480, 48, 48)),
        earned("series", disagreed=(320, 16, 16)),
        app_share=1,
    )
    told = node.http.get("/live").json()
    assert told["policies"]["app"]["impressions"] == 960
    apprentice = told["apprentice"]
    assert (apprentice["impressions"], apprentice["agreement"]) == (960, 160 / 960)
    assert apprentice["agreed"]["take_rate"] == 0.2
    assert apprentice["disagreed"]["take_rate"] == 0.08
    assert apprentice["agreed_lift"]["ratio"] == pytest.approx(2.5)
    same = apprentice["same_titles"]
    assert (same["share"], same["mean_reward"], same["advised_mean_reward"]) == pytest.approx((2 / 3, 0.125, 0.2))
    found = node.metrics()
    assert found["keyart_apprentice_agreement_ratio", ""] == 160 / 960
    assert found["keyart_apprentice_mean_reward_ratio", "yes"] == 0.2
    assert found["keyart_apprentice_advised_mean_reward_ratio", ""] == pytest.approx(0.2)
