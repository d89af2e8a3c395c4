"""Reading the caller's body, within limits of length and time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.types import Receive

from modelbus.router.domain.errors import BodyTooLargeError, BodyTooSlowError, CallerGoneError
from modelbus.router.ingress.watch import Caller


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """How long a body may be, in bytes, and how long it may take, in seconds."""

    most_bytes: int
    within_s: float


async def read_body(receive: Receive, caller: Caller, headers: Mapping[bytes, bytes], limits: BodyLimits) -> bytes:
    """Read the body whole.

    Raises:
        BodyTooLargeError: it is too long, by what is announced or by what came.
        BodyTooSlowError: it does not come in time.
        CallerGoneError: the caller left meanwhile.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limits.most_bytes:
        raise _too_large(limits)
    if caller.has_whole_request:
        # Most bodies come together with their head, and nobody has to look at the clock.
        return await _read(receive, limits)
    try:
        async with asyncio.timeout(limits.within_s):
            return await _read(receive, limits)
    except TimeoutError as error:
        raise BodyTooSlowError(f"the body did not arrive within {limits.within_s:g} seconds") from error


async def _read(receive: Receive, limits: BodyLimits) -> bytes:
    pieces, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        piece = message.get("body", b"")
        size += len(piece)
        if size > limits.most_bytes:
            raise _too_large(limits)
        pieces.append(piece)
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _too_large(limits: BodyLimits) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body may have at most {limits.most_bytes} bytes")
