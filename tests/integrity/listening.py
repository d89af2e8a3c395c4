"""A replica of integrity to run, and an ear on the stream that it tells on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg

from modelbus.contracts.bus import CATALOG, INTEGRITY_HEARS_CATALOG
from modelbus.contracts.event import read_event
from modelbus.contracts.references import ReferenceRestored, ReferenceStale
from modelbus.integrity.app import create_app
from modelbus.integrity.settings import Settings
from running import ADMIN_TOKEN, SERVICE_TOKEN, eventually, serving
from servers import FreshDatabase


@asynccontextmanager
async def running_integrity(
    database: FreshDatabase, nats_url: str, catalog_url: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a replica; yields a client with the administrator's token."""
    settings = Settings(
        database_url=database.url("integrity"),
        nats_url=nats_url,
        admin_token=ADMIN_TOKEN,
        service_token=SERVICE_TOKEN,
        catalog_url=catalog_url,
    )
    async with (
        serving(create_app(settings)) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20) as http,
    ):
        yield http


async def ready(http: httpx.AsyncClient) -> None:
    """Wait until nothing is missing."""

    async def is_ready() -> bool:
        answer = await http.get("/health/ready")
        assert answer.status_code == httpx.codes.OK, answer.text
        return True

    await eventually(is_ready)


async def everything_is_heard(client: Client) -> None:
    """Wait until nothing that the catalog told waits for integrity."""
    context = client.jetstream()

    async def is_heard() -> bool:
        info = await context.consumer_info(CATALOG.name, INTEGRITY_HEARS_CATALOG.durable)
        return bool(info.num_pending == 0 and info.num_ack_pending == 0)

    await eventually(is_heard, within_s=60.0)


class Ear:
    """Hears the INTEGRITY stream like another team would, which minds stale references only if not told otherwise."""

    def __init__(self) -> None:
        self.kinds: frozenset[str] = frozenset({"dead", "degraded"})
        self.heard: list[ReferenceStale | ReferenceRestored] = []
        self._news = asyncio.Event()

    async def take(self, message: Msg) -> None:
        is_stale = message.subject == ReferenceStale.type
        event: ReferenceStale | ReferenceRestored = (
            read_event(ReferenceStale, message.data) if is_stale else read_event(ReferenceRestored, message.data)
        )
        if event.kind in self.kinds:
            self.heard.append(event)
            self._news.set()

    async def hears(self, number: int, *, within_s: float = 10.0) -> list[ReferenceStale | ReferenceRestored]:
        """Wait until that many events were heard in all."""
        async with asyncio.timeout(within_s):
            while len(self.heard) < number:
                self._news.clear()
                await self._news.wait()
        return self.heard
