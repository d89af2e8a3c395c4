"""What the environment decides for integrity."""

from pydantic import Field

from modelbus.chassis.settings import DatabaseSettings, ServiceSettings


class Settings(ServiceSettings, DatabaseSettings):
    """Settings of the running service."""

    port: int = Field(default=8003, ge=0, le=65535)
    catalog_url: str = Field(default="http://127.0.0.1:8000", pattern=r"^https?://[^/\s]+/?$")
    """Scheme, host and port of the catalog."""
