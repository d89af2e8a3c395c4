"""A wire that was cut is silent at both ends, and carries again what neither has given up."""

import asyncio
import sys

import pytest

from faults.wires import LOOPBACK, Wire
from running import free_port

SILENT_S = 0.25


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone can cut wires")
async def test_what_was_said_on_a_cut_wire_arrives_once_it_is_mended() -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            await heard.put(said)
        writer.close()

    server = await asyncio.start_server(hear, LOOPBACK, 0)
    wire = Wire(free_port(), server.sockets[0].getsockname()[1])
    await wire.mend()
    _, writer = await asyncio.open_connection(LOOPBACK, wire.port)
    writer.write(b"before")
    assert await heard.get() == b"before"

    await wire.suffer("cut")
    writer.write(b"meanwhile")
    for attempt in (heard.get(), asyncio.open_connection(LOOPBACK, wire.port)):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(attempt, SILENT_S)
    await wire.mend()

    assert await asyncio.wait_for(heard.get(), 5) == b"meanwhile"
    writer.close()
    await wire.remove()
    server.close()
