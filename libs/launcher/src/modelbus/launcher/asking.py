"""GET by hand, as an HTTP client takes longer to load than all services to answer."""

import socket
from urllib.parse import urlsplit


def answers(url: str) -> bool:
    """Say whether a GET answers 200."""
    return ask(url).startswith("HTTP/1.1 200")


def ask(url: str) -> str:
    """Return the whole answer to a GET, head and body; empty where nobody answers within a second."""
    address = urlsplit(url)
    request = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
    said = b""
    try:
        with socket.create_connection((address.hostname or "", address.port or 80), timeout=1) as connection:
            connection.sendall(request.encode())
            while heard := connection.recv(65536):
                said += heard
    except OSError:
        return ""
    return said.decode(errors="replace")
