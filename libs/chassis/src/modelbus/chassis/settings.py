"""What the environment decides for every service; each service adds its own and reads them once, in app.py."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Settings that all services share; read from `MODELBUS_*`."""

    model_config = SettingsConfigDict(env_prefix="MODELBUS_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    nats_url: str = "nats://127.0.0.1:4222"
    """One URL, or several of one cluster with commas between."""
    admin_token: SecretStr = Field(min_length=16)
    """Bearer token of the administrator."""
    service_token: SecretStr = Field(min_length=16)
    """Bearer token that services show one another; it opens the feed and the claim check only."""
    state_dir: Path = Path(".modelbus/state")
    """A directory of this service alone, for what must outlive the process outside the database."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "pretty"] = "json"
    shutdown_s: float = Field(default=8.0, gt=0)
    """Seconds that running requests get to end after SIGTERM."""
    max_body_bytes: int = Field(default=1024 * 1024, gt=0)


class DatabaseSettings(BaseSettings):
    """What a service with tables of its own needs in addition, and all that its migration needs."""

    model_config = SettingsConfigDict(env_prefix="MODELBUS_", frozen=True, extra="ignore")

    database_url: SecretStr
    """postgresql://role:password@host:port/database; the role owns the schema of its service."""
    database_pool: int = Field(default=10, ge=1)


class MasterKeySettings(BaseSettings):
    """The keys that seal secrets; for services that seal or open them."""

    model_config = SettingsConfigDict(env_prefix="MODELBUS_", frozen=True, extra="ignore")

    master_keys: SecretStr
    """Fernet keys with commas between; the first seals, all open."""
