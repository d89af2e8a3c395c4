"""A supplier that falls with all its models: one finding for each place, in few transactions."""

import asyncio
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from nats.aio.client import Client

from integrity.listening import everything_is_heard
from integrity.teller import Teller, Told, a_chain, a_model, a_source
from modelbus.chassis.database import plain_dsn
from modelbus.contracts.catalog import ModelUnavailable
from servers import FreshDatabase

MODELS = 1500
MOST_TRANSACTIONS = MODELS // 15


@pytest.mark.usefixtures("http")
async def test_a_storm_settles_in_few_transactions_with_one_finding_for_each_place(
    catalog: Teller, nats_client: Client, database: FreshDatabase
) -> None:
    supplier, other, now = uuid4(), a_model(), datetime.now(UTC)
    models = [a_model() for _ in range(MODELS)]
    sources = [a_source(model.id, supplier_id=supplier) for model in models]
    chains = [a_chain(model, other, name=f"chain-{number}") for number, model in enumerate(models)]
    await publish(catalog, [catalog.commit(each) for each in (other, *models, *sources, *chains)])
    await everything_is_heard(nats_client)

    gone = {"is_available": False, "reason": "supplier_disabled"}
    storm = [catalog.commit(each.model_copy(update=gone)) for each in (*sources, *models)]
    storm += [
        catalog.commit(
            ModelUnavailable(
                model_id=model.id, name=model.name, reason="supplier_disabled", since=now, previous_source_ids=[]
            )
        )
        for model in models
    ]
    await publish(catalog, storm)
    await everything_is_heard(nats_client)

    assert await stale_chains(database) == sorted(chain.id for chain in chains)
    assert await transactions_that_found(database) < MOST_TRANSACTIONS


async def publish(catalog: Teller, told: list[Told]) -> None:
    """Put events on the stream in their order, as quickly as the relay does."""
    for some in batched(told, 200):
        await asyncio.gather(*(catalog.publish(each) for each in some))


async def stale_chains(database: FreshDatabase) -> list[UUID]:
    """List the chains with an open finding of a stale step, once for each such finding."""
    return await found(database, "SELECT holder_id FROM integrity.findings WHERE {open} ORDER BY 1")


async def transactions_that_found(database: FreshDatabase) -> int:
    """Count the transactions that wrote those findings."""
    [number] = await found(database, "SELECT count(DISTINCT xmin::text) FROM integrity.findings WHERE {open}")
    return int(number)


async def found(database: FreshDatabase, query: str) -> list[Any]:
    connection = await asyncpg.connect(plain_dsn(database.superuser()))
    rows = await connection.fetch(query.format(open="rule = 'stale_reference' AND state = 'open'"))
    await connection.close()
    return [row[0] for row in rows]
