"""Where a request comes from: the address that the connection has, or that a proxy of ours has seen."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated

from fastapi import Depends, Request

type Networks = Sequence[IPv4Network | IPv6Network]

UNKNOWN = "unknown"
IPV6_HOST_PREFIX = 64
"""One household or server has that many addresses: they count as one."""


def address_of(peer: str | None, forwarded: str, trusted: Networks) -> str:
    """Answer the last address that none of our proxies has; further left in the header anybody may write anything."""
    seen = [each.strip() for each in forwarded.split(",") if each.strip()]
    address = peer
    while seen and _is_among(address, trusted):
        address = seen.pop()
    return _canonical(address)


def _is_among(address: str | None, networks: Networks) -> bool:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _canonical(address: str | None) -> str:
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, IPV6_HOST_PREFIX), strict=False))
    return str(parsed)


async def _of_request(request: Request) -> str:
    peer = None if request.client is None else request.client.host
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    return address_of(peer, forwarded, request.app.state.trusted_proxies)


Address = Annotated[str, Depends(_of_request)]
"""Where the request comes from."""
