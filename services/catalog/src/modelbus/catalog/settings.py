"""What the environment decides for the catalog."""

from pydantic import Field

from modelbus.chassis.settings import DatabaseSettings, MasterKeySettings, ServiceSettings


class Settings(ServiceSettings, DatabaseSettings, MasterKeySettings):
    """Settings of the catalog."""

    port: int = Field(default=8000, ge=0, le=65535)
    sync_url: str = "http://127.0.0.1:8002"
    history_days: int = Field(default=7, ge=1)
    """How long the feed can serve changes one by one; after that it takes a snapshot."""
