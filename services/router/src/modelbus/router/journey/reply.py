"""A reply is what the caller gets, whatever server carries it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

type Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"


class Pieces(Protocol):
    """A body that comes piece by piece, and must be closed whether or not it was read to its end."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces."""

    def close(self) -> None:
        """Let go of whatever feeds it."""


@dataclass(slots=True)
class Reply:
    """Status, headers, and a body that is there or comes in pieces."""

    status: int
    body: bytes | Pieces
    headers: Headers = field(default_factory=list)
