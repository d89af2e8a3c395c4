"""Assembly of integrity: the only module that knows every other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import httpx
import sqlalchemy as sa
from fastapi import FastAPI

from modelbus.chassis import service
from modelbus.chassis.auth import GUARDS, Door
from modelbus.chassis.carrier import Carrier
from modelbus.chassis.database import Database
from modelbus.chassis.database_figures import of_hearings, of_parking, of_relay
from modelbus.chassis.figures import of_bus
from modelbus.chassis.hearing import WATCH_EVERY_S
from modelbus.chassis.loops import SETTLED_S, repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.metrics import Metrics
from modelbus.chassis.parking import Parking
from modelbus.chassis.relay import Relay
from modelbus.chassis.tracing import tell_next
from modelbus.chassis.transactions import keep_in
from modelbus.chassis.vouching import Vouching
from modelbus.contracts.bus import INTEGRITY
from modelbus.integrity.api import findings, forecasts, impact, proposals, references, repairs, sweeps, validations
from modelbus.integrity.api.figures import of_findings
from modelbus.integrity.api.problems import STATUSES
from modelbus.integrity.api.roles import ROLES
from modelbus.integrity.clients.catalog import Catalog
from modelbus.integrity.clients.configuration import Configuration
from modelbus.integrity.events import build_hearing, listen_to_usage
from modelbus.integrity.jobs import FORGET_EVERY_S, SKIPS_EVERY_S, Audit, compare_skips, forget
from modelbus.integrity.settings import Settings
from modelbus.integrity.store.tables import SCHEMA, outbox

FEED_TIMEOUT_S = 10.0
ROUTES = (
    findings.routes,
    findings.stale_routes,
    references.routes,
    repairs.routes,
    sweeps.routes,
    forecasts.routes,
    impact.routes,
    proposals.routes,
    validations.routes,
    validations.chain_routes,
)


def create_app(settings: Settings) -> FastAPI:
    """Assemble the service; nothing is connected before its lifespan begins."""
    database = Database(
        settings.database_url.get_secret_value(), service=SCHEMA, pool=settings.database_pool, outbox=outbox
    )
    bus = Bus.of(settings, service=SCHEMA)
    feed = httpx.AsyncClient(
        base_url=settings.catalog_url,
        transport=Carrier(),
        headers={"Authorization": f"Bearer {settings.service_token.get_secret_value()}"},
        timeout=FEED_TIMEOUT_S,
    )
    # Without our token: what is changed there is changed by whoever asks for it.
    configured = httpx.AsyncClient(
        base_url=settings.catalog_url,
        transport=Carrier(),
        timeout=FEED_TIMEOUT_S,
        event_hooks={"request": [tell_next]},
    )
    vouching = Vouching(settings.catalog_url)
    audit = Audit(database, Catalog(feed))
    parking = Parking(sa.MetaData(schema=SCHEMA))
    parking.keep_in(database)
    hearing = build_hearing(on_reset=audit.look_soon, on_late=audit.catch_up)
    usage = listen_to_usage()
    hearing.attach(bus, database, parking)
    usage.attach(bus, database, parking)
    relay = Relay(database, outbox, bus, INTEGRITY)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        bus.start()
        jobs = {
            "relay": relay.run(),
            "watch": repeat("watch", hearing.watch, every_s=WATCH_EVERY_S),
            "watch usage": repeat("watch usage", usage.watch, every_s=WATCH_EVERY_S),
            "skips": repeat("skips", partial(compare_skips, database), every_s=SKIPS_EVERY_S),
            "forget": repeat("forget", partial(forget, database), every_s=FORGET_EVERY_S, after_s=SETTLED_S),
            "audit": repeat("audit", audit.keep_right, every_s=0),
        }
        async with service.running(jobs):
            yield
        await bus.stop()
        await feed.aclose()
        await configured.aclose()
        await vouching.close()
        await database.close()

    app = service.build(
        title="Modelbus integrity",
        description="Knows every place of the configuration that names a model, and finds those that are not sound.",
        settings=settings,
        lifespan=lifespan,
        checks={
            "database": database.problem,
            "bus": bus.problem,
            "relay": relay.problem,
            "hearing": hearing.problem,
            "usage": usage.problem,
            "index": audit.problem,
        },
        statuses=STATUSES,
        metrics=Metrics(
            reads=(of_bus(bus),),
            asks=(
                of_relay(relay, database, outbox),
                of_hearings(bus, hearing, usage),
                of_parking(parking, database),
                of_findings(database),
            ),
        ),
        door=Door(ROLES, verify=vouching.admit),
    )
    keep_in(app, database)
    app.state.configuration = Configuration(configured)
    app.state.audit = audit
    for routes in (*ROUTES, parking.routes()):
        app.include_router(routes, dependencies=GUARDS)
    return app
