"""What opens the bus: user, password and authority, from the URL or from settings of their own."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from modelbus.contracts.bus_users import inbox_prefix

_WEB_SOCKETS = {"ws", "wss"}


@dataclass(frozen=True, slots=True)
class BusTls:
    """How servers prove who they are, and we to them; where anything is set, a server without TLS is not used."""

    ca_file: Path | None = None
    """Certificates of the authorities that are believed; without it those that the system knows."""
    cert_file: Path | None = None
    """Our own certificate, for servers that ask for one."""
    key_file: Path | None = None
    """The key to it; without it the certificate's file holds it."""
    is_first: bool = False
    """Whether nothing at all is said in the clear; the server must be told so too."""

    def context(self) -> ssl.SSLContext | None:
        """Answer it as Python takes it; None where nothing is set, which leaves it to the URL.

        Raises:
            ValueError: a file can't be read, or holds no certificate or not the key to it.
        """
        if self == BusTls():
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            # An SSLError is one too.
            raise ValueError(f"MODELBUS_NATS_CA_FILE: {self.ca_file} is no file of certificates: {error}") from error
        self._show(context)
        return context

    def _show(self, context: ssl.SSLContext) -> None:
        if self.cert_file is None:
            if self.key_file is not None:
                raise ValueError("MODELBUS_NATS_KEY_FILE is the key to a certificate: set MODELBUS_NATS_CERT_FILE too")
            return
        try:
            context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:
            raise ValueError(
                f"MODELBUS_NATS_CERT_FILE: {self.cert_file} is no certificate with its key "
                f"(MODELBUS_NATS_KEY_FILE: {self.key_file}): {error}"
            ) from error


@dataclass(frozen=True, slots=True)
class BusAccess:
    """Servers of one cluster, and as whom they are entered."""

    servers: tuple[str, ...]
    """Without credentials: what is logged or shown in an error may hold these."""
    user: str | None = None
    password: str | None = None
    tls: BusTls = BusTls()

    @property
    def inbox_prefix(self) -> str:
        """Answer where our answers arrive."""
        return inbox_prefix(self.user)

    @property
    def needs_tls(self) -> bool:
        """Tell whether a server without TLS must not be used."""
        return self.tls != BusTls() or any(each.startswith("tls://") for each in self.servers)


def bus_access(url: str, *, user: str | None = None, password: str | None = None, tls: BusTls = BusTls()) -> BusAccess:
    """Read one URL, or several with commas between; settings of their own go before what the first URL says.

    Raises:
        ValueError: there is a user without a password, or the other way round, a server is to be entered by a
            WebSocket, or something is no URL.
    """
    parts = [_split(each if "://" in each else f"nats://{each}") for each in url.split(",")]
    if any(each.scheme in _WEB_SOCKETS for each in parts):
        raise ValueError(
            "MODELBUS_NATS_URL: must begin with nats:// or tls://; services don't speak through WebSockets"
        )
    if user is None and password is None and parts[0].username is not None:
        user, password = unquote(parts[0].username), unquote(parts[0].password or "")
    if (user is None) != (password is None):
        raise ValueError("MODELBUS_NATS_USER and MODELBUS_NATS_PASSWORD go together")
    servers = tuple(urlunsplit(each._replace(netloc=each.netloc.rpartition("@")[2])) for each in parts)
    return BusAccess(servers, user, password, tls)


def _split(url: str) -> SplitResult:
    """Take a URL apart; one that can't be right is not repeated in the error, as it may hold a password."""
    wrong = ValueError(
        "MODELBUS_NATS_URL: must be nats://host:port or nats://user:password@host:port, with %XX for each sign of user "
        "and password that is no letter or digit; MODELBUS_NATS_USER and MODELBUS_NATS_PASSWORD take them as they are"
    )
    try:
        parts = urlsplit(url)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Without its cause, which names what was wrong.
        raise wrong from None
    # A slash or the like in a password ends the host for who reads the URL, and the rest would count as no secret.
    if not is_whole or parts.path.strip("/") or parts.query or parts.fragment:
        raise wrong
    return parts
