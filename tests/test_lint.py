"""The lint rules that keep data from being run: they are on for the packages, and nobody has turned one off."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("stream", "producers", "consumers")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
#: Rules that no line of the packages may be exempt from: eval, exec, pickles, YAML objects, shells, banned names.
NEVER_OFF = {"S102", "S301", "S302", "S307", "S506", "S602", "S604", "S605", "TID251"}
#: No package reads YAML, not even safely, or asks for a shell.
UNSAFE = {"cPickle", "cloudpickle", "dill", "joblib", "jsonpickle", "marshal", "pickle", "shelve", "yaml"}

PLANTED = [
    ("TID251", "import pickle"),
    ("TID251", "from pickle import loads"),
    ("TID251", "import cloudpickle"),
    ("TID251", "import shelve"),
    ("TID251", "import marshal"),
    ("TID251", "import joblib"),
    ("TID251", "import yaml\n\nyaml.unsafe_load(text)"),
    ("TID251", "import numpy as np\n\nnp.load(path)"),
    ("TID251", "import os\n\nos.system(command)"),
    ("S301", "import pickle\n\npickle.loads(data)"),
    ("S307", "eval(text)"),
    ("S102", "exec(text)"),
    ("S506", "import yaml\n\nyaml.load(text, Loader=yaml.Loader)"),
    ("S602", "import subprocess\n\nsubprocess.run(command, shell=True)"),
    ("S605", "import os\n\nos.system(command)"),
]


def _complaints(code: str, place: str) -> str:
    """What ruff says of a file with this code at this place, by the repository's own rules."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--no-cache",
            "--output-format=concise",
            "--stdin-filename",
            place,
            "-",
        ],
        input=code,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("rule", "code"), PLANTED, ids=[f"{rule}-{code.splitlines()[-1]}" for rule, code in PLANTED]
)
def test_what_runs_what_it_reads_does_not_pass(rule: str, code: str) -> None:
    """Planted in a package, it is found."""
    assert re.search(rf": {rule} ", _complaints(f"{code}\n", "stream/planted.py"))


def test_tests_and_benchmarks_are_held_to_it() -> None:
    """A pickle is refused there too."""
    for place in ("tests/test_planted.py", "tests/kafka/planted.py", "benchmarks/planted.py"):
        assert ": TID251 " in _complaints("import pickle\n", place)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_package_needs_any_of_it(path: Path) -> None:
    """Nothing of the kind is imported or called, and no line is exempt from the rules."""
    text = path.read_text()
    exempt = {code for codes in re.findall(r"# (?:ruff: )?noqa:?([A-Z0-9, ]*)", text) for code in codes.split()}
    assert not {code.strip(",") for code in exempt} & NEVER_OFF
    assert not re.search(r"# (?:ruff: )?noqa\s*$", text, re.MULTILINE)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNSAFE
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNSAFE
        elif isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in {"eval", "exec", "compile", "os.system", "os.popen", "__import__"}
            shells = [word for word in node.keywords if word.arg == "shell"]
            assert not any(ast.unparse(word.value) != "False" for word in shells)
