"""The wire carries an answer, or does with the connection what the fault says."""

import asyncio
import json
import socket
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress

from aiohttp import web

from modelbus.simulator.answers import Answer, Event, Part, data_event
from modelbus.simulator.exchanges import Exchange
from modelbus.simulator.faults import Fault

_PADDING_CHUNK = b" " * 64 * 1024
_GZIP = 16 + zlib.MAX_WBITS
_EVENTS_AT_A_STRETCH = 64
_BODILESS = (204, 304)
_SLOW_WRITES_PER_SECOND = 20


class _ConnectionEnded(Exception):  # noqa: N818 - a planned end of the way, no error
    """The fault has ended the connection."""


class Wire:
    """One answer's way to the caller."""

    def __init__(self, request: web.Request, fault: Fault, exchange: Exchange) -> None:
        self._request = request
        self._fault = fault
        self._exchange = exchange
        self._response: web.StreamResponse = web.Response()

    async def send(self, answer: Answer) -> web.StreamResponse:
        """Send the answer with all that the fault does to it."""
        # Where the connection was ended, the server finds it closed and adds nothing to what was sent.
        with suppress(_ConnectionEnded):
            await self._send(answer)
        return self._response

    async def _send(self, answer: Answer) -> None:
        fault = self._fault
        await _pause(fault.latency_ms / 1000)
        if fault.reset_before_headers:
            self._reset()
        if fault.accept_and_hang:
            await self._hang()
        if fault.huge_body_bytes is not None:
            await self._send_padding(fault.huge_body_bytes, is_streamed=answer.events is not None)
        elif fault.gzip_bomb_bytes is not None:
            await self._send_gzip_bomb(fault.gzip_bomb_bytes)
        elif answer.events is not None:
            await self._send_events(answer)
        else:
            await self._send_body(answer)
        await self._response.write_eof()

    async def _begin(self, answer: Answer, length: int | None = None) -> None:
        headers = {"Content-Type": answer.content_type, **answer.headers, **(self._fault.headers or {})}
        if self._fault.content_type is not None:
            headers["Content-Type"] = self._fault.content_type
        self._response = web.StreamResponse(status=answer.status, headers=headers)
        self._response.content_length = length
        self._exchange.status = answer.status
        await self._response.prepare(self._request)
        if self._fault.hang_after_headers:
            await self._hang()

    async def _write(self, wire: bytes) -> None:
        rate = self._fault.slow_body_bytes_per_second
        if rate is None:
            await self._response.write(wire)
            return
        step = max(1, int(rate / _SLOW_WRITES_PER_SECOND))
        for position in range(0, len(wire), step):
            piece = wire[position : position + step]
            await self._response.write(piece)
            await asyncio.sleep(len(piece) / rate)

    def _reset(self) -> None:
        transport = self._request.transport
        if transport is not None:
            # A linger of zero makes the kernel send RST instead of FIN.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        raise _ConnectionEnded

    def _cut(self) -> None:
        # Closing, unlike aborting, lets the last written tokens arrive: the caller sees exactly so many.
        if self._request.transport is not None:
            self._request.transport.close()
        raise _ConnectionEnded

    async def _hang(self) -> None:
        await asyncio.sleep(self._fault.hang_seconds)
        self._cut()

    async def _send_body(self, answer: Answer) -> None:
        fault = self._fault
        body = b"" if answer.status in _BODILESS else self._damaged_body(answer.body)
        if answer.tokens:
            between = (answer.tokens - 1) / fault.tokens_per_second if fault.tokens_per_second else 0
            await _pause(fault.first_token_ms / 1000 + between)
        await self._begin(answer, len(body))
        if fault.cut_after_tokens is not None:
            await self._write(body[: _share(fault.cut_after_tokens, answer.tokens, len(body))])
            self._cut()
        if fault.stall_after_tokens is not None:
            end = _share(fault.stall_after_tokens, answer.tokens, len(body))
            await self._write(body[:end])
            await asyncio.sleep(fault.stall_seconds)
            body = body[end:]
        await self._write(body)

    def _damaged_body(self, body: bytes) -> bytes:
        if self._fault.invalid_json:
            return b"{not json}"
        return body[: len(body) // 2] if self._fault.truncated_json else body

    async def _send_events(self, answer: Answer) -> None:
        await self._begin(answer)
        pace = _Pace(self._fault)
        stall_at = self._fault.stall_after_tokens
        tokens = 0
        for event in answer.events or ():
            if _is_due(self._fault.cut_after_tokens, event, tokens):
                self._cut()
            if _is_due(self._fault.error_after_tokens, event, tokens):
                await self._write(answer.stream_error)
                return
            if _is_due(stall_at, event, tokens):
                stall_at = None
                await asyncio.sleep(self._fault.stall_seconds)
            if event.part is Part.TOKEN:
                tokens += 1
                await pace.keep(tokens)
            if not self._is_missing(event):
                await self._write(self._damaged_event(event, tokens))

    def _is_missing(self, event: Event) -> bool:
        if event.part is Part.DONE:
            return self._fault.missing_done
        return event.part is Part.FINISH_REASON and self._fault.missing_finish_reason

    def _damaged_event(self, event: Event, tokens: int) -> bytes:
        fault = self._fault
        if event.part is not Part.TOKEN:
            return event.wire
        if fault.invalid_json and tokens == 1:
            return b"data: {not json}\n\n"
        if tokens == fault.malformed_chunk_at or (fault.truncated_json and tokens == 1):
            return event.wire[: len(event.wire) * 2 // 3] + b"\n\n"
        return event.wire

    async def _send_padding(self, size: int, *, is_streamed: bool) -> None:
        frame = _padding_frame(is_streamed=is_streamed)
        await self._begin(Answer(content_type="text/event-stream" if is_streamed else "application/json"))
        for chunk in _padding(frame, size):
            await self._write(chunk)
            await asyncio.sleep(0)

    async def _send_gzip_bomb(self, size: int) -> None:
        await self._begin(Answer(headers={"Content-Encoding": "gzip"}))
        squeeze = zlib.compressobj(wbits=_GZIP)
        for chunk in _padding(_padding_frame(is_streamed=False), size):
            if squeezed := squeeze.compress(chunk):
                await self._write(squeezed)
            await asyncio.sleep(0)
        await self._write(squeeze.flush())


class _Pace:
    """Keeps tokens to a schedule, so that short sleeps don't add up to a slower stream than was asked for."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._first_at = 0.0

    async def keep(self, token: int) -> None:
        """Wait until it is time for this token, counted from 1."""
        clock = asyncio.get_running_loop().time
        if token == 1:
            await _pause(self._fault.first_token_ms / 1000)
            self._first_at = clock()
        elif self._fault.tokens_per_second:
            await _pause(self._first_at + (token - 1) / self._fault.tokens_per_second - clock())
        if token % _EVENTS_AT_A_STRETCH == 0:
            # Writing rarely waits: without this a long reply would keep every other caller waiting.
            await asyncio.sleep(0)


async def _pause(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _is_due(after: int | None, event: Event, tokens: int) -> bool:
    """After so many tokens, or where a shorter reply ends; what opens the stream always goes out."""
    if after is None or event.part is Part.OPENING:
        return False
    return tokens >= after or event.part is not Part.TOKEN


def _share(tokens: int, of: int, size: int) -> int:
    """How many bytes of a body stand for so many of its tokens; never all of them, halfway if it has none."""
    if of:
        return max(min(size * tokens // of, size - 1), 0)
    return size // 2 if tokens else 0


def _padding_frame(*, is_streamed: bool) -> tuple[bytes, bytes]:
    frame = data_event({"padding": ""}) if is_streamed else json.dumps({"padding": ""}).encode()
    middle = frame.rindex(b'"')
    return frame[:middle], frame[middle:]


def _padding(frame: tuple[bytes, bytes], size: int) -> Iterator[bytes]:
    """Valid JSON of this many bytes, in chunks; never less than its frame."""
    before, after = frame
    yield before
    left = size - len(before) - len(after)
    while left > 0:
        yield _PADDING_CHUNK[:left]
        left -= len(_PADDING_CHUNK)
    yield after
