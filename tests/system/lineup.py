"""The six parts of an installation that was set up once: started one by one, as processes, in any order.

`catalog-2` and the like are more of a service; others reach the first of them.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import asyncpg
import httpx
import nats
from nats.js import JetStreamContext

from modelbus.chassis import topology
from modelbus.contracts.bus import CATALOG, CONSUMERS
from modelbus.launcher.nats import NatsServer, start_nats
from modelbus.launcher.postgres import PostgresServer, start_postgres
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, free_port
from servers import FreshDatabase, prepare_template
from system import forked

SERVERS = ("postgres", "nats")
PARTS = (*SERVERS, *forked.SERVICES)
ADMINISTRATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


class Running(Protocol):
    """A process of a service."""

    @property
    def exitcode(self) -> int | None:
        """How it ended."""

    def is_alive(self) -> bool:
        """Tell whether it runs."""

    def terminate(self) -> None:
        """Tell it to end."""

    def join(self, timeout: float | None = None) -> None:
        """Wait until it has ended."""


type Serve = Callable[[str, Mapping[str, str], Path], Running]
"""Starts a service, of some release, with an environment and a log."""
type Prepare = Callable[[PostgresServer, NatsServer], Awaitable[FreshDatabase]]
"""Does the steps before the services."""


def serve(service: str, environment: Mapping[str, str], log: Path) -> Running:
    """Start a service of this release."""
    return forked.start(forked.forks(), service, environment, log)


async def prepare(postgres: PostgresServer, bus: NatsServer) -> FreshDatabase:
    """Lay tables and streams of this release."""
    template = (await prepare_template(postgres.url)).template
    client = await nats.connect(bus.url)
    await topology.ensure(client.jetstream())
    await client.close()
    return FreshDatabase(postgres.url, template)


@dataclass(frozen=True, slots=True)
class Installation:
    """Two servers that stand still, with everything in them that services expect."""

    postgres: PostgresServer
    nats: NatsServer
    database: FreshDatabase

    @classmethod
    async def made(cls, directory: Path, prepare: Prepare = prepare) -> Self:
        """Set everything up, as the steps before the services do."""
        postgres = start_postgres(directory / "postgres", free_port(), fast=True)
        bus = start_nats(directory / "nats", free_port())
        made = cls(postgres, bus, await prepare(postgres, bus))
        made.stop()
        return made

    def stop(self) -> None:
        """Stop the servers; what they hold stays."""
        self.postgres.stop()
        self.nats.stop()


@dataclass
class Lineup:
    """One start of the installation."""

    installation: Installation
    directory: Path
    processes: dict[str, Running] = field(default_factory=dict)
    _ports: dict[str, int] = field(default_factory=lambda: defaultdict(free_port))
    _http: httpx.AsyncClient = field(default_factory=lambda: httpx.AsyncClient(headers=ADMINISTRATOR, timeout=20))

    async def start(self, part: str, serve: Serve = serve) -> None:
        """Start a part, and wait until it answers, ready or not."""
        if part in SERVERS:
            server: PostgresServer | NatsServer = getattr(self.installation, part)
            server.start()
            await eventually(server.is_ready, within_s=30)
            return
        log = self.directory / f"{part}.log"
        self.processes[part] = serve(service_of(part), self._environment(part), log)
        await eventually(lambda: self._is_live(part), within_s=30)

    async def restart(self, part: str) -> None:
        """Tell a service to end, and start this release of it once it has; returns when it is ready."""
        self.processes[part].terminate()
        await asyncio.to_thread(self.processes[part].join, 20)
        assert self.processes[part].exitcode == 0
        await self.start(part)
        await self.ready(part)

    async def ready(self, *services: str) -> None:
        """Wait until the services say that they lack nothing."""

        async def are_ready() -> bool:
            missing = {service: await self.missing(service) for service in services}
            assert not any(missing.values()), missing
            return True

        await eventually(are_ready, within_s=30)

    async def missing(self, service: str) -> dict[str, str]:
        """Answer what the service says that it lacks."""
        answer = await self._http.get(self.url(service) + "/health/ready")
        missing: dict[str, str] = answer.json()["missing"]
        assert (answer.status_code == httpx.codes.OK) == (not missing)
        return missing

    async def ask(self, method: str, service: str, path: str, **fields: Any) -> dict[str, Any]:
        """Ask a service what only an administrator may, and answer what it tells."""
        told: dict[str, Any] = (await self.send(method, service, path, **fields)).raise_for_status().json()
        return told

    async def send(self, method: str, service: str, path: str, **fields: Any) -> httpx.Response:
        """Ask a service what only an administrator may."""
        return await self._http.request(method, self.url(service) + path, **fields)

    async def caught_up(self, *routers: str) -> None:
        """Wait until the routers have what the catalog has."""
        head = (await self.ask("GET", "catalog", "/api/v1/head"))["revision"]

        async def has(router: str) -> bool:
            return bool((await self.ask("GET", router, "/api/v1/cache"))["revision"] >= head)

        for router in routers:
            await eventually(partial(has, router), within_s=20)

    async def unheard(self) -> int:
        """Answer how many changes of the catalog wait for a durable hearer of them, or are not acknowledged."""
        durables = [each.durable for each in CONSUMERS if each.stream is CATALOG]
        async with self.stream() as context:
            found = [await context.consumer_info(CATALOG.name, durable) for durable in durables]
        return sum((each.num_pending or 0) + (each.num_ack_pending or 0) for each in found)

    async def last_told(self) -> int:
        """Answer the revision of the last change on the stream; 0 where there is none."""
        async with self.stream() as context:
            last = (await context.stream_info(CATALOG.name)).state.last_seq
            return int(((await context.get_msg(CATALOG.name, seq=last)).headers or {})["ce-revision"]) if last else 0

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[JetStreamContext]:
        """Enter the bus as somebody who may do everything."""
        client = await nats.connect(self.installation.nats.url, connect_timeout=2, max_reconnect_attempts=0)
        try:
            yield client.jetstream()
        finally:
            await client.close()

    def url(self, service: str) -> str:
        """Answer where the service is."""
        return f"http://127.0.0.1:{self._ports[service]}"

    async def close(self) -> None:
        """Stop everything in good order: the services first, then the servers."""
        await self._http.aclose()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            await asyncio.to_thread(process.join, 20)
        self.installation.stop()

    async def _is_live(self, service: str) -> bool:
        if not self.processes[service].is_alive():
            # Not an assertion, which would be tried again.
            raise RuntimeError((self.directory / f"{service}.log").read_text())
        try:
            return (await self._http.get(self.url(service) + "/health/live")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def _environment(self, service: str) -> dict[str, str]:
        known = {
            "MODELBUS_PORT": str(self._ports[service]),
            "MODELBUS_NATS_URL": self.installation.nats.url,
            "MODELBUS_ADMIN_TOKEN": ADMIN_TOKEN,
            "MODELBUS_SERVICE_TOKEN": SERVICE_TOKEN,
            "MODELBUS_MASTER_KEYS": MASTER_KEY,
            "MODELBUS_STATE_DIR": str(self.directory / service),
        }
        others = {f"MODELBUS_{name.upper()}_URL": self.url(name) for name in forked.SERVICES if name != service}
        if service_of(service) == "router":
            return {**known, **others}
        return {**known, **others, "MODELBUS_DATABASE_URL": self.installation.database.url(service_of(service))}


def service_of(part: str) -> str:
    """Answer of which service it is one."""
    return part.partition("-")[0]


@asynccontextmanager
async def lined_up(installation: Installation, directory: Path) -> AsyncIterator[Lineup]:
    """Answer an installation of which nothing runs; whatever was started is stopped afterwards."""
    lineup = Lineup(installation, directory)
    try:
        yield lineup
    finally:
        await lineup.close()


async def rows(installation: Installation, query: str) -> list[asyncpg.Record]:
    """Ask the tables, of whichever service."""
    connection = await asyncpg.connect(installation.database.superuser())
    try:
        found: list[asyncpg.Record] = await connection.fetch(query)
        return found
    finally:
        await connection.close()


async def column(installation: Installation, query: str) -> list[Any]:
    """Answer the first value of each row."""
    return [row[0] for row in await rows(installation, query)]
