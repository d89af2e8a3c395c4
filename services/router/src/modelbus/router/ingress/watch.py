"""Watching whether the caller is still there; when it leaves, all that is done for it is cancelled at once."""

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from modelbus.router.domain.errors import CallerGoneError


class Caller(Protocol):
    """The connection of whoever asks."""

    @property
    def has_whole_request(self) -> bool:
        """Whether the body of the request has come to its end."""

    def when_gone(self, tell: Callable[[], None] | None) -> None:
        """Call that once if the caller leaves; None for nobody."""

    def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
        """Answer the request at once; False if that can't be done now."""

    def begin(self, status: int, headers: Sequence[tuple[bytes, bytes]], piece: bytes) -> bool:
        """Begin an answer with the first of its pieces; False if that can't be done now."""

    def pass_on(self, piece: bytes) -> bool:
        """Send a piece of an answer that has begun at once; False if that can't be done now."""

    def finish(self, piece: bytes) -> bool:
        """Send the last piece and the end of the answer at once; False if that can't be done now."""


class CallerWatch:
    """A block that ends by CallerGoneError when the caller leaves.

    The server swallows what is sent to a caller that left, and `receive` would tell it only to a task of its own, which
    would cost each request a task, and the collector what its cancelling leaves.
    """

    __slots__ = ("_caller", "_is_gone", "_task")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._is_gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._task = task
        self._caller.when_gone(self._leave)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._caller.when_gone(None)
        if self._is_gone and isinstance(error, asyncio.CancelledError) and self._task.uncancel() == 0:
            raise CallerGoneError from error

    def _leave(self) -> None:
        self._is_gone = True
        self._task.cancel()
