"""What the environment decides for sync; read once, by app.py."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from modelbus.chassis.settings import DatabaseSettings, MasterKeySettings, ServiceSettings

_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")


def files_in(told: str) -> dict[str, str]:
    """Read metadata files and their locations from `name=location,name=location`.

    Raises:
        ValueError: it is written otherwise, or names a file twice.
    """
    files: dict[str, str] = {}
    for each in filter(None, (part.strip() for part in told.split(","))):
        name, is_named, location = (part.strip() for part in each.partition("="))
        if not is_named or not location or not _FILE_NAME.fullmatch(name):
            raise ValueError(f"{each!r} must be name=location, where the name has small letters, digits, dots, dashes")
        if name in files:
            raise ValueError(f"{name!r} names two files")
        files[name] = location
    return files


class Settings(ServiceSettings, DatabaseSettings, MasterKeySettings):
    """Settings of sync, read from `MODELBUS_*`."""

    port: int = Field(default=8002, ge=0, le=65535)
    catalog_url: str = "http://127.0.0.1:8000"
    sync_workers: int = Field(default=4, ge=1, le=64)
    """Suppliers that one process asks at a time."""
    sync_lease_s: float = Field(default=30.0, gt=0)
    """A run whose worker has died is taken up again after so many seconds."""
    sync_most_at_once: int = Field(default=16, ge=1, le=1000)
    """Suppliers that all processes together ask at a time."""
    sync_stuck_s: float = Field(default=3600.0, gt=0)
    """A run that has not moved for so long is given up and told."""
    sync_whole_every_s: float = Field(default=86400.0, ge=0)
    """A listing goes to the catalog at least so often, though it be unchanged."""
    sync_raw_kept: int = Field(default=3, ge=0, le=50)
    """Answers of each supplier that are kept as they came, to be read again."""
    sync_raw_max_bytes: int = Field(default=8 * 1024 * 1024, gt=0)
    """Longer ones, once compressed, are not kept."""
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
    probe_interval_s: float = Field(default=60.0, ge=0)
    """Between two looks at a supplier that nobody calls; 0 looks at none."""
    probe_retry_s: float = Field(default=15.0, gt=0)
    """Between a look that showed no answer and the next."""
    probe_timeout_s: float = Field(default=10.0, gt=0)
    """Longest that a look takes."""
    probe_window: int = Field(default=5, ge=1, le=50)
    """As many looks count for the verdict."""
    probe_failures: int = Field(default=3, ge=1, le=50)
    """So many bad ones among them are `down`."""
    probe_successes: int = Field(default=2, ge=1, le=50)
    """So many good ones in a row bring it back."""
    price_jump_factor: float = Field(default=100.0, gt=1)
    """A price that moves by more than this, either way, waits for an administrator."""
    metadata_files: str = ""
    """`name=location` with commas between, the one to be believed first before the others; URLs or paths."""
    metadata_interval_s: float = Field(default=86400.0, ge=1)
    """Between two looks whether a metadata file has changed."""
    metadata_max_bytes: int = Field(default=32 * 1024 * 1024, gt=0)
    """Largest metadata file, after decompression."""
    metadata_local: bool = False
    """Whether a metadata file may be at a loopback or private address."""

    @field_validator("metadata_files")
    @classmethod
    def _names_each_file(cls, told: str) -> str:
        files_in(told)
        return told

    @model_validator(mode="after")
    def _is_verdict_possible(self) -> Self:
        if max(self.probe_failures, self.probe_successes) > self.probe_window:
            raise ValueError(
                "MODELBUS_PROBE_FAILURES and MODELBUS_PROBE_SUCCESSES must be at most MODELBUS_PROBE_WINDOW"
            )
        return self
