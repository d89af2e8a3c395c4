"""A catalog as a process of its own, with a hundred thousand sources, for measurements that come over its sockets."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import psutil
from benchmarks.connection import Connection

from large import fill
from modelbus.launcher.postgres import start_postgres
from running import MASTER_KEY, eventually, free_port
from servers import FreshDatabase, prepare_template
from testing_bus import LocalBus, local_bus

MODELS, SUPPLIERS = 5_000, 20
EVENTS = 1_000
"""Few, for the relay tells them all when it starts, and nothing else should run then."""
START_S = 60.0
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LargeCatalog:
    """The running process, and what it stands on."""

    url: str
    token: str
    process: psutil.Process
    database: FreshDatabase
    bus: LocalBus

    def connection(self) -> Connection:
        """Answer a connection with the administrator's token."""
        return Connection(self.url, self.token)

    @property
    def resident_mb(self) -> float:
        """Answer the memory that the process holds."""
        return float(self.process.memory_info().rss) / MIB

    @property
    def busy_s(self) -> float:
        """Answer the processor time that it has used."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@asynccontextmanager
async def large_catalog(
    directory: Path, *, models: int = MODELS, suppliers: int = SUPPLIERS
) -> AsyncIterator[tuple[LargeCatalog, float]]:
    """Start a catalog on a database that is filled already; yields it with the seconds until it was ready."""
    server = start_postgres(directory / "large-postgres", port=0)
    try:
        databases = await prepare_template(server.url)
        async with databases.fresh() as fresh, local_bus(directory) as bus:
            await fill(fresh.superuser(), models=models, suppliers=suppliers, events=EVENTS)
            async with _process(directory, fresh, bus) as started:
                yield started
    finally:
        server.stop()


@asynccontextmanager
async def _process(
    directory: Path, database: FreshDatabase, bus: LocalBus
) -> AsyncIterator[tuple[LargeCatalog, float]]:
    port, token, begun = free_port(), secrets.token_hex(16), perf_counter()
    settings = {
        "PORT": str(port),
        "DATABASE_URL": database.url("catalog"),
        "NATS_URL": bus.url,
        "ADMIN_TOKEN": token,
        "SERVICE_TOKEN": secrets.token_hex(16),
        "MASTER_KEYS": MASTER_KEY,
        "SYNC_URL": "http://127.0.0.1:9",
        "LOG_LEVEL": "warning",
    }
    environment = {**os.environ, **{f"MODELBUS_{name}": value for name, value in settings.items()}}
    with (directory / "large-catalog.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelbus.catalog", "serve"),
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    catalog = LargeCatalog(url, token, psutil.Process(process.pid), database, bus)

    async def is_ready() -> bool:
        async with catalog.connection() as connection:
            return (await connection.ask(connection.request("GET", "/health/ready"))).status == 200

    try:
        await eventually(is_ready, within_s=START_S)
        yield catalog, perf_counter() - begun
    finally:
        process.terminate()
        await process.wait()
