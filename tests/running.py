"""Services run inside the test process, on real sockets."""

import asyncio
import atexit
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import cache, partial
from random import SystemRandom
from typing import Any

import uvicorn

from modelbus.chassis.connections import Connection, Patience
from modelbus.launcher.ports import OFFERED

ADMIN_TOKEN = "administrator-of-the-tests"
SERVICE_TOKEN = "service-of-the-tests"
MASTER_KEY = "h8VqVnO5VgxUX3gKJzKDo0P-qmDkvgrYQzS3zGb4v-E="
DEADLINE_S = 10.0
LANES = 24
"""More than processes of tests ever run at once on one machine, of several runs of them."""
_FIRST_PORT = 10_000
_given: deque[int] = deque(maxlen=200)
"""Ports that this process has given away of late."""


@asynccontextmanager
async def serving(app: Any, patience: Patience = Patience(head_s=15.0)) -> AsyncIterator[str]:  # noqa: B008 - frozen
    """Serve the ASGI app, lifespan included; yields its base URL."""
    # Only where the protocol is told does asyncio switch off Nagle's delay, which would make 40 ms of each answer.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    http: Any = partial(Connection, patience=patience)
    config = uvicorn.Config(
        app,
        http=http,
        log_config=None,
        access_log=False,
        # As services have it: nobody finds his connection closed under a request, though all stood still for seconds.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await eventually(lambda: server.started or task.done())
        if task.done():
            task.result()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stopping.set()
        await task
        listener.close()


class _Server(uvicorn.Server):
    """A server that stops when it is told to, not when it next looks, as there are thousands."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End as uvicorn does, without its tenth of a second for connections to end, which few tests leave open."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                await self._wait_tasks_to_complete()
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    def capture_signals(self) -> Any:
        """Leave signals to the test process; a service that fails stops its server by SIGTERM."""
        return nullcontext()


async def eventually(claim: Callable[[], Any], *, within_s: float = DEADLINE_S, every_s: float = 0.02) -> Any:
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
        await asyncio.sleep(every_s)


def free_port() -> int:
    """Answer a port that nobody listens on now, below those that the launcher and the system choose by themselves.

    Whoever asked may begin to listen much later: none is given twice soon, and each process of tests has its own.
    """
    lane = _lane()
    while True:
        port = SystemRandom().randrange(_FIRST_PORT + LANES + lane, OFFERED.start, LANES)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.append(port)
                return port


@cache
def _lane() -> int:
    """Take the first lane of ports whose guard no other process of tests holds; it is given back when this one ends."""
    for lane in range(LANES):
        guard = socket.socket()
        with suppress(OSError):
            guard.bind(("127.0.0.1", _FIRST_PORT + lane))
            atexit.register(guard.close)
            return lane
        guard.close()
    raise RuntimeError(f"all of the {LANES} lanes of ports are taken: too many tests run at once on this machine")
