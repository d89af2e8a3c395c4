"""The router is put together here: a bare door for the callers, and FastAPI beside it for everything else."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import httpx
from fastapi import FastAPI
from nats.errors import Error as NatsError
from starlette.types import ASGIApp, Receive, Scope, Send

from modelbus.chassis import auth, service
from modelbus.chassis.carrier import Carrier
from modelbus.chassis.figures import of_bus, of_follower
from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.chassis.loops import repeat
from modelbus.chassis.messaging import Bus
from modelbus.chassis.metrics import Metrics
from modelbus.chassis.observing import Tell, teller
from modelbus.chassis.secrets import Vault
from modelbus.chassis.vouching import Vouching
from modelbus.contracts.bus import HEALTH
from modelbus.contracts.credentials import CredentialReport
from modelbus.contracts.health import SourceHealthChanged
from modelbus.router.api import breakers as breaking
from modelbus.router.api import cache, explain
from modelbus.router.api.figures import of_shadows, of_standing, of_traffic
from modelbus.router.api.roles import BY_ACCESS_KEY, ROLES
from modelbus.router.balance.balancer import Balancer
from modelbus.router.balance.observing import Observer
from modelbus.router.balance.reporting import TELL_EVERY_S, Reporter
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.keyring import Keyring
from modelbus.router.domain.breakers import Breakers
from modelbus.router.ingress.body import BodyLimits
from modelbus.router.ingress.document import with_callers_paths
from modelbus.router.ingress.door import PREFIX, Door
from modelbus.router.ingress.issuer_keys import READ_EVERY_S, PublishedKeys, SharedSecret
from modelbus.router.ingress.refusals import STATUSES
from modelbus.router.ingress.tokens import TokenRules, Tokens
from modelbus.router.jobs import jobs
from modelbus.router.journey.calls import Calls
from modelbus.router.journey.journeys import Journeys
from modelbus.router.journey.levels import Levels
from modelbus.router.journey.shadows import LARGEST_BYTES, ShadowLimits, Shadows
from modelbus.router.journey.spans import Spans
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.ledger.spool import Spool
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.gate import Gate
from modelbus.router.limits.grants import Grants
from modelbus.router.limits.quotas import Quotas
from modelbus.router.limits.registry import Registry
from modelbus.router.limits.sharing import Sharing
from modelbus.router.limits.statement import Statement
from modelbus.router.limits.waiting import Waiting
from modelbus.router.memo.answers import Answers
from modelbus.router.memo.memo import Memo
from modelbus.router.memo.repeats import Repeats
from modelbus.router.settings import Settings
from modelbus.router.upstream.client import Deadlines
from modelbus.router.upstream.http_client import HttpClient

_CATALOG_TIMEOUT_S = 10.0
_LAST_WORDS_S = 2.0
_OBSERVE_EVERY_S = 2.0
_HOSTS_SHARE = 4

log = logger(__name__)


def create_app(settings: Settings) -> ASGIApp:
    """Put the router together; nothing is opened before it starts."""
    bus = Bus.of(settings, service="router")
    feed = _feed(settings)
    vouching = Vouching(str(settings.catalog_url))
    catalog = CatalogCopy(feed, bus, keep=settings.state_dir / "catalog.snapshot")
    spool = Spool(settings.state_dir / "usage", most_bytes=settings.spool_bytes)
    run_id = new_id()
    router_id = f"{socket.gethostname()}:{settings.port}"
    ledger = Ledger(spool, bus, router_id=router_id, run_id=run_id)
    registry, spending = Registry(), Spending()
    sharing = Sharing(registry, bus, catalog, run_id=run_id)
    statement = Statement(
        spending,
        bus,
        Waiting(spool, run_id=run_id),
        run_id=run_id,
        keep=settings.state_dir / "spending.json",
        is_wanted=Grants(lambda: catalog.table).any,
    )
    deadlines = Deadlines(
        settings.connect_s, settings.first_byte_s, settings.stall_s, settings.first_token_s, settings.total_s
    )
    client = HttpClient(deadlines, connections=settings.upstream_connections)
    breakers = Breakers()
    observer = Observer(breakers, catalog, ledger.tally, router_id=router_id)
    tell_health: Tell[SourceHealthChanged] = teller(bus, HEALTH, service="router")
    keyring = Keyring(Vault(settings.master_keys.get_secret_value()))
    calls = Calls(client, keyring, settings.max_answer_bytes, Quotas(registry))
    balancer = Balancer(settings.strategy, breakers, calls.quotas.wait_s)
    reporter = Reporter(balancer.standings, lambda: catalog.table, bus, router_id=router_id)
    tell_credentials: Tell[CredentialReport] = teller(bus, HEALTH, service="router")
    levels = Levels(ledger.record)
    journeys = Journeys(calls, balancer, deadlines, settings.resends, levels)
    aside, shadows = _shadows(settings, deadlines, balancer, ledger, calls)
    keys, tokens = _tokens(settings)
    door = Door(
        catalog,
        Memo(journeys, Answers(settings.response_cache_bytes), Repeats()),
        ledger,
        Gate(registry, spending),
        BodyLimits(settings.max_prompt_bytes, settings.body_s),
        tokens,
        Spans(settings.traces_share) if settings.traces_url is not None else None,
        shadows,
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(spool.close)
            await _open(spool, ledger)
            bus.start()
            stack.push_async_callback(bus.stop)
            await stack.enter_async_context(feed)
            stack.push_async_callback(vouching.close)
            await stack.enter_async_context(client)
            await stack.enter_async_context(aside)
            if keys is not None:
                stack.push_async_callback(keys.close)
            stack.push_async_callback(_settle, ledger)
            stack.push_async_callback(shadows.close)
            statement.load()
            stack.push_async_callback(_keep, statement)
            catalog.follower.load_kept()
            await stack.enter_async_context(
                service.running(
                    {
                        **jobs(catalog, ledger, sharing, statement),
                        **_reading(keys),
                        "health": repeat("health", lambda: observer.tell(tell_health), every_s=_OBSERVE_EVERY_S),
                        "credentials": repeat(
                            "credentials", lambda: reporter.tell(tell_credentials), every_s=TELL_EVERY_S
                        ),
                    }
                )
            )
            yield

    beside = service.build(
        title="Modelbus router",
        description="Serves OpenAI's and Anthropic's protocols under `/v1`, and shows administrators what it knows.",
        settings=settings,
        lifespan=lifespan,
        checks={"catalog": catalog.follower.problem, "usage": ledger.loses},
        # A disk that is full at all routers must not take all of them out of service.
        impairments={"usage": ledger.waits, "last_known_good": catalog.follower.unkept},
        statuses=STATUSES,
        door=auth.Door(ROLES, BY_ACCESS_KEY, verify=vouching.admit),
        larger_bodies={explain.PATH: settings.max_prompt_bytes},
        metrics=Metrics(
            reads=(
                of_bus(bus),
                of_follower(catalog.follower),
                of_traffic(ledger, catalog.supplier_name),
                of_shadows(ledger, shadows),
                of_standing(ledger, breakers, reporter),
            )
        ),
    )
    for routes in (
        cache.routes(catalog),
        breaking.routes(breakers, catalog),
        explain.routes(catalog, balancer, levels, door.admit, door.read),
    ):
        beside.include_router(routes, dependencies=auth.GUARDS)
    alone = beside.openapi
    beside.openapi = lambda: with_callers_paths(alone())  # type: ignore[method-assign]
    return _beside(door, beside)


async def _open(spool: Spool, ledger: Ledger) -> None:
    try:
        spool.open()
    except OSError as error:
        log.error("usage can't be written and waits in memory", error=str(error))  # noqa: TRY400
    # What a process that was killed left is to be in the spool before that is summed up.
    await ledger.write()


def _beside(door: Door, rest: FastAPI) -> ASGIApp:
    """Send /v1 through the callers' door, and everything else, the lifespan included, to the rest."""

    async def router(scope: Scope, receive: Receive, send: Send) -> None:
        is_callers = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (door if is_callers else rest)(scope, receive, send)

    return router


def _feed(settings: Settings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=str(settings.catalog_url),
        transport=Carrier(),
        headers={"Authorization": f"Bearer {settings.service_token.get_secret_value()}"},
        timeout=_CATALOG_TIMEOUT_S,
    )


def _tokens(settings: Settings) -> tuple[PublishedKeys | None, Tokens | None]:
    """Answer what verifies signed tokens, if any are taken, and the keys that are read for it, if there are such."""
    if settings.jwt_issuer is None or settings.jwt_audience is None:
        return None, None
    rules = TokenRules(
        settings.jwt_issuer,
        settings.jwt_audience,
        settings.jwt_consumer_claim,
        settings.jwt_tier_claim,
        settings.jwt_scopes_claim,
    )
    if settings.jwt_secret is not None:
        return None, Tokens(rules, SharedSecret(settings.jwt_secret.get_secret_value()))
    keys = PublishedKeys(str(settings.jwt_jwks_url))
    return keys, Tokens(rules, keys)


def _shadows(
    settings: Settings, deadlines: Deadlines, balancer: Balancer, ledger: Ledger, calls: Calls
) -> tuple[HttpClient, Shadows]:
    """Answer what sends copies to shadows, and the client over which it does: one that hangs holds no real request."""
    # A host gets a quarter of a client's connections, and all copies may go to one.
    client = HttpClient(deadlines, connections=_HOSTS_SHARE * max(settings.shadow_concurrency, 1))
    limits = ShadowLimits(settings.shadow_concurrency, deadlines.within({"total_s": settings.shadow_s}))
    copies = replace(calls, client=client, answer_bytes=LARGEST_BYTES)
    return client, Shadows(copies, balancer, limits, ledger.record)


def _reading(keys: PublishedKeys | None) -> Mapping[str, Awaitable[None]]:
    return {} if keys is None else {"issuer-keys": repeat("issuer-keys", keys.refresh, every_s=READ_EVERY_S)}


async def _keep(statement: Statement) -> None:
    try:
        await statement.save()
    except OSError as error:
        log.error("what was spent can't be kept and is summed up again", error=str(error))  # noqa: TRY400


async def _settle(ledger: Ledger) -> None:
    """Bring the last usage to disk, and to the bus if that is quick; what is on disk is published after the start."""
    await ledger.write()
    with suppress(TimeoutError, NatsError):
        async with asyncio.timeout(_LAST_WORDS_S):
            await ledger.publish()
