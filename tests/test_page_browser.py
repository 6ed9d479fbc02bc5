"""The page in a real Chromium, on a real serving node without a broker: what a person sees and can do."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from browser import Browser, Tab, find_chromium
from builders import some_settings
from learned import app_on, learned_catalogue
from tables import choosing

from consumers.serving.node import listening, url_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.applications import Starlette
    from tables import MemoryTables

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here: apt-get install chromium")

AXE = "axe-core@4.11"
READY = "document.querySelector('#status').textContent.includes('different artwork')"
#: What is shown of Good Will Hunting: of each person the artwork, its share, and the reasons with their sizes.
FLIP = """[...document.querySelectorAll('.flip .side')].map(side => ({
  artwork: side.querySelector('b').textContent, picture: side.querySelector('img').getAttribute('src'),
  share: side.querySelector('figcaption span').textContent,
  why: [...side.querySelectorAll('.why li')].map(row => [row.querySelector('.name').textContent,
    row.querySelector('.number').textContent, Math.round(row.querySelector('.fill').getBoundingClientRect().width)])}))"""


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
    assert CHROMIUM is not None
    with Browser(CHROMIUM) as one:
        yield one


@pytest.fixture
def tab(browser: Browser, url: str) -> Tab:
    """The page on a desktop, as soon as it shows something."""
    return opened(browser, url)


def opened(browser: Browser, url: str, **options: Any) -> Tab:
    """The page, as soon as it shows something."""
    tab = Tab(browser, **({"prefers_reduced_motion": "reduce"} | options))
    tab.open(url)
    tab.until(f"document.querySelector('#status') && {READY}", "the page shows choices")
    tab.until("document.querySelectorAll('#strip .tile').length === 5", "the strip is there")
    return tab


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
    assert couple["share"].endswith("%")


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
    assert unmoved == other
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
    assert tab.evaluate("document.querySelector('.flip .one .lead').textContent").startswith(f"+{100 * lead:.1f}")
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


def test_a_new_snapshot_is_seen_without_a_reload(browser: Browser) -> None:
    """The page asks again by itself; meanwhile the focus and what is open stay where they are."""
    tables = learned_catalogue()
    with choosing(tables) as chooser, serving(app_on(chooser)) as url:
        tab = opened(browser, url)
        tab.evaluate("document.querySelector('#titles summary').click(); document.querySelector('#find').focus()")
        other = learned_catalogue(seed=2)
        for topic, message in other.log:
            if message.key == b"good-will-hunting" and topic.name == "snapshots":
                tables.write_raw(topic, message.key, message.value.replace(b":4321,", b":987654,"))
        before = tab.evaluate(FLIP)
        tab.until("document.querySelector('.flip .verdict').textContent.includes('987,654')", "the new version")
        assert tab.evaluate(FLIP) != before
        assert tab.evaluate("document.activeElement.id") == "find"
        assert tab.evaluate("document.querySelector('#titles details').open")


def test_it_is_used_by_keyboard(tab: Tab) -> None:
    """Every control is reached in order, has a name and shows that it has the focus; a letter changes a list."""
    reached = []
    for _ in range(13):
        tab.press("Tab")
        reached.append(
            tab.evaluate(
                """(() => { const it = document.activeElement, style = getComputedStyle(it);
            return [it.id || it.closest('fieldset')?.className || it.className,
              parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== 'none',
              Boolean(it.labels?.[0]?.textContent || it.ariaLabel || it.textContent)]; })()"""
            )
        )
    assert [where for where, _, _ in reached[:10]] == ["theme", *["one"] * 4, *["two"] * 4, "find"]
    assert all(outlined and named for _, outlined, named in reached)
    tab.evaluate("document.querySelector('.one .likes select').focus()")
    before = tab.evaluate("document.activeElement.value")
    tab.press("h")
    tab.until("document.activeElement.value === 'horror'", "a letter has chosen from the list")
    assert before == "romance"
    shown = "document.querySelector('.flip .side.one b').textContent"
    tab.until(f"{shown} !== 'The Couple'", "another artwork is shown")
    tab.evaluate("document.querySelector('#titles summary').focus()")
    tab.press("Enter")
    tab.until("document.querySelectorAll('#titles details[open] .why li').length > 0", "the reasons are open")


def test_what_is_looked_for_is_found(tab: Tab) -> None:
    """By a part of its name; what there is not is said."""
    names = "[...document.querySelectorAll('#titles > li > h3')].map(name => name.textContent)"
    typed = """(text => { const it = document.querySelector('#find'); it.value = text;
        it.dispatchEvent(new Event('input')); })"""
    tab.evaluate(f"{typed}('lord of')")
    assert tab.evaluate(names) == ["The Lord of the Rings: The Fellowship of the Ring"]
    tab.until("document.querySelector('#titles figcaption b').textContent !== ''", "its artwork is shown")
    tab.evaluate(f"{typed}('')")
    assert len(tab.evaluate(names)) == 24
    tab.evaluate("document.querySelector('#more').click()")
    assert len(tab.evaluate(names)) == 48


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(browser: Browser, url: str, width: int) -> None:
    """From the narrowest phone on; what is tapped is large enough for a finger (WCAG 2.2, criterion 2.5.8)."""
    tab = opened(browser, url, width=width, height=800)
    tab.evaluate("document.querySelector('#titles summary').click()")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    small = tab.evaluate(
        """[...document.querySelectorAll('select, button, input, summary')].filter(it => it.offsetParent)
        .filter(it => it.getBoundingClientRect().height < 24 || it.getBoundingClientRect().width < 24).length"""
    )
    assert small == 0


def test_light_and_dark(browser: Browser, url: str) -> None:
    """As the system says, until the button says otherwise; that is remembered, and nothing else is."""
    paper = "getComputedStyle(document.body).backgroundColor"
    tab = opened(browser, url, prefers_color_scheme="dark")
    dark = tab.evaluate(paper)
    tab.prefer(prefers_color_scheme="light")
    light = tab.evaluate(paper)
    assert dark != light
    tab.evaluate("document.querySelector('#theme').click()")
    assert tab.evaluate(paper) == dark
    tab.open(url)
    tab.until(f"document.querySelector('#status') && {READY}", "the page is there again")
    assert tab.evaluate(paper) == dark
    assert tab.evaluate("JSON.stringify({...localStorage})") == '{"keyart-theme":"dark"}'
    assert tab.evaluate("document.cookie") == ""


def test_less_motion_is_none(browser: Browser, url: str) -> None:
    """An artwork turns when it changes, but not for those who asked for less motion."""
    for motion, moves in (("no-preference", True), ("reduce", False)):
        tab = opened(browser, url, prefers_reduced_motion=motion)
        pick(tab, "one", 0, "friends")
        pick(tab, "one", 1, "the-big-lebowski")
        pick(tab, "one", 2, "the-intouchables")
        tab.until("document.querySelector('.flip .one .turned') !== null", "the artwork has changed")
        name = tab.evaluate("getComputedStyle(document.querySelector('.flip .one img')).animationName")
        assert (name != "none") == moves


def test_a_node_that_is_away_is_said(browser: Browser) -> None:
    """What was shown stays, a sentence says what is the matter, and it goes on by itself."""
    with choosing(learned_catalogue()) as chooser:
        with serving(app_on(chooser)) as url:
            tab = opened(browser, url)
            shown = tab.evaluate(FLIP)
        pick(tab, "one", 0, "alien")
        tab.until("document.querySelector('#status').classList.contains('fault')", "the fault is said")
        assert "does not answer" in tab.evaluate("document.querySelector('#status').textContent")
        assert tab.evaluate(FLIP) == shown


def test_an_empty_catalogue_is_said(browser: Browser) -> None:
    """With what to do about it."""
    tables = learned_catalogue()
    tables.log.clear()
    with choosing(tables) as chooser, serving(app_on(chooser)) as url:
        tab = Tab(browser)
        tab.open(url)
        tab.until("document.querySelector('#status')?.textContent.includes('keyart catalogue load')", "it is said")


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The accessibility checks of axe-core, fetched by npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"there is no npm here to fetch {AXE} with: apt-get install npm")
    folder = tmp_path_factory.mktemp("axe")
    fetched = subprocess.run(
        [npm, "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), AXE],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if fetched.returncode:
        pytest.skip(f"npm does not fetch {AXE}: {fetched.stderr.strip().splitlines()[:1]}")
    return (Path(folder) / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious(browser: Browser, url: str, axe: str, scheme: str, width: int) -> None:
    """Names, roles, contrast, order: by the rules of WCAG 2.2 A and AA, and what axe calls best practice."""
    tab = opened(browser, url, width=width, prefers_color_scheme=scheme)
    tab.evaluate("document.querySelector('#titles summary').click()")
    tab.evaluate(axe)
    found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")
    serious = [
        (rule["id"], [node["html"] for node in rule["nodes"]][:3])
        for rule in found["violations"]
        if rule["impact"] in ("serious", "critical", "moderate")
    ]
    assert serious == []
    assert len(found["passes"]) > 15
