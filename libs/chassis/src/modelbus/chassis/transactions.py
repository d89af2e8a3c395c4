"""A request's session: doors take it as a parameter, and its transaction ends before the answer is sent."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.routing import APIRoute
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis import database_problems
from modelbus.chassis.database import Database
from modelbus.chassis.idempotency import claim_for
from modelbus.chassis.outbox import committed_revision


async def _transaction(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.transaction(request.state.caller) as session:
        # For the audit log, and for whoever has to know whether the thing is still as the caller saw it.
        session.info["action"] = f"{request.method} {request.scope['route'].path}"
        session.info["path"] = request.url.path
        session.info["if_match"] = request.headers.get("if-match")
        await claim_for(request, session)
        yield session
    request.state.revision = committed_revision(session)


async def _reading(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.reading() as session:
        yield session


# scope="function": the commit must precede the answer, or a caller could read before its own write.
Transaction = Annotated[AsyncSession, Depends(_transaction, scope="function")]
"""A session in a transaction that commits, events included, before the answer is sent."""
Reading = Annotated[AsyncSession, Depends(_reading, scope="function")]
"""A session on one consistent view, which refuses to write."""


def is_conditional(route: APIRoute) -> bool:
    """Tell whether requests of the route have a transaction, which sees to their `If-Match`."""
    return any(each.call is _transaction for each in route.dependant.dependencies)


def keep_in(app: FastAPI, database: Database) -> None:
    """Have the app's requests take their sessions there, and what the database refuses answered as problems."""
    app.state.database = database
    database_problems.install(app)
