"""Ports: who listens where, and whether we can."""

import errno
import socket
from collections.abc import Mapping
from contextlib import suppress
from random import SystemRandom

from modelbus.launcher.errors import BadSettingError, PortInUseError

LOOPBACK = "127.0.0.1"
OFFERED = range(20_000, 32_000)
"""Below the ports that a system gives to whoever connects or asks for any: none of them is taken by the way."""


def free_port() -> int:
    """Return a port that nobody listens on now, and that nobody is likely to have taken once a program listens."""
    while True:
        port = SystemRandom().choice(OFFERED)
        with socket.socket() as asked, suppress(OSError):
            asked.bind((LOOPBACK, port))
            return port


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
