"""What it costs sync to find that a listing is the one that the catalog has: `python -m benchmarks.taking_in`."""

import asyncio
import json
import resource
import ssl
import sys
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
import uvloop
from cryptography.fernet import Fernet

from modelbus.chassis.database import Database
from modelbus.chassis.feed import Applied as Followed
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault
from modelbus.contracts.records import SupplierRecord
from modelbus.sync.actions import runs
from modelbus.sync.actions.intake import Intake, IntakeTerms
from modelbus.sync.actions.metadata import Library
from modelbus.sync.clients.answers import Delivery
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.clients.endpoint import Limits
from modelbus.sync.clients.flavours import find_flavours
from modelbus.sync.clients.metadata_files import FileLimits, MetadataFiles
from modelbus.sync.clients.suppliers import Suppliers
from modelbus.sync.domain.runs import CatalogPoint, Cause, Counts, Run
from modelbus.sync.domain.suspicions import Thresholds
from modelbus.sync.store import runs as stored
from modelbus.sync.store.tables import outbox

KIB = 1024
EPOCH = uuid4()
LIMITS = Limits(max_bytes=2**30, connect_s=5, read_s=60, deadline_s=300, tries=1, first_pause_s=1)
TERMS = IntakeTerms(
    price_jump_factor=100,
    thresholds=Thresholds(most_lost_share=0.6, most_growth=3, most_doubles=0),
    whole_every=timedelta(days=1),
    raw_kept=3,
    raw_max_bytes=2**30,
)


def listed(size: int) -> list[dict[str, Any]]:
    """Make the entries that the provider lists, in the shape of OpenRouter."""
    pricing = {"prompt": "0.00000015", "completion": "0.0000006", "input_cache_read": "0.000000075"}
    limits = {"context_length": 131_072, "max_completion_tokens": 8_192}
    return [
        {
            "id": f"vendor-{number % 50}/model-{number:06d}",
            "name": f"Vendor {number % 50}: Model {number}",
            "context_length": 131_072,
            "pricing": pricing,
            "top_provider": limits,
        }
        for number in range(size)
    ]


async def take_all(url: str, base_url: str) -> None:
    """Take the provider's listing in for the first time, then as one that has not changed; tell what each took."""
    supplier = _supplier(base_url)
    directory = Directory(Vault(Fernet.generate_key().decode()))
    record = supplier.model_dump_json().encode()
    directory.follow(Followed(changed={supplier.kind: {supplier.id: record}}, gone={}, is_whole=True))
    database = Database(url, service="sync", outbox=outbox)
    tls = ssl.create_default_context()
    suppliers = Suppliers(LIMITS, find_flavours(), tls)
    # There are no metadata files, so nothing is asked for.
    limits = FileLimits(max_bytes=1, connect_s=1, deadline_s=1, is_local=False)
    library = Library(database, MetadataFiles(limits, tls), {}, every=timedelta(days=1), hold=timedelta(days=1))
    point = CatalogPoint(EPOCH, 1)
    intake = Intake(database, directory, suppliers, library, terms=TERMS, known=lambda: point)
    try:
        first = await _taken(database, intake, supplier, "read by sync for the first time")
        async with database.transaction() as session:
            await runs.complete_run(session, first, Counts(0, 0, 0, 0, 0), datetime.now(UTC), EPOCH)
        await _taken(database, intake, supplier, "unchanged, found by sync")
    finally:
        await database.close()


async def _taken(database: Database, intake: Intake, supplier: SupplierRecord, what: str) -> Any:
    run = Run(id=new_id(), supplier_id=supplier.id, cause=Cause.SCHEDULE, requested_at=datetime.now(UTC))
    async with database.transaction() as session:
        await runs.request_run(session, run, asyncio.Event())
        held = await runs.take_run(session, lease_s=600, known=CatalogPoint(EPOCH, 1), name_of=lambda _: "aggregator")
    if held is None:
        raise RuntimeError("there was no run to take up")
    told, begun = await _told(database), perf_counter()
    await intake.take_in(held, Delivery())
    seconds, peak_kib = perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with database.reading() as session:
        status = (await stored.find_run(session, run.id)).status
    # What is told is all that the catalog ever sees of a listing.
    rows = {outbox.rows.name: await _told(database) - told}
    print(
        json.dumps({"what": f"{what} ({status})", "seconds": seconds, "rows": rows, "peak_mb": peak_kib / KIB}),
        flush=True,
    )
    return run.id


async def _told(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(outbox.rows)) or 0


def _supplier(base_url: str) -> SupplierRecord:
    return SupplierRecord(
        id=new_id(),
        name="aggregator",
        display_name="Aggregator",
        supplier_kind="aggregator",
        base_url=base_url,
        protocol="openai",
        flavour="openrouter",
        namespace=None,
        is_active=True,
        requires_credential=False,
        is_local=True,
        removal_after=2,
        sync_interval_s=0,
    )


if __name__ == "__main__":
    asyncio.run(take_all(sys.argv[1], sys.argv[2]), loop_factory=uvloop.new_event_loop)
