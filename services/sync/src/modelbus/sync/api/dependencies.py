"""What the endpoints of sync are given, beside a session."""

import asyncio
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from modelbus.sync.actions.metadata import Library
from modelbus.sync.actions.probing import Prober
from modelbus.sync.actions.replays import Replays
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.domain.runs import CatalogPoint
from modelbus.sync.domain.suspicions import Thresholds


async def _directory(request: Request) -> Directory:
    directory: Directory = request.app.state.directory
    return directory


async def _wake(request: Request) -> asyncio.Event:
    wake: asyncio.Event = request.app.state.wake
    return wake


async def _point(request: Request) -> Callable[[], CatalogPoint]:
    point: Callable[[], CatalogPoint] = request.app.state.point
    return point


async def _prober(request: Request) -> Prober:
    prober: Prober = request.app.state.prober
    return prober


async def _library(request: Request) -> Library:
    library: Library = request.app.state.library
    return library


async def _replays(request: Request) -> Replays:
    replays: Replays = request.app.state.replays
    return replays


async def _usual_thresholds(request: Request) -> Thresholds:
    usual: Thresholds = request.app.state.thresholds
    return usual


Known = Annotated[Directory, Depends(_directory)]
"""The suppliers that the catalog has told of."""
Point = Annotated[Callable[[], CatalogPoint], Depends(_point)]
"""Answers how far the catalog is known by now."""
Wake = Annotated[asyncio.Event, Depends(_wake)]
"""Wakes the workers."""
Replaying = Annotated[Replays, Depends(_replays)]
"""Reads again what suppliers answered."""
UsualThresholds = Annotated[Thresholds, Depends(_usual_thresholds)]
"""Of the guard, where a supplier has none of its own."""
TheLibrary = Annotated[Library, Depends(_library)]
"""The metadata files."""
Looking = Annotated[Prober, Depends(_prober)]
"""Looks at suppliers."""
