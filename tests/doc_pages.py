"""README.md and docs/*.md as data: blocks, the commands in them, words; and how each command is tried."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

#: What a line that is a command begins with, after variables.
PROGRAMS = frozenset({"keyart", "make", "docker", "curl", "node", "python", "prometheus", "cat", "export"}) | {
    f"kafka-{tool}.sh" for tool in ("topics", "consumer-groups", "transactions")
}

#: Commands that tests/test_docs.py runs, with more arguments that make less of it.
HERE: dict[str, tuple[str, ...]] = {
    "keyart bench poisoning": ("--members", "100", "--titles", "2", "--days", "2", "--attack", "once"),
}
#: Commands in the middle of sentences that it runs as they stand: they need nothing, and change nothing.
ASIDE = (
    "keyart config",
    "keyart config --page",
    "keyart contracts --check",
    "keyart dead-letters codes",
    "keyart metrics",
    "keyart topics --acls",
)
#: Commands that tests/kafka/test_docs_on_a_broker.py runs on a broker that has seen some traffic.
ON_A_BROKER: dict[str, tuple[str, ...]] = {
    "curl": (),
    "cat members-to-forget.txt | keyart forget": (),
    "keyart catalogue": (),
    "keyart dead-letters list": (),
    "keyart dead-letters replay": ("--yes",),
    "keyart doctor": (),
    "keyart evaluate --topics": (),
    "keyart explain": (),
    "keyart forget": (),
    "keyart learner": ("--until-drained",),
    "keyart replay --dead-letters": (),
    "keyart topics": (),
    "keyart tune --topics": (),
    "keyart viewing": ("--until-drained",),
}
#: Commands that are held against the command tree and the Makefile, and why they are not run.
PARSED = {
    "docker compose up": "needs a container engine; tests/test_compose.py reads what it would do",
    "export KEYART_TOKEN_SECRETS=": "sets a variable of the reader's shell",
    "kafka-": "Kafka's own scripts; the test of learning anew does through the client what they do",
    "keyart bench evaluation": "ten minutes; tests/test_bench_command.py and its own tests run parts of it",
    "keyart bench flicker": "a minute; tests/test_bench_command.py runs it small",
    "keyart bench ips": "a minute; tests/test_bench_command.py runs it small",
    "keyart bench live": "a minute; tests/test_bench_command.py runs it small",
    "keyart bench quality": "minutes, and other libraries; tests/test_bench_command.py runs it small",
    "keyart bench": "minutes; tests/test_bench_speed.py runs each small",
    "keyart dead-letters show": "needs a letter at that place; tests/kafka/test_dead_letter_commands.py has one",
    "keyart demo": "a minute; tests/kafka/test_demo.py runs it",
    "keyart evaluate --log": "the reader's files; tests/test_evaluate_command.py has some",
    "keyart evaluate --open-bandit": "a data set; tests/test_evaluate_command.py has a sample",
    "keyart serving": "runs until it is told to end; the commands of curl are answered by one",
    "keyart tune --log": "the reader's files; tests/test_tune.py has some",
    "make": "minutes; each target's own parts are tested",
    "node deploy/examples/choose.mjs": "tests/test_choosing_elsewhere.py runs it and compares what it prints",
}
_WAYS = {"here": HERE, "broker": ON_A_BROKER, "parsed": PARSED}


@dataclass(frozen=True)
class Block:
    """A fenced or an indented block."""

    page: str
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is in it, without its indentation."""
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True)
class Command:
    """A command line as it stands on a page, without its comment."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"

    @property
    def variables(self) -> dict[str, str]:
        """What is set before the command's name."""
        found = {}
        for word in shlex.split(self.text):
            if not (match := re.fullmatch(r"([A-Z_]+)=(.*)", word)):
                break
            found[match[1]] = match[2]
        return found

    @property
    def bare(self) -> str:
        """Without variables and the way to the virtual environment, options that may be left out included."""
        text = re.sub(r"^(?:[A-Z_]+=\S+ )*", "", self.text) if not self.text.startswith("export") else self.text
        return re.sub(r"\[(--[^\]]+)\]", r"\1", text.removeprefix(".venv/bin/"))

    @property
    def words(self) -> list[str]:
        """The program and its arguments: what stands after the last pipe, and before where its output goes."""
        return shlex.split(self.bare.rpartition(" | ")[2].partition(" > ")[0])

    @property
    def way(self) -> tuple[str, str]:
        """How it is tried, and the entry of the table that says so: the longest that it begins with."""
        matching = [(len(start), way, start) for way, table in _WAYS.items() for start in table if self._is(start)]
        if not matching:
            return "", ""
        return max(matching)[1:]

    def _is(self, start: str) -> bool:
        return self.bare.startswith(start)


@cache
def blocks() -> tuple[Block, ...]:
    """Every block of every page."""
    return tuple(block for page in PAGES for block in _blocks(page))


def _blocks(page: Path) -> list[Block]:
    found: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    name = str(page.relative_to(ROOT))
    number = 0
    while number < len(lines):
        line = lines[number]
        if fence := re.match(r"\s*```(\w*)$", line):
            end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == "```")
            found.append(Block(name, number + 1, fence[1], _dedented(lines[number + 1 : end])))
            number = end + 1
        elif line.startswith("    ") and (number == 0 or not lines[number - 1].strip()):
            end = number
            while end < len(lines) and (lines[end].startswith("    ") or not lines[end].strip()):
                end += 1
            found.append(Block(name, number + 1, "", _dedented(lines[number:end])))
            number = end
        else:
            number += 1
    return found


def _dedented(lines: list[str]) -> tuple[str, ...]:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return tuple(line[margin:].rstrip() for line in lines)


def is_command(line: str) -> bool:
    """Whether a line begins as a command does."""
    words = re.sub(r"^(?:[A-Z_]+=\S+ )*", "", line.strip()).removeprefix(".venv/bin/").split()
    return bool(words) and words[0] in PROGRAMS


@cache
def commands() -> tuple[Command, ...]:
    """Every command of every block that begins with one."""
    found = []
    for block in blocks():
        if block.language in {"", "sh"} and is_command(block.lines[0]):
            for number, line in enumerate(block.lines):
                text = re.sub(r"\s{2,}#.*$", "", line).strip()
                if text:
                    found.append(Command(block.page, block.line + number, text))
    return tuple(found)


@cache
def prose(page: Path) -> str:
    """A page without its blocks."""
    lines = page.read_text(encoding="utf-8").splitlines()
    name = str(page.relative_to(ROOT))
    for block in blocks():
        if block.page == name:
            for number in range(len(block.lines) + (2 if block.language else 0)):
                lines[block.line - 1 + number] = ""
    return "\n".join(lines)


def spans(page: Path) -> list[str]:
    """What stands between single backticks on a page; lines that it is broken over are joined."""
    return [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))]
