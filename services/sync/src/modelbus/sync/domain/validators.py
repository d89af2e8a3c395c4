"""What one listing is told from a later one by: the supplier's own marks (RFC 9110, 8.8), and the bytes that came."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Validators:
    """The supplier's are sent back as they came; what it does not tell is None."""

    etag: str | None = None
    last_modified: str | None = None
    body_digest: str | None = None
    """SHA-256 of the body: most suppliers tell nothing, and the same bytes need not be read again."""

    def headers(self) -> dict[str, str]:
        """Answer the headers of a request for the listing, unless it is still this one."""
        given = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in given.items() if value is not None}
