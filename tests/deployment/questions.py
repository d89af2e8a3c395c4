"""What the alerts and the dashboard ask Prometheus, and what the documents say there is to ask for."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from deployment.composition import ROOT

OBSERVE = ROOT / "deploy/observe"
OPERATIONS = (ROOT / "docs/operations.md").read_text()
_NAME = re.compile(r"\bmodelbus_[a-z_]+")


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


def asked_for(question: str) -> set[str]:
    """Answer the metrics that a question is about."""
    return {base(name) for name in _NAME.findall(question)} - {"modelbus"}
