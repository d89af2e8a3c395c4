"""Assembly of sync; the only module that knows every other."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from modelbus.chassis import service
from modelbus.chassis.auth import Door
from modelbus.chassis.database import Database
from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.loops import repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.relay import Relay
from modelbus.chassis.secrets import Vault
from modelbus.contracts.bus import SYNC
from modelbus.sync.api import listings, prices, runs
from modelbus.sync.api.problems import STATUSES
from modelbus.sync.clients.catalog import KINDS, Directory
from modelbus.sync.clients.endpoint import Limits
from modelbus.sync.clients.flavours import find_flavours
from modelbus.sync.clients.suppliers import Suppliers
from modelbus.sync.domain.runs import CatalogPoint
from modelbus.sync.domain.suspicions import Thresholds
from modelbus.sync.events import hear_catalog
from modelbus.sync.jobs import Terms, Worker, forget_old, schedule_runs
from modelbus.sync.settings import Settings
from modelbus.sync.store.tables import SCHEMA, outbox, parking

FEED_TIMEOUT_S = 10.0
WATCH_EVERY_S = 2.0
SCHEDULE_EVERY_S = 5.0
FORGET_EVERY_S = 300.0


def create_app(settings: Settings) -> FastAPI:
    """Put the service together."""
    database = Database(
        settings.database_url.get_secret_value(), service=SCHEMA, pool=settings.database_pool, outbox=outbox
    )
    bus = Bus.of(settings, service=SCHEMA)
    directory = Directory(Vault(settings.master_keys.get_secret_value()))
    suppliers = Suppliers(_limits(settings), find_flavours(), ssl.create_default_context())
    catalog = httpx.AsyncClient(
        base_url=settings.catalog_url,
        headers={"Authorization": f"Bearer {settings.service_token.get_secret_value()}"},
        timeout=FEED_TIMEOUT_S,
        trust_env=False,
    )
    wake = asyncio.Event()

    def follow(applied: Applied) -> None:
        directory.follow(applied)
        # A run may be waiting for what the catalog has just told.
        wake.set()

    follower = Follower(catalog, bus, kinds=KINDS, on_change=follow, keep=settings.state_dir / "catalog.json")
    hearing = hear_catalog(wake)
    relay = Relay(database, outbox, bus, SYNC)
    parking.keep_in(database)
    hearing.attach(bus, database, parking)

    def jobs() -> dict[str, Awaitable[None]]:
        worker = Worker(
            database,
            directory,
            suppliers,
            terms=Terms(settings.sync_lease_s, settings.price_jump_factor, _thresholds(settings)),
            known=lambda: CatalogPoint(follower.epoch, follower.revision),
            wake=wake,
        )
        return {
            "feed": follower.run(),
            "relay": relay.run(),
            "hearing": repeat("hearing", hearing.watch, every_s=WATCH_EVERY_S),
            "schedule": repeat("schedule", lambda: schedule_runs(database, directory, wake), every_s=SCHEDULE_EVERY_S),
            "forgetting": repeat("forgetting", lambda: forget_old(database, outbox), every_s=FORGET_EVERY_S),
            **{f"worker-{n}": repeat("runs", worker.work, every_s=0) for n in range(settings.sync_workers)},
        }

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        follower.load_kept()
        bus.start()
        try:
            async with service.running(jobs()):
                yield
        finally:
            await bus.stop()
            await catalog.aclose()
            await database.close()

    app = service.build(
        title="Modelbus sync",
        description="Asks suppliers what they offer and hands their listings to the catalog.",
        settings=settings,
        lifespan=lifespan,
        checks={
            "database": database.problem,
            "bus": bus.problem,
            "hearing": hearing.problem,
            "catalog": follower.problem,
        },
        statuses=STATUSES,
        door=Door(for_services=("/api/v1/runs/",)),
    )
    app.state.database, app.state.directory, app.state.wake = database, directory, wake
    app.include_router(runs.routes)
    app.include_router(runs.listing_routes)
    app.include_router(prices.routes)
    app.include_router(listings.routes)
    app.include_router(parking.routes())
    return app


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        most_lost_share=settings.guard_most_lost_share,
        most_growth=settings.guard_most_growth,
        most_doubles=settings.guard_most_doubles,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_bytes=settings.fetch_max_bytes,
        connect_s=settings.fetch_connect_s,
        read_s=settings.fetch_read_s,
        deadline_s=settings.fetch_deadline_s,
        tries=settings.fetch_tries,
        first_pause_s=settings.fetch_first_pause_s,
    )
