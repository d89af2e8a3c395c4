"""What the page for operators says that the system carries is what the page of measurements has, to two digits."""

import re
from collections.abc import Callable

import pytest

from deployment.composition import ROOT

PAGE = (ROOT / "docs/benchmarks.md").read_text()
SINGLE, STORM = "one change at 10/s", "changes at once, in force in the first"
MIB, MB = 1024 * 1024, 1_000_000
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def cell(table: str, row: str, column: int = 0, *, below: str = "") -> float:
    """Answer the number in a row of a measured table; the columns after the row's name count from 0.

    Where several rows have the name, it is the first after the one whose name has those words.
    """
    [block] = re.findall(rf"<!-- {table}: measured -->(.*?)<!-- {table}: end -->", PAGE, re.DOTALL)
    lines = block.partition(below)[2] if below else block
    line, *others = [each for each in lines.splitlines() if each.startswith(f"| {row} |")]
    assert below or not others
    found = NUMBER.search(line.split("|")[2 + column])
    assert found, line
    return float(found[0])


def about(value: float, *, digits: int = 2) -> str:
    """Write a figure as the page does."""
    return f"{float(f'{value:.{digits - 1}e}'):,.15g}"


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
    each = about(1000 / cell("catalog_at_size", "a change, 10 a second"))
    seconds = sorted(cell("bulk_change", row) for row in ("a tier", "no longer active", "active again"))
    return (
        f"{each} changes a second one by one, {about(10_000 / seconds[-1])} to {about(10_000 / seconds[0])} in one call"
    )


def rows_of_postgres() -> str:
    seconds, rows, events = (cell("listing_at_size", "100000, first time", column) for column in range(3))
    return f"{about((rows + events) / seconds)} rows a second in one transaction"


def one_nats() -> str:
    single = cell("many_routers", "the same, of NATS' processor", below=SINGLE)
    storm = cell("many_routers", "the same, of NATS' processor", below=STORM)
    told, delivered = about(1e6 / single / 1000, digits=1), about(1e6 / storm, digits=1)
    return f"{told} single changes a second to 1,000 routers, {delivered} deliveries a second in a storm"


def usage_for_budgets() -> str:
    [kilobytes] = re.findall(r"\| ([\d.]+) kB of each request to each router", PAGE)
    times = float(f"{125_000 / float(kilobytes):.1e}")
    at_1000, at_100, at_20 = (about(times / routers) for routers in (1000, 100, 20))
    in_all = f"{at_1000} a second in all at 1,000 routers, {at_100} at 100, {at_20} at 20"
    return f"| {about(times)} requests a second times routers: {in_all} |"


def a_full_core_of_nats() -> str:
    single = cell("many_routers", "the same, of NATS' processor", below=SINGLE)
    told = about(1e6 / single / 1000, digits=1)
    return f"| {told} changes a second to 1,000 routers: {single:g} us for each change and router |"


def a_line_between() -> str:
    [changes] = re.findall(rf"^\| (\d+) {STORM}", PAGE, re.MULTILINE)
    written = cell("many_routers", "the same, written by NATS", below=STORM) * MIB / MB
    return f"| {about(10_000 * written / 50 / int(changes), digits=1)} MB for each router and 10,000 changes |"


def many_at_once() -> str:
    size = about(cell("many_routers", "a first snapshot, over HTTP"))
    took = about(cell("many_routers", "a first snapshot, of the catalog's processor"))
    return f"| 1,000 of them: {size} GB and {took} s of a core of the catalog |"


def cores() -> str:
    return f"| a core for each {about(cell('gateways', 'requests/s'))} small requests a second |"


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


def usage_told() -> str:
    catalog, integrity = (about(cell("hearing_usage", part)) for part in ("catalog", "integrity"))
    return f"| {catalog} batches of 20 requests a second at the catalog, {integrity} at integrity;"


@pytest.mark.parametrize(
    "measured",
    [
        router,
        memory_of_a_router,
        memory_of_the_catalog,
        reading,
        a_snapshot,
        writing,
        rows_of_postgres,
        one_nats,
        usage_for_budgets,
        a_full_core_of_nats,
        a_line_between,
        many_at_once,
        cores,
        relaying,
        listings,
        findings,
        usage_told,
    ],
    ids=lambda measured: measured.__name__,
)
def test_the_figures_of_what_it_carries_are_those_that_were_measured(measured: Callable[[], str]) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    [carries] = re.findall(r"^## What it carries$(.*?)^## ", page, re.MULTILINE | re.DOTALL)

    assert measured() in carries
