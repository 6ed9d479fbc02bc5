"""The Dockerfile, checked as data against the repository and the compose file."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

_DOCKERFILE = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
_INSTRUCTIONS = [
    tuple(line.split(maxsplit=1)) for line in _DOCKERFILE.splitlines() if line.strip() and not line.startswith("#")
]
_LAST_STAGE = _INSTRUCTIONS[max(i for i, (name, _) in enumerate(_INSTRUCTIONS) if name == "FROM") :]
_COPIED = [rest.split()[:-1] for name, rest in _INSTRUCTIONS if name == "COPY" and not rest.startswith("--from")]


def test_both_stages_start_from_one_pinned_python() -> None:
    """What was built runs on what it was built with, a Python that the project names."""
    bases = [rest.split(" AS ")[0] for name, rest in _INSTRUCTIONS if name == "FROM"]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-[a-z]+", bases[0])
    assert version
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]


def test_the_process_is_keyart_itself_and_not_root() -> None:
    """No shell stands between a signal and keyart, and the code is not the process's to change."""
    last = dict(_LAST_STAGE)
    assert json.loads(last["ENTRYPOINT"]) == ["keyart"]
    assert "keyart" in PROJECT["project"]["scripts"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert "--chown" not in _DOCKERFILE


@pytest.mark.parametrize("source", sorted({source for sources in _COPIED for source in sources}))
def test_what_the_image_copies_is_there(source: str) -> None:
    """Each source exists and is let through; everything else stays out of the build."""
    ignored = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert (ROOT / source).exists()
    assert ignored[0] == "*"
    assert f"!{source}" in ignored


def test_the_image_holds_every_package_and_the_catalogue() -> None:
    """The wheel's packages go in, and the catalogue is where the compose file loads it from."""
    copied = {source for sources in _COPIED for source in sources}
    assert set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= copied
    assert f"deploy/catalogue.json {SERVICES['catalogue']['command'][-1]}" in [
        rest for name, rest in _LAST_STAGE if name == "COPY"
    ]
