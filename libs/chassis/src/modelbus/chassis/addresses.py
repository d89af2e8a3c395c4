"""Which addresses a supplier may have: the internet's, unless it is marked as local; nobody's are link-local ones."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

_NAT64 = IPv6Network("64:ff9b::/96")


def why_refused(address: str, *, is_local: bool) -> str | None:
    """Say why a supplier may not be there, as in "the host leads to ..."; None if it may.

    Link-local addresses, where clouds serve their machines' secrets, are refused even to local suppliers.
    """
    outer = ip_address(address)
    for each in {outer, _embedded(outer)}:
        if each.is_link_local or each.is_multicast:
            return f"{address}, an address that is no supplier's"
        if not is_local and not each.is_global:
            return f"the private address {address}; only a supplier marked as local may have one"
    return None


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Answer the IPv4 address that is reached in truth, where an IPv6 address carries one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
