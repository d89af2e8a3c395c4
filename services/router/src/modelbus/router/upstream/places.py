"""Where a URL leads: the origin that connections are made to and kept for, and the target of the request there."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from modelbus.router.domain.errors import UnreachableError

_PORTS = {"http": 80, "https": 443}
_PRINTABLE_FROM, _PRINTABLE_TO = "!", "~"


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, host and port; connections to local suppliers are never lent to others."""

    is_tls: bool
    host: str
    """A name in ASCII or an address, without brackets."""
    port: int
    is_local: bool

    @property
    def authority(self) -> str:
        """Host and port as the Host header has them; a scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.is_tls else "http"] else f"{host}:{self.port}"


@lru_cache(4096)
def place_of(url: str, *, is_local: bool) -> tuple[Origin, str]:
    """Split a URL into the origin and the request target, which are as they go over the wire.

    Raises:
        UnreachableError: no host can be made of it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii") if ":" not in url_host(parts) else url_host(parts)
    except (UnicodeError, ValueError) as error:
        raise UnreachableError("not reachable", "the URL names no host") from error
    if parts.scheme not in _PORTS or not host or not _is_plain(url):
        raise UnreachableError("not reachable", "the URL names no host")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    is_tls = parts.scheme == "https"
    return Origin(is_tls, host, port or _PORTS[parts.scheme], is_local), target


def url_host(parts: object) -> str:
    """Answer the host of a split URL; of an IPv6 address without its brackets."""
    host: str | None = getattr(parts, "hostname", None)
    return host or ""


def _is_plain(url: str) -> bool:
    """Tell whether the URL has only characters that can stand in a request line; anything else could forge one."""
    return all(_PRINTABLE_FROM <= character <= _PRINTABLE_TO for character in url)
