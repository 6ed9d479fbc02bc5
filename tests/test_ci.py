""".ci/run and the Makefile on machines that lack something, played by stand-ins for the tools they call."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

Run = Callable[..., subprocess.CompletedProcess[str]]

#: What a stand-in leaves to the real tool: the shell's own helpers.
REAL = ("bash", "sh", "env", "sed", "head", "dirname", "expand", "touch", "cat")

ENOUGH = {
    "python3": "[ $1 = --version ] && echo Python 3.11.7; exit 0",
    "java": """echo 'openjdk version "17.0.13" 2024-10-15' >&2""",
    "mvn": "echo Apache Maven 3.8.7",
    "chromium": "echo Chromium 150.0",
    "prometheus": "exit 0",
    "promtool": "exit 0",
    "git": "echo abc1234",
    "id": "echo 0",
    "make": """set -- "$*" $KEYART_TEST_REQUIRE_KAFKA $KEYART_TEST_REQUIRE_PROMETHEUS $KEYART_TEST_REQUIRE_BROWSER
echo "make $1 with $2 $3 $4 in $PWD\"""",
    "apt-cache": "exit 0",
}
WITHOUT_VENV = """case "$*" in *ensurepip*) [ -e installed ] ;; *) exit 0 ;; esac"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs the repository's .ci/run, in a copy of its folder, with only the given tools on the path."""
    tools, clone = tmp_path / "bin", tmp_path / "clone"
    tools.mkdir()
    (clone / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", clone / ".ci" / "run")
    for name in REAL:
        (tools / name).symlink_to(str(shutil.which(name)))

    def call(**changed: str | None) -> subprocess.CompletedProcess[str]:
        for name, body in (ENOUGH | {name.replace("_", "-"): body for name, body in changed.items()}).items():
            if body is not None:
                (tools / name).write_text(f"#!/bin/sh\n{body}\n")
                (tools / name).chmod(0o755)
        return subprocess.run(
            [str(clone / ".ci" / "run")],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=tmp_path,
            env={"PATH": str(tools)},
        )

    return call


def test_with_everything_at_hand_the_tests_run_at_once(
    run: Run,
) -> None:
    """Make test is called in the repository's root, wherever it was started, and must have Apache Kafka."""
    done = run(apt_get="echo apt-get $*")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1].startswith("make test PYTHON=python3 with 1 1 1 in ")
    assert lines[-1].endswith("/clone")
    assert not any(line.startswith("apt-get") for line in lines)
    used = "\n".join(lines[:-1])
    assert all(told in used for told in ("Python 3.11.7", 'version "17.0.13"', "Apache Maven 3.8.7", "abc1234"))


@pytest.mark.parametrize(
    ("lacking", "packages"),
    [
        ({"java": "[ -e installed ] && echo 'openjdk version \"17.0.13\"' >&2"}, "openjdk-17-jre-headless"),
        (
            {"java": '[ -e installed ] && v=17 || v=1; echo "openjdk version \\"$v.0.1\\"" >&2'},
            "openjdk-17-jre-headless",
        ),
        (
            {
                "java": "[ -e installed ] && echo 'openjdk version \"21.0.5\"' >&2",
                "apt_cache": "exit 100",
            },
            "default-jre-headless",
        ),
        ({"mvn": "[ -e installed ] && echo Apache Maven 3.8.7"}, "maven"),
        ({"chromium": "[ -e installed ]"}, "chromium"),
        ({"promtool": "[ -e installed ]"}, "prometheus"),
        ({"python3": WITHOUT_VENV}, "python3-venv"),
    ],
    ids=[
        "no java",
        "java too old",
        "a Debian without 17",
        "no maven",
        "no chromium",
        "no promtool",
        "no python3-venv",
    ],
)
def test_what_is_missing_is_installed(run: Run, lacking: dict[str, str], packages: str) -> None:
    """As root on Debian: the package lists first, then what is missing and nothing else, then the tests."""
    done = run(apt_get='echo "apt-get $*"; case "$*" in install*) touch installed ;; esac', **lacking)
    assert done.returncode == 0, done.stderr
    calls = [line for line in done.stdout.splitlines() if line.startswith(("apt-get", "make"))]
    assert calls[:2] == ["apt-get update -q", f"apt-get install -y -q --no-install-recommends {packages}"]
    assert calls[2].startswith("make test")


@pytest.mark.parametrize(
    ("machine", "sentence"),
    [
        (
            {"java": "exit 1", "id": "echo 1000", "apt_get": "exit 0"},
            "missing: openjdk-17-jre-headless; run as root",
        ),
        ({"mvn": "exit 1"}, "to be installed by hand: maven"),
        ({"python3": "exit 1"}, "no Python of 3.11 or newer"),
        (
            {"python3": "case $2 in *ensurepip*) exit 1;; esac", "apt_get": "exit 0"},
            "makes no virtual environments even now",
        ),
        ({"java": "exit 1", "apt_get": "exit 0"}, "java is older than 17 even now"),
        ({"chromium": "exit 1", "apt_get": "exit 0"}, "no chromium runs even now"),
    ],
    ids=[
        "not root",
        "not Debian",
        "no python",
        "venv cannot be had",
        "java cannot be had",
        "chromium cannot be had",
    ],
)
def test_what_cannot_be_had_is_one_sentence(run: Run, machine: dict[str, str], sentence: str) -> None:
    """It fails before any test, and says what to do."""
    done = run(**machine)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "make test" not in done.stdout


def test_an_installation_that_fails_ends_it(run: Run) -> None:
    """Tests on a machine that is half set up would tell nothing."""
    done = run(java="exit 1", apt_get="exit 100")
    assert done.returncode == 100
    assert "make test" not in done.stdout


def test_failing_tests_fail_it(run: Run) -> None:
    """What make returns is what it returns."""
    assert run(make="exit 2").returncode == 2


# --- the Makefile


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What make does in the repository, without what a make around these tests would tell it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=clean, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("exit 1", "is not Python 3.11 or newer"),
        ("case $2 in *ensurepip*) exit 1;; esac", "apt-get install python3-venv"),
    ],
    ids=["too old", "no venv"],
)
def test_a_python_that_cannot_be_used_is_one_sentence(tmp_path: Path, python: str, sentence: str) -> None:
    """A fresh machine says what it lacks, and nothing is left half made."""
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\n{python}\n")
    stand_in.chmod(0o755)
    done = make("venv", f"VENV={tmp_path / 'venv'}", f"PYTHON={stand_in}")
    assert done.returncode == 2
    said = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(said) == 1
    assert said[0].startswith("keyart: ")
    assert sentence in said[0]
    assert done.stdout == ""
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ([], ""),
        (["SECONDS=60"], "--seconds '60'"),
        (["SECONDS=60", "JSON=a b.json"], "--seconds '60' --json 'a b.json'"),
    ],
)
def test_the_demo_gets_what_make_was_given(tmp_path: Path, given: list[str], options: str) -> None:
    """SECONDS ends it by itself, JSON names the file of its summary."""
    venv = tmp_path / "venv"
    venv.mkdir()
    (venv / ".installed").touch()
    done = make("--dry-run", "demo", f"VENV={venv}", *given)
    assert " ".join(done.stdout.split()) == f"{venv}/bin/keyart demo {options}".strip()


def test_help_names_every_target() -> None:
    """A newcomer sees what can be made, a sentence each."""
    told = {line.split()[0]: line.split(maxsplit=1)[1] for line in make("help").stdout.splitlines()}
    assert " ".join(sorted(told)) == "chaos clean demo docs format fuzz help lint picture test venv"
    assert all(len(sentence) > 10 for sentence in told.values())
