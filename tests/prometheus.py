"""Prometheus for the tests: the tools of Debian's package, where they are installed.

Where ``KEYART_TEST_REQUIRE_PROMETHEUS`` is 1 their lack is a failure.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml
from ports import ports

from consumers.metrics_page import families, registries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parent.parent
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}

#: What Prometheus itself adds: to every sample, and series for each target and each alert.
SCRAPED_LABELS = {"job", "instance"}
SCRAPED: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate"}}

#: Words of PromQL that are neither metrics nor labels.
KEYWORDS = {"by", "on", "or", "and", "unless", "without", "ignoring", "bool", "offset", "group_left"}


@cache
def measured() -> dict[str, set[str]]:
    """The labels of every series that a process answers with, by name."""
    found = dict(SCRAPED)
    for registry in registries().values():
        for name, family, labels in families(registry, ours=False):
            for suffix in SUFFIXES.get(family.type, ("",)):
                found[name + suffix] = {*labels, "le"} if suffix == "_bucket" else set(labels)
    return found


def asked(query: str) -> tuple[set[str], set[str]]:
    """The metrics and the labels that a query names."""
    query = re.sub(r'"[^"]*"', "", query)
    query = re.sub(r"\[[^\]]*\]", "", query)
    labels = set(re.findall(r"[{,]\s*(\w+)\s*(?==|!)", query))
    query = re.sub(r"\{[^}]*\}", "", query)
    for listed in re.findall(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)", query):
        labels |= set(re.findall(r"\w+", listed))
    query = re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", "", query)
    return set(re.findall(r"\b[A-Za-z_]+[a-z0-9_]*\b(?!\s*\()", query)) - KEYWORDS, labels


def tool(name: str) -> str:
    """Where ``prometheus`` or ``promtool`` is; else the test is skipped, or fails where it must not be."""
    found = shutil.which(name)
    if found is None:
        why = f"there is no {name!r} on the path (on Debian: apt-get install --no-install-recommends prometheus)"
        if os.environ.get("KEYART_TEST_REQUIRE_PROMETHEUS") == "1":
            pytest.fail(why, pytrace=False)
        pytest.skip(why)
    return found


def alerts() -> dict[str, dict[str, Any]]:
    """The alert rules by name."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[tuple[str, str]]:
    """Every query of every panel of the dashboards, with where it is."""
    return [
        (f"{path.stem}: {panel['title']}", target["expr"])
        for path in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        for target in panel.get("targets", ())
    ]


def quicker(rules: str, factor: float, *, wait: float = math.inf, span: float = math.inf) -> str:
    r"""The rules in less time: ranges, ``for`` and thresholds that are given in minutes, divided by a factor.

    No ``for`` is longer than ``wait`` then, and no range longer than ``span`` seconds.

    >>> print(quicker("expr: rate(a[5m]) > 2 * 60\nfor: 3m", 60))
    expr: rate(a[5000ms]) > 2 * 1.0
    for: 3000ms
    >>> print(quicker("expr: rate(a[1h]) > 2\nfor: 30m", 60, wait=3, span=10))
    expr: rate(a[10000ms]) > 2
    for: 3000ms
    """

    def shorter(match: re.Match[str], most: float) -> str:
        seconds = min(int(match[2]) * _UNITS[match[3]] / factor, most)
        return f"{match[1]}{round(1000 * seconds)}ms{match[4]}"

    rules = re.sub(r"(\[)(\d+)([smhd])(\])", lambda found: shorter(found, span), rules)
    rules = re.sub(r"(for: )(\d+)([smhd])()$", lambda found: shorter(found, wait), rules, flags=re.MULTILINE)
    return re.sub(r"\* 60\b", f"* {60 / factor}", rules)


class Prometheus:
    """A Prometheus of a test's own, on a free port of 127.0.0.1.

    Parameters
    ----------
    folder
        Where its data and configuration go.
    targets
        ``host:port`` by job.
    rules
        The text of its alert rules.
    every
        How often it scrapes and evaluates, in milliseconds.
    """

    def __init__(self, folder: Path, targets: Mapping[str, list[str]], rules: str, every: int = 500) -> None:
        program = tool("prometheus")
        interval = f"{every}ms"
        (folder / "alerts.yml").write_text(rules)
        config = {
            "global": {
                "scrape_interval": interval,
                "scrape_timeout": interval,
                "evaluation_interval": interval,
            },
            "rule_files": ["alerts.yml"],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": places}]} for job, places in targets.items()
            ],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.url = f"http://127.0.0.1:{ports()[0]}"
        self._log = (folder / "output.log").open("wb")
        self._process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if name != "KEYART_TEST_REQUIRE_PROMETHEUS"},
        )
        self._output = folder / "output.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        assert self._process.poll() is None, self._output.read_text(errors="replace")[-2000:]
        try:
            return bool(urlopen(f"{self.url}/-/ready", timeout=5).status == 200)
        except OSError:
            return False

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        with urlopen(f"{self.url}/api/v1/{path}?{urlencode(parameters)}", timeout=20) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series that a query gives now, without those that are no number."""
        found = self.get("query", query=expression)
        assert found["resultType"] in {"vector", "scalar"}
        rows = [{"metric": {}, "value": found["result"]}] if found["resultType"] == "scalar" else found["result"]
        values = [(row["metric"], float(row["value"][1])) for row in rows]
        return [(labels, value) for labels, value in values if math.isfinite(value)]

    def firing(self) -> dict[str, list[dict[str, Any]]]:
        """The alerts that fire now, by name."""
        found: dict[str, list[dict[str, Any]]] = {}
        for alert in self.get("alerts")["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert)
        return found

    def wait_firing(
        self, names: set[str], seconds: float, meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, list[dict[str, Any]]]:
        """The alerts that have fired, once all of these have; they need not fire at the same time.

        What is to be done ``meanwhile`` is done again and again.
        """
        seen: dict[str, list[dict[str, Any]]] = {}
        deadline = time.monotonic() + seconds
        while not names <= set(seen):
            for name, fired in self.firing().items():
                seen.setdefault(name, fired)
            assert time.monotonic() < deadline, f"{sorted(names - set(seen))} did not fire; {sorted(seen)} did"
            meanwhile()
            time.sleep(0.1)
        return seen
