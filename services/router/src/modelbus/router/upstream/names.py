"""The addresses of hosts: looked up once for all who ask, and kept for when whoever knows them does not answer."""

import asyncio
import socket
from dataclasses import dataclass, field
from itertools import zip_longest

KEPT_S = 30.0
PATIENCE_S = 0.5
"""A lookup gets that long before the addresses that were known last are used (RFC 8767)."""
_AGAIN_S = 5.0
"""After a lookup that failed they are used for that long before there is another."""

type _Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: list[str]
    until: float


@dataclass(slots=True)
class Names:
    """Resolves names with the system's resolver.

    That can't be told to stop, and answers few at a time: a host whose name servers hang must not have a lookup for
    each request, or those of all other hosts would wait behind them.
    """

    _known: dict[_Place, _Known] = field(default_factory=dict)
    _asked: dict[_Place, tuple[asyncio.Task[list[str]], float]] = field(default_factory=dict)
    """The lookup that is under way for a host, and the loop time when it began."""

    async def addresses(self, host: str, port: int) -> list[str]:
        """Answer where the host is, the resolver's first choice first, the families in turns.

        Raises:
            OSError: it has no address that is known.
        """
        place, loop = (host, port), asyncio.get_running_loop()
        known = self._known.get(place)
        if known is not None and loop.time() < known.until:
            return known.addresses
        asked, begun = self._asked.get(place) or self._ask(place)
        if known is None:
            return await asyncio.shield(asked)
        await asyncio.wait([asked], timeout=max(0.0, begun + PATIENCE_S - loop.time()))
        return self._known[place].addresses

    def _ask(self, place: _Place) -> tuple[asyncio.Task[list[str]], float]:
        loop = asyncio.get_running_loop()
        asked = loop.create_task(_resolve(*place))
        self._asked[place] = asked, loop.time()

        def note(asked: asyncio.Task[list[str]]) -> None:
            del self._asked[place]
            if asked.cancelled():
                return
            if asked.exception() is None:
                self._known[place] = _Known(asked.result(), loop.time() + KEPT_S)
            elif known := self._known.get(place):
                self._known[place] = _Known(known.addresses, loop.time() + _AGAIN_S)

        asked.add_done_callback(note)
        return self._asked[place]


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    first = [str(place[0]) for family, _, _, _, place in found if family == found[0][0]]
    others = [str(place[0]) for family, _, _, _, place in found if family != found[0][0]]
    # Families in turns, beginning with the resolver's first (RFC 8305, section 4).
    return list(dict.fromkeys(each for pair in zip_longest(first, others) for each in pair if each is not None))
