"""Engines that outlive their services, so that a statement is compiled once and not in each of a thousand tests."""

from collections import defaultdict
from typing import Any, override

from sqlalchemy import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_kept: dict[tuple[object, ...], list[Engine]] = defaultdict(list)
"""Engines that nobody uses, without connections."""


class KeptEngine(AsyncEngine):
    """An engine that is kept when its service has closed it."""

    def __init__(self, url: URL, **options: Any) -> None:
        settings = options["connect_args"]["server_settings"]
        self._idle = _kept[url, options["pool_size"], settings["application_name"]]
        super().__init__(self._idle.pop() if self._idle else create_async_engine(url, **options).sync_engine)

    @override
    async def dispose(self, close: bool = True) -> None:
        await super().dispose(close)
        if self.sync_engine not in self._idle:
            self._idle.append(self.sync_engine)
