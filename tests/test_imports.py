"""The layers, held by reading the code: who may import whom, who may touch Kafka, and what nobody may use."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("stream", "producers", "consumers")
FILES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

#: What each package may not import.
FORBIDDEN = {"stream": {"producers", "consumers"}, "producers": {"consumers"}, "consumers": set[str]()}

#: They run what they read: data from outside could do anything.
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
UNSAFE_CALLS = {"eval", "exec", "__import__", "yaml.load", "yaml.unsafe_load", "numpy.load", "np.load"}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def _imported(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it; a relative import counts as its own package's."""
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module if node.module and not node.level else path.parts[0])
    return found


def _packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module in _imported(path)}


def test_there_is_something_to_read() -> None:
    """Every package is found, so that the tests below look at files."""
    assert {path.parts[0] for path in FILES} == set(PACKAGES)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_layers_are_imported_downwards_only(path: Path) -> None:
    """The vocabulary knows neither side; what an app embeds to produce does not pull in the consumers."""
    assert not _packages(path) & FORBIDDEN[path.parts[0]]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_one_package_alone_touches_the_kafka_client(path: Path) -> None:
    """Its faults are defended against in one place."""
    if not path.is_relative_to("stream/kafka"):
        assert "kafka" not in _packages(path)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_nothing_runs_what_it_reads(path: Path) -> None:
    """No pickle, no eval, no YAML that makes objects: data stays data."""
    assert not _packages(path) & UNSAFE_MODULES
    called = {ast.unparse(node.func) for node in ast.walk(_tree(path)) if isinstance(node, ast.Call)}
    assert not called & UNSAFE_CALLS


@pytest.mark.parametrize("path", FILES, ids=str)
def test_only_the_settings_read_the_environment(path: Path) -> None:
    """What is in force is one object, passed down. A child process may be handed the environment as a whole."""
    if path == Path("stream/settings.py"):
        return
    read = {
        ast.unparse(node)
        for node in ast.walk(_tree(path))
        if (isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ")
        or (isinstance(node, ast.Call) and ast.unparse(node.func) in {"os.getenv", "os.environ.get"})
    }
    assert not read


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("consumers.cli", {"kafka", "river", "numpy", "pydantic", "starlette"}),
        ("stream.choosing.choice", {"kafka", "river", "starlette", "prometheus_client"}),
        ("stream.records", {"kafka", "river", "numpy"}),
    ],
)
def test_an_import_brings_in_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    """The help stays quick, and a serving node's choice needs no learner."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert module.partition(".")[0] in done.stdout.split()
    assert not unwanted & set(done.stdout.split())
