"""What the page for operators says that the system carries is what the page of measurements has, to two digits."""

import re
from collections.abc import Callable

import pytest

from deployment.composition import ROOT

PAGE = (ROOT / "docs/benchmarks.md").read_text()
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def cell(table: str, row: str, column: int = 0) -> float:
    """Answer the number in a row of a measured table; the columns after the row's name count from 0."""
    [block] = re.findall(rf"<!-- {table}: measured -->(.*?)<!-- {table}: end -->", PAGE, re.DOTALL)
    [line] = [each for each in block.splitlines() if each.startswith(f"| {row} |")]
    found = NUMBER.search(line.split("|")[2 + column])
    assert found, line
    return float(found[0])


def about(value: float) -> str:
    """Write a figure as the page does."""
    return f"{float(f'{value:.1e}'):,g}"


def router() -> str:
    each = about(cell("gateways", "processor ms a request"))
    return f"{about(cell('gateways', 'requests/s'))} small requests a second, {each} ms of processor each"


def memory_of_a_router() -> str:
    idle = cell("gateways", "memory idle")
    return f"{about(idle)} MB, and {about(idle + cell('gateways', 'memory of 100,000 sources'))} MB for 100,000"


def memory_of_the_catalog() -> str:
    alone = cell("catalog_at_size", "memory of the catalog, resident")
    with_routers = cell("many_routers", "memory of the catalog, resident")
    return f"100,000 sources in {about(alone)} to {about(with_routers)} MB"


def reading() -> str:
    return f"filtered pages in {about(cell('catalog_at_size', 'page of models, filtered', 1))} ms (p99)"


def a_snapshot() -> str:
    size = cell("many_routers", "a first snapshot, over HTTP")
    took = cell("many_routers", "a first snapshot, of the catalog's processor")
    return f"a snapshot is {about(size)} MB and {about(took)} ms"


def writing() -> str:
    seconds = sorted(cell("bulk_change", row) for row in ("a tier", "no longer active", "active again"))
    return f"{about(10_000 / seconds[-1])} to {about(10_000 / seconds[0])} in one call"


def relaying() -> str:
    return f"{about(cell('listing_at_size', 'relaying the events of 10000 models', 2))} events relayed a second"


def listings() -> str:
    small = cell("syncing", "first time (median of 5)") / 1000
    read = cell("listing_at_size", "100000, read by sync for the first time (fetched)")
    large = read + cell("listing_at_size", "100000, first time")
    return f"300 models in {about(small)} s from request to applied, of 100,000 in {about(large)} s"


def findings() -> str:
    found = cell("integrity_at_size", "one model, committed until its finding is heard", 1)
    return f"a finding in {about(found)} ms (p99)"


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
    ids=lambda measured: measured.__name__,
)
def test_the_figures_of_what_it_carries_are_those_that_were_measured(measured: Callable[[], str]) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    [carries] = re.findall(r"^## What it carries$(.*?)^## ", page, re.MULTILINE | re.DOTALL)

    assert measured() in carries
