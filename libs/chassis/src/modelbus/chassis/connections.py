"""HTTP connections that wait for nobody for ever: neither for a request to arrive nor for an answer to be taken.

The server itself waits for the head of a request as long as it takes, keeps as much of it as comes, and holds an answer
until it is read.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MOST_HEAD_BYTES = 64 * 1024
"""Of method, path and headers; four times what most servers take."""
_IN_CHUNKS = (b"transfer-encoding", b"chunked")
_LAST_CHUNK = b"0\r\n\r\n"
CALLER = "modelbus.caller"
"""The name of the extension by which applications reach a request's connection."""


def _chunk(piece: bytes) -> bytes:
    """Write it as RFC 9112 (section 7.1) has it; an empty one would be the last."""
    return b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b""


@dataclass(frozen=True, slots=True)
class Patience:
    """For how long a caller is waited for, in seconds."""

    head_s: float
    """From the connection, or from the first byte after a request, to the end of the next request's headers."""
    unread_s: float = 75.0
    """While it takes nothing of an answer that is written."""


class Connection(HttpToolsProtocol):
    """One connection of a caller.

    Applications find it among the extensions of a request's scope, and so need no task that waits for `receive`.
    """

    def __init__(self, *args: Any, patience: Patience, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = patience
        self._awaiting_head: asyncio.TimerHandle | None = None
        self._lingering: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = None
        """Of a head that has begun and not ended."""
        self._tell_gone: Callable[[], None] | None = None
        self._extensions: Any = {CALLER: self}
        self._under_way: RequestResponseCycle | None = None

    @property
    def has_whole_request(self) -> bool:
        """Whether the body of the request under way has come to its end."""
        return self._under_way is not None and not self._under_way.more_body

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """Call that once if the caller leaves; None for nobody. One request is under way at a time, the others wait."""
        self._tell_gone = tell
        if tell is None:
            return
        # The server stops reading while a long body waits; but who has left is seen only by reading.
        self.flow.resume_reading()
        if self.transport.is_closing():
            self.loop.call_soon(self._say_gone)

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Answer the request under way at once, without the server's own two steps; False if these must be taken.

        Raises:
            ValueError: a header holds a line break.
        """
        cycle = self._unanswered()
        if cycle is None:
            return False
        if cycle.disconnected:
            return True
        self._begin(cycle, self._head(status, headers), body)
        self._end(cycle)
        return True

    def begin(self, status: int, headers: Sequence[tuple[bytes, bytes]], piece: bytes) -> bool:
        """Begin an answer whose pieces come one by one with the first of them; False if the server must.

        Raises:
            ValueError: a header holds a line break.
        """
        cycle = self._unanswered()
        if cycle is None:
            return False
        if not cycle.disconnected:
            self._begin(cycle, self._head(status, (*headers, _IN_CHUNKS)), _chunk(piece))
            cycle.chunked_encoding = True
        return True

    def pass_on(self, piece: bytes) -> bool:
        """Send a piece of the answer under way at once; False if the server must, which waits for slow callers."""
        cycle = self._under_way
        if cycle is None or not cycle.chunked_encoding or cycle.response_complete or self.flow.write_paused:
            return False
        if piece and not cycle.disconnected:
            self.transport.write(_chunk(piece))
        return True

    def finish(self, piece: bytes) -> bool:
        """Send the last piece and the end; False if the server must. The next request may begin at once."""
        cycle = self._under_way
        if cycle is None or not cycle.keep_alive or not self.pass_on(b""):
            return False
        if not cycle.disconnected:
            self.transport.write(_chunk(piece) + _LAST_CHUNK)
            self._end(cycle)
        return True

    def _unanswered(self) -> RequestResponseCycle | None:
        """Answer the request that can be answered at once, on a connection that stays open and is not behind."""
        cycle = self._under_way
        if cycle is None or cycle.response_started or not cycle.keep_alive or self.flow.write_paused:
            return None
        return cycle

    def _head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        lines = [*self.server_state.default_headers, *headers]
        head = b"%b%b\r\n" % (STATUS_LINE[status], b"".join([b"%b: %b\r\n" % line for line in lines]))
        if head.count(b"\n") != len(lines) + 2 or head.count(b"\r") != len(lines) + 2:
            raise ValueError("a header of the answer holds a line break")
        return head

    def _begin(self, cycle: RequestResponseCycle, head: bytes, body: bytes) -> None:
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        self.transport.writelines((head, body))

    def _end(self, cycle: RequestResponseCycle) -> None:
        cycle.response_complete = True
        cycle.on_response()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # noqa: D102 - as asyncio calls it
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: D102 - the same
        for timer in (self._awaiting_head, self._lingering):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)
        self._say_gone()

    def data_received(self, data: bytes) -> None:  # noqa: D102 - the same
        super().data_received(data)
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        cycle: RequestResponseCycle | None = self.cycle
        if self._awaiting_head is None and (cycle is None or cycle.response_complete):
            # Whatever came is no request yet; the server's own timer ended with the first byte of it.
            self._await_head()

    def on_message_begin(self) -> None:  # noqa: D102 - as the parser calls it
        super().on_message_begin()
        self.scope["extensions"] = self._extensions
        self._head_bytes = 0

    def on_headers_complete(self) -> None:  # noqa: D102 - the same
        self._head_bytes = None
        if self._awaiting_head is not None:
            self._awaiting_head.cancel()
            self._awaiting_head = None
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._under_way = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:  # noqa: D102 - as the server calls it
        super().on_response_complete()
        unread = self.transport.get_write_buffer_size()
        if unread and self._lingering is None:
            self._lingering = self.loop.call_later(self._patience.unread_s, self._give_up_unread, unread)

    def _say_gone(self) -> None:
        tell, self._tell_gone = self._tell_gone, None
        if tell is not None:
            tell()

    def _await_head(self) -> None:
        self._awaiting_head = self.loop.call_later(self._patience.head_s, self._give_up_head)

    def _give_up_head(self) -> None:
        self._awaiting_head = None
        if self._head_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
            self.transport.write(head.encode("ascii"))
            self.transport.close()

    def _give_up_unread(self, before: int) -> None:
        """Cut the connection if nothing of the answer was taken meanwhile."""
        self._lingering = None
        unread = self.transport.get_write_buffer_size()
        if unread == before:
            self.transport.abort()
        elif unread:
            self._lingering = self.loop.call_later(self._patience.unread_s, self._give_up_unread, unread)
