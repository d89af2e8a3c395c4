"""A NATS server of a test's own, which can be killed, wiped and started again."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import nats
from nats.aio.client import Client

from modelbus.chassis import topology
from modelbus.launcher.nats import NatsServer, start_nats


class LocalBus:
    """A running NATS server with JetStream."""

    def __init__(self, server: NatsServer, directory: Path) -> None:
        self.server = server
        self.url = server.url
        self._directory = directory

    async def client(self) -> Client:
        """Connect as somebody else would; the caller closes it."""
        return await nats.connect(self.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)

    async def lay_topology(self) -> None:
        """Create streams and consumers."""
        client = await self.client()
        try:
            await topology.ensure(client.jetstream())
        finally:
            await client.close()

    def wipe(self) -> None:
        """Kill the server, lose everything that it stored, and start it again."""
        self.server.kill()
        shutil.rmtree(self._directory / "jetstream")
        self.server.restart()


@asynccontextmanager
async def local_bus(directory: Path) -> AsyncIterator[LocalBus]:
    """Start a server with its streams and consumers."""
    home = directory / f"nats-{uuid4().hex[:8]}"
    server = start_nats(home, port=0)
    bus = LocalBus(server, home)
    try:
        await bus.lay_topology()
        yield bus
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)
