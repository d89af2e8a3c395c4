"""Assembly of the catalog; the only module that knows every other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from modelbus.catalog import events, jobs
from modelbus.catalog.actions.admission import Admissions
from modelbus.catalog.actions.feed import Feed
from modelbus.catalog.actions.passwords import Passwords
from modelbus.catalog.actions.selector import Selector
from modelbus.catalog.actions.sessions import Desk
from modelbus.catalog.actions.signing_keys import SigningKeys
from modelbus.catalog.actions.versions import write as write_versions
from modelbus.catalog.api import (
    access_keys,
    api_tokens,
    audit,
    auth,
    capabilities,
    categories,
    chains,
    complexity,
    consumers,
    credentials,
    export,
    feed,
    health,
    impact,
    imports,
    model_bulk,
    model_labels,
    model_list,
    model_parameters,
    models,
    oidc,
    paths,
    price_adjustments,
    price_standings,
    prices,
    provenance,
    roles,
    routing,
    scopes,
    selector,
    signing_keys,
    sources,
    splits,
    strategies,
    suppliers,
    tags,
    users,
    versions,
)
from modelbus.catalog.api.examples import EXAMPLES
from modelbus.catalog.api.figures import of_sources
from modelbus.catalog.api.guards import GUARDS
from modelbus.catalog.api.problems import STATUSES
from modelbus.catalog.clients.integrity import IntegrityClient
from modelbus.catalog.clients.issuer import Issuer
from modelbus.catalog.clients.sync import SyncClient
from modelbus.catalog.settings import Settings
from modelbus.catalog.store.tables import SCHEMA, idempotency, outbox, parking
from modelbus.chassis import service
from modelbus.chassis.auth import Door
from modelbus.chassis.database import Database
from modelbus.chassis.database_figures import of_hearings, of_parking, of_relay
from modelbus.chassis.figures import of_bus
from modelbus.chassis.hearing import WATCH_EVERY_S
from modelbus.chassis.loops import SETTLED_S, repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.metrics import Metrics
from modelbus.chassis.relay import Relay
from modelbus.chassis.secrets import Vault
from modelbus.chassis.transactions import keep_in
from modelbus.contracts.bus import CATALOG

ROUTES = (
    impact,
    versions,
    model_labels,
    provenance,
    price_standings,
    prices,
    price_adjustments,
    suppliers,
    credentials,
    models,
    model_list,
    model_bulk,
    model_parameters,
    sources,
    health,
    chains,
    splits,
    complexity,
    strategies,
    scopes,
    capabilities,
    categories,
    tags,
    selector,
    routing,
    consumers,
    access_keys,
    audit,
    export,
    imports,
    feed,
    auth,
    api_tokens,
    signing_keys,
    oidc,
    users,
)


def create_app(settings: Settings) -> FastAPI:
    """Put the catalog together."""
    database = Database(
        settings.database_url.get_secret_value(),
        service=SCHEMA,
        pool=settings.database_pool,
        outbox=outbox,
        finish=write_versions,
    )
    bus = Bus.of(settings, service=SCHEMA)
    relay = Relay(database, outbox, bus, CATALOG)
    sync = SyncClient(settings.sync_url, settings.service_token.get_secret_value())
    integrity = IntegrityClient(settings.integrity_url, settings.service_token.get_secret_value())
    the_feed = Feed(database, outbox)
    hearing, usage, observed = events.listen(sync), events.listen_to_usage(), events.listen_to_health()
    vault = Vault(settings.master_keys.get_secret_value())
    keys = SigningKeys(database, vault, settings.lifetimes())
    desk = Desk(database, Passwords(), keys, settings.lifetimes())
    issuer = None if (told := settings.issuer()) is None else Issuer(told)
    admissions = Admissions(database, keys, issuer, has_administrator=settings.admin_token_accepted)
    parking.keep_in(database)
    hearing.attach(bus, database, parking)
    usage.attach(bus, database, parking)
    observed.attach(bus, database, parking)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        bus.start()
        beat = partial(jobs.tell_head, the_feed, bus, outbox)
        tend = partial(jobs.tend_identity, database, keys)
        forget = partial(jobs.forget_history, database, outbox, settings.history_days)
        pass_time, turn = partial(jobs.let_time_pass, database), partial(jobs.let_prices_turn, database)
        follow = partial(jobs.follow_health, database, settings.health_terms())
        label = partial(jobs.tend_labels, database, has_defaults=settings.default_labels)
        async with service.running(
            {
                "relay": relay.run(),
                "heartbeat": repeat("heartbeat", beat, every_s=jobs.HEARTBEAT_S, jitter=0),
                "watch": repeat("watch", hearing.watch, every_s=WATCH_EVERY_S),
                "watch usage": repeat("watch usage", usage.watch, every_s=WATCH_EVERY_S),
                "watch health": repeat("watch health", observed.watch, every_s=WATCH_EVERY_S),
                "health": repeat("health", follow, every_s=jobs.HEALTH_S, after_s=SETTLED_S),
                "clock": repeat("clock", pass_time, every_s=jobs.TIME_PASSES_S, after_s=SETTLED_S),
                "prices": repeat("prices", turn, every_s=jobs.PRICES_TURN_S, after_s=SETTLED_S),
                "feed": repeat("feed", the_feed.advance, every_s=jobs.ADVANCE_S, after_s=SETTLED_S),
                "audit": repeat("audit", the_feed.audit, every_s=jobs.AUDIT_S, after_s=jobs.AUDIT_S),
                "forget": repeat("forget", forget, every_s=jobs.FORGET_S, after_s=SETTLED_S),
                "labels": repeat(
                    "labels", label, every_s=jobs.TAG_S, after_s=0.0 if settings.default_labels else SETTLED_S
                ),
                "identity": repeat("identity", tend, every_s=jobs.TEND_S, after_s=SETTLED_S),
            }
        ):
            yield
        await bus.stop()
        await sync.close()
        await integrity.close()
        if issuer is not None:
            await issuer.close()
        desk.passwords.close()
        await database.close()

    app = service.build(
        title="Modelbus catalog",
        description="The source of truth: suppliers, models, sources and routing configuration.",
        settings=settings,
        lifespan=lifespan,
        checks={
            "database": database.problem,
            "bus": bus.problem,
            "relay": relay.problem,
            "hearing": hearing.problem,
            "usage": usage.problem,
            "health": observed.problem,
            "feed": the_feed.problem,
        },
        statuses=STATUSES,
        door=Door(roles.ROLES, roles.BY_ACCESS_KEY, verify=admissions.admit, complain=roles.audit_refusal),
        larger_bodies={export.RESTORE: settings.max_document_bytes, imports.PATH: settings.max_import_bytes},
        examples=EXAMPLES,
        metrics=Metrics(
            reads=(of_bus(bus),),
            asks=(
                of_relay(relay, database, outbox),
                of_hearings(bus, hearing, usage, observed),
                of_parking(parking, database),
                of_sources(database),
            ),
        ),
    )
    keep_in(app, database)
    app.state.feed, app.state.idempotency = the_feed, idempotency
    app.state.selector, app.state.integrity, app.state.sync = Selector(the_feed), integrity, sync
    app.state.vault, app.state.desk, app.state.issuer = vault, desk, issuer
    app.state.trusted_proxies, app.state.public_url = settings.proxies(), settings.public_url
    app.router.routes.extend(paths.in_order(noun.routes for noun in ROUTES).routes)
    app.router.routes.extend(parking.routes(GUARDS).routes)
    return app
