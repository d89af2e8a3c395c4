"""Listings that are delivered again, late, out of order or by two replicas at once; and names that sync leaves out."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import a_supplier, shown
from catalogs import Told
from modelbus.catalog.actions.listings import apply_listing, refuse_listing
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import IDLE_TRANSACTION_MS, LONG_PAUSE_MS, Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced, ListingRefused
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel, Listing
from servers import FreshDatabase

PER_EXAMPLE = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
offers = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["1", "2"]), min_size=1)


@asynccontextmanager
async def replica(database: FreshDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield opened
    await opened.close()


@pytest.fixture
async def replicas(database: FreshDatabase) -> AsyncIterator[tuple[Database, Database]]:
    async with replica(database) as one, replica(database) as other:
        yield one, other


def a_listing(supplier: dict[str, Any], offered: dict[str, str], ignored: tuple[str, ...] = ()) -> Listing:
    models = [ListedModel(upstream_name=name, cost=CostPrices(input=price)) for name, price in offered.items()]
    return Listing(
        run_id=new_id(),
        supplier_id=UUID(supplier["id"]),
        digest="d",
        models=models,
        left_out=[],
        ignored=list(ignored),
    )


async def deliver(opened: Database, listing: Listing, revision: int) -> None:
    async with opened.transaction() as session:
        await apply_listing(session, listing, revision)


async def offered_by(http: httpx.AsyncClient, supplier: dict[str, Any]) -> dict[str, str]:
    """What the catalog offers of the supplier, with its cost."""
    found = await http.get("/api/v1/sources", params={"supplier_id": supplier["id"], "limit": 200})
    return {each["upstream_name"]: each["cost"]["input"] for each in found.json()["items"] if each["is_available"]}


async def head(http: httpx.AsyncClient) -> Any:
    return (await http.get("/api/v1/head")).json()["digests"]


@given(told=st.lists(offers, min_size=1, max_size=4), deliveries=st.lists(st.integers(0, 3), max_size=8))
@PER_EXAMPLE
async def test_in_whatever_order_and_however_often_listings_come_the_newest_holds(
    http: httpx.AsyncClient,
    replicas: tuple[Database, Database],
    told: list[dict[str, str]],
    deliveries: list[int],
) -> None:
    supplier = await a_supplier(http, removal_after=1, namespace=f"n-{new_id().hex}")
    listings = [a_listing(supplier, offered) for offered in told]
    # Each comes at least once, in the order that the story says; what comes together is one replica's and the other's.
    order = [each % len(listings) for each in deliveries]
    order += [each for each in range(len(listings)) if each not in order]
    revisions = range(1, len(listings) + 1)
    for number in range(0, len(order), 2):
        pair = order[number : number + 2]
        works = zip(replicas, pair, strict=False)
        await asyncio.gather(*(deliver(opened, listings[each], revisions[each]) for opened, each in works))

    assert await offered_by(http, supplier) == told[-1]


@given(first=offers, second=offers)
@PER_EXAMPLE
async def test_a_listing_that_is_applied_twice_is_applied_once(
    http: httpx.AsyncClient, replicas: tuple[Database, Database], first: dict[str, str], second: dict[str, str]
) -> None:
    supplier = await a_supplier(http, removal_after=2, namespace=f"n-{new_id().hex}")
    await deliver(replicas[0], a_listing(supplier, first), 1)
    listing = a_listing(supplier, second)
    await deliver(replicas[0], listing, 2)
    once, offered = await head(http), await offered_by(http, supplier)

    await asyncio.gather(
        *(deliver(opened, listing, revision) for opened, revision in zip(replicas, (2, 3), strict=True))
    )

    assert (await head(http), await offered_by(http, supplier)) == (once, offered)


async def test_a_name_that_sync_leaves_out_is_neither_added_nor_missed(
    http: httpx.AsyncClient, replicas: tuple[Database, Database], told: Told
) -> None:
    supplier = await a_supplier(http, removal_after=1)
    await deliver(replicas[0], a_listing(supplier, {"one": "1", "two": "1"}), 1)

    await deliver(replicas[0], a_listing(supplier, {"one": "2"}, ignored=("two", "three")), 2)
    while_left_out = await offered_by(http, supplier)
    await deliver(replicas[0], a_listing(supplier, {"one": "2"}), 3)

    assert while_left_out == {"one": "2", "two": "1"}
    assert (await http.get("/api/v1/models/three")).status_code == 404
    assert (await shown(http, "/api/v1/models/two"))["reason"] == "delisted"
    assert [each.removed for each in await told(CatalogSynced)] == [0, 0, 1]


async def test_a_listing_that_is_announced_again_and_kept_no_longer_is_refused_once_and_never_after_it_was_applied(
    http: httpx.AsyncClient, replicas: tuple[Database, Database], told: Told
) -> None:
    supplier = await a_supplier(http)
    applied, lost = a_listing(supplier, {"one": "1"}), a_listing(supplier, {"two": "1"})
    await deliver(replicas[0], applied, 1)

    for opened in replicas:
        for each in (applied, lost):
            async with opened.transaction() as session:
                await refuse_listing(session, each.run_id, each.supplier_id, "sync no longer keeps the listing")

    assert [each.run_id for each in await told(ListingRefused)] == [lost.run_id]


async def test_what_was_applied_before_a_restore_is_not_applied_again_after_it(
    http: httpx.AsyncClient, replicas: tuple[Database, Database], told: Told
) -> None:
    supplier = await a_supplier(http, removal_after=1)
    older, newer = a_listing(supplier, {"one": "1"}), a_listing(supplier, {"two": "1"})
    await deliver(replicas[0], older, 1)
    await deliver(replicas[0], newer, 2)
    document = (await http.get("/api/v1/export?secrets=master")).content
    restored = await http.post("/api/v1/restore?replace=true", content=document)

    for listing, revision in ((older, 1), (newer, 2)):
        await deliver(replicas[0], listing, revision)
    after_both = await offered_by(http, supplier)
    await deliver(replicas[0], a_listing(supplier, {"three": "1"}), 3)

    assert restored.status_code == 200, restored.text
    assert after_both == {"two": "1"}
    assert await offered_by(http, supplier) == {"three": "1"}
    assert (len(await told(CatalogSynced)), await told(ListingRefused)) == (3, [])


async def test_a_large_listing_may_be_thought_about_for_longer_than_others_may_be_silent(
    http: httpx.AsyncClient, replicas: tuple[Database, Database]
) -> None:
    supplier = await a_supplier(http)
    limit = sa.text("SELECT setting::int FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout'")

    async with replicas[0].transaction() as session:
        await apply_listing(session, a_listing(supplier, {"one": "1"}), 1)
        within = await session.scalar(limit)
    async with replicas[0].transaction() as session:
        after = await session.scalar(limit)

    assert (within, after) == (LONG_PAUSE_MS, IDLE_TRANSACTION_MS)


KILLED_AT_THE_END = """
import asyncio, os, signal, sys
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.contracts.sync import Listing

async def main() -> None:
    opened = Database(sys.argv[1], service="catalog", outbox=outbox)
    listing = Listing.model_validate_json(sys.stdin.read())
    async with opened.transaction() as session:
        await apply_listing(session, listing, 1)
        await outbox.flush(session)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_catalog_that_is_killed_while_it_applies_a_listing_has_applied_nothing_of_it_and_then_all(
    http: httpx.AsyncClient, database: FreshDatabase, replicas: tuple[Database, Database], told: Told
) -> None:
    supplier = await a_supplier(http)
    listing = a_listing(supplier, dict.fromkeys("abcdef", "1"))
    before = await head(http)
    command = (sys.executable, "-c", KILLED_AT_THE_END, database.url("catalog"))
    victim = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    )
    await victim.communicate(listing.model_dump_json().encode())
    after = await head(http)

    for opened in replicas:
        await deliver(opened, listing, 1)

    assert victim.returncode == -signal.SIGKILL
    assert after == before
    assert len(await offered_by(http, supplier)) == 6
    assert [each.added for each in await told(CatalogSynced)] == [6]
    assert await told(ListingRefused) == []
