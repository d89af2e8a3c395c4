"""Fixtures that every folder shares: servers once a session, a database and a bus for each test."""

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import httpx
import httpx2
import pytest

import servers
from containers import contained_postgres, is_contained
from engines import KeptEngine
from modelbus.launcher.binaries import postgres_programs
from modelbus.launcher.directories import public_temporary_directory
from modelbus.launcher.postgres import start_postgres
from running import free_port
from testing_bus import LocalBus, local_bus

pytest_plugins = ("failing", "gathering", "telling")


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """Do once what a process does once, not for each service of each test.

    Reading the file of all authorities for a client takes 20 to 40 ms, compiling the statements of a service 100 and
    more, a password 60 on purpose.
    """
    with pytest.MonkeyPatch.context() as patched:
        for client in (httpx, httpx2):
            contexts = f"{client.__name__}._transports.default.create_ssl_context"
            patched.setattr(contexts, cache(client.create_ssl_context))
        patched.setattr("modelbus.chassis.database.create_async_engine", KeptEngine)
        patched.setattr("modelbus.catalog.actions.passwords.MEMORY_KIB", 64)
        yield


@pytest.fixture(scope="session")
def public_directory() -> Iterator[Path]:
    """A temporary directory that the user who runs PostgreSQL can reach."""
    directory = public_temporary_directory("modelbus-tests-")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(public_directory: Path) -> Iterator[str]:
    """A PostgreSQL server: that of the variable, else of local binaries, else in a container."""
    if given := os.environ.get("MODELBUS_TEST_POSTGRES_URL"):
        yield given
        return
    if is_contained(postgres_programs):
        with contained_postgres() as url:
            yield url
        return
    server = start_postgres(public_directory / "postgres", port=free_port(), fast=True)
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
async def databases(postgres_url: str) -> AsyncIterator[servers.Databases]:
    """The migrated template of this session."""
    prepared = await servers.prepare_template(postgres_url)
    yield prepared
    await prepared.close()


@pytest.fixture
async def database(databases: servers.Databases) -> AsyncIterator[servers.FreshDatabase]:
    """A migrated database of this test alone."""
    async with databases.lent() as lent:
        yield lent


@pytest.fixture
async def bus(public_directory: Path) -> AsyncIterator[LocalBus]:
    """A NATS server of this test alone, with its streams and consumers."""
    async with local_bus(public_directory) as running:
        yield running
