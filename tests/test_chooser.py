"""The chooser: what it follows, what it chooses from that, and that nothing makes it stop."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from builders import DAY_MS, HOUR_MS, START_MS, message_of, repeatable, some_settings, some_title
from hypothesis import given
from hypothesis import strategies as st
from tables import MemoryTables, some_snapshot, some_taste, table_message

from consumers import ArtworkChooser, UnknownTitle
from consumers.chooser.contexts import check_context, merge
from consumers.chooser.view import ServingView
from producers.token import verify
from stream.choosing.choice import artwork_keys, choose_uniform, draws, key_of, policy_of, time_bucket
from stream.codec import decode, encode
from stream.errors import BrokerUnavailable, ConfigurationError, KeyartError, TopicError
from stream.features import RESERVED
from stream.records import MAX_FEATURES, MAX_RECORD_BYTES, Artwork, Impression
from stream.topics import CATALOGUE, SNAPSHOTS, TASTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stream.records import Record

SECRET = "a secret for the tests"
MEMBERS = [f"member-{i}" for i in range(200)]


def of_policy(policy: str, explore: float = 0.02, popular: float = 0.05) -> str:
    """The first member of a policy."""
    return next(m for m in (f"m{i}" for i in range(10_000)) if policy_of(key_of(m), explore, popular) == policy)


PERSONAL, POPULAR, EXPLORE = of_policy("personal"), of_policy("popular"), of_policy("explore")


@pytest.fixture
def make() -> Iterator[Callable[..., ArtworkChooser]]:
    """Makes choosers that follow tables in memory, at a fixed time."""
    made: list[ArtworkChooser] = []

    def make_one(tables: MemoryTables, *, ready: bool = True, **changes: Any) -> ArtworkChooser:
        chooser = ArtworkChooser(
            some_settings(token_secrets=(SECRET,), **changes), now_ms=lambda: START_MS, open_tables=tables.open
        )
        made.append(chooser)
        if ready:
            chooser.wait_ready(20)
        return chooser

    yield make_one
    for chooser in made:
        chooser.close()


def view_of(*records: Record) -> ServingView:
    """A view that has read these."""
    view = ServingView()
    apply(view, *records)
    return view


def apply(view: ServingView, *records: Record) -> None:
    """Let a view read more."""
    for record in records:
        topic, message = table_message(record)
        view.tables[topic]([message])


def withdraw(view: ServingView, topic: Any, key: str) -> None:
    """Let a view read a tombstone."""
    message = message_of(some_title())
    view.tables[topic]([type(message)(topic.name, 0, 1, key.encode(), None)])


# --- the view


@pytest.mark.parametrize(
    ("versions", "kept"),
    [((5, 7), 1), ((7, 5), 0), ((7, 7), 1), ((5, 7, 6), 1), ((5, 7, 6, 7), 3), ((0, 0, 0), 2)],
)
def test_the_highest_version_stays_and_of_equals_the_latest(versions: tuple[int, ...], kept: int) -> None:
    """A worker that has lost its partition cannot take a title back to what it was."""
    view = view_of(some_title(), *(some_snapshot(version=v, published_ms=i) for i, v in enumerate(versions)))
    snapshot = view.served["film"].snapshot
    assert snapshot is not None
    assert (snapshot.version, snapshot.published_ms) == (versions[kept], kept)


@pytest.mark.parametrize("records", [(some_title(), some_snapshot()), (some_snapshot(), some_title())])
def test_topics_may_come_in_any_order(records: tuple[Record, ...]) -> None:
    """Between topics there is no order: a snapshot waits for its title."""
    assert view_of(*records).served["film"].snapshot is not None


def test_a_tombstone_of_a_snapshot_leaves_the_title() -> None:
    """It is served as one of which nothing is known; a snapshot of any version is taken after it."""
    view = view_of(some_title(), some_snapshot(version=9))
    withdraw(view, SNAPSHOTS, "film")
    assert view.served["film"].snapshot is None
    apply(view, some_snapshot(version=2))
    assert view.served["film"].snapshot is not None


def test_a_title_leaves_with_the_catalogue_and_comes_back() -> None:
    """Withdrawn, it is not served whatever is known of it; loaded again, it is served from what was known."""
    view = view_of(some_title(), some_snapshot())
    withdraw(view, CATALOGUE, "film")
    assert not view.served
    apply(view, some_snapshot(version=11))
    assert not view.served
    apply(view, some_title())
    assert view.served["film"].snapshot is not None
    assert view.served["film"].snapshot.version == 11


def test_a_withdrawn_artwork_is_not_shown_even_while_no_learner_runs() -> None:
    """The catalogue's word is enough; a new artwork waits for a snapshot that has it."""
    view = view_of(some_title(), some_snapshot())
    apply(view, some_title(artworks=("kiss", "poster")))
    snapshot = view.served["film"].snapshot
    assert snapshot is not None
    assert snapshot.artwork_ids == ("kiss",)
    apply(view, some_title(artworks=("poster",)))
    assert view.served["film"].snapshot is None
    apply(view, some_title())
    assert view.served["film"].snapshot is not None
    assert view.served["film"].snapshot.artwork_ids == ("face", "kiss")


def test_a_forgotten_member_has_no_taste() -> None:
    """The tombstone of keyart forget reaches the nodes' memory."""
    view = view_of(some_taste(romance=1.0))
    assert view.tastes == {"ann": {"romance": 1.0}}
    withdraw(view, TASTES, "ann")
    assert view.tastes == {}


BAD = {
    "not JSON": b"{",
    "not UTF-8": b'{"title_id": "\xff"}',
    "empty": b"",
    "another kind": b'{"member_id": 4}',
    "nested beyond measure": b"[" * 100_000,
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
@pytest.mark.parametrize("topic", [CATALOGUE, SNAPSHOTS, TASTES], ids=lambda topic: topic.name)
def test_a_record_that_cannot_be_read_changes_nothing(topic: Any, value: bytes) -> None:
    """It is counted under its topic, and what its key had stays."""
    view = view_of(some_title(), some_snapshot(), some_taste(romance=1.0))
    before = view.served["film"]
    message = type(message_of(some_title()))
    for key in (b"film", b"ann", b"\xff", None):
        view.tables[topic]([message(topic.name, 0, 1, key, value)])
    assert view.served["film"].snapshot is before.snapshot
    assert view.tastes == {"ann": {"romance": 1.0}}
    assert view.refused == {CATALOGUE.name: 0, SNAPSHOTS.name: 0, TASTES.name: 0} | {topic.name: 4}


@pytest.mark.parametrize("record", [some_title("other"), some_snapshot("other"), some_taste("other")], ids=repr)
def test_a_record_under_another_key_is_refused(record: Record) -> None:
    """A title filed under another's key could never be withdrawn."""
    view = view_of(some_title())
    topic, message = table_message(record)
    view.tables[topic]([type(message)(message.topic, 0, 0, b"film", message.value)])
    assert view.refused[topic.name] == 1
    assert list(view.served) == ["film"]


def test_an_unsound_snapshot_leaves_the_last_good_one() -> None:
    """Whoever published it, and whatever its version."""
    view = view_of(some_title(), some_snapshot(version=5))
    apply(view, some_snapshot(version=6, features=("comedy", "bias", "romance")))
    assert view.served["film"].snapshot is not None
    assert view.served["film"].snapshot.version == 5
    assert view.refused[SNAPSHOTS.name] == 1


# --- choosing


def test_without_a_snapshot_it_is_the_first_artwork(make: Callable[..., ArtworkChooser]) -> None:
    """Nothing is known, and the choice says so: certain, and of no snapshot's version."""
    chooser = make(MemoryTables(some_title()))
    for member in (PERSONAL, POPULAR):
        choice = chooser.choose(member, "film")
        assert (choice.artwork_id, choice.propensity, choice.snapshot_version) == ("face", 1.0, None)
    assert chooser.counts.without_snapshot.value == 2


def test_explorers_get_a_uniform_choice_with_or_without_a_snapshot(make: Callable[..., ArtworkChooser]) -> None:
    """The unbiased log does not wait for the learner; and a snapshot's arrival moves nobody."""
    tables = MemoryTables(some_title())
    chooser = make(tables, explore_share=1.0, popular_share=0.0)
    before = [chooser.choose(member, "film") for member in MEMBERS]
    assert {choice.artwork_id for choice in before} == {"face", "kiss"}
    assert {(c.propensity, c.policy, c.snapshot_version) for c in before} == {(0.5, "explore", None)}
    tables.write(some_snapshot())
    tables.settle()
    after = [chooser.choose(member, "film") for member in MEMBERS]
    assert [c.artwork_id for c in after] == [c.artwork_id for c in before]
    assert {(c.propensity, c.snapshot_version) for c in after} == {(0.5, 10)}


@pytest.mark.parametrize(("theme", "expected"), [("romance", "kiss"), ("comedy", "face")])
def test_the_taste_decides_where_nothing_else_is_given(
    theme: str, expected: str, make: Callable[..., ArtworkChooser]
) -> None:
    """The same member, the same draws, another taste: another artwork."""
    chooser = make(
        MemoryTables(some_title(), some_snapshot(), some_taste(PERSONAL, **{theme: 1.0})), uniform_floor=0.0
    )
    choice = chooser.choose(PERSONAL, "film")
    assert choice.artwork_id == expected
    assert choice.context == {theme: 1.0}
    assert choice.policy == "personal"
    assert choice.propensity > 0.999


def test_what_is_given_lies_over_the_taste(make: Callable[..., ArtworkChooser]) -> None:
    """People stay out of the context; other features of the moment join it."""
    taste = some_taste(PERSONAL, **{"romance": 0.75, "comedy": 0.25, "cast:Minnie Driver": 1.0})
    chooser = make(MemoryTables(some_title(), some_snapshot(), taste))
    assert chooser.taste(PERSONAL)["cast:Minnie Driver"] == 1.0
    assert chooser.choose(PERSONAL, "film").context == {"romance": 0.75, "comedy": 0.25}
    assert chooser.choose(PERSONAL, "film", {"comedy": 1, "evening": 1.0}).context == {
        "romance": 0.75,
        "comedy": 1.0,
        "evening": 1.0,
    }
    assert chooser.choose("nobody", "film").context == {}


def test_a_choice_is_the_snapshots(make: Callable[..., ArtworkChooser]) -> None:
    """Artwork, propensity and version are what the pure rule gives for this member, now."""
    settings: dict[str, Any] = {"sticky_days": 0.25, "uniform_floor": 0.1}
    chooser = make(MemoryTables(some_title(), some_snapshot(sd=0.3)), **settings)
    snapshot = chooser.snapshot("film")
    assert snapshot is not None
    for member in MEMBERS:
        key = key_of(member)
        bucket = time_bucket(key, key_of("film"), START_MS, 6 * HOUR_MS)
        policy = policy_of(key, 0.02, 0.05)
        index, propensity = snapshot.choose({"comedy": 0.2}, policy, key, bucket, floor=0.1, exploration=0.1)
        choice = chooser.choose(member, "film", {"comedy": 0.2})
        assert (choice.artwork_id, choice.propensity) == (snapshot.artwork_ids[index], propensity)
        assert (choice.policy, choice.snapshot_version) == (policy, 10)


def test_the_token_carries_the_impression(make: Callable[..., ArtworkChooser]) -> None:
    """Signed, whole, with the canvas of the artwork and the time of the choice."""
    title = msgspec.structs.replace(some_title(), artworks=(Artwork("face", {}, canvas="billboard"),))
    chooser = make(MemoryTables(title))
    choice = chooser.choose(PERSONAL, "film", {"evening": 1.0})
    impression = verify(choice.token, [SECRET.encode()], now_ms=START_MS, max_age_ms=1)
    assert impression == Impression(
        choice.impression_id,
        START_MS,
        PERSONAL,
        "film",
        "face",
        {"evening": 1.0},
        "personal",
        1.0,
        None,
        canvas="billboard",
    )


def test_a_page_is_its_choices(make: Callable[..., ArtworkChooser]) -> None:
    """In the order asked for, each as it would be alone; unknown titles are left out."""
    chooser = make(MemoryTables(some_title(), some_snapshot(), some_title("series"), some_title("short")))
    page = chooser.choose_page(PERSONAL, ["series", "nothing", "film"])
    assert [choice.title_id for choice in page] == ["series", "film"]
    alone = chooser.choose(PERSONAL, "film")
    assert (page[1].artwork_id, page[1].propensity) == (alone.artwork_id, alone.propensity)


def test_two_choosers_give_the_same_answers(make: Callable[..., ArtworkChooser]) -> None:
    """Fed the same records, in another order between the tables, nodes agree without talking."""
    titles = [some_title(f"title-{i}") for i in range(5)]
    snapshots = [some_snapshot(f"title-{i}", sd=0.2, version=i + 1) for i in range(4)]
    tastes = [some_taste(member, romance=0.5, comedy=0.5) for member in MEMBERS[::2]]
    first = make(MemoryTables(*titles, *snapshots, *tastes))
    second = make(MemoryTables(*tastes, some_snapshot("title-2", version=1), *snapshots, *reversed(titles)))
    ids = [title.title_id for title in titles]
    for member in MEMBERS:
        here, there = first.choose_page(member, ids), second.choose_page(member, ids)
        assert [(c.artwork_id, c.propensity, c.policy, c.context, c.snapshot_version) for c in here] == [
            (c.artwork_id, c.propensity, c.policy, c.context, c.snapshot_version) for c in there
        ]


def test_no_two_choices_share_an_id_and_none_goes_uncounted(make: Callable[..., ArtworkChooser]) -> None:
    """Eight threads at once, two choosers: ids are unique, counts exact."""
    tables = MemoryTables(some_title(), some_snapshot())
    choosers = make(tables), make(MemoryTables(some_title()))
    with ThreadPoolExecutor(8) as pool:
        ids = [
            choice.impression_id
            for choice in pool.map(lambda i: choosers[i % 2].choose(MEMBERS[i % 200], "film"), range(4000))
        ]
    assert len(set(ids)) == 4000
    for chooser, without in zip(choosers, (0, 2000), strict=True):
        assert sum(tally.value for tally in chooser.counts.by_policy.values()) == 2000
        assert chooser.counts.without_snapshot.value == without


def test_choices_are_counted_by_policy(make: Callable[..., ArtworkChooser]) -> None:
    """Each under its own, read as often as one likes."""
    chooser = make(MemoryTables(some_title()))
    for member in (PERSONAL, PERSONAL, POPULAR, EXPLORE):
        chooser.choose(member, "film")
    for _ in range(2):
        counted = {policy: tally.value for policy, tally in chooser.counts.by_policy.items()}
        assert counted == {"personal": 2, "popular": 1, "explore": 1, "app": 0}


# --- what callers give


IDS = {
    "empty": "",
    "too long": "x" * 129,
    "a line": "a\n",
    "a number": 7,
    "half a pair": "\ud800",
    "nothing": None,
}


@pytest.mark.parametrize("given_id", IDS.values(), ids=IDS)
@pytest.mark.parametrize("place", ["member_id", "title_id"])
def test_a_wrong_id_is_named(place: str, given_id: Any, make: Callable[..., ArtworkChooser]) -> None:
    """No impression is made that a learner would have to refuse."""
    chooser = make(MemoryTables(some_title()))
    arguments = {"member_id": "ann", "title_id": "film"} | {place: given_id}
    with pytest.raises(ValueError, match=f"^{place}: .* is not an id"):
        chooser.choose(**arguments)
    with pytest.raises(ValueError, match=f"^{place}: .* is not an id"):
        chooser.choose_page(arguments["member_id"], ["film", arguments["title_id"]])


CONTEXTS = {
    "not a number": ({"evening": float("nan")}, "'evening' is nan"),
    "infinite": ({"evening": float("-inf")}, "'evening' is -inf"),
    "too large": ({"evening": 1e7}, "'evening' is 10000000.0"),
    "beyond floats": ({"evening": 10**400}, "'evening' is 1000"),
    "text": ({"evening": "1"}, "'evening' is '1'"),
    "truth": ({"evening": True}, "'evening' is True"),
    "no value": ({"evening": None}, "'evening' is None"),
    "no name": ({"": 1.0}, "'' is not a feature's name"),
    "a long name": ({"x" * 129: 1.0}, "is not a feature's name"),
    "half a pair": ({"\udc00": 1.0}, "is not a feature's name"),
    "a number's name": ({3: 1.0}, "3 is not a feature's name"),
    "too many": ({f"f{i}": 1.0 for i in range(65)}, "65 features, the limit is 64"),
    "a list": ([("evening", 1.0)], "must map names to numbers"),
}


@pytest.mark.parametrize(("context", "fault"), CONTEXTS.values(), ids=CONTEXTS)
def test_a_wrong_context_is_named(context: Any, fault: str, make: Callable[..., ArtworkChooser]) -> None:
    """The sentence says which feature and what is wrong with it."""
    chooser = make(MemoryTables(some_title()))
    with pytest.raises(ValueError, match=f"^context: .*{fault}"):
        chooser.choose("ann", "film", context)


def test_numbers_of_other_libraries_will_do() -> None:
    """A context computed with NumPy is a context."""
    found = check_context({"a": np.float32(0.5), "b": np.float64(0.25), "c": np.int64(2), "d": 1})
    assert found == {"a": 0.5, "b": 0.25, "c": 2.0, "d": 1.0}
    assert {type(value) for value in found.values()} == {float}


def test_an_unknown_title_is_an_error_of_its_own(make: Callable[..., ArtworkChooser]) -> None:
    """It is no wrong argument: the title may come, or have gone."""
    chooser = make(MemoryTables(some_title()))
    with pytest.raises(UnknownTitle, match=r"'series' is not in the catalogue$"):
        chooser.choose("ann", "series")


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
shares = st.dictionaries(names, st.floats(0, 1), max_size=128)


@repeatable
@given(shares, st.dictionaries(names, st.floats(-1e6, 1e6), max_size=MAX_FEATURES))
def test_a_context_never_exceeds_what_a_record_may_hold(taste: dict[str, float], more: dict[str, float]) -> None:
    """What is given stays, but for Keyart's own names; the taste's largest shares fill the rest but one place."""
    context = merge(taste, more)
    given = {name: value for name, value in more.items() if name not in RESERVED}
    assert len(context) <= MAX_FEATURES
    assert not RESERVED & set(context)
    assert {name: context[name] for name in given} == given
    themes = {n: share for n, share in taste.items() if not n.startswith("cast:") and n not in RESERVED}
    left_out = [share for name, share in themes.items() if name not in context]
    kept = [taste[name] for name in context if name not in given]
    assert not left_out or (len(context) >= MAX_FEATURES - 1 and max(left_out) <= min(kept, default=1.0))


@pytest.mark.parametrize("given", [{}, {"cast": 5.0}, {"bias": 5.0, "evening": 1.0}])
def test_keyarts_own_names_cannot_be_given(given: dict[str, float]) -> None:
    """Neither the bias nor the affinity to the cast is an app's to say."""
    assert RESERVED.isdisjoint(merge({"romance": 1.0, "cast": 1.0}, given))


def test_what_is_given_stays_even_where_the_taste_has_least_of_it() -> None:
    """A full taste gives way with its smallest shares, but not with one that the caller has said anew."""
    taste = {f"theme-{i:02}": i / 100 for i in range(MAX_FEATURES)}
    context = merge(taste, {"theme-00": 5.0, "evening": 1.0})
    assert len(context) == MAX_FEATURES - 1  # one more depends on the artwork
    assert (context["theme-00"], context["evening"]) == (5.0, 1.0)
    assert set(taste) - set(context) == {"theme-01", "theme-02"}


@pytest.fixture(scope="module")
def known() -> Iterator[ArtworkChooser]:
    """A chooser for many examples."""
    tables = MemoryTables(some_title(), some_snapshot())
    with ArtworkChooser(some_settings(token_secrets=(SECRET,)), open_tables=tables.open) as chooser:
        chooser.wait_ready(20)
        yield chooser


@repeatable
@given(
    st.text(min_size=1, max_size=128),
    st.dictionaries(st.text(max_size=128), st.floats() | st.integers() | st.booleans(), max_size=70),
    shares,
)
def test_whatever_is_chosen_can_be_learned(
    known: ArtworkChooser, member_id: str, context: dict[str, Any], taste: dict[str, float]
) -> None:
    """Any arguments are either refused with a sentence or make an impression that its reader takes."""
    known.follower.view.tastes[member_id] = taste
    try:
        choice = known.choose(member_id, "film", context)
    except ValueError as error:
        refused = str(error)
    else:
        impression = verify(choice.token, [SECRET.encode()], now_ms=0, max_age_ms=1)
        assert decode(Impression, encode(impression), limit=MAX_RECORD_BYTES) == impression
        return
    assert refused.startswith(("member_id: ", "context: "))


def test_a_chooser_needs_a_secret() -> None:
    """Without a key anyone could claim plays: the sentence names the setting."""
    with pytest.raises(ConfigurationError, match="KEYART_TOKEN_SECRETS"):
        ArtworkChooser(some_settings(), open_tables=MemoryTables().open)


# --- following


def test_it_follows_as_the_tables_change(make: Callable[..., ArtworkChooser]) -> None:
    """A title, a snapshot and a taste that come later are used; what is withdrawn is not."""
    tables = MemoryTables()
    chooser = make(tables)
    with pytest.raises(UnknownTitle):
        chooser.choose(PERSONAL, "film")
    tables.write(some_title(), some_snapshot(version=3), some_taste(PERSONAL, romance=1.0))
    tables.settle()
    choice = chooser.choose(PERSONAL, "film")
    assert (choice.snapshot_version, choice.context) == (3, {"romance": 1.0})
    assert list(chooser.titles) == ["film"]
    assert chooser.title("film") == some_title()
    tables.write_raw(CATALOGUE, b"film", None)
    tables.settle()
    with pytest.raises(UnknownTitle):
        chooser.choose(PERSONAL, "film")
    assert chooser.title("film") is chooser.snapshot("film") is None


@pytest.mark.parametrize("error", [BrokerUnavailable("no broker"), TopicError("no topic"), OSError("odd")])
def test_the_first_failure_is_raised_and_attempts_go_on(
    error: Exception, make: Callable[..., ArtworkChooser]
) -> None:
    """A node that cannot start says why; one that waits becomes ready by itself."""
    tables = MemoryTables(some_title())
    tables.break_with(error)
    chooser = make(tables, ready=False)
    with pytest.raises(type(error), match=str(error)):
        chooser.wait_ready(20)
    assert not chooser.ready
    with pytest.raises(UnknownTitle, match="has not been read yet"):
        chooser.choose("ann", "film")
    tables.break_with(None)
    tables.settle()
    tables.wait(lambda: chooser.ready, "ready")
    chooser.wait_ready(0)
    assert chooser.choose("ann", "film").artwork_id == "face"


def test_waiting_has_an_end(make: Callable[..., ArtworkChooser]) -> None:
    """Tables that do not come to their end are told as a cluster that does not answer."""
    tables = MemoryTables(some_title())
    tables.hold(0)
    chooser = make(tables, ready=False)
    with pytest.raises(BrokerUnavailable, match=r"within 0\.05 s"):
        chooser.wait_ready(0.05)


@pytest.mark.parametrize("error", [BrokerUnavailable("gone"), ValueError("odd")])
def test_kafka_away_changes_nothing_for_members(error: Exception, make: Callable[..., ArtworkChooser]) -> None:
    """It goes on choosing, from the same snapshot; when Kafka is back it reads anew and follows."""
    tables = MemoryTables(some_title(), some_snapshot(version=3), some_taste(PERSONAL, romance=1.0))
    chooser = make(tables)
    before = chooser.choose(PERSONAL, "film")
    tables.break_with(error)
    tables.wait(lambda: tables.opened >= 3, "two attempts to reconnect")
    assert chooser.ready
    assert not chooser.follower.connected
    assert chooser.follower.failures >= 2
    after = chooser.choose(PERSONAL, "film")
    assert (after.artwork_id, after.propensity, after.context) == (
        before.artwork_id,
        before.propensity,
        before.context,
    )
    tables.break_with(None)
    tables.write(some_snapshot(version=4))
    tables.wait(lambda: getattr(chooser.snapshot("film"), "version", 0) == 4, "the new snapshot")
    tables.wait(lambda: chooser.follower.connected, "connected")
    assert tables.closed == 1  # the first reader; those that were never opened have nothing to close


def test_reading_anew_does_not_replay_the_past(make: Callable[..., ArtworkChooser]) -> None:
    """While old records go by a second time, members are served what is true now."""
    tables = MemoryTables(some_title(artworks=("old",)), some_snapshot(version=1, means={"old": (0.1, 0.0, 0.0)}))
    tables.write_raw(SNAPSHOTS, b"film", None)
    tables.write(some_title(), some_snapshot(version=5), some_taste(PERSONAL, romance=1.0))
    chooser = make(tables)
    tables.hold(3)  # the next reader stops at the tombstone
    tables.break_with(BrokerUnavailable("gone"))
    tables.wait(lambda: chooser.follower.failures >= 1, "a failure")
    tables.break_with(None)
    tables.wait(lambda: tables.applied == 3, "the past is being read again")
    choice = chooser.choose(PERSONAL, "film")
    assert (choice.snapshot_version, choice.context) == (5, {"romance": 1.0})
    assert not chooser.follower.connected
    tables.hold(None)
    tables.wait(lambda: chooser.follower.connected, "read to the end")
    assert chooser.choose(PERSONAL, "film").snapshot_version == 5


def test_reading_anew_keeps_a_higher_version(make: Callable[..., ArtworkChooser]) -> None:
    """Where compaction has left a stale worker's snapshot, a node that had a newer one keeps it."""
    tables = MemoryTables(some_title(), some_title("other"), some_snapshot(version=9), some_snapshot("other"))
    chooser = make(tables)
    tables.break_with(BrokerUnavailable("gone"))
    tables.wait(lambda: chooser.follower.failures >= 1, "a failure")
    with tables.changed:
        tables.log[:] = [table_message(some_title()), table_message(some_title("other"))]
        tables.log.append(table_message(some_snapshot(version=8)))
    tables.break_with(None)
    tables.wait(lambda: chooser.follower.connected, "read to the end")
    held = chooser.snapshot("film")
    assert held is not None
    assert held.version == 9
    assert chooser.snapshot("other") is None


def test_a_failing_first_reading_leaves_no_reader_behind(make: Callable[..., ArtworkChooser]) -> None:
    """Every reader that was opened is closed, except the one in use."""
    tables = MemoryTables(some_title())
    tables.hold(0)
    chooser = make(tables, ready=False)
    tables.wait(lambda: tables.opened == 1, "open")
    tables.break_with(BrokerUnavailable("gone"))
    with pytest.raises(BrokerUnavailable, match="gone"):
        chooser.wait_ready(20)
    tables.wait(lambda: tables.closed == 1, "closed")


def test_closing_ends_a_reading_that_has_just_begun(make: Callable[..., ArtworkChooser]) -> None:
    """Whoever waits for it is told, the reader is closed, and the thread is gone."""
    tables = MemoryTables(some_title())
    tables.hold(0)
    chooser = make(tables, ready=False)
    tables.wait(lambda: tables.opened == 1, "open")
    chooser.close()
    with pytest.raises(KeyartError, match="closed before"):
        chooser.wait_ready(20)
    assert tables.closed == 1
    assert not [thread for thread in threading.enumerate() if thread is chooser.follower._thread]


def test_a_closed_chooser_still_chooses(make: Callable[..., ArtworkChooser]) -> None:
    """From what it knew; closing twice does no harm."""
    tables = MemoryTables(some_title(), some_snapshot())
    chooser = make(tables)
    chooser.close()
    chooser.close()
    assert tables.closed == 1
    assert chooser.choose("ann", "film").snapshot_version == 10


def test_uniform_choice_without_a_snapshot_is_the_pure_rule(make: Callable[..., ArtworkChooser]) -> None:
    """The catalogue's artworks are hashed as a snapshot's would be."""
    chooser = make(MemoryTables(some_title(artworks=("a", "b", "c"))), explore_share=1.0, popular_share=0.0)
    for member in MEMBERS[:20]:
        key = key_of(member)
        bucket = time_bucket(key, key_of("film"), START_MS, 7 * DAY_MS)
        index, propensity = choose_uniform(draws(key, bucket, artwork_keys("film", "abc")))
        choice = chooser.choose(member, "film")
        assert (choice.artwork_id, choice.propensity) == ("abc"[index], propensity)


def test_the_context_tells_how_much_the_member_likes_whom_the_artwork_shows(
    make: Callable[..., ArtworkChooser],
) -> None:
    """``cast`` is the affinity to the people of the artwork that was chosen, and of no other."""
    title = some_title(
        artworks=(Artwork("face", {"cast:Uma Thurman": 0.5}), Artwork("kiss", {"cast:John Travolta": 1.0}))
    )
    tastes = [
        some_taste(PERSONAL, **{"romance": 1.0, "cast:Uma Thurman": 0.75, "cast:John Travolta": 0.25}),
        some_taste(EXPLORE, romance=1.0),
    ]
    chooser = make(MemoryTables(title, some_snapshot(), *tastes))
    choice = chooser.choose(PERSONAL, "film")
    affinity = {"face": 0.375, "kiss": 0.25}[choice.artwork_id]
    assert choice.context == {"romance": 1.0, "cast": affinity}
    assert chooser.choose(EXPLORE, "film").context == {"romance": 1.0}
    assert "cast" not in chooser.choose(PERSONAL, "film", {f"f{i}": 1.0 for i in range(MAX_FEATURES)}).context
    unlearned = make(MemoryTables(title, *tastes))
    assert unlearned.choose(PERSONAL, "film").context == {"romance": 1.0, "cast": 0.375}
