"""Every artwork has a poster: sound XML, harmless, the same every time, and like no other of its title."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers.catalogue import load_catalogue
from stream.posters import lettering, poster
from stream.posters.motifs import MOTIFS, motif
from stream.posters.people import MAX_PEOPLE
from stream.posters.shapes import HEIGHT, WIDTH
from stream.records import Artwork, Title
from tests.builders import repeatable

CATALOGUE = Path(__file__).parent.parent / "deploy" / "catalogue.json"
SVG = "{http://www.w3.org/2000/svg}"
MAX_BYTES = 16 * 1024

#: All that a poster is made of. Nothing here runs, loads or styles anything.
ELEMENT = re.compile(
    rf"{re.escape(SVG)}(svg|title|defs|(linear|radial)Gradient|stop|rect|g|path|circle|ellipse|use|text|tspan)"
)
ATTRIBUTE = re.compile(
    r"viewBox|role|id|href|transform|d|x|y|[xy]2|[cr][xy]|r|width|height|fill|opacity|offset|stop-(color|opacity)"
    r"|stroke(-width|-opacity|-linecap|-linejoin)?|font-(family|weight|size)|letter-spacing|gradientUnits"
)
HOSTILE = (
    "</text><script>alert(1)</script>",
    '"><image href="https://example.org/x.png" onload="alert(1)"/>',
    "<!DOCTYPE svg [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>&x;",
    "]]> <![CDATA[ <!-- -- ?> &amp; &#0; 'single' \"double\"",
    "\x00\x01\x08\x0b\x1f\x7f\x85\ufffe\uffff\U0001ffff",
    "\ud800 alone \udfff",
    "\u202eright to left\u202c \u2066\u2069 مرحبا بالعالم שלום",
    "W" * 256,
    "mmm " * 64,
    "🎬👩‍👩‍👧" * 50,
    "﷽" * 200,
    "千と千尋の神隠し" * 30,
    " \t\n ",
)


def titles() -> list[Title]:
    """The catalogue that comes with Keyart."""
    return load_catalogue(CATALOGUE)


def one(
    name: str = "A Film", tags: dict[str, float] | None = None, artwork_id: str = "a"
) -> tuple[Title, Artwork]:
    """A title with one artwork."""
    artwork = Artwork(artwork_id, {"drama": 1.0} if tags is None else tags)
    return Title("film", name, 6000.0, {"drama": 1.0}, (artwork,)), artwork


def check(svg: str) -> ET.Element:
    """Assert that a poster is well formed, harmless and small, its type on the sheet and below the picture."""
    assert len(svg.encode()) <= MAX_BYTES
    root = ET.fromstring(svg)
    here = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    for element in root.iter():
        assert ELEMENT.fullmatch(element.tag)
        for name, value in element.attrib.items():
            assert ATTRIBUTE.fullmatch(name)
            if name == "href" or "url" in value:
                reference = re.fullmatch(r"#(\w+)|url\(#(\w+)\)", value)
                assert reference is not None
                assert (reference[1] or reference[2]) in here
    for text in root.iter(f"{SVG}text"):
        size, spacing = float(text.attrib["font-size"]), float(text.attrib.get("letter-spacing", 0))
        for line in text:
            length = lettering.width(line.text or "", size, max(spacing, 0.0))
            assert float(line.attrib["x"]) + length <= WIDTH - lettering.MARGIN
            assert 0.7 * HEIGHT <= float(line.attrib["y"]) <= HEIGHT - size / 4
    return root


def lines(root: ET.Element) -> list[str]:
    """What is written on a poster, line by line."""
    return [line.text or "" for line in root.iter(f"{SVG}tspan")]


def picture(svg: str) -> str:
    """A poster without its ids and its description: what can be seen."""
    return re.sub(r"<title>.*?</title>|k[0-9a-f]{10}", "", svg)


@pytest.mark.parametrize("title", titles(), ids=lambda title: title.title_id)
def test_every_artwork_of_the_catalogue_has_a_poster_of_its_own(title: Title) -> None:
    """The posters are sound, carry the title's name whole, and no two of a title look the same."""
    posters = [poster(title, artwork) for artwork in title.artworks]
    for svg in posters:
        assert title.name in " ".join(lines(check(svg)))
    assert len({picture(svg) for svg in posters}) == len(posters)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["name", "person", "theme", "artwork"])
def test_hostile_text_stays_text(where: str, text: str) -> None:
    """Markup, control characters, endless and right-to-left names do no harm wherever they stand."""
    tags = {"person": {f"cast:{text}"[:128]: 1.0, "drama": 0.5}, "theme": {text[:128]: 1.0, "drama": 0.5}}
    title, artwork = one(text if where == "name" else "A", tags.get(where), text if where == "artwork" else "a")
    check(poster(title, artwork))


@repeatable
@example(name="A", tags={}, artwork_id="a")
@given(
    name=st.text(st.characters(exclude_categories=()), min_size=1, max_size=256),
    tags=st.dictionaries(
        st.one_of(
            st.sampled_from(sorted(MOTIFS)),
            st.text(st.characters(exclude_categories=()), min_size=1, max_size=128),
            st.text(st.characters(exclude_categories=()), max_size=123).map("cast:{}".format),
        ),
        st.floats(0, 1),
        max_size=12,
    ),
    artwork_id=st.text(min_size=1, max_size=128),
)
def test_any_tags_make_a_sound_poster(name: str, tags: dict[str, float], artwork_id: str) -> None:
    """Whatever a record may hold can be drawn, twice the same, in whatever order its tags come."""
    title, artwork = one(name, tags, artwork_id)
    svg = poster(title, artwork)
    check(svg)
    backwards = Artwork(artwork_id, dict(reversed(tags.items())))
    assert poster(title, backwards) == svg


@repeatable
@given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"), max_codepoint=0x24F), min_size=1, max_size=24))
def test_a_short_name_is_written_as_it_is(name: str) -> None:
    """What a reader sees is the name, character by character, whatever it means in XML."""
    written = "".join(lines(check(poster(*one(name)))))
    assert written.replace(" ", "") == lettering.clean(name).replace(" ", "")


def test_every_process_draws_the_same() -> None:
    """Two nodes with different hash seeds give the same bytes."""
    program = (
        "from pathlib import Path; import hashlib, sys; from producers.catalogue import load_catalogue;"
        "from stream.posters import poster; titles = load_catalogue(Path(sys.argv[1]))[:5];"
        "text = ''.join(poster(t, a) for t in titles for a in t.artworks);"
        "print(hashlib.sha256(text.encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, str(CATALOGUE)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(CATALOGUE.parent.parent)},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


@pytest.mark.parametrize("people", [{}, {"cast:A": 1.0}, {"cast:A": 1.0, "cast:B": 0.9}])
@pytest.mark.parametrize("lead", ["drama", "surfing"])
def test_artworks_with_the_same_tags_are_composed_differently(lead: str, people: dict[str, float]) -> None:
    """Four artworks of one title with the same tags place the emblem in four ways."""
    artworks = tuple(Artwork(name, {lead: 1.0, "comedy": 0.5} | people) for name in "abcd")
    title = Title("film", "A Film", 6000.0, {"drama": 1.0}, artworks)
    emblem = re.escape(motif(lead).emblem(motif(lead).palette))
    placed = [re.search(rf"(scale\([^)]*\)|id=)[^<>]*>{emblem}", poster(title, artwork)) for artwork in artworks]
    assert len({found[1] for found in placed if found}) == 4


def test_a_new_artwork_leaves_the_others_as_they_are() -> None:
    """Adding an artwork at the end of a title changes no poster of its siblings."""
    for title in titles()[:10]:
        fewer = Title(title.title_id, title.name, title.runtime_seconds, title.themes, title.artworks[:-1])
        for artwork in fewer.artworks:
            assert poster(fewer, artwork) == poster(title, artwork)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 6, 40])
def test_people_stand_on_the_poster(count: int) -> None:
    """Each person is a bust and is named, up to five; the heaviest tags win."""
    tags = {f"cast:P{i:02}": 1 - i / 100 for i in range(count)}
    root = check(poster(*one(tags=tags | {"drama": 1.0})))
    faces = [e for e in root.iter(f"{SVG}ellipse") if e.attrib["fill"].endswith("f)")]
    shown = min(count, MAX_PEOPLE)
    assert len(faces) == shown
    assert " · ".join(f"P{i:02}" for i in range(shown)) == (lines(root)[0] if count else "")


def test_a_person_looks_the_same_everywhere() -> None:
    """Hair and clothes are the person's, whatever the film."""
    busts = set()
    for title_id in ("one", "two"):
        artwork = Artwork("a", {"drama": 1.0, "cast:Uma Thurman": 1.0})
        svg = poster(Title(title_id, title_id, 6000.0, {}, (artwork,)), artwork)
        busts.add(re.sub("k[0-9a-f]{10}", "", svg[svg.index("M-40 132C-60 166") : svg.rindex('<path d="M0 ')]))
    assert len(busts) == 1


def test_a_theme_without_a_motif_has_colours_of_its_own() -> None:
    """A studio's own theme is drawn too, and two of them do not look the same."""
    surfing, cooking = (picture(poster(*one(tags={theme: 1.0}))) for theme in ("surfing", "cooking"))
    assert surfing != cooking


@pytest.mark.parametrize("theme", [*sorted(MOTIFS), "surfing", "cooking", "a", "b", "c"])
def test_type_can_be_read(theme: str) -> None:
    """The type's contrast with the ground it stands on is 4.5 or more (WCAG 2.2, success criterion 1.4.3)."""
    palette = motif(theme).palette
    dark, light = sorted((luminance(palette.base), luminance(palette.ink)))
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2.2 defines it."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
