"""What the page for operators says that the system carries is what was measured, to two digits."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from benchmarks.tables import median, quantile

from deployment.composition import ROOT

MEASURED: Mapping[str, Any] = {
    name: each["figures"] for name, each in json.loads((ROOT / "benchmarks/results.json").read_text()).items()
}


def about(value: float) -> str:
    """Write a figure as the page does."""
    return f"{float(f'{value:.1e}'):,g}"


def router() -> str:
    figures = MEASURED["gateways"]["router"]
    each = about(figures["small_cpu_ms"])
    return f"{about(figures['small_per_s'])} small requests a second, {each} ms of processor each"


def memory_of_a_router() -> str:
    figures = MEASURED["gateways"]["router"]
    return f"{about(figures['idle_mb'])} MB, and {about(figures['idle_mb'] + figures['sources_mb'])} MB for 100,000"


def memory_of_the_catalog() -> str:
    alone, with_routers = MEASURED["catalog_at_size"]["resident_mb"], MEASURED["many_routers"]["memory_mb"]["catalog"]
    return f"100,000 sources in {about(alone)} to {about(with_routers)} MB"


def reading() -> str:
    took = MEASURED["catalog_at_size"]["pages"]["page of models, filtered"]["took_ms"]
    return f"filtered pages in {about(quantile(took, 0.99))} ms (p99)"


def a_snapshot() -> str:
    boot = MEASURED["many_routers"]["boot"]
    return f"a snapshot is {about(boot['mb'])} MB and {about(boot['catalog_ms'])} ms"


def writing() -> str:
    seconds = sorted(answered for answered, _, _ in MEASURED["bulk_change"]["took"].values())
    slowest, quickest = 10_000 / seconds[-1], 10_000 / seconds[0]
    return f"{about(slowest)} to {about(quickest)} in one call"


def relaying() -> str:
    return f"{about(MEASURED['listing_at_size']['events_per_s'])} events relayed a second"


def listings() -> str:
    small = median(MEASURED["syncing"]["first_ms"]) / 1000
    times = {each["what"]: each["seconds"] for each in MEASURED["listing_at_size"]["100000"]}
    large = times["first time"] + times["read by sync for the first time (fetched)"]
    return f"300 models in {about(small)} s from request to applied, of 100,000 in {about(large)} s"


def findings() -> str:
    return f"a finding in {about(quantile(MEASURED['integrity_at_size']['found_ms'], 0.99))} ms (p99)"


@pytest.mark.parametrize(
    "measured",
    [
        router,
        memory_of_a_router,
        memory_of_the_catalog,
        reading,
        a_snapshot,
        writing,
        relaying,
        listings,
        findings,
    ],
)
def test_the_figures_of_what_it_carries_are_those_that_were_measured(measured: Any) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    [carries] = re.findall(r"^## What it carries$(.*?)^## ", page, re.MULTILINE | re.DOTALL)

    assert measured() in carries
