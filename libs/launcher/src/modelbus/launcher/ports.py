"""Ports: who listens where, and whether we can."""

import errno
import socket
from collections.abc import Mapping

from modelbus.launcher.errors import BadSettingError, PortInUseError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as asked:
        asked.bind((LOOPBACK, 0))
        return int(asked.getsockname()[1])


def check_free(name: str, host: str, port: int) -> None:
    """Raise PortInUseError if somebody listens there; connections that are only fading away don't count."""
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address[4])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUseError(name, port) from error
        raise BadSettingError(f"{name} can't listen on {host}:{port}: {error.strerror}.") from error


def check_distinct(ports: Mapping[str, int]) -> None:
    """Raise BadSettingError if two of our own would listen on the same port."""
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if port in taken:
            raise BadSettingError(
                f"{taken[port]} and {name} have the same port {port}: set MODELBUS_{name.upper()}_PORT."
            )
        taken[port] = name
