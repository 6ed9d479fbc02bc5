"""Canvases: who competes for a place on a screen, and what is learned on one helps another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from builders import DAY_MS, START_MS, some_impression, some_reward, some_title
from tables import MemoryTables, choosing, members_of, some_snapshot, some_taste

from consumers import UnknownCanvas
from consumers.chooser.counts import POLICIES
from producers.token import verify
from stream.choosing.choice import key_of, time_bucket
from stream.choosing.servable import ServableTitle
from stream.codec import decode, encode_fields
from stream.learning.book import LearningRules, TitleBook
from stream.learning.lessons import Lessons, learn_from
from stream.learning.publication import Publication
from stream.learning.teaching import PartitionLessons
from stream.records import Artwork, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers import ArtworkChooser
    from stream.learning.lessons import Taught
    from stream.records import Title

SECRET = b"a secret for the tests"
BILLBOARD, BOX = ("bench", "couple"), ("face", "kiss")
ARTWORKS = (
    Artwork("face", {}, canvas="box"),
    Artwork("bench", {}, canvas="billboard"),
    Artwork("anywhere", {}),
    Artwork("couple", {}, canvas="billboard"),
    Artwork("kiss", {}, canvas="box"),
)
MEANS = {
    "kiss": (0.1, 0.0, 0.05),
    "couple": (0.11, 0.0, 0.03),
    "anywhere": (0.1, 0.02, 0.02),
    "bench": (0.12, 0.03, 0.0),
    "face": (0.09, 0.05, 0.0),
}
FITTING = {None: {*BILLBOARD, *BOX, "anywhere"}, "billboard": {*BILLBOARD, "anywhere"}, "box": {*BOX, "anywhere"}}
MEMBERS = [f"member-{i}" for i in range(300)]


def snapshot(**changes: Any) -> Snapshot:
    """Artworks that are nearly as good as one another, in another order than the catalogue's."""
    return some_snapshot(means=MEANS, sd=0.1, **changes)


@pytest.fixture
def tables() -> MemoryTables:
    """A film with five artworks, and a series whose artworks are all for the box."""
    series = some_title("series", [Artwork("face", {}, canvas="box")])
    return MemoryTables(some_title(artworks=ARTWORKS), series, snapshot())


@pytest.fixture
def chooser(tables: MemoryTables) -> Iterator[ArtworkChooser]:
    """A chooser of these."""
    with choosing(tables) as chooser:
        yield chooser


# --- who competes


@pytest.mark.parametrize("canvas", FITTING)
def test_only_artworks_of_the_canvas_compete(canvas: str | None, chooser: ArtworkChooser) -> None:
    """And those made for none in particular; where no canvas is named, all do. Everyone that may be is chosen."""
    chosen = {chooser.choose(member, "film", {"comedy": 0.5}, canvas=canvas).artwork_id for member in MEMBERS}
    assert chosen == FITTING[canvas]


@pytest.mark.parametrize("canvas", FITTING)
def test_a_choice_is_that_of_a_title_which_has_no_other_artwork(
    canvas: str | None, chooser: ArtworkChooser
) -> None:
    """Draws depend on an artwork's name alone, propensities on those that compete, for every policy."""
    means = {artwork_id: mean for artwork_id, mean in MEANS.items() if artwork_id in FITTING[canvas]}
    alone = ServableTitle(some_snapshot(means=means, sd=0.1))
    for policy in POLICIES:
        for member in members_of(policy, 50):
            key = key_of(member)
            bucket = time_bucket(key, key_of("film"), START_MS, 7 * DAY_MS)
            place, propensity = alone.choose({}, policy, key, bucket, floor=0.01, exploration=0.1)
            choice = chooser.choose(member, "film", canvas=canvas)
            assert (choice.policy, choice.artwork_id) == (policy, alone.artwork_ids[place])
            assert choice.propensity == pytest.approx(propensity)


@pytest.mark.parametrize(
    ("canvas", "artwork_id", "logged"),
    [
        pytest.param(None, "face", "box", id="the artwork's own"),
        pytest.param(None, "anywhere", None, id="no canvas anywhere"),
        pytest.param("box", "face", "box", id="the one asked for"),
        pytest.param("box", "anywhere", "box", id="where an artwork for any was to be shown"),
    ],
)
def test_the_impression_says_where_it_was_shown(
    canvas: str | None, artwork_id: str, logged: str | None, chooser: ArtworkChooser
) -> None:
    """Whoever reads the log knows among which artworks its propensity holds."""
    choices = (chooser.choose(member, "film", canvas=canvas) for member in MEMBERS)
    choice = next(choice for choice in choices if choice.artwork_id == artwork_id)
    assert verify(choice.token, [SECRET], now_ms=START_MS, max_age_ms=1).canvas == logged


def test_a_title_without_the_canvas_is_an_error_of_its_own(chooser: ArtworkChooser) -> None:
    """The sentence names the canvases that there are; a page leaves the title out."""
    with pytest.raises(UnknownCanvas, match=r"^title 'series' has no artwork for canvas 'panel', only for 'box'$"):
        chooser.choose("ann", "series", canvas="panel")
    page = chooser.choose_page("ann", ["series", "film", "lost"], canvas="panel")
    assert [(choice.title_id, choice.artwork_id) for choice in page] == [("film", "anywhere")]


@pytest.mark.parametrize("canvas", ["", "x" * 129, "a\n", 7])
def test_a_wrong_canvas_is_named(canvas: Any, chooser: ArtworkChooser) -> None:
    """No impression is made that a learner would have to refuse."""
    with pytest.raises(ValueError, match=r"^canvas: .* is not an id"):
        chooser.choose("ann", "film", canvas=canvas)
    with pytest.raises(ValueError, match=r"^canvas: .* is not an id"):
        chooser.choose_page("ann", ["film"], canvas=canvas)


@pytest.mark.parametrize("known", [(), ("bench",)], ids=["no snapshot", "one that has none of the canvas"])
def test_where_nothing_is_known_it_is_the_first_that_fits(known: tuple[str, ...]) -> None:
    """Certain for most, uniform for those who explore; and of no snapshot's version."""
    means = {artwork_id: MEANS[artwork_id] for artwork_id in known}
    tables = MemoryTables(some_title(artworks=[a for a in ARTWORKS if a.canvas]))
    if known:
        tables.write(some_snapshot(means=means))
    with choosing(tables) as chooser:
        for member in members_of("personal", 5):
            choice = chooser.choose(member, "film", canvas="box")
            assert (choice.artwork_id, choice.propensity, choice.snapshot_version) == ("face", 1.0, None)
        explored = [chooser.choose(member, "film", canvas="box") for member in members_of("explore", 30)]
    assert {choice.artwork_id for choice in explored} == set(BOX)
    assert {(choice.propensity, choice.snapshot_version) for choice in explored} == {(0.5, None)}


# --- what is kept


def test_candidates_are_worked_out_once_for_a_snapshot_and_a_canvas(
    tables: MemoryTables, chooser: ArtworkChooser
) -> None:
    """The next choice finds them; a new snapshot, or a change of the catalogue, makes them anew."""
    served = chooser.follower.view.served["film"]
    kept = {canvas: served.candidates(canvas) for canvas in FITTING}
    assert all(served.candidates(canvas) is found for canvas, found in kept.items())
    tables.write(snapshot(version=11))
    tables.settle()
    for canvas in FITTING:
        choice = chooser.choose("ann", "film", canvas=canvas)
        assert choice.snapshot_version == 11
    tables.write(some_title(artworks=[a for a in ARTWORKS if a.artwork_id != "anywhere"]))
    tables.settle()
    fitting = chooser.follower.view.served["film"].candidates("box")
    assert fitting is not None
    assert set(fitting.artwork_ids) == set(BOX)


def test_canvases_that_there_are_not_fill_no_memory(chooser: ArtworkChooser) -> None:
    """Callers may name as many as they like."""
    served = chooser.follower.view.served["series"]
    for i in range(100):
        assert served.candidates(f"canvas-{i}") is None
    assert served._candidates == {}


def test_threads_that_ask_at_once_get_the_same(tables: MemoryTables) -> None:
    """Nobody waits for a lock: whoever comes second takes what the first has kept."""
    with choosing(tables) as chooser, ThreadPoolExecutor(8) as pool:
        for version in range(20):
            tables.write(snapshot(version=100 + version))
            tables.settle()
            served = chooser.follower.view.served["film"]
            found = list(pool.map(served.candidates, ["box"] * 64))
            assert all(one is found[0] for one in found)


# --- what is learned


class TestLearning:
    """All artworks of a title are one model: its response to tastes and the meaning of tags are shared."""

    COLUMNS = ("bias", "comedy", "romance")

    def title(self, title_id: str = "film") -> Title:
        """A billboard and a box, each as a comedy and as a romance."""
        artworks = (
            Artwork(f"{canvas} {theme}", {theme: 1.0}, canvas=canvas)
            for canvas in ("billboard", "box")
            for theme in ("comedy", "romance")
        )
        return some_title(title_id, artworks)

    def learned(self) -> tuple[TitleBook, Taught]:
        """2,000 impressions of the billboard alone: those who like what it shows play one in 5, others 1 in 50."""
        rng = np.random.default_rng(3)
        book = TitleBook(self.COLUMNS, LearningRules(10.0, 20.0, 1.0))
        impressions, rewards = [], []
        for i in range(2000):
            likes, shows = rng.choice(["comedy", "romance"], 2)
            shown = some_impression(f"i{i}", artwork_id=f"billboard {shows}", context={str(likes): 1.0})
            impressions.append(shown)
            if rng.random() < (0.2 if likes == shows else 0.02):
                rewards.append(some_reward(shown, 1.0))
        book.learn_impressions(impressions)
        book.learn_rewards(rewards)
        lessons, taught = PartitionLessons(), learn_from(Lessons.none(self.COLUMNS))
        for _ in range(3):  # what is taught decides what is explained
            lessons.refresh(book, [self.title()], taught)
            taught = learn_from(lessons.total())
        return book, taught

    def served(self, book: TitleBook, taught: Taught | None, title_id: str = "film") -> ServableTitle:
        """As a node would have it, for the box alone."""
        fields = Publication(book).snapshot(self.title(title_id), START_MS, taught)
        title = ServableTitle(decode(Snapshot, encode_fields(fields), limit=None))
        part = title.only({"box comedy", "box romance"})
        assert part is not None
        return part

    @pytest.mark.parametrize("theme", ["comedy", "romance"])
    def test_what_the_billboard_teaches_helps_the_box(self, theme: str) -> None:
        """Artwork never shown is chosen by those who like what it shows, with the title's own take rate."""
        book, taught = self.learned()
        box = self.served(book, taught)
        mean, _ = box.scores({theme: 1.0}, "personal")
        expected = [0.2 if name == f"box {theme}" else 0.02 for name in box.artwork_ids]
        assert mean == pytest.approx(expected, abs=0.05)
        place, propensity = box.choose({theme: 1.0}, "personal", key_of("ann"), 1, floor=0.0, exploration=0.1)
        assert box.artwork_ids[place] == f"box {theme}"
        assert propensity > 0.99

    def test_by_themselves_the_boxes_know_nothing(self) -> None:
        """Without what titles and canvases share, artwork never shown is all the same."""
        book, _ = self.learned()
        mean, _ = self.served(book, None).scores({"romance": 1.0}, "personal")
        assert mean.tolist() == [0.0, 0.0]

    def test_and_other_titles_through_the_tags(self) -> None:
        """The box of a title that nobody has seen is chosen by its tags."""
        book, taught = self.learned()
        box = self.served(book, taught, "series")
        mean, _ = box.scores({"romance": 1.0}, "personal")
        assert mean[1] > 2.0 * mean[0]

    def test_the_impression_of_one_canvas_reaches_the_model_of_all(self) -> None:
        """End to end: what a chooser logs on the billboard moves what it shows in the box."""
        book, taught = self.learned()
        fields = Publication(book).snapshot(self.title(), START_MS, taught)
        (romantic,) = members_of("personal", 1)
        tables = MemoryTables(self.title(), some_taste(romantic, romance=1.0))
        with choosing(tables, uniform_floor=0.0) as chooser:
            before = chooser.choose(romantic, "film", canvas="box")
            assert (before.artwork_id, before.snapshot_version) == ("box comedy", None)
            tables.write(decode(Snapshot, encode_fields(fields), limit=None))
            tables.settle()
            after = chooser.choose(romantic, "film", canvas="box")
        assert (after.artwork_id, after.snapshot_version) == ("box romance", book.titles["film"].version)
