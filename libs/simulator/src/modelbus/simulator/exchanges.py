"""An exchange is one request and what came of it, kept so that a test can ask."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

MOST_KEPT = 1000
# A thousand bodies are kept for each provider: longer ones are kept by their beginning.
LONGEST_BODY_KEPT = 64 * 1024


@dataclass(slots=True)
class Exchange:
    """One request; status stays None if the connection ended before any headers were sent."""

    method: str
    path: str
    kind: str
    headers: Mapping[str, str]
    key: str | None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    model: str | None = None
    body: bytes = b""
    body_bytes: int = 0
    status: int | None = None
    client_disconnected: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_finished(self) -> bool:
        """Nothing more will be sent; how it went is known."""
        return self.ended.is_set()

    def keep_body(self, raw: bytes) -> None:
        """Keep the body, or its beginning."""
        self.body_bytes = len(raw)
        self.body = raw[:LONGEST_BODY_KEPT]

    def to_json(self) -> dict[str, Any]:
        """Tell the exchange; the body as JSON where it is whole and JSON, else as text."""
        return {
            "method": self.method,
            "path": self.path,
            "kind": self.kind,
            "model": self.model,
            "key": self.key,
            "at": self.at.isoformat(),
            "status": self.status,
            "client_disconnected": self.client_disconnected,
            "is_finished": self.is_finished,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": self._readable_body(),
            "body_bytes": self.body_bytes,
        }

    def _readable_body(self) -> Any:
        if not self.body:
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.body.decode(errors="replace")
