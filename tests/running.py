"""Services run inside the test process, on real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

ADMIN_TOKEN = "administrator-of-the-tests"
SERVICE_TOKEN = "service-of-the-tests"
MASTER_KEY = "h8VqVnO5VgxUX3gKJzKDo0P-qmDkvgrYQzS3zGb4v-E="
DEADLINE_S = 10.0


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serve the ASGI app, lifespan included; yields its base URL."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    # The test process has its own signal handling; a service that fails stops its server by SIGTERM.
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: server.started or task.done())
        if task.done():
            task.result()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


class _NoSignals:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _no_signals() -> Any:
    return _NoSignals()


async def eventually(claim: Callable[[], Any], *, within_s: float = DEADLINE_S) -> Any:
    """Ask again and again until the claim holds, and answer what it then was.

    Raises:
        AssertionError: it did not within the deadline; the last answer or error is told.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    last: object = None
    while True:
        try:
            answer = claim()
            value = await answer if isinstance(answer, Awaitable) else answer
            if value:
                return value
            last = value
        except (AssertionError, KeyError, OSError) as error:
            last = error
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError(f"not within {within_s} s; last: {last!r}")
        await asyncio.sleep(0.02)


def free_port() -> int:
    """Answer a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
