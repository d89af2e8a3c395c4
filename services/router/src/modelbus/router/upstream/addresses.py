"""The address guard: whatever a supplier's host resolves to is checked where the connection is made."""

import socket

from aiohttp import AddrInfoType

from modelbus.chassis.addresses import why_refused


class AddressRefusedError(PermissionError):
    """The address is no supplier's."""


def guarded_socket(address: AddrInfoType, *, is_local: bool) -> socket.socket:
    """Make the socket for a connection to this address.

    Raises:
        AddressRefusedError: the supplier may not be there.
    """
    family, kind, protocol, _, endpoint = address
    if reason := why_refused(str(endpoint[0]), is_local=is_local):
        raise AddressRefusedError(f"the host leads to {reason}")
    return socket.socket(family, kind, protocol)
