"""What the environment decides for every service; each service adds its own and reads them once, in app.py."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from modelbus.chassis.bus_access import BusAccess, BusTls, bus_access
from modelbus.chassis.environment import Environment
from modelbus.chassis.topology import Keeping
from modelbus.contracts.bus import USAGE

LEAST_USAGE_BYTES = 16 * 1024 * 1024
"""Some batches of usage of each of many routers."""


class BusSettings(Environment):
    """Where the bus is and what opens it; for services, and for the step that lays streams and consumers."""

    nats_url: SecretStr = SecretStr("nats://127.0.0.1:4222")
    """One URL, or several of one cluster with commas between; it may hold user and password."""
    nats_user: str | None = None
    nats_password: SecretStr | None = None
    nats_ca_file: Path | None = None
    """Certificates of the authorities that sign the servers' ones; where set, a server without TLS is refused."""
    nats_cert_file: Path | None = None
    """Our own certificate, for servers that ask for one."""
    nats_key_file: Path | None = None
    """The key to it; without it the certificate's file holds it."""
    nats_tls_first: bool = False
    """Whether TLS begins before anything is said, so that nobody between hears a password; as the server is told."""
    nats_replicas: int = Field(default=1, ge=1, le=5)
    """On how many nodes of a cluster each stream is kept; 3 where there are three."""
    nats_usage_bytes: int = Field(default=USAGE.max_bytes, ge=LEAST_USAGE_BYTES)
    """How much usage waits on the bus for who hears it; beyond that the oldest goes."""

    def access(self) -> BusAccess:
        """Answer it all together.

        Raises:
            ValueError: user and password don't go together, or the URL is none.
        """
        password = None if self.nats_password is None else self.nats_password.get_secret_value()
        tls = BusTls(self.nats_ca_file, self.nats_cert_file, self.nats_key_file, self.nats_tls_first)
        return bus_access(self.nats_url.get_secret_value(), user=self.nats_user, password=password, tls=tls)

    def keeping(self) -> Keeping:
        """Answer how streams are kept."""
        return Keeping(self.nats_replicas, self.nats_usage_bytes)


class TraceSettings(Environment):
    """Where spans are told."""

    traces_url: str | None = Field(default=None, pattern=r"^https?://[^\s]+$")
    """OTLP over HTTP, without `/v1/traces`; where it is not set nothing is told."""
    traces_share: float = Field(default=0.1, ge=0, le=1)
    """Share of the traces that begin here; who goes on with a trace of others does as they decided."""


class ServiceSettings(BusSettings, TraceSettings):
    """Settings that all services share; read from `MODELBUS_*`."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    admin_token: SecretStr = Field(min_length=16)
    """Bearer token of the administrator."""
    admin_token_accepted: bool = True
    """Whether it opens anything; off once there are users."""
    service_token: SecretStr = Field(min_length=16)
    """Bearer token that services show one another; it opens the feed and the claim check only."""
    state_dir: Path = Path(".modelbus/state")
    """A directory of this service alone, for what must outlive the process outside the database."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "pretty"] = "json"
    shutdown_s: float = Field(default=8.0, gt=0)
    """Seconds that running requests get to end after SIGTERM."""
    metrics_token: SecretStr | None = Field(default=None, min_length=16)
    """Bearer token that opens /metrics; without one everybody may read it who can reach it."""
    max_body_bytes: int = Field(default=1024 * 1024, gt=0)
    head_s: float = Field(default=15.0, gt=0)
    """Longest wait for a caller's request to begin and for the end of its headers."""


class DatabaseSettings(Environment):
    """What a service with tables of its own needs in addition, and all that its migration needs."""

    database_url: SecretStr
    """postgresql://role:password@host:port/database; the role owns the schema of its service."""
    database_pool: int = Field(default=10, ge=1)
    migration_wait_s: float = Field(default=60.0, gt=0)
    """How long a migration tries to get the locks that it needs, for two seconds at a time."""
    migration_statement_s: float = Field(default=600.0, gt=0)
    """Longest time for one statement of a migration."""


class MasterKeySettings(Environment):
    """The keys that seal secrets; for services that seal or open them."""

    master_keys: SecretStr
    """Fernet keys with commas between; the first seals, all open."""


class ProvisionSettings(Environment):
    """What the step that makes database, roles and schemas needs."""

    superuser_url: SecretStr
    role_passwords: SecretStr
    """JSON: each service and the password of its role."""
