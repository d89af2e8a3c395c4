"""Watching whether the caller is still there; when it leaves, all that is done for it is cancelled at once."""

import asyncio
from types import TracebackType

from starlette.types import Receive

from modelbus.router.domain.errors import CallerGoneError


class CallerWatch:
    """A block that ends by CallerGoneError when the caller leaves.

    The server swallows what is sent to a caller that left: only `receive` tells, so somebody must wait for it.
    The body must have been read, since whatever else is received is thrown away.
    """

    __slots__ = ("_is_gone", "_receive", "_task", "_watching")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_gone = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._task = task
        self._watching = asyncio.create_task(self._watch())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        if self._is_gone and isinstance(error, asyncio.CancelledError) and self._task.uncancel() == 0:
            raise CallerGoneError from error

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        self._task.cancel()
