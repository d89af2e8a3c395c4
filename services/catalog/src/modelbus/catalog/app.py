"""Assembly of the catalog; the only module that knows every other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from modelbus.catalog import events, jobs
from modelbus.catalog.actions import versions
from modelbus.catalog.actions.feed import Feed
from modelbus.catalog.api import (
    access_keys,
    chains,
    complexity,
    credentials,
    feed,
    models,
    scopes,
    sources,
    suppliers,
)
from modelbus.catalog.api.problems import STATUSES
from modelbus.catalog.clients.sync import SyncClient
from modelbus.catalog.settings import Settings
from modelbus.catalog.store.tables import SCHEMA, idempotency, outbox, parking
from modelbus.chassis import service
from modelbus.chassis.database import Database
from modelbus.chassis.hearing import WATCH_EVERY_S
from modelbus.chassis.loops import repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.relay import Relay
from modelbus.chassis.secrets import Vault
from modelbus.contracts.bus import CATALOG

ROUTES = (suppliers, credentials, models, sources, chains, complexity, scopes, access_keys, feed)
FOR_SERVICES = ("/api/v1/snapshot", "/api/v1/changes", "/api/v1/head")


def create_app(settings: Settings) -> FastAPI:
    """Put the catalog together."""
    database = Database(
        settings.database_url.get_secret_value(),
        service=SCHEMA,
        pool=settings.database_pool,
        outbox=outbox,
        finish=versions.write,
    )
    bus = Bus(settings.nats_url, service=SCHEMA)
    relay = Relay(database, outbox, bus, CATALOG)
    sync = SyncClient(settings.sync_url, settings.service_token.get_secret_value())
    the_feed = Feed(database, outbox)
    hearing = events.listen(sync)
    parking.keep_in(database)
    hearing.attach(bus, database, parking)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        bus.start()
        beat = partial(jobs.tell_head, the_feed, bus, outbox)
        forget = partial(jobs.forget_history, database, outbox, settings.history_days)
        async with service.running(
            {
                "relay": relay.run(),
                "heartbeat": repeat("heartbeat", beat, every_s=jobs.HEARTBEAT_S, jitter=0),
                "watch": repeat("watch", hearing.watch, every_s=WATCH_EVERY_S),
                "forget": repeat("forget", forget, every_s=jobs.FORGET_S),
            }
        ):
            yield
        await bus.stop()
        await sync.close()
        await database.close()

    app = service.build(
        title="Modelbus catalog",
        description="The source of truth: suppliers, models, sources and routing configuration.",
        settings=settings,
        lifespan=lifespan,
        checks={"database": database.problem, "bus": bus.problem, "hearing": hearing.problem},
        statuses=STATUSES,
        for_services=FOR_SERVICES,
    )
    app.state.database, app.state.feed, app.state.idempotency = database, the_feed, idempotency
    app.state.vault = Vault(settings.master_keys.get_secret_value())
    for noun in ROUTES:
        app.include_router(noun.routes)
    app.include_router(parking.routes())
    return app
