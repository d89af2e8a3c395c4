"""What the environment decides for the catalog."""

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from modelbus.catalog.clients.issuer import IssuerSettings
from modelbus.catalog.domain.health import Terms
from modelbus.catalog.domain.sessions import Lifetimes
from modelbus.chassis.settings import DatabaseSettings, MasterKeySettings, ServiceSettings

CALLBACK = "/api/v1/auth/oidc/callback"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Settings(ServiceSettings, DatabaseSettings, MasterKeySettings):
    """Settings of the catalog."""

    port: int = Field(default=8000, ge=0, le=65535)
    sync_url: str = "http://127.0.0.1:8002"
    integrity_url: str = "http://127.0.0.1:8003"
    """Asked only where somebody saves with `?check=true`."""
    history_days: int = Field(default=7, ge=1)
    """How long the feed can serve changes one by one; after that it takes a snapshot."""
    max_document_bytes: int = Field(default=256 * 1024 * 1024, gt=0)
    """Longest body of a restore."""
    max_import_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    """Longest body of an import."""
    unhealthy_after_s: float = Field(default=300.0, ge=0)
    """A source that is down for so long is out of service until it is well again; 0 leaves it in."""
    health_expires_s: float = Field(default=900.0, gt=0)
    """What an observer sees is forgotten when nobody repeats it for so long."""
    default_labels: bool = True
    """Whether the catalog begins with some capabilities and tags."""
    access_token_s: int = Field(default=600, ge=30, le=3600)
    """Seconds that an access token is good."""
    session_s: int = Field(default=43_200, ge=60, le=2_592_000)
    """Seconds after which one has to sign in again."""
    signing_key_days: int = Field(default=30, ge=1, le=3650)
    """Days until another key signs."""
    trusted_proxies: str = ""
    """Networks of our own proxies, with commas between; what they say of a caller's address is believed."""
    public_url: str = "http://127.0.0.1:8000"
    """Where browsers find the catalog; the issuer sends them back there."""
    oidc_issuer: str | None = None
    """URL of the OpenID Connect issuer, exactly as it calls itself."""
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    oidc_role_claim: str = "roles"
    """Which claim says what somebody may do; dots lead into it."""
    oidc_roles: dict[str, Literal["viewer", "editor", "admin"]] = Field(
        default={"modelbus-viewer": "viewer", "modelbus-editor": "editor", "modelbus-admin": "admin"}
    )
    """Which value of the claim means which role, as JSON."""
    oidc_bearer_audience: str | None = None
    """Where set, the issuer's tokens for this audience are bearer tokens of the catalog."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.oidc_issuer is not None:
            if self.oidc_client_id is None:
                raise ValueError("MODELBUS_OIDC_ISSUER needs MODELBUS_OIDC_CLIENT_ID")
            url = urlsplit(self.oidc_issuer)
            if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
                raise ValueError("MODELBUS_OIDC_ISSUER must be an https URL")
        self.proxies()
        return self

    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """Answer the networks of our own proxies."""
        return tuple(ip_network(each.strip()) for each in self.trusted_proxies.split(",") if each.strip())

    def lifetimes(self) -> Lifetimes:
        """Answer how long what proves an identity is good."""
        return Lifetimes(
            access=timedelta(seconds=self.access_token_s),
            session=timedelta(seconds=self.session_s),
            signing_key=timedelta(days=self.signing_key_days),
        )

    def health_terms(self) -> Terms:
        """Answer what is made of what observers see."""
        return Terms(timedelta(seconds=self.unhealthy_after_s), timedelta(seconds=self.health_expires_s))

    def issuer(self) -> IssuerSettings | None:
        """Answer who the issuer is, if there is one."""
        if self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        secret = self.oidc_client_secret
        return IssuerSettings(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            client_secret=None if secret is None else secret.get_secret_value(),
            redirect_url=self.public_url.rstrip("/") + CALLBACK,
            role_claim=self.oidc_role_claim,
            roles=dict(self.oidc_roles),
            bearer_audience=self.oidc_bearer_audience,
        )
