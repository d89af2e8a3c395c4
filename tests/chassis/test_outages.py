"""What counts as an outage, in a process that has a database and in one that has none."""

import asyncpg
import httpx
import nats.errors
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, ProgrammingError

from modelbus.chassis import outages
from modelbus.chassis.database import Database
from modelbus.chassis.outages import is_outage


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know of no database, as a process that has none."""
    monkeypatch.setattr(outages, "_judges", set())


@pytest.fixture
def a_database(no_database: None) -> None:  # noqa: ARG001 - begins as a process that has none
    """Have a database, which is never asked."""
    Database("postgresql://nobody:nothing@127.0.0.1:1/nothing", service="test")


def wrapped(error: Exception) -> DBAPIError:
    """Wrap a driver's error as SQLAlchemy does."""
    adapted = AsyncAdapt_asyncpg_dbapi.Error(str(error), error)  # type: ignore[no-untyped-call]
    return DBAPIError("SELECT 1", None, adapted)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        httpx.ConnectError("refused"),
        nats.errors.NoServersError(),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        wrapped(asyncpg.CannotConnectNowError("the database system is starting up")),
        wrapped(asyncpg.AdminShutdownError("terminating connection")),
        wrapped(asyncpg.TooManyConnectionsError("too many clients")),
        wrapped(asyncpg.IdleInTransactionSessionTimeoutError("terminating connection")),
        wrapped(asyncpg.ConnectionDoesNotExistError("closed in the middle of operation")),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("a_database")
def test_a_neighbour_that_is_away_is_an_outage(error: Exception) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        ProgrammingError("SELECT", None, Exception()),
        wrapped(asyncpg.UndefinedTableError("no such table")),
        wrapped(asyncpg.UniqueViolationError("twice")),
    ],
    ids=repr,
)
@pytest.mark.usefixtures("a_database")
def test_a_mistake_of_ours_is_not_an_outage(error: Exception) -> None:
    assert not is_outage(error)


@pytest.mark.usefixtures("no_database")
def test_without_a_database_the_bus_and_other_services_are_still_missed() -> None:
    assert is_outage(nats.errors.NoServersError())
    assert is_outage(httpx.ConnectError("refused"))
    assert not is_outage(KeyError("x"))
