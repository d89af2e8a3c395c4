"""Engines that outlive their services, so that a statement is compiled and prepared once, not in each of many tests."""

import asyncio
from collections import defaultdict
from typing import Any, override

from sqlalchemy import URL, Engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_kept: dict[tuple[object, ...], list[Engine]] = defaultdict(list)
"""Engines that nobody uses, with their connections."""
_sessions: dict[Engine, set[int]] = defaultdict(set)
"""The processes of the server that serve an engine."""
servers_of_tests: set[tuple[str | None, int | None]] = set()
"""Where connections are kept; whoever goes by a proxy of his own wants them closed."""


class KeptEngine(AsyncEngine):
    """An engine that is kept when its service has closed it, connections included.

    A session costs the server and us 10 ms and more: its process, the password, the caches, each statement's plan.
    """

    def __init__(self, url: URL, **options: Any) -> None:
        settings = options["connect_args"]["server_settings"]
        loop = _running_loop()
        self._is_warm = loop is not None and (url.host, url.port) in servers_of_tests
        self._idle = _kept[url, options["pool_size"], settings["application_name"], loop]
        super().__init__(self._idle.pop() if self._idle else _opened(url, options))

    @override
    async def dispose(self, close: bool = True) -> None:
        if not self._is_warm or self.sync_engine.pool.checkedout():  # type: ignore[attr-defined]
            await super().dispose(close)
        if self.sync_engine not in self._idle:
            self._idle.append(self.sync_engine)


def idle_sessions() -> list[int]:
    """Answer the processes of the server that serve engines which nobody uses."""
    return sorted(process for engines in _kept.values() for each in engines for process in _sessions[each])


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _opened(url: URL, options: dict[str, Any]) -> Engine:
    engine = create_async_engine(url, **options).sync_engine
    served = _sessions[engine]

    def remember(connection: Any, _record: Any) -> None:
        served.add(connection.driver_connection.get_server_pid())

    def forget(connection: Any, _record: Any) -> None:
        served.discard(connection.driver_connection.get_server_pid())

    event.listen(engine, "connect", remember)
    event.listen(engine, "close", forget)
    return engine
