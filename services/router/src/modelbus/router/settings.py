"""What the environment decides for the router."""

from pydantic import Field, HttpUrl

from modelbus.chassis.settings import MasterKeySettings, ServiceSettings

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
    body_s: float = Field(default=30.0, gt=0)
    """Longest time that a caller may take to send its body."""
    max_prompt_bytes: int = Field(default=32 * _MIB, gt=0)
    """Longest body of a caller, images included."""
    max_answer_bytes: int = Field(default=32 * _MIB, gt=0)
    """Longest answer that is not streamed."""
    upstream_connections: int = Field(default=1000, gt=0)
    """Connections to all suppliers on the internet together, and as many to local ones; a host gets a quarter."""
    spool_bytes: int = Field(default=256 * _MIB, gt=0)
    """Usage that may wait on disk while the bus is away; the oldest goes beyond that."""
