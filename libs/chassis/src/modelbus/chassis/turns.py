"""Reading from the bus in turns with everything else there is to do."""

import asyncio
from typing import Any

from nats.aio.client import Client

_SLICE_BYTES = 8 * 1024
"""About a dozen events, which take the client half a millisecond."""


def read_in_turns(client: Client) -> None:
    """Give the loop a turn after each slice of what the client reads, whatever comes and however often it reconnects.

    In a storm the client has hundreds of events at a time, and hands all of them to their subscriptions before anybody
    else has a turn; a request needs several turns, and would wait as long at each.
    """
    parser: Any = client._ps  # noqa: SLF001 - the client lets nobody between its socket and its parser
    parse = parser.parse

    async def parse_in_turns(data: bytes = b"") -> None:
        for begin in range(0, len(data), _SLICE_BYTES):
            await parse(data[begin : begin + _SLICE_BYTES])
            if len(data) > _SLICE_BYTES:
                await asyncio.sleep(0)

    parser.parse = parse_in_turns
