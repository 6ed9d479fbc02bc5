"""The Grafana dashboards, checked as data: they ask only for what is really measured, and can be read."""

from __future__ import annotations

import itertools
import json
import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from prometheus import SCRAPED_LABELS, asked, measured

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAFANA = Path(__file__).parent.parent / "deploy" / "grafana"
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


def _dashboard(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def _read_by_grafana(dashboard: dict[str, Any]) -> Any:
    """A dashboard as Grafana's own types read and write it: what they do not know is lost."""
    register_default_plugins()
    return json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))


def _differing(given: Any, read: Any, where: str = "") -> Iterator[str]:
    """The places that are in the first and not, or otherwise, in the second."""
    if isinstance(given, dict) and isinstance(read, dict):
        for name, value in given.items():
            yield from _differing(value, read[name], f"{where}.{name}") if name in read else [f"{where}.{name}"]
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for one, other in zip(given, read, strict=True):
            yield from _differing(one, other, where)
    elif given != read:
        yield where


def _panels() -> list[Any]:
    return [
        pytest.param(panel, id=f"{path.stem}: {panel['title']}")
        for path in DASHBOARDS
        for panel in _dashboard(path)["panels"]
        if panel["type"] != "row"
    ]


def test_a_query_is_understood() -> None:
    """What the other tests rely on: metrics and labels are told from functions, words and strings."""
    query = 'max by (job, le) (rate(a_total{policy="x", code!~"y"}[5m])) / on (job) b_sum or (sum(up) == 0)'
    assert asked(query) == ({"a_total", "b_sum", "up"}, {"job", "le", "policy", "code"})


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_grafana_knows_every_field(path: Path) -> None:
    """By the schema that Grafana publishes."""
    dashboard = _dashboard(path)
    assert not set(_differing(dashboard, _read_by_grafana(dashboard)))
    drawn = next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")
    drawn["fieldConfig"]["defaults"]["custom"]["lineWidht"] = 1
    misspelt = set(_differing(dashboard, _read_by_grafana(dashboard)))
    assert misspelt == {".panels.fieldConfig.defaults.custom.lineWidht"}


@pytest.mark.parametrize("panel", _panels())
def test_a_panel_asks_only_for_what_is_measured(panel: dict[str, Any]) -> None:
    """Every metric exists, with the labels that the query and the legend name."""
    known = measured()
    for target in panel["targets"]:
        metrics, labels = asked(target["expr"])
        assert metrics
        assert metrics <= set(known)
        there = SCRAPED_LABELS.union(*(known[metric] for metric in metrics))
        assert labels <= there
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= there


@pytest.mark.parametrize("panel", _panels())
def test_a_panel_can_be_read(panel: dict[str, Any]) -> None:
    """It has a title, a sentence that says what to make of it, a unit, and a legend for each of several lines."""
    assert panel["title"]
    assert re.search(r"\w{3}.*[.]$", panel["description"])
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
    for target in panel["targets"]:
        assert target["legendFormat"] or "by (" not in target["expr"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_reads_from_the_provisioned_datasource(path: Path) -> None:
    """A dashboard that names another datasource shows nothing at all."""
    provisioned = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "prometheus.yml").read_text())
    uids = {source["uid"]: source["type"] for source in provisioned["datasources"]}
    named = re.findall(r'"datasource": (\{[^}]*\})', path.read_text())
    assert named
    for source in map(json.loads, named):
        assert uids[source["uid"]] == source["type"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_laid_out(path: Path) -> None:
    """Panels have numbers of their own, keep within 24 columns and lie side by side."""
    panels = _dashboard(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in itertools.combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, f"{one} and {other} overlap"


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_variable_is_defined(path: Path) -> None:
    """A query uses Grafana's own variables, and those the dashboard lets one choose."""
    dashboard = _dashboard(path)
    defined = {variable["name"] for variable in dashboard["templating"]["list"]}
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    queries += [str(variable["query"]) for variable in dashboard["templating"]["list"]]
    used = {name for query in queries for name in re.findall(r"\$(\w+)", query) if not name.startswith("__")}
    assert used == defined


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_dashboard_is_what_its_source_makes(path: Path) -> None:
    """Who changed one without the other runs make docs."""
    made = runpy.run_path(str(GRAFANA / "dashboards.py"))
    assert set(made["DASHBOARDS"]) == {one.stem for one in DASHBOARDS}
    assert path.read_text() == made["written"](path.stem)


def test_the_overview_answers_four_questions() -> None:
    """Healthy, fresh, learning, worth it: in this order, each with panels below it."""
    panels = sorted(
        _dashboard(GRAFANA / "dashboards" / "overview.json")["panels"], key=lambda panel: panel["gridPos"]["y"]
    )
    kinds = ["row" if panel["type"] == "row" else "panel" for panel in panels]
    assert [panel["title"] for panel in panels if panel["type"] == "row"] == [
        "Healthy?",
        "Fresh?",
        "Learning?",
        "Worth it?",
    ]
    assert [kind for kind, _ in itertools.groupby(kinds)] == ["row", "panel"] * 4
