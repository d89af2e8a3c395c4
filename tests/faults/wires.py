"""Wires between a client and a server, which can be cut, silenced and slowed."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Literal

type Fault = Literal["reset", "refused", "half-open", "slow"]

LOOPBACK = "127.0.0.1"
_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER so that closing resets the connection."""


class Wire:
    """Carries whatever a client and one server say to one another, until something happens to it."""

    def __init__(self, port: int, server_port: int) -> None:
        self.port = port
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._carried: set[_Carried] = set()
        self.is_mute = False
        self.delay_s = 0.0

    async def mend(self) -> None:
        """Let everything pass again, on new connections: on those that have lost anything both ends find out."""
        self.is_mute, self.delay_s = False, 0.0
        for carried in list(self._carried):
            carried.find_out()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._carry, LOOPBACK, self.port)

    async def suffer(self, fault: Fault, delay_s: float = 0.2) -> None:
        """Reset what is open, or refuse whoever comes as well, or let nothing pass without saying so, or delay all."""
        match fault:
            case "reset":
                self._reset()
            case "refused":
                self._refuse()
            case "half-open":
                self._mute()
            case "slow":
                self.delay_s = delay_s

    async def remove(self) -> None:
        """End everything."""
        self._refuse()

    def _reset(self) -> None:
        for carried in list(self._carried):
            carried.reset()

    def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._reset()

    def _mute(self) -> None:
        # Nobody is told of a peer that has vanished: what comes until the wire is mended is lost as well.
        self.is_mute = True
        for carried in self._carried:
            carried.is_mute = True

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._server_port)
        except OSError:
            reset(writer)
            return
        carried = _Carried(self, writer, server_writer)
        carried.is_mute = self.is_mute
        self._carried.add(carried)
        try:
            await asyncio.gather(carried.pump(reader, server_writer), carried.pump(server_reader, writer))
        finally:
            self._carried.discard(carried)
            carried.reset()


class _Carried:
    """One connection, in both of its halves."""

    def __init__(self, wire: Wire, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._wire = wire
        self._ends = (client, server)
        self.is_mute = False
        self._has_lost = False

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction to its end; what is said on a mute wire is lost, the end of it too."""
        with suppress(OSError):
            while heard := await reader.read(65536):
                if self.is_mute:
                    self._has_lost = True
                    if not self._wire.is_mute:
                        break
                    continue
                if self._wire.delay_s:
                    await asyncio.sleep(self._wire.delay_s)
                writer.write(heard)
                await writer.drain()
        if not self._wire.is_mute:
            # All protocols that pass here end in both directions at once.
            self.reset()

    def find_out(self) -> None:
        """Lose the connection if anything on it was lost: what is not confirmed is sent again, and then refused."""
        if self._has_lost:
            self.reset()

    def reset(self) -> None:
        """Lose the connection at both ends."""
        for end in self._ends:
            reset(end)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a crash would."""
    found = writer.get_extra_info("socket")
    if found is not None and not writer.transport.is_closing():
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()
