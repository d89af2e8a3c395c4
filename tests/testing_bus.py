"""A NATS server of a test's own, which can be killed, wiped and started again."""

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import nats
from nats.aio.client import Client

from containers import ContainedNats, is_contained
from modelbus.chassis import topology
from modelbus.launcher.binaries import nats_server
from modelbus.launcher.nats import NatsServer, start_nats
from running import free_port


class LocalBus:
    """A running NATS server with JetStream."""

    def __init__(self, server: NatsServer | ContainedNats, forget: Callable[[], None]) -> None:
        self.server = server
        self.url = server.url
        self._forget = forget

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
        self._forget()
        self.server.restart()


async def is_heard(client: Client) -> None:
    """Wait until the server has read, and answered, all that the client has said."""
    # Its first ping overtakes what it has not sent yet, a subscription for one; the second follows it.
    await client.flush()
    await client.flush()


@asynccontextmanager
async def local_bus(directory: Path) -> AsyncIterator[LocalBus]:
    """Start a server with its streams and consumers."""
    home = directory / f"nats-{uuid4().hex[:8]}"
    bus = _started(home)
    try:
        await bus.lay_topology()
        yield bus
    finally:
        bus.server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _started(home: Path) -> LocalBus:
    if not is_contained(nats_server):
        return LocalBus(start_nats(home, free_port()), lambda: shutil.rmtree(home / "jetstream"))
    server = ContainedNats(free_port())
    server.restart()
    return LocalBus(server, server.forget)
