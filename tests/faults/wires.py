"""Wires between a client and a server, which can be reset, refused, silenced, slowed and cut."""

import asyncio
import ctypes
import socket
import struct
from contextlib import suppress
from typing import Any, Literal

type Fault = Literal["reset", "refused", "half-open", "slow", "cut"]
"""`half-open` loses what is said and says that it came; of a wire that was cut nothing comes back, as of no network."""

LOOPBACK = "127.0.0.1"
_ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER so that closing resets the connection."""
_ATTACH_FILTER, _DETACH_FILTER = 26, 27
_NOTHING = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
"""A filter of Linux that lets no packet pass: none is taken, so none is confirmed, and none is answered."""


class Wire:
    """Carries whatever a client and one server say to one another, until something happens to it."""

    def __init__(self, port: int, server_port: int) -> None:
        self.port = port
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._carried: set[_Carried] = set()
        self.is_mute = False
        self.is_cut = False
        self.delay_s = 0.0

    async def mend(self) -> None:
        """Let everything pass again, on new connections: on those that have lost anything both ends find out.

        On a wire that was cut nobody is told: what neither end has given up goes on, and says again what was lost.
        """
        self._splice()
        self.is_mute, self.delay_s = False, 0.0
        for carried in list(self._carried):
            carried.find_out()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._carry, LOOPBACK, self.port)

    async def suffer(self, fault: Fault, delay_s: float = 0.2) -> None:
        """Reset what is open, or refuse whoever comes as well, or lose everything without saying so, or delay all."""
        match fault:
            case "reset":
                self._reset()
            case "refused":
                self._refuse()
            case "half-open":
                self._mute()
            case "slow":
                self.delay_s = delay_s
            case "cut":
                self._cut()

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

    def _cut(self) -> None:
        self.is_cut = True
        for each in self._listening():
            _take_nothing(each)
        for carried in self._carried:
            carried.cut()

    def _splice(self) -> None:
        if self.is_cut:
            self.is_cut = False
            for each in self._listening():
                each.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
            for carried in self._carried:
                carried.splice()

    def _listening(self) -> list[Any]:
        return list(self._listener.sockets) if self._listener else []

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self._server_port)
        except OSError:
            reset(writer)
            return
        carried = _Carried(self, writer, server_writer)
        carried.is_mute = self.is_mute
        self._carried.add(carried)
        if self.is_cut:
            carried.cut()
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

    def cut(self) -> None:
        """Take nothing from either end."""
        for each in self._sockets():
            _take_nothing(each)

    def splice(self) -> None:
        """Take again what comes; an end that has given up meanwhile is gone for the other one too."""
        for each in self._sockets():
            each.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)
            each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)

    def _sockets(self) -> list[Any]:
        return [end.get_extra_info("socket") for end in self._ends if not end.transport.is_closing()]

    def find_out(self) -> None:
        """Lose the connection if anything on it was lost: what is not confirmed is sent again, and then refused."""
        if self._has_lost:
            self.reset()

    def reset(self) -> None:
        """Lose the connection at both ends."""
        for end in self._ends:
            reset(end)


def _take_nothing(taker: Any) -> None:
    taker.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(_NOTHING)))


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection as a crash would."""
    found = writer.get_extra_info("socket")
    if found is not None and not writer.transport.is_closing():
        with suppress(OSError):
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
    writer.transport.abort()
