"""What README.md and docs/ tell people to type, typed: on a broker that has seen some traffic."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from doc_pages import ON_A_BROKER, ROOT, Command, blocks, commands
from processes import KEYART, Process, environment
from waiting import until

from stream.settings import UNLIMITED, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Broker

#: What the pages' examples are about.
NODE, TOKEN, MEMBER = "127.0.0.1:8080", "TOKEN", "member-1"
#: These end with 1 where something is not as it should be, as it cannot be with so little traffic.
JUDGES = {"doctor", "--strict"}


@dataclass(frozen=True)
class Deployment:
    """Topics with a little traffic on them, all of it learned, and a node that serves."""

    settings: Settings
    folder: Path
    node: str

    def run(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A program, as somebody would run it in the checkout who has these settings."""
        return subprocess.run(
            arguments,
            cwd=self.folder,
            env=environment(self.settings) | more | {"OPENBLAS_NUM_THREADS": "1"},
            input="member-2\nmember-3\n",
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def token(self) -> str:
        """That of a choice for the pages' member."""
        body = {"member_id": MEMBER, "title_id": "good-will-hunting"}
        answer = httpx2.post(f"http://{self.node}/choose", json=body, timeout=20)
        return str(answer.json()["choices"][0]["token"])


@pytest.fixture(scope="module")
def deployment(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Made by the commands of the pages themselves: topics, catalogue, an audience, the workers, a node."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "deploy").symlink_to(ROOT / "deploy")
    (folder / "empty.toml").touch()
    settings = Settings(
        bootstrap_servers=broker.bootstrap,
        topic_prefix=f"test-{uuid.uuid4().hex[:12]}.",
        partitions=2,
        http_port=0,
        token_secrets=("a secret for the tests",),
        log_level="warning",
        **UNLIMITED,
    )
    ours = Deployment(settings, folder, "")
    for arguments in (
        ["topics"],
        ["catalogue", "load", "deploy/catalogue.json"],
        ["simulate", "--impressions", "400", "--rate", "0", "--members", "40"],
        ["viewing", "--until-drained"],
        ["learner", "--until-drained"],
    ):
        run = ours.run(str(KEYART), *arguments)
        assert run.returncode == 0, (arguments, run.stdout, run.stderr)
    process = Process(settings, tmp_path_factory.mktemp("node"), "serving")

    def announced() -> str:
        assert process.running, process.output()
        told = re.search(r"serving on http://(\S+?)/?\s", process.output())
        return told[1] if told else ""

    yield Deployment(settings, folder, until(announced, "the node announces itself"))
    process.terminate()
    assert process.wait() == 0, process.output()


def of_pages() -> list[Any]:
    """Each command that is run here, once; those that end or forget something last."""
    found = {command.bare: command for command in commands() if command.way[0] == "broker"}
    ending = [bare for bare in found if re.search(r"forget|withdraw", bare)]
    return [pytest.param(found[bare], id=bare) for bare in (*(b for b in found if b not in ending), *ending)]


@pytest.mark.parametrize("command", of_pages())
def test_a_command_of_the_pages_works(command: Command, deployment: Deployment) -> None:
    """It ends well, and not with a traceback, whatever it finds."""
    words = [*command.words, *(more for more in ON_A_BROKER[command.way[1]] if more not in command.words)]
    if words[0] == "curl":
        if shutil.which("curl") is None:
            pytest.skip("there is no curl")
        token = deployment.token()
        run = deployment.run(*(word.replace(NODE, deployment.node).replace(TOKEN, token) for word in words))
        assert run.returncode == 0, run.stderr
        answer = json.loads(run.stdout)
        assert answer.get("choices") or answer.get("accepted") == 1, answer
        return
    here = {name: value for name, value in command.variables.items() if "PORT" not in value}
    run = deployment.run(str(KEYART), *words[1:], **here)
    assert run.returncode in ({0, 1} if JUDGES & {*words} else {0}), run.stdout + run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize(
    "block", [pytest.param(b, id=f"{b.page}:{b.line}") for b in blocks() if b.language == "python"]
)
def test_python_of_the_pages_works(block: Any, deployment: Deployment, tmp_path: Path) -> None:
    """It runs as it stands, with a function ``show`` that is the app's, and its events arrive."""
    script = tmp_path / "app.py"
    # What an app does in the end, so that what it queued is there.
    script.write_text(f"show = print\n{block.text}\nevents.flush(20)\nassert not events.dropped\nprint(choice)\n")
    run = deployment.run(sys.executable, str(script), PYTHONPATH=str(ROOT))
    assert run.returncode == 0, run.stderr
    assert "good-will-hunting" in run.stdout
