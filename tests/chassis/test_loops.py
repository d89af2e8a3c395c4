import asyncio

import asyncpg
import httpx
import nats.errors
import pytest
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.exc import DBAPIError, ProgrammingError

from modelbus.chassis.loops import is_outage, pause_s, repeat, stop
from running import eventually


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
        wrapped(asyncpg.ConnectionDoesNotExistError("closed in the middle of operation")),
    ],
    ids=repr,
)
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
def test_a_mistake_of_ours_is_not_an_outage(error: Exception) -> None:
    assert not is_outage(error)


async def test_repeated_work_goes_on_after_outages() -> None:
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) < 4:
            raise ConnectionResetError

    task = asyncio.create_task(repeat("test", work, every_s=0.01))
    await eventually(lambda: len(done) > 6)
    await stop([task])


async def test_a_programming_error_ends_repeated_work() -> None:
    async def work() -> None:
        raise KeyError("mistake")

    with pytest.raises(KeyError, match="mistake"):
        await repeat("test", work, every_s=0.01)


def test_pauses_grow_to_a_bound() -> None:
    pauses = [pause_s(failures) for failures in range(1, 30)]

    assert pauses[0] <= 0.2
    assert all(0.05 <= pause <= 5.0 for pause in pauses)
    assert min(pauses[8:]) >= 2.5
