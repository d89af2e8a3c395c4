"""A reply is what the caller gets, whatever server carries it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol

type Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"


class Pieces(Protocol):
    """A body that comes piece by piece, and must be closed whether or not it was read to its end."""

    until: float
    """The loop time when its last piece has come, whatever feeds it."""
    is_over: bool
    """Nothing comes after the piece that was given last."""

    @property
    def is_spent(self) -> bool:
        """Whether nothing is to be waited for either, be it only the end of what feeds it."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the pieces."""

    async def pour(self, write: Callable[[bytes], bool]) -> None:
        """Write pieces as they come, until one is not taken or is the last; these are iterated over as ever."""

    def give_up(self) -> None:
        """Hear that the caller does not take what there is for it."""

    def close(self) -> None:
        """Let go of whatever feeds it."""


@dataclass(slots=True)
class Reply:
    """Status, headers, and a body that is there or comes in pieces."""

    status: int
    body: bytes | Pieces
    headers: Headers = field(default_factory=list)
