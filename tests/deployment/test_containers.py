"""Tests run on an engine's containers where they are told to, and on the programs of the environment where not."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import nats
import pytest
from testcontainers.core.config import ConnectionMode, testcontainers_config

import containers
from containers import BackendError, contained_postgres, is_contained
from deployment.composition import FILE
from deployment.engine import Engine, Server, answering
from modelbus.launcher.binaries import nats_server
from modelbus.launcher.errors import MissingProgramError
from modelbus.launcher.nats import NatsServer
from running import free_port
from testing_bus import local_bus


class SharedPostgres:
    """The server of all tests, at which a container's superuser is made."""

    def restart(self) -> None:
        """It runs."""

    def kill(self) -> None:
        """It runs on."""


def missing() -> None:
    raise MissingProgramError("nats-server", "it is not in the environment")


@pytest.fixture
def engine(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    def run_nats(wanted: dict[str, Any]) -> tuple[Server, int]:
        [[bound]] = wanted["HostConfig"]["PortBindings"].values()
        server = NatsServer(tmp_path / f"nats-{free_port()}", int(bound["HostPort"]))
        server.prepare()
        return server, server.port

    def run_postgres(wanted: dict[str, Any]) -> tuple[Server, int]:
        told = dict(each.split("=", 1) for each in wanted["Env"])
        role = f"{told['POSTGRES_USER']} SUPERUSER LOGIN PASSWORD '{told['POSTGRES_PASSWORD']}'"
        asyncio.run(_give(postgres_url, f"CREATE ROLE {role}"))
        return SharedPostgres(), urlsplit(postgres_url).port or 0

    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    # In a container itself, it would look for the pretended engine's networks.
    monkeypatch.setattr(testcontainers_config, "connection_mode_override", ConnectionMode.docker_host)
    with answering(nats_2_alpine=run_nats, postgres_18_alpine=run_postgres) as running:
        monkeypatch.setenv("DOCKER_HOST", running.url)
        yield running


async def _give(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest.mark.parametrize(
    ("wish", "find_program", "contained"),
    [
        (None, nats_server, False),
        ("auto", nats_server, False),
        ("local", nats_server, False),
        ("auto", missing, True),
        ("containers", nats_server, True),
    ],
)
@pytest.mark.usefixtures("engine")
def test_the_programs_of_the_environment_go_first_unless_containers_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
    wish: str | None,
    find_program: Callable[[], object],
    contained: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    monkeypatch.delenv(containers.VARIABLE, raising=False)
    if wish is not None:
        monkeypatch.setenv(containers.VARIABLE, wish)

    assert is_contained(find_program) is contained


@pytest.mark.parametrize(
    ("wish", "find_program", "told"),
    [
        ("containers", nats_server, "MODELBUS_TEST_BACKEND=containers, but no container engine answers at tcp://127"),
        ("auto", missing, "nats-server can't be run .* but no container engine answers"),
        ("docker", nats_server, "'docker': it should be auto, local or containers"),
    ],
)
def test_what_is_asked_for_and_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, wish: str, find_program: Callable[[], object], told: str
) -> None:
    monkeypatch.setenv(containers.VARIABLE, wish)
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{free_port()}")

    with pytest.raises(BackendError, match=told):
        is_contained(find_program)


def test_nothing_is_run_in_a_container_that_was_to_be_local(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(containers.VARIABLE, "local")

    with pytest.raises(MissingProgramError):
        is_contained(missing)

    assert engine.containers == {}


async def test_a_bus_in_a_container_is_killed_wiped_and_started_as_one_on_this_machine(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(containers.VARIABLE, "containers")

    async with local_bus(tmp_path) as bus:
        await _publish(bus.url)
        bus.server.kill()
        with pytest.raises(OSError, match="Connect"):
            await asyncio.open_connection("127.0.0.1", urlsplit(bus.url).port)
        bus.server.restart()
        kept = await _streams(bus.url)
        bus.wipe()
        left = await _streams(bus.url)

    first, second = engine.containers.values()
    assert "CATALOG" in kept
    assert left == set()
    assert first.wanted["Image"] == second.wanted["Image"] == containers.NATS_IMAGE
    assert first.wanted["Cmd"] == ["--jetstream", "--store_dir", "/data", "--port", "4222"]
    assert first.ports == second.ports
    assert engine.removed == list(engine.containers)


async def _publish(url: str) -> None:
    client = await nats.connect(url)
    await client.jetstream().publish("catalog.reset", b"{}")
    await client.close()


async def _streams(url: str) -> set[str]:
    client = await nats.connect(url)
    found = {str(each.config.name) for each in await client.jetstream().streams_info()}
    await client.close()
    return found


async def test_a_database_in_a_container_is_opened_by_the_password_that_it_was_given(
    engine: Engine, postgres_url: str
) -> None:
    def use() -> None:
        with contained_postgres("contained") as url:
            asyncio.run(_give(url, "SELECT 1"))

    await asyncio.to_thread(use)
    await _give(postgres_url, "DROP ROLE contained")

    [one] = engine.containers.values()
    assert one.wanted["Image"] == containers.POSTGRES_IMAGE
    assert one.wanted["Cmd"][0] == "postgres"
    assert engine.removed == list(engine.containers)


def test_the_images_are_those_of_the_composition() -> None:
    tags = re.findall(r"(?:postgres:|NATS: )\W*\$\{(\w+)_VERSION:-([\w.-]+)\}", FILE.read_text())

    assert {f"{name.lower()}:{tag}" for name, tag in tags} == {containers.POSTGRES_IMAGE, containers.NATS_IMAGE}
