"""What opens the bus: user, password and authority, from the URL or from settings of their own."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from faststream.nats.security import NatsSecurity, NatsUserPassword

from modelbus.contracts.bus_users import inbox_prefix


@dataclass(frozen=True, slots=True)
class BusAccess:
    """Servers of one cluster, and as whom they are entered."""

    servers: tuple[str, ...]
    """Without credentials: what is logged or shown in an error may hold these."""
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    """Certificates of the authorities that are believed; where set, a server without TLS is not used."""

    @property
    def inbox_prefix(self) -> str:
        """Answer where our answers arrive."""
        return inbox_prefix(self.user)

    @property
    def needs_tls(self) -> bool:
        """Tell whether a server without TLS must not be used."""
        return self.ca_file is not None or any(each.startswith("tls://") for each in self.servers)

    def context(self) -> ssl.SSLContext | None:
        """Answer how the servers prove who they are; None leaves it to the URL.

        Raises:
            ValueError: the file can't be read or holds no certificate.
        """
        if self.ca_file is None:
            return None
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            # An SSLError is one too.
            raise ValueError(f"MODELBUS_NATS_CA_FILE: {self.ca_file} is no file of certificates: {error}") from error

    def security(self) -> NatsSecurity | None:
        """Answer it as the broker takes it."""
        if self.user is not None:
            return NatsUserPassword(self.user, self.password or "", ssl_context=self.context())
        return None if self.ca_file is None else NatsSecurity(ssl_context=self.context())


def bus_access(
    url: str, *, user: str | None = None, password: str | None = None, ca_file: Path | None = None
) -> BusAccess:
    """Read one URL, or several with commas between; settings of their own go before what the first URL says.

    Raises:
        ValueError: there is a user without a password, or the other way round.
    """
    parts = [urlsplit(each if "://" in each else f"nats://{each}") for each in url.split(",")]
    if user is None and password is None and parts[0].username is not None:
        user, password = unquote(parts[0].username), unquote(parts[0].password or "")
    if (user is None) != (password is None):
        raise ValueError("MODELBUS_NATS_USER and MODELBUS_NATS_PASSWORD go together")
    servers = tuple(urlunsplit(each._replace(netloc=each.netloc.rpartition("@")[2])) for each in parts)
    return BusAccess(servers, user, password, ca_file)
