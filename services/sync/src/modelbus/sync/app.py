"""Assembly of sync; the only module that knows every other."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import httpx
from fastapi import FastAPI

from modelbus.chassis import service
from modelbus.chassis.auth import GUARDS, Door
from modelbus.chassis.carrier import Carrier
from modelbus.chassis.database import Database
from modelbus.chassis.database_figures import of_hearings, of_parking, of_relay
from modelbus.chassis.feed import Applied, Follower
from modelbus.chassis.figures import of_bus, of_follower
from modelbus.chassis.loops import SETTLED_S, repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.metrics import Metrics
from modelbus.chassis.observing import Tell, teller
from modelbus.chassis.relay import Relay
from modelbus.chassis.secrets import Vault
from modelbus.chassis.transactions import keep_in
from modelbus.chassis.trust import trusted
from modelbus.chassis.vouching import Vouching
from modelbus.contracts.bus import HEALTH, SYNC
from modelbus.contracts.credentials import CredentialReport
from modelbus.contracts.health import SourceHealthChanged
from modelbus.sync.actions.intake import Intake, IntakeTerms
from modelbus.sync.actions.metadata import Library
from modelbus.sync.actions.probes import Rhythm
from modelbus.sync.actions.probing import Prober
from modelbus.sync.actions.replays import Replays
from modelbus.sync.api import flavours, guards, ignore_rules, listings, metadata, prices, probes, replays, runs
from modelbus.sync.api.figures import of_work
from modelbus.sync.api.problems import STATUSES
from modelbus.sync.api.roles import ROLES
from modelbus.sync.clients.catalog import KINDS, Directory
from modelbus.sync.clients.endpoint import Limits
from modelbus.sync.clients.flavours import find_flavours
from modelbus.sync.clients.metadata_files import FileLimits, MetadataFiles
from modelbus.sync.clients.probing import Glancing
from modelbus.sync.clients.suppliers import Suppliers
from modelbus.sync.clients.token_asking import TokenAsking
from modelbus.sync.domain.probes import Rule
from modelbus.sync.domain.runs import CatalogPoint
from modelbus.sync.domain.suspicions import Thresholds
from modelbus.sync.events import hear_catalog, hear_usage
from modelbus.sync.jobs import Terms, Worker, fail_stuck, forget_old, schedule_runs
from modelbus.sync.settings import Settings, files_in
from modelbus.sync.store.tables import SCHEMA, outbox, parking

FEED_TIMEOUT_S = 10.0
WATCH_EVERY_S = 2.0
SCHEDULE_EVERY_S = 5.0
FORGET_EVERY_S = 300.0
STUCK_EVERY_S = 30.0
PROBE_EVERY_S = 0.5
TELL_EVERY_S = 1.0
METADATA_EVERY_S = 5.0
METADATA_HELD_S = 30.0
"""Beyond the time that a file may take, it is left to the replica that asked for it."""


def create_app(settings: Settings) -> FastAPI:
    """Put the service together."""
    database = Database(
        settings.database_url.get_secret_value(), service=SCHEMA, pool=settings.database_pool, outbox=outbox
    )
    bus = Bus.of(settings, service=SCHEMA)
    directory = Directory(Vault(settings.master_keys.get_secret_value()))
    readers, tls = find_flavours(), trusted()
    suppliers = Suppliers(_limits(settings), readers, tls)
    looks = _limits_of_looks(settings)
    prober = Prober(database, directory, Glancing(looks, readers, tls), TokenAsking(looks, tls), _rhythm(settings))
    tell_health: Tell[SourceHealthChanged] = teller(bus, HEALTH, service=SCHEMA)
    tell_credentials: Tell[CredentialReport] = teller(bus, HEALTH, service=SCHEMA)
    catalog = httpx.AsyncClient(
        base_url=settings.catalog_url,
        transport=Carrier(),
        headers={"Authorization": f"Bearer {settings.service_token.get_secret_value()}"},
        timeout=FEED_TIMEOUT_S,
        trust_env=False,
    )
    vouching = Vouching(settings.catalog_url)
    wake = asyncio.Event()

    def follow(applied: Applied) -> None:
        directory.follow(applied)
        # A run may be waiting for what the catalog has just told.
        wake.set()

    follower = Follower(catalog, bus, kinds=KINDS, on_change=follow, keep=settings.state_dir / "catalog.json")

    def known() -> CatalogPoint:
        return CatalogPoint(follower.epoch, follower.revision, is_confirmed=not follower.is_stale)

    library = _library(settings, database, tls)
    intake = Intake(database, directory, suppliers, library, terms=_terms(settings), known=known)
    hearing = hear_catalog(wake)
    relay = Relay(database, outbox, bus, SYNC)
    parking.keep_in(database)
    hearing.attach(bus, database, parking)
    usage = hear_usage(prober.hear_traffic)
    usage.attach(bus, database, parking)

    def jobs() -> dict[str, Awaitable[None]]:
        terms = Terms(settings.sync_lease_s, settings.sync_most_at_once)
        worker = Worker(database, directory.name_of, intake, terms=terms, known=known, wake=wake)
        longest = timedelta(seconds=settings.sync_stuck_s)
        return {
            "feed": follower.run(),
            "relay": relay.run(),
            "hearing": repeat("hearing", hearing.watch, every_s=WATCH_EVERY_S),
            "usage": repeat("usage", usage.watch, every_s=WATCH_EVERY_S),
            "probes": repeat("probes", prober.look_around, every_s=PROBE_EVERY_S),
            "health": repeat("health", lambda: prober.tell(tell_health), every_s=PROBE_EVERY_S),
            "credentials": repeat("credentials", lambda: intake.refusals.tell(tell_credentials), every_s=TELL_EVERY_S),
            "schedule": repeat(
                "schedule", lambda: schedule_runs(database, directory, wake, known()), every_s=SCHEDULE_EVERY_S
            ),
            "metadata": repeat("metadata", library.tend, every_s=METADATA_EVERY_S),
            "stuck": repeat("stuck", lambda: fail_stuck(database, longest), every_s=STUCK_EVERY_S, after_s=SETTLED_S),
            "forgetting": repeat(
                "forgetting",
                lambda: forget_old(database, outbox, raw_kept=settings.sync_raw_kept),
                every_s=FORGET_EVERY_S,
                after_s=SETTLED_S,
            ),
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
            await vouching.close()
            await database.close()

    app = service.build(
        title="Modelbus sync",
        description="Asks suppliers what they offer and hands their listings to the catalog.",
        settings=settings,
        lifespan=lifespan,
        checks={
            "database": database.problem,
            "bus": bus.problem,
            "relay": relay.problem,
            "hearing": hearing.problem,
            "usage": usage.problem,
            "catalog": follower.problem,
        },
        impairments={"last_known_good": follower.unkept},
        statuses=STATUSES,
        metrics=Metrics(
            reads=(of_bus(bus), of_follower(follower)),
            asks=(
                of_relay(relay, database, outbox),
                of_hearings(bus, hearing, usage),
                of_parking(parking, database),
                of_work(database),
            ),
        ),
        door=Door(ROLES, verify=vouching.admit),
    )
    keep_in(app, database)
    app.state.directory, app.state.wake, app.state.point = directory, wake, known
    app.state.prober, app.state.thresholds = prober, _thresholds(settings)
    app.state.library = library
    app.state.replays = Replays(database, directory, suppliers, intake)
    doors = (runs, replays, prices, listings, ignore_rules, guards, probes, metadata, flavours)
    for routes in (*(door.routes for door in doors), parking.routes()):
        app.include_router(routes, dependencies=GUARDS)
    return app


def _terms(settings: Settings) -> IntakeTerms:
    return IntakeTerms(
        price_jump_factor=settings.price_jump_factor,
        thresholds=_thresholds(settings),
        whole_every=timedelta(seconds=settings.sync_whole_every_s),
        raw_kept=settings.sync_raw_kept,
        raw_max_bytes=settings.sync_raw_max_bytes,
    )


def _library(settings: Settings, database: Database, tls: ssl.SSLContext) -> Library:
    limits = FileLimits(
        max_bytes=settings.metadata_max_bytes,
        connect_s=settings.fetch_connect_s,
        deadline_s=settings.fetch_deadline_s,
        is_local=settings.metadata_local,
    )
    every = timedelta(seconds=settings.metadata_interval_s)
    hold = timedelta(seconds=settings.fetch_deadline_s + METADATA_HELD_S)
    return Library(database, MetadataFiles(limits, tls), files_in(settings.metadata_files), every=every, hold=hold)


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        most_lost_share=settings.guard_most_lost_share,
        most_growth=settings.guard_most_growth,
        most_doubles=settings.guard_most_doubles,
    )


def _limits_of_looks(settings: Settings) -> Limits:
    return replace(
        _limits(settings),
        connect_s=min(settings.fetch_connect_s, settings.probe_timeout_s),
        read_s=settings.probe_timeout_s,
        deadline_s=settings.probe_timeout_s,
    )


def _rhythm(settings: Settings) -> Rhythm:
    return Rhythm(
        interval=timedelta(seconds=settings.probe_interval_s),
        retry=timedelta(seconds=settings.probe_retry_s),
        rule=Rule(settings.probe_window, settings.probe_failures, settings.probe_successes),
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
