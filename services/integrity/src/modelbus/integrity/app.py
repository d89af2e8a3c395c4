"""Assembly of integrity: the only module that knows every other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import sqlalchemy as sa
from fastapi import FastAPI

from modelbus.chassis import service
from modelbus.chassis.database import Database
from modelbus.chassis.hearing import WATCH_EVERY_S
from modelbus.chassis.loops import repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.parking import Parking
from modelbus.chassis.relay import Relay
from modelbus.contracts.bus import INTEGRITY
from modelbus.integrity.api import findings, references, validations
from modelbus.integrity.api.problems import STATUSES
from modelbus.integrity.clients.catalog import Catalog
from modelbus.integrity.events import build_hearing
from modelbus.integrity.jobs import Audit
from modelbus.integrity.settings import Settings
from modelbus.integrity.store.tables import SCHEMA, outbox

FEED_TIMEOUT_S = 10.0


def create_app(settings: Settings) -> FastAPI:
    """Assemble the service; nothing is connected before its lifespan begins."""
    database = Database(
        settings.database_url.get_secret_value(), service=SCHEMA, pool=settings.database_pool, outbox=outbox
    )
    bus = Bus.of(settings, service=SCHEMA)
    feed = httpx.AsyncClient(
        base_url=settings.catalog_url,
        headers={"Authorization": f"Bearer {settings.service_token.get_secret_value()}"},
        timeout=FEED_TIMEOUT_S,
    )
    audit = Audit(database, Catalog(feed))
    parking = Parking(sa.MetaData(schema=SCHEMA))
    parking.keep_in(database)
    hearing = build_hearing(on_reset=audit.look_soon, on_late=audit.catch_up)
    hearing.attach(bus, database, parking)
    relay = Relay(database, outbox, bus, INTEGRITY)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        bus.start()
        jobs = {
            "relay": relay.run(),
            "watch": repeat("watch", hearing.watch, every_s=WATCH_EVERY_S),
            "audit": repeat("audit", audit.keep_right, every_s=0),
        }
        async with service.running(jobs):
            yield
        await bus.stop()
        await feed.aclose()
        await database.close()

    app = service.build(
        title="Modelbus integrity",
        description="Knows every place of the configuration that names a model, and finds those that are not sound.",
        settings=settings,
        lifespan=lifespan,
        checks={
            "database": database.problem,
            "bus": bus.problem,
            "hearing": hearing.problem,
            "index": audit.problem,
        },
        statuses=STATUSES,
    )
    app.state.database = database
    doors = (findings.routes, findings.stale_routes, references.routes, validations.routes, validations.chain_routes)
    for routes in (*doors, parking.routes()):
        app.include_router(routes)
    return app
