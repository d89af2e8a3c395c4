"""A process that was told to end has ended in time, whatever hangs: a server that is frozen, a thread, the loop itself.

What a service holds survives its being killed, so nothing is lost with what could not be closed.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, override

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelbus.chassis.logs import logger

CLOSING_S = 6.0
"""For all that is left when no request runs any more: jobs, the bus, the database, the loop and its threads.

A server that is frozen answers nothing, and whoever is cancelled while he waits for it waits for it once more.
"""

type ExitCode = Callable[[], int]

log = logger(__name__)


class Server(uvicorn.Server):
    """uvicorn's server, whose process ends `CLOSING_S` seconds after it has served, however far it has got by then."""

    def __init__(self, config: uvicorn.Config, exit_code: ExitCode) -> None:
        super().__init__(config)
        self._exit_code = exit_code

    @override
    async def serve(self, *given: Any, **named: Any) -> None:
        try:
            await super().serve(*given, **named)
        finally:
            end_within(CLOSING_S, self._exit_code)


class EndsInTime:
    """ASGI middleware: gives the app `CLOSING_S` seconds from the moment in which it is told to close what it has."""

    def __init__(self, app: ASGIApp, exit_code: ExitCode) -> None:
        self._app = app
        self._exit_code = exit_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - ASGI's own signature
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return

        async def receive_and_count() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                end_within(CLOSING_S, self._exit_code)
            return message

        await self._app(scope, receive_and_count, send)


def end_within(seconds: float, exit_code: ExitCode) -> None:
    """End the process then, unless it has ended by itself; a thread does it, as the loop may be what hangs."""
    timer = threading.Timer(seconds, _end, (exit_code,))
    timer.daemon = True
    timer.start()


def _end(exit_code: ExitCode) -> None:
    log.warning("not all could be closed in time, the process ends without", after_s=CLOSING_S)
    sys.stdout.flush()
    os._exit(exit_code())
