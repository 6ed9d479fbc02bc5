"""The page in a real Chromium, on a real serving node without a broker: what a person sees and can do."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import pytest
import uvicorn
from browser import Browser, Tab, find_chromium
from builders import some_settings
from learned import app_on, learned_catalogue
from tables import MemoryTables, choosing

from consumers.serving.node import listening, url_of
from stream.codec import decode
from stream.records import Snapshot
from stream.topics import SNAPSHOTS
from stream.worth.policies import GROUPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette

AXE = "axe-playwright-python>=0.1.8,<0.2"
READY = "document.querySelector('#status').textContent.includes('different artwork')"
#: What is shown of Good Will Hunting: of each person the artwork, its share, and the reasons with their sizes.
FLIP = """[...document.querySelectorAll('.flip .side')].map(side => ({
  artwork: side.querySelector('b').textContent, picture: side.querySelector('img').getAttribute('src'),
  share: side.querySelector('figcaption span').textContent,
  why: [...side.querySelectorAll('.why li')].map(row => [row.querySelector('.name').textContent,
    row.querySelector('.number').textContent,
    Math.round(row.querySelector('.fill').getBoundingClientRect().width)])}))"""


def lacking(why: str) -> NoReturn:
    """Skip for want of a tool; where ``KEYART_TEST_REQUIRE_BROWSER`` is 1 that is a failure."""
    if os.environ.get("KEYART_TEST_REQUIRE_BROWSER") == "1":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


@pytest.fixture(scope="module")
def tables() -> MemoryTables:
    """Titles, and what was learned of them."""
    return learned_catalogue()


@pytest.fixture(scope="module")
def url(tables: MemoryTables) -> Iterator[str]:
    """Where a node serves them."""
    with choosing(tables) as chooser, serving(app_on(chooser)) as address:
        yield address


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    """An application as a node runs it."""
    with listening(some_settings(http_host="127.0.0.1", http_port=0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            yield url_of(listener)
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests: each opens a tab that knows nothing of the others."""
    program = find_chromium()
    if program is None:
        lacking("there is no Chromium here: apt-get install chromium")
    with Browser(program) as one:
        yield one


@pytest.fixture(scope="module")
def tab(browser: Browser, url: str) -> Iterator[Tab]:
    """The page on a desktop; whoever changes it leaves it as it was."""
    with opened(browser, url) as tab:
        yield tab


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Tab]:
    """The page in a tab of its own, as soon as it shows something."""
    with Tab(browser, **({"prefers_reduced_motion": "reduce"} | options)) as tab:
        show(tab, url)
        yield tab


def show(tab: Tab, url: str) -> None:
    """Go to the page, and wait until there is something to see."""
    tab.open(url)
    tab.until(f"document.querySelector('#status') && {READY}", "the page shows choices")
    tab.until("document.querySelectorAll('#strip .tile').length === 5", "the strip is there")


def pick(tab: Tab, person: str, place: int, title_id: str) -> None:
    """Say what somebody has watched, as a person does: choose from the list."""
    tab.evaluate(
        f"""(() => {{ const select = document.querySelectorAll('.{person} .slot select')[{place}];
        select.value = '{title_id}'; select.dispatchEvent(new Event('change', {{bubbles: true}})); }})()"""
    )


def test_it_loads_from_its_node_alone_and_without_a_complaint(tab: Tab, url: str) -> None:
    """No request goes anywhere else, every picture is there, and the console is empty."""
    tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    pictures = "[...document.images].filter(img => img.src && !img.hidden)"
    tab.until(f"{pictures}.every(img => img.complete && img.naturalWidth > 0)", "every picture is drawn")
    assert tab.evaluate(f"{pictures}.length") > 40
    assert {request.startswith(f"{url}/") for request in tab.requests} == {True}
    assert {"/", "/page/page.css", "/page/scene.js", "/titles", "/look", "/live"} <= {
        request.removeprefix(url) for request in tab.requests
    }
    assert tab.complaints == []


def test_good_will_hunting_flips(tab: Tab) -> None:
    """Between the couple and the comedian, each for the reason that people like them have."""
    couple, comedian = tab.evaluate(FLIP)
    assert (couple["artwork"], comedian["artwork"]) == ("The Couple", "Robin Williams")
    assert couple["picture"] != comedian["picture"]
    assert couple["why"][0][0] == "romance"
    assert comedian["why"][0][0] == "comedy"
    assert couple["why"][0][1].startswith("+")
    assert couple["share"].endswith("% of people like this")


def test_other_titles_watched_are_another_artwork_and_other_bars(tab: Tab) -> None:
    """Somebody who has watched three comedies instead of three romances; it is said aloud, and undone again."""
    before, other = tab.evaluate(FLIP)
    romances = tab.evaluate("[...document.querySelectorAll('.one .slot select')].map(select => select.value)")
    for place, title_id in enumerate(("friends", "the-big-lebowski", "the-intouchables")):
        pick(tab, "one", place, title_id)
    shown = "document.querySelector('.flip .side.one b').textContent"
    tab.until(f"{shown} === 'Robin Williams'", "the comedian is shown")
    after, unmoved = tab.evaluate(FLIP)
    assert after["picture"] != before["picture"]
    assert [name for name, _, _ in after["why"]] != [name for name, _, _ in before["why"]]
    assert after["why"] == unmoved["why"]
    assert [row[:2] for row in unmoved["why"]] == [row[:2] for row in other["why"]]
    assert [row[2] for row in unmoved["why"]] != [row[2] for row in other["why"]]  # one scale for both people
    assert tab.evaluate("document.querySelector('.one .likes select').value") == ""
    assert "comedy" in tab.evaluate("document.querySelector('.one .themes').textContent")
    assert tab.evaluate("document.querySelector('#status').getAttribute('role')") == "status"
    assert tab.evaluate("document.querySelector('#status').textContent").startswith(
        "They see different artwork of 0"
    )
    for place, title_id in enumerate(romances):
        pick(tab, "one", place, title_id)
    tab.until(f"{shown} === 'The Couple'", "the couple is back")
    assert tab.evaluate(FLIP)[0]["why"] == before["why"]


def test_the_bars_are_what_the_node_says(tab: Tab) -> None:
    """Their numbers sum to the lead that is named above them; none is wider than half its track."""
    said = tab.evaluate(
        """(async () => (await (await fetch('/look', {method: 'POST', body: JSON.stringify({title_ids:
        ['good-will-hunting'], watched: [...document.querySelectorAll('.one .slot select')].map(s => s.value)})}))
        .json()).titles[0])()"""
    )
    side = tab.evaluate(FLIP)[0]
    lead = sum(reason["effect"] for reason in said["why"])
    told = tab.evaluate("document.querySelector('.flip .one .lead').textContent")
    assert told.startswith(f"Earns {100 * lead:.1f} more ")
    numbers = [float(number.replace("\N{MINUS SIGN}", "-")) for _, number, _ in side["why"]]
    assert sum(numbers) == pytest.approx(100 * lead, abs=0.05 * len(numbers) + 0.05)
    track = tab.evaluate("document.querySelector('.flip .one .track').getBoundingClientRect().width")
    widths = [width for _, _, width in side["why"]]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] <= track / 2 + 1


def test_stranger_things_shows_its_nine_artworks_with_their_shares(tab: Tab) -> None:
    """For both people; each person's sum to a hundred, and the one that each is shown is marked."""
    rows = tab.evaluate(
        """[...document.querySelectorAll('.spread .shares li')].map(row => [row.className,
        ...[...row.querySelectorAll('.number')].map(number => number.textContent)])"""
    )
    assert len(rows) == 9
    for person, place in (("one", 1), ("two", 2)):
        shares = [0.0 if row[place].startswith("<") else float(row[place].strip("> %")) for row in rows]
        assert 90 <= sum(shares) <= 110
        assert [person in row[0].split() for row in rows] == [share == max(shares) for share in shares]


STRIP = """Object.fromEntries([...document.querySelectorAll('#strip .tile')].map(tile => [tile.dataset.key,
  [tile.querySelector('.big').textContent, tile.querySelector('.small').textContent]]))"""


def test_a_new_snapshot_is_seen_without_a_reload(browser: Browser) -> None:
    """In artwork, bars and strip; meanwhile the focus and what is open stay where they are."""
    tables, other = learned_catalogue(), learned_catalogue(seed=2)
    (learned,) = (
        decode(Snapshot, message.value or b"", limit=None)
        for topic, message in other.log
        if message.key == b"good-will-hunting" and topic is SNAPSHOTS
    )
    earned = {"personal": (16_000, 1600, 1280), "popular": (1600, 128, 96), "explore": (800, 48, 32)}
    policies = {name: (tuple(each / GROUPS for each in sums),) * GROUPS for name, sums in earned.items()}
    with choosing(tables) as chooser, serving(app_on(chooser)) as url, opened(browser, url) as tab:
        tab.evaluate("document.querySelector('#titles summary').click(); document.querySelector('#find').focus()")
        before, nothing = tab.evaluate(FLIP), tab.evaluate(STRIP)
        assert {nothing[key][0] for key in ("personal", "popular", "explore", "lift")} == {"not enough yet"}
        tables.write(msgspec.structs.replace(learned, version=987_654, policies=policies))
        tab.until("document.querySelector('.flip .verdict').textContent.includes('987,654')", "the new version")
        assert tab.evaluate(FLIP) != before
        tab.until("document.querySelector('[data-key=personal] .big').textContent === '10.0'", "the take rate")
        strip = tab.evaluate(STRIP)
        assert (strip["popular"][0], strip["explore"][0], strip["lift"][0]) == ("8.0", "6.0", "+33 %")
        assert strip["personal"][1].endswith("16,000 shown")
        dots = [tab.evaluate(f"document.querySelector('[data-key={key}] .dot').offsetLeft") for key in earned]
        assert dots == sorted(dots, reverse=True)
        assert tab.evaluate("document.activeElement.id") == "find"
        assert tab.evaluate("document.querySelector('#titles details').open")


FOCUSED = """(() => { const it = document.activeElement, style = getComputedStyle(it); return [
  it.id || it.closest('fieldset')?.className || it.className,
  parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== 'none',
  Boolean(it.labels?.[0]?.textContent || it.ariaLabel || it.textContent)]; })()"""


def test_it_is_used_by_keyboard(browser: Browser, url: str) -> None:
    """Every control is reached in order, has a name and shows that it has the focus; a letter changes a list."""
    with opened(browser, url) as tab:
        reached = []
        for _ in range(13):
            tab.press("Tab")
            reached.append(tab.evaluate(FOCUSED))
        assert [where for where, _, _ in reached[:10]] == ["theme", *["one"] * 4, *["two"] * 4, "find"]
        assert all(outlined and named for _, outlined, named in reached)
        tab.evaluate("document.querySelector('.one .likes select').focus()")
        assert tab.evaluate("document.activeElement.value") == "romance"
        tab.press("h")
        tab.until("document.activeElement.value === 'horror'", "a letter has chosen from the list")
        shown = "document.querySelector('.flip .side.one b').textContent"
        tab.until(f"{shown} !== 'The Couple'", "another artwork is shown")
        tab.evaluate("document.querySelector('#titles summary').focus()")
        tab.press("Enter")
        tab.until("document.querySelectorAll('#titles details[open] .why li').length > 0", "the reasons are open")


def test_what_is_looked_for_is_found(tab: Tab) -> None:
    """By a part of its name; what there is not is said; there is more where that came from."""
    names = "[...document.querySelectorAll('#titles > li > h3')].map(name => name.textContent)"
    typed = """(text => { const it = document.querySelector('#find'); it.value = text;
        it.dispatchEvent(new Event('input')); })"""
    tab.evaluate(f"{typed}('lord of')")
    assert tab.evaluate(names) == ["The Lord of the Rings: The Fellowship of the Ring"]
    tab.until("document.querySelector('#titles figcaption b').textContent !== ''", "its artwork is shown")
    tab.evaluate(f"{typed}('no such thing')")
    assert tab.evaluate(names) == []
    tab.until("document.querySelector('#status').textContent.includes('No title is called that')", "that is said")
    tab.evaluate(f"{typed}('')")
    assert len(tab.evaluate(names)) == 24
    tab.evaluate("document.querySelector('#more').click()")
    assert len(tab.evaluate(names)) == 48


def test_nothing_is_wider_than_the_screen(browser: Browser, url: str) -> None:
    """From the narrowest phone on; what is tapped is large enough for a finger (WCAG 2.2, criterion 2.5.8)."""
    with opened(browser, url, width=320) as tab:
        tab.evaluate("document.querySelector('#titles summary').click()")
        for width in (320, 390, 768, 1280):
            tab.resize(width, 800)
            tab.until(f"innerWidth === {width}", "the screen has changed")
            assert tab.evaluate("document.documentElement.scrollWidth") == width
            small = tab.evaluate(
                """[...document.querySelectorAll('select, button, input, summary')].filter(it => it.offsetParent)
                .map(it => it.getBoundingClientRect()).filter(at => at.height < 24 || at.width < 24).length"""
            )
            assert small == 0


def test_light_and_dark(browser: Browser, url: str) -> None:
    """As the system says, until the button says otherwise; that is remembered, and nothing else is."""
    paper = "getComputedStyle(document.body).backgroundColor"
    with opened(browser, url, prefers_color_scheme="dark") as tab:
        dark = tab.evaluate(paper)
        tab.prefer(prefers_color_scheme="light")
        assert tab.evaluate(paper) != dark
        tab.evaluate("document.querySelector('#theme').click()")
        assert tab.evaluate(paper) == dark
        show(tab, url)
        assert tab.evaluate(paper) == dark
        assert tab.evaluate("JSON.stringify({...localStorage})") == '{"keyart-theme":"dark"}'
        assert tab.evaluate("document.cookie") == ""


def test_less_motion_is_none(browser: Browser, url: str) -> None:
    """An artwork turns when it changes, but not for those who asked for less motion."""
    moves = "getComputedStyle(document.querySelector('.flip .one img')).animationName"
    with opened(browser, url, prefers_reduced_motion="no-preference") as tab:
        for place, title_id in enumerate(("friends", "the-big-lebowski", "the-intouchables")):
            pick(tab, "one", place, title_id)
        tab.until("document.querySelector('.flip .one .turned') !== null", "the artwork has changed")
        assert tab.evaluate(moves) == "turn"
        tab.prefer(prefers_reduced_motion="reduce")
        assert tab.evaluate(moves) == "none"


def test_a_node_that_is_away_is_said(browser: Browser) -> None:
    """What was shown stays, and a sentence says what is the matter."""
    with ExitStack() as node, choosing(learned_catalogue()) as chooser:
        url = node.enter_context(serving(app_on(chooser)))
        with opened(browser, url) as tab:
            shown = tab.evaluate(FLIP)
            node.close()
            pick(tab, "one", 0, "alien")
            tab.until("document.querySelector('#status').classList.contains('fault')", "the fault is said")
            assert "does not answer" in tab.evaluate("document.querySelector('#status').textContent")
            assert tab.evaluate(FLIP) == shown


def test_an_empty_catalogue_is_said(browser: Browser) -> None:
    """With what to do about it."""
    with choosing(MemoryTables()) as chooser, serving(app_on(chooser)) as url, Tab(browser) as tab:
        tab.open(url)
        told = "document.querySelector('#status')?.textContent.includes('keyart catalogue load')"
        tab.until(told, "it is said")


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checks of axe-core; the package that carries them is found and not imported."""
    package = importlib.util.find_spec("axe_playwright_python")
    script = Path(str(package.origin)).with_name("axe.min.js") if package is not None else None
    if script is None or not script.is_file():
        lacking(f"axe-core is missing: pip install --no-deps '{AXE}'")
    return script.read_text()


def test_axe_finds_nothing_serious(browser: Browser, url: str, axe: str) -> None:
    """Names, roles, contrast, order: by the rules of WCAG 2.2 A and AA, and what axe calls best practice."""
    with opened(browser, url) as tab:
        tab.evaluate("document.querySelector('#titles summary').click()")
        tab.evaluate(axe)
        for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
            tab.resize(width, 900)
            tab.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
            serious = [
                (rule["id"], [node["html"] for node in rule["nodes"]][:3])
                for rule in found["violations"]
                if rule["impact"] in {"moderate", "serious", "critical"}
            ]
            assert serious == [], f"{width} wide, {scheme}"
            assert len(found["passes"]) > 15
