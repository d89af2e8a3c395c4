"""What the environment decides for sync; read once, by app.py."""

from pydantic import Field

from modelbus.chassis.settings import DatabaseSettings, MasterKeySettings, ServiceSettings


class Settings(ServiceSettings, DatabaseSettings, MasterKeySettings):
    """Settings of sync, read from `MODELBUS_*`."""

    port: int = Field(default=8002, ge=0, le=65535)
    catalog_url: str = "http://127.0.0.1:8000"
    sync_workers: int = Field(default=4, ge=1, le=64)
    """Suppliers that one process asks at a time."""
    sync_lease_s: float = Field(default=30.0, gt=0)
    """A run whose worker has died is taken up again after so many seconds."""
    fetch_max_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    """Largest listing, after decompression."""
    fetch_connect_s: float = Field(default=5.0, gt=0)
    fetch_read_s: float = Field(default=20.0, gt=0)
    """Longest silence within an answer."""
    fetch_deadline_s: float = Field(default=90.0, gt=0)
    """For one listing, with all tries and pauses."""
    fetch_tries: int = Field(default=4, ge=1, le=20)
    fetch_first_pause_s: float = Field(default=0.5, gt=0)
    """Before the second try; doubles from there on."""
    guard_most_lost_share: float = Field(default=0.6, ge=0, le=1)
    """A listing that lacks more of the models of the one before waits for an administrator."""
    guard_most_growth: float = Field(default=3.0, gt=1)
    """So does one that has so many times as many."""
    guard_most_doubles: int = Field(default=0, ge=0)
    """And one in which more entries have an id that was listed before."""
    price_jump_factor: float = Field(default=100.0, gt=1)
    """A price that moves by more than this, either way, waits for an administrator."""
