"""Why an artwork is chosen: effects add up to scores, chances are those of choices, and history is read right."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest
from builders import START_MS, repeatable, some_settings, some_title
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tables import members_of, some_snapshot

from consumers.explaining import Question, picture, report, told
from consumers.explaining.question import _in_order
from stream.choosing.choice import key_of
from stream.choosing.servable import ServableTitle
from stream.codec import encode
from stream.errors import InputError
from stream.explanation import Learned, popular_standings, standings, tendencies
from stream.features import FeatureSpace
from stream.records import Artwork

RULE = {"floor": 0.01, "exploration": 0.1}
FEATURES = ("bias", "comedy", "romance", "cast")


def learned_of(rng: np.random.Generator, artworks: int) -> Learned:
    """What is learned of a title, at random."""
    d = len(FEATURES)
    factor = np.tril(rng.normal(0, 0.05, (artworks, d, d)), -1) + np.eye(d) * rng.uniform(
        0.01, 0.1, (artworks, 1, d)
    )
    names = [f"artwork-{k}" for k in range(artworks)]
    mean, prior = rng.normal(0.1, 0.1, (2, artworks, d))
    return Learned(names, FeatureSpace(FEATURES), mean, factor @ np.swapaxes(factor, 1, 2), prior)


# --- the arithmetic


@repeatable
@given(st.integers(0, 1000), st.integers(2, 6), st.booleans())
def test_effects_add_up_to_the_difference_of_scores(seed, artworks, against_one):
    """The effects of an artwork sum to its score minus the others', by today's evidence and by the prior alone."""
    rng = np.random.default_rng(seed)
    learned = learned_of(rng, artworks)
    against = learned.artwork_ids[0] if against_one else None
    cast = rng.random(artworks).tolist()
    found = standings(learned, {"comedy": 0.7, "weather": 3.0}, cast, against=against, **RULE)
    for one in found:
        if one.artwork_id == against:
            assert one.pulls == ()
            continue
        others = [other for other in found if other is not one] if against is None else [found[0]]
        for mine, theirs, pulled in (
            (one.mean, [other.mean for other in others], [pull.effect for pull in one.pulls]),
            (one.prior, [other.prior for other in others], [pull.prior for pull in one.pulls]),
        ):
            assert sum(pulled) == pytest.approx(mine - np.mean(theirs), abs=1e-12)
    assert [abs(pull.effect) for pull in found[1].pulls] == sorted(
        (abs(pull.effect) for pull in found[1].pulls), reverse=True
    )


def test_deviations_are_those_of_the_posterior():
    """Drawn from the posterior, effects and scores spread as they say, and artworks win as often."""
    rng = np.random.default_rng(3)
    learned, cast = learned_of(rng, 3), [0.0, 0.4, 0.9]
    found = standings(learned, {"comedy": 0.6}, cast, **RULE)
    factor = np.linalg.cholesky(learned.covariance)
    drawn = learned.mean + np.einsum("kij,nkj->nki", factor, rng.standard_normal((200_000, 3, 4)))
    terms = drawn * learned.contexts({"comedy": 0.6}, cast)
    scores = terms.sum(axis=2)
    wins = np.bincount(scores.argmax(axis=1), minlength=3) / len(scores)
    for k, one in enumerate(found):
        assert one.sd == pytest.approx(scores[:, k].std(), rel=0.01)
        assert one.best == pytest.approx(wins[k], abs=0.005)
        effect = terms[:, k] - (terms.sum(axis=1) - terms[:, k]) / 2
        for pull in one.pulls:
            of = effect[:, FEATURES.index(pull.feature)]
            assert (pull.effect, pull.sd) == (
                pytest.approx(of.mean(), abs=0.002),
                pytest.approx(of.std(), rel=0.01),
            )
            same_sign = np.mean(np.sign(of) == np.sign(pull.effect))
            assert pull.sure == pytest.approx(same_sign, abs=0.005)
    assert sum(one.best for one in found) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("policy", "context"),
    [("personal", {"romance": 0.5, "comedy": 0.499}), ("popular", {}), ("personal", {"weather": 1.0})],
    ids=["personal", "popular", "a stranger"],
)
def test_chances_are_the_propensities_of_choices(policy, context):
    """What an explanation calls the chance of an artwork is what a node logs when it chooses it."""
    servable = ServableTitle(some_snapshot())
    if policy == "popular":
        found = popular_standings(servable, **RULE)
    else:
        found = standings(Learned.of_servable(servable), context, **RULE)
    chances = {one.artwork_id: one.chance for one in found}
    seen = set()
    for name in members_of(policy, 40):
        place, propensity = servable.choose(context, policy, key_of(name), 1, **RULE)
        seen.add(place)
        assert chances[servable.artwork_ids[place]] == pytest.approx(propensity, abs=1e-9)
    assert sum(chances.values()) == pytest.approx(1, abs=1e-6)
    assert len(seen) == 2


def test_a_stranger_is_shown_what_is_popular():
    """For a member of whom the model knows nothing artworks stand as with ``popular``, and the bias says why."""
    snapshot = some_snapshot(means={"face": (0.3, 0.0, 0.0), "kiss": (0.1, 0.0, 0.0)})
    servable = ServableTitle(snapshot)
    expected = popular_standings(servable, **RULE)
    for learned in (Learned.of_snapshot(snapshot), Learned.of_servable(servable)):
        found = standings(learned.only(["face", "kiss"]), {"weather": 1.0}, **RULE)
        assert [[pull.feature for pull in one.pulls] for one in found] == [["bias"], ["bias"]]
        assert [one.pulls[0].effect for one in found] == pytest.approx(
            [expected[0].mean - expected[1].mean, expected[1].mean - expected[0].mean]
        )
        for one, other in zip(found, expected, strict=True):
            assert (one.mean, one.sd, one.best, one.chance) == pytest.approx(
                (other.mean, other.sd, other.best, other.chance), abs=1e-12
            )


def test_a_record_and_what_is_served_of_it_say_the_same():
    """The page explains from what it serves, the command from the record: they differ in the prior alone."""
    snapshot = some_snapshot(means={"face": (0.1, 0.5, 0.0), "kiss": (0.1, 0.0, 0.5)})
    held = msgspec.structs.replace(snapshot.artworks[0], held=(0.2, 0.4, 0.1))
    snapshot = msgspec.structs.replace(snapshot, artworks=(held, snapshot.artworks[1]))
    of_record = standings(Learned.of_snapshot(snapshot), {"comedy": 1.0}, **RULE)
    of_node = standings(Learned.of_servable(ServableTitle(snapshot)), {"comedy": 1.0}, **RULE)
    assert of_record[0].mean == pytest.approx(0.6)
    for mine, theirs in zip(of_record, of_node, strict=True):
        pulls = tuple(msgspec.structs.replace(pull, prior=None) for pull in mine.pulls)
        assert theirs == msgspec.structs.replace(mine, prior=None, pulls=pulls)


def test_tendencies_name_the_artwork_a_theme_speaks_for():
    """Romance speaks for the kiss and comedy for the face; a title with one artwork has nothing to choose."""
    learned = Learned.of_snapshot(some_snapshot())
    assert {one.feature: one.artwork_id for one in tendencies(learned)} == {"comedy": "face", "romance": "kiss"}
    assert all(one.effect == pytest.approx(0.5) and one.sure > 0.999 for one in tendencies(learned))
    assert tendencies(learned.only(["face"])) == ()


def test_people_speak_only_for_artwork_that_shows_some():
    """An artwork on which nobody is cannot gain by whom a member likes."""
    learned = learned_of(np.random.default_rng(1), 3)
    (cast,) = [one for one in tendencies(learned, [False, True, False]) if one.feature == "cast"]
    weight = learned.mean[1, 3]
    assert cast.effect == pytest.approx(weight if cast.artwork_id == "artwork-1" else -weight / 2)
    assert not [one for one in tendencies(learned, [False] * 3) if one.feature == "cast"]


# --- the report

TITLE = some_title(
    artworks=[
        Artwork("face", {"comedy": 1.0, "cast:Robin Williams": 1.0}),
        Artwork("kiss", {"romance": 1.0}, "panel"),
    ]
)


def history(*leads: float) -> tuple:
    """Snapshots a minute apart; the lead is how much more romance likes the kiss than the face."""
    return tuple(
        some_snapshot(
            means={"face": (0.1, 0.0, 0.0), "kiss": (0.1, 0.0, lead)},
            version=i,
            published_ms=START_MS + 60_000 * i,
        )
        for i, lead in enumerate(leads)
    )


@pytest.mark.parametrize(
    ("leads", "minute", "is_earliest"),
    [((-0.1, 0.1, -0.1, 0.1, 0.2), 3, False), ((0.1, 0.2), 0, True), ((0.3,), 0, True), ((0.1, -0.1), 1, False)],
)
def test_since_when_reads_the_history_backwards(leads, minute, is_earliest):
    """An artwork is the favourite since the last snapshot that made it so, or for longer than is remembered."""
    found = report(Question(TITLE, history(*leads), "ann", {"romance": 1.0}), some_settings(), START_MS)
    assert found.favourite == ("kiss" if leads[-1] > 0 else "face")
    assert (found.since_ms, found.since_is_earliest) == (START_MS + 60_000 * minute, is_earliest)


def test_a_member_is_told_what_the_node_chooses():
    """Policy, context and choice are the node's own, for members of every policy."""
    for policy in ("personal", "popular", "explore"):
        (name,) = members_of(policy, 1)
        taste = {"romance": 1.0, "cast:Robin Williams": 0.5}
        found = report(Question(TITLE, history(0.4), name, taste), some_settings(), START_MS)
        assert found.member is not None
        assert (found.member.policy, found.member.context) == (policy, {"romance": 1.0})
        assert found.member.people == {"Robin Williams": 0.5}
        assert found.member.artwork_id in {"face", "kiss"}
        assert 0 < found.member.propensity <= 1
    left = report(Question(TITLE, history(0.4), "ann"), some_settings(app_share=1.0), START_MS)
    assert (left.member.policy, left.member.artwork_id) == ("app", None)


def test_artwork_for_another_canvas_does_not_compete():
    """Only what fits the canvas is explained; where nothing does, or nothing of that name, it is said."""
    question = Question(TITLE, history(0.4))
    assert [one.artwork_id for one in report(question, some_settings(), START_MS, canvas="box").standings] == [
        "face"
    ]
    with pytest.raises(InputError, match="'poster' does not compete; these do: face, kiss"):
        report(question, some_settings(), START_MS, against="poster")
    withdrawn = Question(some_title(artworks=["poster"]), history(0.4))
    with pytest.raises(InputError, match="no artwork of title 'film' competes"):
        report(withdrawn, some_settings(), START_MS)


def test_snapshots_are_taken_as_nodes_take_them():
    """Of two versions the higher counts, of equals the later; what cannot be read is left out."""
    versions = [some_snapshot(version=v, published_ms=START_MS + i) for i, v in enumerate((3, 5, 4, 5))]
    found = _in_order([*map(encode, versions), b"{}"])
    assert [(one.version, one.published_ms - START_MS) for one in found] == [(3, 0), (5, 3)]


# --- how it is shown


@pytest.fixture(params=["ann", None], ids=["a member", "nobody in particular"])
def shown(request):
    """A report for a member, and one for nobody in particular; the title's name needs care."""
    title = msgspec.structs.replace(TITLE, name="<Fish & [b]Chips[/b]>")
    taste = {"romance": 0.6, "comedy": 0.4, "cast:Robin Williams": 1.0} if request.param else {}
    return report(Question(title, history(-0.1, 0.4), request.param, taste), some_settings(), START_MS)


def test_the_text_says_what_and_why(shown):
    """Names are printed as they are; the favourite, its features and how sure it is are there."""
    console = Console(width=100)
    with console.capture() as caught:
        console.print(told(shown), highlight=False)
    text = caught.get()
    assert "<Fish & [b]Chips[/b]>" in text
    assert "most is expected of kiss: since 2025-10-09 08:54:20 UTC" in text or shown.member is None
    assert "romance" in text
    assert "by tags alone" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_picture_is_an_svg_that_stands_alone(shown):
    """It is well-formed, within its frame, fetches nothing, and has a bar for each effect."""
    drawn = picture(shown)
    root = ET.fromstring(drawn)
    assert root.tag.endswith("svg")
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    said = "".join(root.itertext())
    assert "<Fish & [b]Chips[/b]>" in said
    for mark in root.iter():
        for x in ("x", "x1", "x2", "cx"):
            assert 0 <= float(mark.attrib.get(x, 0)) <= width
        for y in ("y", "y1", "y2", "cy"):
            assert 0 <= float(mark.attrib.get(y, 0)) <= height
    bars = [mark for mark in root.iter() if mark.attrib.get("class") in {"for", "against"}]
    effects = shown.tendencies if shown.member is None else shown.standing(shown.favourite).pulls
    assert len(bars) == len(effects)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|url\(", drawn)


def test_the_report_is_plain_json(shown):
    """Machines get everything, with the names of the report's fields."""
    plain = json.loads(msgspec.json.encode(shown))
    assert plain["favourite"] == shown.favourite
    assert plain["standings"][0]["best"] == shown.standings[0].best
    assert (plain["member"] is None) == (shown.member is None)
