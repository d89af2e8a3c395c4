"""Servers of tests in containers, for machines where an engine is the only way to have them.

`MODELBUS_TEST_BACKEND` decides: `local` for the programs of the environment, `containers` for an engine's, `auto`
(default) for the environment's where it has them. Testcontainers is imported only where it is needed, as it takes
half a second.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import asyncpg

from modelbus.launcher.errors import MissingProgramError

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

VARIABLE = "MODELBUS_TEST_BACKEND"
POSTGRES_IMAGE = "postgres:18-alpine"
NATS_IMAGE = "nats:2-alpine"
READY_S = 60.0
_POSTGRES, _NATS = 5432, 4222


class BackendError(Exception):
    """What the tests were told to run on is not there."""


def is_contained(find_program: Callable[[], object]) -> bool:
    """Decide whether a server runs in a container; `find_program` raises where the environment does not have it.

    Raises:
        BackendError: there is no engine where one is needed, or the variable says something else.
    """
    wish = os.environ.get(VARIABLE, "auto")
    if wish not in {"auto", "local", "containers"}:
        raise BackendError(f"{VARIABLE} is {wish!r}: it should be auto, local or containers")
    if wish == "containers":
        demand_engine(f"{VARIABLE}=containers")
        return True
    try:
        find_program()
    except MissingProgramError as missing:
        if wish == "local":
            raise
        demand_engine(str(missing))
        return True
    return False


def demand_engine(reason: str) -> None:
    """Ask the engine whether it is there.

    Raises:
        BackendError: it is not.
    """
    import docker  # noqa: PLC0415 - see above

    try:
        with closing(docker.from_env()) as client:
            client.ping()
    except docker.errors.DockerException as error:
        place = os.environ.get("DOCKER_HOST", "the usual socket")
        raise BackendError(
            f"{reason}, but no container engine answers at {place}: start one, or let DOCKER_HOST name it ({error})"
        ) from error


@contextmanager
def contained_postgres(superuser: str = "postgres") -> Iterator[str]:
    """Run PostgreSQL in a container; yields the superuser's URL."""
    password = secrets.token_hex(16)
    # As for the server on this machine: a crash of the machine may lose everything.
    command = ["postgres", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "timezone=UTC"]
    with _container(POSTGRES_IMAGE, command) as container:
        container.with_env("POSTGRES_USER", superuser).with_env("POSTGRES_PASSWORD", password)
        container.with_exposed_ports(_POSTGRES).start()
        place = f"{container.get_container_host_ip()}:{container.get_exposed_port(_POSTGRES)}"
        url = f"postgresql://{superuser}:{password}@{place}/postgres"
        # The loop of the tests is not to be run into.
        with ThreadPoolExecutor(1) as aside:
            _wait(lambda: aside.submit(asyncio.run, _lets_in(url)).result())
        yield url


class ContainedNats:
    """A NATS server in a container, with what tests do to one on this machine; its port stays."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._container: DockerContainer | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        assert self._container is not None
        return f"nats://{self._container.get_container_host_ip()}:{self._port}"

    def restart(self) -> None:
        """Start it, with what it has stored if it has run before, and wait until it greets."""
        if self._container is None:
            command = ["--jetstream", "--store_dir", "/data", "--port", str(_NATS)]
            self._container = _made(NATS_IMAGE, command).with_bind_ports(_NATS, self._port)
            start: Callable[[], object] = self._container.start
        else:
            start = self._container.get_wrapped_container().start
        try:
            start()
            host = self._container.get_container_host_ip()
            _wait(lambda: _greets(host, self._port))
        except BaseException:
            self.forget()
            raise

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self._container is not None
        self._container.get_wrapped_container().kill()

    def forget(self) -> None:
        """Lose everything that it has stored; it runs again after a restart."""
        if self._container is not None:
            self._container.stop()
        self._container = None

    stop = forget


def _made(image: str, command: list[str]) -> "DockerContainer":
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - see above

    return DockerContainer(image).with_command(command)


@contextmanager
def _container(image: str, command: list[str]) -> "Iterator[DockerContainer]":
    container = _made(image, command)
    try:
        yield container
    finally:
        container.stop()


async def _lets_in(url: str) -> bool:
    try:
        await (await asyncpg.connect(url, timeout=2)).close()
    except (OSError, asyncpg.PostgresError, TimeoutError):
        return False
    return True


def _greets(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1) as connection:
            return connection.recv(4) == b"INFO"
    except OSError:
        return False


def _wait(is_ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not is_ready():
        if time.monotonic() > deadline:
            raise BackendError(f"the container was not ready after {READY_S:g} s")
        time.sleep(0.05)
