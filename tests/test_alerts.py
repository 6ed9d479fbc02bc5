"""The alert rules, as data and by promtool: each asks what is measured, fires in time, and leads to a remedy."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus import RULES, SCRAPED_LABELS, alerts, asked, measured, quicker, tool

ROOT = Path(__file__).parent.parent
STORIES = RULES.with_name("alerts_test.yml")
ALERTS = alerts()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def promtool(*arguments: str) -> str:
    """What promtool says, if it is content."""
    done = subprocess.run([tool("promtool"), *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["prometheus.yml", "demo.yml"])
def test_prometheus_accepts_its_configuration(name: str) -> None:
    """The one of docker-compose.yml and the one for the demo, with the rules that they name."""
    assert f"{len(ALERTS)} rules found" in promtool("check", "config", str(RULES.with_name(name)))


def test_each_alert_fires_when_it_should_and_not_before() -> None:
    """The stories beside the rules, played by promtool with the real durations."""
    promtool("test", "rules", str(STORIES))


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_has_a_story_in_which_it_fires(name: str) -> None:
    """An alert that nobody has seen fire may never."""
    fires = [
        sample["labels"]
        for story in yaml.safe_load(STORIES.read_text())["tests"]
        for check in story["promql_expr_test"]
        for sample in check["exp_samples"]
    ]
    assert any(f'alertname="{name}"' in labels and 'alertstate="firing"' in labels for labels in fires)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_asks_only_for_what_is_measured(name: str) -> None:
    """Every metric exists, with the labels that the expression and its words name."""
    rule, known = ALERTS[name], measured()
    metrics, labels = asked(rule["expr"])
    assert metrics
    assert metrics <= set(known)
    there = SCRAPED_LABELS.union(*(known[metric] for metric in metrics))
    assert labels <= there
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= there


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_means_and_where_to_look(name: str) -> None:
    """A severity, a summary for the pager, a sentence or two, and a section of the runbook with what to do."""
    rule = ALERTS[name]
    severity, told = rule["labels"]["severity"], rule["annotations"]
    assert severity in {"critical", "warning"}
    assert set(told) == {"summary", "description", "runbook_url"}
    assert len(told["summary"]) < 110
    assert re.search(r"\w{3}.*[.]$", told["description"])
    assert told["runbook_url"] == f"docs/runbook.md#{name.lower()}"
    section = re.search(rf"^### {name}\n\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert section
    assert section[1].startswith(f"*{severity}*. ")
    assert "**Look**" in section[1]
    assert "**Do.**" in section[1]


def test_the_runbook_knows_the_alerts_and_no_others() -> None:
    """In the order of the rules."""
    assert re.findall(r"^### (\w+)$", RUNBOOK, re.MULTILINE) == list(ALERTS)


def test_the_runbooks_links_lead_somewhere() -> None:
    """To its own sections, and to files and sections of the docs."""
    for target in re.findall(r"\]\(([^)]+)\)", RUNBOOK):
        path, _, anchor = target.partition("#")
        text = (ROOT / "docs" / path).read_text() if path else RUNBOOK
        anchors = {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        }
        assert not anchor or anchor in anchors


def test_rules_can_be_played_in_less_time() -> None:
    """What the staged failures use: each range, each wait and each threshold in minutes becomes shorter."""
    rules: Any = yaml.safe_load(quicker(RULES.read_text(), 60))
    fast = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    assert fast["KeyartProcessDown"]["for"] == "1000ms"
    assert "> 2 * 1.0" in fast["KeyartLoopStuck"]["expr"]
    assert not re.search(r"\[\d+[mhd]\]|\* 60\b", str(fast))
