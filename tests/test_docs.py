"""What README.md and docs/ tell is there: commands, options, settings, metrics, files, links, and code.

``tests/doc_pages.py`` says of each command how it is tried: here, on a broker, or held against the command tree.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from command_tree import commands as tree
from command_tree import parse
from doc_pages import (
    ASIDE,
    HERE,
    ON_A_BROKER,
    PAGES,
    PARSED,
    ROOT,
    Command,
    blocks,
    commands,
    is_command,
    prose,
    spans,
)

from consumers import settings_page
from consumers.metrics_page import families, registries
from producers.catalogue import load_catalogue
from stream.choosing.choice import Choice
from stream.settings import CONFIG_VARIABLE, ENV_PREFIX, SECRETS, TEST_VARIABLES, Settings, file_variable

if TYPE_CHECKING:
    from collections.abc import Iterator

TREE = dict(tree())
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
MAKEFILE = (ROOT / "Makefile").read_text()
#: Files that a reader writes, or has.
WRITTEN = {"keyart.toml"}
#: What looks like one of our names and is the name of something else.
OTHERS = {"is_finite"}


def by_page(command: Command) -> str:
    """A test's name."""
    return str(command)


def options(words: tuple[str, ...]) -> set[str]:
    """The options of a command or group."""
    return {option for parameter in TREE[words].params for option in (*parameter.opts, *parameter.secondary_opts)}


# --- commands


@pytest.mark.parametrize("command", commands(), ids=by_page)
def test_a_command_can_be_given(command: Command) -> None:
    """It is one that there is, with options that it has, and values that they take; so are its variables."""
    assert is_command(command.text)
    assert command.variables.keys() <= variables(), command.variables
    match command.words:
        case ["keyart", *arguments]:
            parse(arguments)
        case ["make", *arguments]:
            can_be_made(arguments)
        case ["docker", "compose", action, *services]:
            assert action in {"up", "down"}
            assert not services
        case ["node" | "python", script, *rest]:
            assert all((ROOT / name).is_file() for name in (script, *rest)), command
        case ["curl", "-s", url, "-d", body]:
            assert urlsplit(url).path in routes()
            json.loads(body)
        case ["export", assignment]:
            assert assignment.partition("=")[0] in variables()
        case [script, "--bootstrap-server", "localhost:9092", *rest]:
            assert script.startswith("kafka-")
            assert rest
        case _:
            pytest.fail(f"{command}: nobody looks whether it is right")


def can_be_made(arguments: list[str]) -> None:
    """Targets that the Makefile has, variables that it reads; what goes on to a command, that takes it."""
    targets = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE))
    read = set(re.findall(r"^([A-Z]+) \?=", MAKEFILE, re.MULTILINE))
    target, *rest = arguments
    assert target in targets
    for assignment in rest:
        name, _, value = assignment.partition("=")
        assert name in read, f"make {target}: there is no {name}"
        if target == "chaos" and name == "ARGS":
            said = (ROOT / "tests" / "kafka" / "chaos" / "__main__.py").read_text()
            assert all(f'"{word}"' in said for word in value.split())


@cache
def routes() -> frozenset[str]:
    """What a serving node answers to."""
    code = (ROOT / "consumers" / "serving" / "app.py").read_text()
    return frozenset(re.findall(r'(?:add|probe)\("(/\w*)"', code))


def test_every_command_is_tried_in_a_way_that_is_written_down() -> None:
    """A new command needs an entry in doc_pages.py, and no entry is left of commands that went."""
    ways = {str(command): command.way for command in commands()}
    assert not [command for command, (way, _) in ways.items() if not way]
    used = {entry for _, entry in ways.values()}
    # What is run is on some page; what is parsed alone may stand for a kind that comes and goes.
    assert not {*HERE, *ON_A_BROKER} - used


@pytest.mark.parametrize(
    "command", {c.bare: c for c in commands() if c.way[0] == "here"}.values(), ids=lambda command: command.bare
)
def test_a_command_runs(command: Command, tmp_path: Path) -> None:
    """Those that need nothing, made small."""
    run(small(command), tmp_path)


@pytest.mark.parametrize("command", ASIDE)
def test_a_command_that_is_mentioned_runs(command: str) -> None:
    """Those that need nothing at all, in a checkout as it is; each is still mentioned somewhere."""
    assert any(span == command for _, span in mentioned())
    assert run(command.split()[1:], ROOT)


def run(arguments: list[str], folder: Path) -> str:
    """What ``keyart`` prints; it ends well, whatever the settings of whoever runs the tests."""
    done = subprocess.run(
        [Path(sys.executable).with_name("keyart"), *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def small(command: Command) -> list[str]:
    """Its arguments, with those that make less of it in the place of its own."""
    more = HERE[command.way[1]]
    first = next((i for i, word in enumerate(command.words) if word.startswith("-")), len(command.words))
    return [*command.words[1:first], *more]


def clean_environment() -> dict[str, str]:
    """This process's, without settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return ours | {"OPENBLAS_NUM_THREADS": "1"}


def mentioned() -> Iterator[tuple[str, str]]:
    """Commands in the middle of a sentence, with their page."""
    for page, name in zip(PAGES, NAMES, strict=True):
        for span in spans(page):
            if re.match(r"(\.venv/bin/)?(keyart|make) ", span):
                yield name, span.removeprefix(".venv/bin/").removesuffix(" …")


@pytest.mark.parametrize(("page", "span"), sorted(set(mentioned())))
def test_a_command_that_is_mentioned_exists(page: str, span: str) -> None:
    """Its words name a command or a group; options are that command's."""
    del page
    program, *rest = span.split()
    if program == "make":
        assert rest[0] in re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE)
        return
    words: tuple[str, ...] = ()
    while rest and (*words, rest[0]) in TREE:
        words = (*words, rest.pop(0))
    if hasattr(TREE[words], "commands"):
        assert not rest or rest[0].startswith("-"), f"keyart {' '.join(words)} has no {rest[0]}"
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert given <= options(words), f"{span}: {given - options(words)}"


@pytest.mark.parametrize("words", [words for words, command in TREE.items() if words], ids=" ".join)
def test_every_command_is_told_of(words: tuple[str, ...]) -> None:
    """In the README or on some page; of benchmarks the name alone will do."""
    texts = " ".join(" ".join(page.read_text().split()) for page in PAGES)
    wanted = f"keyart {' '.join(words)}" if words[0] != "bench" else words[-1]
    assert re.search(rf"{wanted}\b|`{words[-1]}`", texts)


# --- links and files


def slugs(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        found.add(re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    """To a file that is there, and to a heading that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        address = urlsplit(target)
        if address.scheme in {"http", "https"}:
            continue
        place = (page.parent / address.path).resolve() if address.path else page
        assert place.exists(), f"{page.name}: {target}"
        if address.fragment:
            assert address.fragment in slugs(place), f"{page.name}: {target}"


def test_the_readme_lists_every_page() -> None:
    """Nobody finds what the index does not have."""
    linked = set(re.findall(r"\]\((docs/[^)]+\.md)\)", PAGES[0].read_text()))
    assert {name for name in NAMES if name.startswith("docs/")} <= linked


@cache
def files() -> frozenset[str]:
    """Every file and folder of the tree, from its root."""
    found = {path.name for path in ROOT.iterdir()}
    for folder in ("stream", "consumers", "producers", "benchmarks", "tests", "deploy", "docs"):
        found |= {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob("*")}
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_named_files_exist(page: Path) -> None:
    """A path in backticks is one of the tree's, from its root or by the end of it."""
    ends = "py|mjs|json|toml|yml|yaml|md|html|svg|png"
    for span in spans(page):
        if re.fullmatch(rf"[\w./-]+\.(?:{ends})|[\w./-]+/", span) and span not in WRITTEN:
            name = span.removeprefix("../").rstrip("/")
            assert any(file == name or file.endswith(f"/{name}") for file in files()), f"{page.name}: {span}"


def test_pages_that_the_code_names_exist() -> None:
    """In docstrings, help texts, alerts and dashboards."""
    for folder in ("stream", "consumers", "producers", "benchmarks", "deploy"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yml", ".json", ".mjs"}:
                for name in re.findall(r"docs/[\w-]+\.md", path.read_text()):
                    assert name in NAMES, f"{path.relative_to(ROOT)}: {name}"


# --- names


@cache
def variables() -> frozenset[str]:
    """Every variable that means something to Keyart."""
    settings = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    return frozenset(settings | {CONFIG_VARIABLE} | {file_variable(name) for name in SECRETS} | TEST_VARIABLES)


@cache
def words_of_the_code() -> frozenset[str]:
    """Every word in code, tests and deployment."""
    found: set[str] = set()
    for folder in ("stream", "consumers", "producers", "benchmarks", "tests", "deploy"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".yml", ".json", ".mjs", ".js"} and path.name != "test_docs.py":
                found |= set(re.findall(r"\w+", path.read_text()))
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_names_are_those_of_the_code(page: Path) -> None:
    """Settings, variables, metrics, fields and codes in backticks: renamed or removed, they are told otherwise."""
    metrics = {name for registry in registries().values() for name, _, _ in families(registry, ours=False)}
    for variable in re.findall(r"\bKEYART_[A-Z_]+[A-Z]\b", page.read_text()):
        assert variable in variables(), f"{page.name}: {variable}"
    for span in spans(page):
        if given := re.fullmatch(r"([a-z]+(?:_[a-z]+)*) ?= ?\S+", span):
            assert given[1] in Settings.model_fields, f"{page.name}: {span}"
        elif metric := re.match(r"keyart_\w+", span):
            prefix = span.endswith("…")
            known = [name for name in metrics if name == metric[0] or (prefix and name.startswith(metric[0]))]
            assert known, f"{page.name}: {span}"
        elif re.fullmatch(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+", span) and span not in OTHERS:
            assert span in words_of_the_code(), f"{page.name}: {span}"


def test_what_decides_choices_is_in_tuning() -> None:
    """Every setting from learning to choosing has its line."""
    told = set(spans(ROOT / "docs" / "tuning.md"))
    about = ""
    for name in Settings.model_fields:
        about = settings_page.GROUPS.get(name, about)
        if about.startswith(("Event time", "Learning", "Viewing", "Choosing")):
            assert name in told, name


def test_the_page_of_settings_is_what_the_code_makes() -> None:
    """docs/settings.md is made by make docs; who changed a setting runs that."""
    assert (ROOT / "docs" / "settings.md").read_text() == settings_page.page()


def test_the_page_of_settings_has_all_of_them() -> None:
    """Each once, with the default that is in force; no group is of a setting that went."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \|", settings_page.page(), re.MULTILINE)
    assert [name for name, _ in rows] == list(Settings.model_fields)
    assert settings_page.GROUPS.keys() <= Settings.model_fields.keys()
    shown: dict[str, str] = dict(rows)
    assert shown["exploration"] == f"`{Settings.model_fields['exploration'].default}`"
    assert shown["token_secrets"] == ""


# --- code


def code(language: str) -> list[Any]:
    """The blocks of a language."""
    return [pytest.param(b, id=f"{b.page}:{b.line}") for b in blocks() if b.language == language]


@pytest.mark.parametrize("block", code("python"))
def test_python_is_python(block: Any) -> None:
    """It compiles, and what it imports of Keyart is public."""
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module in {"consumers", "producers"}:
            public = __import__(node.module).__all__
            assert {alias.name for alias in node.names} <= set(public)


@pytest.mark.parametrize("block", code("json"))
def test_json_is_json_of_the_shape_that_it_shows(block: Any, tmp_path: Path) -> None:
    """A catalogue loads; a choice has the fields of one."""
    shown = json.loads(block.text)
    if isinstance(shown, list):
        (tmp_path / "titles.json").write_text(block.text)
        assert load_catalogue(tmp_path / "titles.json")
    elif "choices" in shown:
        assert [set(choice) for choice in shown["choices"]] == [set(Choice.__struct_fields__)]


def test_only_known_languages_are_used() -> None:
    """Whatever is fenced is looked at by one of the tests above."""
    assert {block.language for block in blocks()} <= {"", "python", "json"}
    assert PARSED
