"""What the environment decides for the router."""

from typing import Literal, Self

from pydantic import Field, HttpUrl, SecretStr, model_validator

from modelbus.chassis.settings import MasterKeySettings, ServiceSettings
from modelbus.router.domain.verdicts import Resends

_MIB = 1024 * 1024


class Settings(ServiceSettings, MasterKeySettings):
    """Read from `MODELBUS_*`."""

    port: int = Field(default=8001, ge=0, le=65535)
    catalog_url: HttpUrl = HttpUrl("http://127.0.0.1:8000")
    """Where the catalog's feed is."""
    connect_s: float = Field(default=5.0, gt=0)
    """Longest wait for a connection to a supplier."""
    first_byte_s: float = Field(default=120.0, gt=0)
    """Longest wait for the beginning of an answer; one that is not streamed begins when the model has finished."""
    first_token_s: float = Field(default=120.0, gt=0)
    """Longest wait for the first token of a stream, comments and other openings not counted."""
    stall_s: float = Field(default=60.0, gt=0)
    """Longest silence within an answer."""
    total_s: float = Field(default=600.0, gt=0)
    """Longest time for a request with all its attempts, a stream to its end included."""
    resends: Resends = Resends.TEXT
    """Which requests go to another supplier after a time-out, a lost connection or a broken answer, though the first
    may have done, and may bill, the work: `text`, `all` or `none`."""
    body_s: float = Field(default=30.0, gt=0)
    """Longest time that a caller may take to send its body."""
    max_prompt_bytes: int = Field(default=32 * _MIB, gt=0)
    """Longest body of a caller, images included."""
    max_answer_bytes: int = Field(default=32 * _MIB, gt=0)
    """Longest answer that is not streamed."""
    upstream_connections: int = Field(default=1000, gt=0)
    """Connections to all suppliers on the internet together, and as many to local ones; a host gets a quarter."""
    strategy: Literal["priority", "weighted", "round_robin", "least_busy", "lowest_latency", "lowest_cost"] = "priority"
    """How a source is chosen where the catalog names no cost strategy."""
    spool_bytes: int = Field(default=1024 * _MIB, gt=0)
    """Usage that may wait on disk while the bus is away, about 200 bytes a request; the oldest goes beyond that."""
    shadow_concurrency: int = Field(default=32, ge=0, le=1000)
    """Copies to shadows of splits at once; what comes beyond that is not copied. 0 copies nothing."""
    shadow_s: float = Field(default=60.0, gt=0)
    """Longest time for a copy to a shadow."""
    response_cache_bytes: int = Field(default=64 * _MIB, ge=0)
    """Memory for answers that are given again in scopes that want it; 0 keeps none."""
    jwt_issuer: str | None = Field(default=None, min_length=1)
    """Whose signed tokens open the router beside access keys, exactly as they name it (`iss`)."""
    jwt_audience: str | None = Field(default=None, min_length=1)
    """For whom they must be meant (`aud`)."""
    jwt_jwks_url: HttpUrl | None = None
    """Where the issuer publishes its keys; or else there is a secret."""
    jwt_secret: SecretStr | None = Field(default=None, min_length=32)
    """What the issuer signs with by HS256, 32 characters or more."""
    jwt_consumer_claim: str = Field(default="sub", min_length=1)
    """The claim that names the consumer, by its name in the catalog."""
    jwt_tier_claim: str | None = Field(default=None, min_length=1)
    """The claim that may say a lower tier than the consumer's."""
    jwt_scopes_claim: str | None = Field(default=None, min_length=1)
    """The claim that may name the only scopes that are meant, in a list or with blanks between."""

    @model_validator(mode="after")
    def _issuer_is_whole(self) -> Self:
        if self.jwt_issuer is None:
            given = [name for name in ("audience", "jwks_url", "secret") if getattr(self, f"jwt_{name}") is not None]
            if given:
                raise ValueError(f"MODELBUS_JWT_{given[0].upper()} needs MODELBUS_JWT_ISSUER")
            return self
        if self.jwt_audience is None:
            raise ValueError("MODELBUS_JWT_ISSUER needs MODELBUS_JWT_AUDIENCE, or tokens meant for others would open")
        if (self.jwt_jwks_url is None) == (self.jwt_secret is None):
            raise ValueError("MODELBUS_JWT_ISSUER needs either MODELBUS_JWT_JWKS_URL or MODELBUS_JWT_SECRET")
        return self
