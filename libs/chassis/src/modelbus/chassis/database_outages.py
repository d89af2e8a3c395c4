"""What the absence of PostgreSQL looks like, bare as its driver tells it and wrapped by SQLAlchemy."""

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

OUTAGES: tuple[type[Exception], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # Of a session that the server has ended, between its last word and the end of the connection.
    asyncpg.InternalClientError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    InterfaceError,
    OperationalError,
    PoolTimeoutError,
)

TRY_AGAIN_STATES = ("40001", "40P01", "55P03", "57014")
"""PostgreSQL's states for a transaction that another one was in the way of: serialisation, deadlock, time-outs."""
OUTAGE_STATES = (*TRY_AGAIN_STATES, "08", "53", "57P", "25006", "25P03")
"""These, its classes for lost connections, lack of resources, and a server that stops or starts, and its states for one
that only reads, and for a transaction that it ended as nothing was said in it.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

TOO_MUCH_STATES = ("57014", "53200")
"""PostgreSQL's states for a statement that took longer, or more memory, than it may."""


def is_outage(error: BaseException) -> bool:
    """Tell whether the error means that the database is away or takes nothing now."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OUTAGES)
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(OUTAGE_STATES) or isinstance(error, OUTAGES)


def is_too_much(error: BaseException) -> bool:
    """Tell whether a statement was given up for what it took: by a burdened server, or because it asks too much."""
    return getattr(getattr(error, "orig", error), "sqlstate", None) in TOO_MUCH_STATES
