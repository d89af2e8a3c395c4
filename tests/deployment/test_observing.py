"""What watches the system asks for figures that there are, with labels that they have."""

import re
from typing import Any

import pytest
import yaml

from deployment.composition import services
from deployment.questions import OBSERVE, OPERATIONS, asked, asked_for, base, documented, panels, rules

_SELECTOR = re.compile(r"\b(modelbus_[a-z_]+)\{([^}]*)\}")
_GROUPED = re.compile(r"\b(?:by|group_left|on) \(([\w, ]+)\)")
_THRESHOLD = re.compile(r"(==|[<>]=?|quantile\() ?([\d.]+)")
OF_PROMETHEUS = {"le", "instance", "job"}


@pytest.mark.parametrize("question", list(asked()))
def test_each_question_is_about_figures_that_there_are(question: str) -> None:
    whole = documented()
    names = asked_for(question)

    assert names or question.startswith("up")
    assert names <= set(whole)
    for name, selector in _SELECTOR.findall(question):
        assert set(re.findall(r"(\w+)\s*(?:=|!)", selector)) <= whole[base(name)] | OF_PROMETHEUS
    labels = set().union(*(whole[name] for name in names)) | OF_PROMETHEUS
    for grouped in _GROUPED.findall(question):
        assert set(grouped.split(", ")) <= labels, question


def test_every_part_of_the_system_is_on_the_dashboard() -> None:
    shown = set().union(*(asked_for(question) for question in asked()))

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


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_the_page_says_when_each_alert_comes(rule: dict[str, Any]) -> None:
    [row] = re.findall(rf"^\| `{rule['alert']}` \| (.*?; (?:for \d+ min|at once)) \| .+ \|$", OPERATIONS, re.MULTILINE)
    when, _, lasting = row.rpartition("; ")

    assert asked_for(when) == asked_for(rule["expr"])
    assert _THRESHOLD.findall(when) == _THRESHOLD.findall(rule["expr"])
    assert set(re.findall(r"(\d+) min", when)) == set(re.findall(r"(\d+)m\b", rule["expr"]))
    assert lasting == (f"for {rule['for'].removesuffix('m')} min" if "for" in rule else "at once")
    chosen = "|".join(re.findall(r'=~?"([^"]+)"', rule["expr"]))
    assert set(re.findall(r'(?<=["`])[a-z0-9.]+(?=["`])', when)) == set(chosen.split("|")) - {""}


def test_prometheus_asks_every_service_of_ours() -> None:
    [job] = yaml.safe_load((OBSERVE / "prometheus.yml").read_text())["scrape_configs"]
    [found] = job["dns_sd_configs"]

    served = {
        name for name, service in services().items() if name.rstrip("-23") in {"catalog", "router", "sync", "integrity"}
    }
    assert set(found["names"]) == served
    assert found["port"] == 8000
