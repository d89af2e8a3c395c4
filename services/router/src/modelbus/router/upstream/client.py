"""The interface to suppliers: one method, whoever implements it."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and what it shows there."""

    url: str
    headers: Mapping[str, str]
    is_local: bool
    """It may lead to an address that is not on the internet."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long a supplier may take, in seconds."""

    connect_s: float
    """For a connection, waiting for a free one included."""
    first_byte_s: float
    """From sending until the answer's body begins."""
    stall_s: float
    """Between two pieces of the body."""


class Answer(Protocol):
    """A supplier's answer, with its body still to be read.

    `read` and the iterator raise AttemptFailedError where the body is lost, late or too long.
    """

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name."""

    async def read(self, limit: int) -> bytes:
        """Read the whole body, of at most `limit` bytes."""

    def iter(self) -> AsyncIterator[bytes]:
        """Read the body in pieces, as they come."""

    def close(self) -> None:
        """Be done with it: a connection that is not read to its end is closed at once."""


class Client(Protocol):
    """Calls suppliers."""

    async def post(self, target: Target, body: bytes, *, until: float) -> Answer:
        """Send JSON and answer when the headers have come; `until` is the loop time when all must be over.

        Raises:
            AttemptFailedError: there is no answer.
        """
