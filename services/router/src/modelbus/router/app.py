"""The router is put together here: a bare door for the callers, and FastAPI beside it for everything else."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import httpx
from fastapi import FastAPI
from nats.errors import Error as NatsError
from starlette.types import ASGIApp, Receive, Scope, Send

from modelbus.chassis import service
from modelbus.chassis.messaging import Bus
from modelbus.chassis.secrets import Vault
from modelbus.router.api import cache
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.keyring import Keyring
from modelbus.router.ingress.body import BodyLimits
from modelbus.router.ingress.door import PREFIX, Door
from modelbus.router.jobs import jobs
from modelbus.router.journey.journeys import Journeys, Limits
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.ledger.spool import Spool
from modelbus.router.settings import Settings
from modelbus.router.upstream.client import Deadlines
from modelbus.router.upstream.http_client import HttpClient

_CATALOG_TIMEOUT_S = 10.0
_LAST_WORDS_S = 2.0


def create_app(settings: Settings) -> ASGIApp:
    """Put the router together; nothing is opened before it starts."""
    bus = Bus.of(settings, service="router")
    feed = _feed(settings)
    catalog = CatalogCopy(feed, bus, keep=settings.state_dir / "catalog.snapshot")
    spool = Spool(settings.state_dir / "usage", most_bytes=settings.spool_bytes)
    ledger = Ledger(spool, bus, router_id=f"{socket.gethostname()}:{settings.port}")
    client = HttpClient(
        Deadlines(settings.connect_s, settings.first_byte_s, settings.stall_s),
        connections=settings.upstream_connections,
    )
    keyring = Keyring(Vault(settings.master_keys.get_secret_value()))
    journeys = Journeys(client, keyring, Limits(settings.total_s, settings.first_token_s, settings.max_answer_bytes))
    door = Door(catalog, journeys, ledger, BodyLimits(settings.max_prompt_bytes, settings.body_s))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            spool.open()
            stack.callback(spool.close)
            bus.start()
            stack.push_async_callback(bus.stop)
            await stack.enter_async_context(feed)
            await stack.enter_async_context(client)
            stack.push_async_callback(_settle, ledger)
            catalog.follower.load_kept()
            await stack.enter_async_context(service.running(jobs(catalog, ledger)))
            yield

    beside = service.build(
        title="Modelbus router",
        description="Serves OpenAI-compatible traffic under `/v1`; this is what an administrator sees of it.",
        settings=settings,
        lifespan=lifespan,
        checks={"catalog": catalog.follower.problem},
        statuses={},
    )
    beside.include_router(cache.routes(catalog))
    return _beside(door, beside)


def _beside(door: Door, rest: FastAPI) -> ASGIApp:
    """Send /v1 through the callers' door, and everything else, the lifespan included, to the rest."""

    async def router(scope: Scope, receive: Receive, send: Send) -> None:
        is_callers = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (door if is_callers else rest)(scope, receive, send)

    return router


def _feed(settings: Settings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=str(settings.catalog_url),
        headers={"Authorization": f"Bearer {settings.service_token.get_secret_value()}"},
        timeout=_CATALOG_TIMEOUT_S,
    )


async def _settle(ledger: Ledger) -> None:
    """Bring the last usage to disk, and to the bus if that is quick; what is on disk is published after the start."""
    await ledger.write()
    with suppress(TimeoutError, NatsError):
        async with asyncio.timeout(_LAST_WORDS_S):
            await ledger.publish()
