"""What the endpoints of sync are given, beside a session."""

import asyncio
from typing import Annotated

from fastapi import Depends, Request

from modelbus.chassis.callers import Role
from modelbus.sync.clients.catalog import Directory


class AdministratorOnlyError(Exception):
    """A service asks for what only an administrator may have."""

    code = "forbidden"


def _directory(request: Request) -> Directory:
    directory: Directory = request.app.state.directory
    return directory


def _wake(request: Request) -> asyncio.Event:
    wake: asyncio.Event = request.app.state.wake
    return wake


def only_administrators(request: Request) -> None:
    """Refuse a service's token, which the gate lets in below the runs for the sake of their listings."""
    if not request.state.caller.may(Role.ADMIN):
        raise AdministratorOnlyError("a service's token does not open this path")


Known = Annotated[Directory, Depends(_directory)]
"""The suppliers that the catalog has told of."""
Wake = Annotated[asyncio.Event, Depends(_wake)]
"""Wakes the workers."""
