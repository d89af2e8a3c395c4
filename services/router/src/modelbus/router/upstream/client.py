"""The interface to suppliers: one method, whoever implements it."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple, Protocol, Self

type Sink = Callable[[bytes], bool]
"""Takes a piece of a body, and answers whether it wants more of them at once."""


class Target(NamedTuple):
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
    first_token_s: float = inf
    """From sending until the first token of a stream, whatever comes before it."""
    total_s: float = inf
    """For a request with all its attempts."""

    def within(self, others: Mapping[str, float]) -> Self:
        """Answer these where the others, by name, are not shorter."""
        return replace(self, **{name: min(getattr(self, name), others[name]) for name in others})


class Answer(Protocol):
    """A supplier's answer, with its body still to be read.

    `read` and the iterator raise AttemptFailedError where the body is lost, late or too long.
    """

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers by lower-case name, as far as anybody reads them."""

    @property
    def is_spent(self) -> bool:
        """Whether the body was read to its end."""

    async def read(self, limit: int) -> bytes:
        """Read the whole body, of at most `limit` bytes."""

    def iter(self) -> AsyncIterator[bytes]:
        """Read the body in pieces, as they come."""

    async def pour(self, sink: Sink) -> None:
        """Give the sink each piece at the moment it comes, until it wants no more or the body has ended in any way.

        Waiting for pieces takes two turns of the loop for each; this takes none. How the body ended, and whatever comes
        after the sink had enough, is read as ever.
        """

    def close(self) -> None:
        """Be done with it: a connection that is not read to its end is closed at once."""


class Client(Protocol):
    """Calls suppliers."""

    async def post(self, target: Target, body: bytes, *, until: float, deadlines: Deadlines | None = None) -> Answer:
        """Send JSON and answer when the headers have come; `until` is the loop time when all must be over.

        Deadlines that are given hold in the place of the client's own, but for the making of a connection, which may
        serve others: that ends by the shorter of both.

        Raises:
            AttemptFailedError: there is no answer.
        """
