"""What watches the system asks for figures that there are, with labels that they have."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deployment.composition import ROOT, services

OBSERVE = ROOT / "deploy/observe"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
_NAME = re.compile(r"\bmodelbus_[a-z_]+")
_SELECTOR = re.compile(r"\b(modelbus_[a-z_]+)\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|group_left|on) \(([\w, ]+)\)")
OF_PROMETHEUS = {"le", "instance", "job"}


def documented() -> dict[str, set[str]]:
    """Answer every metric of the table, which is compared with living services elsewhere, and its labels."""
    rows = re.findall(r"^\| `(modelbus_\w+)` \| [\w, ]+ \| ([\w, -]+) \|", OPERATIONS, re.MULTILINE)
    return {name: set() if labels == "-" else set(labels.split(", ")) for name, labels in rows}


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((OBSERVE / "alerts.yml").read_text())["groups"][0]["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads((OBSERVE / "grafana/dashboards/modelbus.json").read_text())
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def asked() -> Iterator[str]:
    """Every question of the alerts and of the dashboard."""
    yield from (rule["expr"] for rule in rules())
    yield from (target["expr"] for panel in panels() for target in panel["targets"])


def base(name: str) -> str:
    """Answer the name of the metric that a series belongs to."""
    whole = documented()
    return name if name in whole else re.sub(r"_(bucket|sum|count)$", "", name)


@pytest.mark.parametrize("question", list(asked()))
def test_each_question_is_about_figures_that_there_are(question: str) -> None:
    whole = documented()
    names = {base(name) for name in _NAME.findall(question)} - {"modelbus"}

    assert names or question.startswith("up")
    assert names <= set(whole)
    for name, selector in _SELECTOR.findall(question):
        assert set(re.findall(r"(\w+)\s*(?:=|!)", selector)) <= whole[base(name)] | OF_PROMETHEUS
    labels = set().union(*(whole[name] for name in names)) | OF_PROMETHEUS
    for grouped in _GROUPED.findall(question):
        assert set(grouped.split(", ")) <= labels, question


def test_every_part_of_the_system_is_on_the_dashboard() -> None:
    shown = {base(name) for question in asked() for name in _NAME.findall(question)}

    assert set(documented()) - shown == set()


def test_panels_do_not_lie_over_one_another() -> None:
    places = [panel["gridPos"] for panel in panels()]

    for number, one in enumerate(places):
        for other in places[number + 1 :]:
            assert (
                one["y"] + one["h"] <= other["y"]
                or other["y"] + other["h"] <= one["y"]
                or one["x"] + one["w"] <= other["x"]
                or other["x"] + other["w"] <= one["x"]
            )


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_is_wrong_and_the_runbook_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert f"| `{rule['alert']}` |" in OPERATIONS


def test_prometheus_asks_every_service_of_ours() -> None:
    [job] = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]

    served = {
        name for name, service in services().items() if name.rstrip("-23") in {"catalog", "router", "sync", "integrity"}
    }
    assert set(found["names"]) == served
    assert found["port"] == 8000
