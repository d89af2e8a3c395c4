"""A running sync between a catalog that stands in and a simulated provider."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from nats.aio.client import Client
from nats.js.api import RawStreamMsg

from modelbus.chassis.database import Database
from modelbus.contracts.catalog import CatalogSynced
from modelbus.contracts.event import Event, read_event
from modelbus.contracts.records import SupplierRecord
from modelbus.simulator import Simulator, running_simulator
from modelbus.sync.app import create_app
from modelbus.sync.settings import Settings
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, serving
from servers import Databases
from sync.catalog_stand_in import CatalogStandIn, standing_in
from testing_bus import local_bus

ENDED = {"fetched", "quarantined", "applied", "refused", "failed", "unchanged", "cancelled"}


type OpenDatabase = Callable[[], AbstractAsyncContextManager[Database]]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What sync needs to run, and the settings that lead there."""

    catalog: CatalogStandIn
    bus: Client
    simulator: Simulator
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunningSync:
    """Sync with its neighbours; `http` bears the administrator's token."""

    url: str
    http: httpx.AsyncClient
    catalog: CatalogStandIn
    bus: Client
    simulator: Simulator
    stream: list[RawStreamMsg] = field(default_factory=list)
    """The stream as far as it was read."""

    async def run(self, run_id: UUID) -> dict[str, Any]:
        """Show the run."""
        answer = await self.http.get(f"/api/v1/runs/{run_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def run_in(self, run_id: UUID, *statuses: str) -> dict[str, Any]:
        """Wait until the run has one of the statuses, and show it."""

        async def look() -> dict[str, Any]:
            shown = await self.run(run_id)
            assert shown["status"] in statuses, shown
            return shown

        found: dict[str, Any] = await eventually(look)
        return found

    async def listing_of(self, supplier: SupplierRecord, cause: str = "administrator") -> dict[str, Any]:
        """Ask for a listing and wait how it ends."""
        return await self.run_in(await self.catalog.request(supplier, cause), *ENDED)

    async def applied(self, run: dict[str, Any], **counts: int) -> dict[str, Any]:
        """Let the catalog apply the listing of the run."""
        told = dict.fromkeys(("added", "changed", "removed", "held", "unchanged", "changes"), 0) | counts
        await self.catalog.tell(CatalogSynced(run_id=run["id"], supplier_id=run["supplier_id"], **told))
        return await self.run_in(run["id"], "applied")

    async def told[E: Event](self, event_type: type[E]) -> list[E]:
        """Read the events of a type from the stream, oldest first."""
        context = self.bus.jetstream()
        last = (await context.stream_info("SYNC")).state.last_seq
        for sequence in range(len(self.stream) + 1, last + 1):
            self.stream.append(await context.get_msg("SYNC", sequence))
        return [read_event(event_type, each.data or b"") for each in self.stream if each.subject == event_type.type]

    async def told_of[E: Event](self, event_type: type[E], run_id: str) -> list[E]:
        """Wait until something of that type is told of the run, and read it."""

        async def look() -> list[E]:
            return [event for event in await self.told(event_type) if str(event.about()) == run_id]

        found: list[E] = await eventually(look)
        return found


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
        yield client


@asynccontextmanager
async def neighbours(databases: Databases, directory: Path, state_dir: Path) -> AsyncIterator[Neighbours]:
    async with (
        databases.fresh() as fresh,
        local_bus(directory) as local,
        running_simulator() as simulator,
    ):
        bus = await local.client()
        async with standing_in(bus) as catalog:
            settings = {
                "database_url": fresh.url("sync"),
                "nats_url": local.url,
                "admin_token": ADMIN_TOKEN,
                "service_token": SERVICE_TOKEN,
                "master_keys": MASTER_KEY,
                "catalog_url": catalog.url,
                "state_dir": str(state_dir),
                "sync_lease_s": 1.0,
                "fetch_read_s": 1.0,
                "fetch_deadline_s": 6.0,
                "fetch_max_bytes": 1024 * 1024,
                "fetch_tries": 3,
                "probe_interval_s": 0,
                "fetch_first_pause_s": 0.02,
            }
            yield Neighbours(catalog, bus, simulator, settings)
        await bus.close()


@asynccontextmanager
async def running_sync(around: Neighbours) -> AsyncIterator[RunningSync]:
    async with serving(create_app(Settings(**around.settings))) as url, administrator(url) as http:
        yield RunningSync(url, http, around.catalog, around.bus, around.simulator)
