"""A NATS server that lets in none but the users of Modelbus, with their permissions."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import nats

from modelbus.chassis import topology
from modelbus.chassis.nats_config import write_nats_config
from modelbus.contracts.bus_users import OPERATOR, users
from modelbus.launcher.nats import NatsServer, start_nats
from running import free_port

TEAM = "billing"
PASSWORDS = {user: f"0{user}-password" for user in (*(each.name for each in users()), TEAM)}
"""They begin with a digit, which the server would take for a number if it were not quoted."""


def url_of(server: NatsServer, user: str) -> str:
    """Answer where the user enters."""
    return server.url.replace("//", f"//{user}:{PASSWORDS[user]}@")


@asynccontextmanager
async def permitted_bus(directory: Path) -> AsyncIterator[NatsServer]:
    """Start a server with its streams and consumers, as `make up` does."""
    home = directory / f"nats-{uuid4().hex[:8]}"
    home.mkdir()
    write_nats_config(home / "users.conf", [f"{TEAM}=USAGE"])
    server = start_nats(home, free_port(), passwords=PASSWORDS)
    try:
        client = await nats.connect(url_of(server, OPERATOR))
        await topology.ensure(client.jetstream())
        await client.close()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


async def greeting(port: int, shown: Mapping[str, str]) -> bytes:
    """Come to the server with that, and answer what it says, once it has said who it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {json.dumps({'verbose': False, **shown})}\r\nPING\r\n".encode())
    try:
        assert (await reader.readline()).startswith(b"INFO")
        return await reader.readline()
    finally:
        writer.close()
        await writer.wait_closed()
