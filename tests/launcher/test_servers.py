"""PostgreSQL and NATS as the launcher and other tests run them: real servers, real faults."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import nats
import psutil
import pytest

from modelbus.contracts.bus import MAX_PAYLOAD
from modelbus.launcher import home as homes
from modelbus.launcher.account import unprivileged_account
from modelbus.launcher.binaries import postgres_programs, programs_for
from modelbus.launcher.directories import public_temporary_directory
from modelbus.launcher.errors import CorruptDatabaseError, CorruptStreamsError, PortInUseError
from modelbus.launcher.home import Home
from modelbus.launcher.nats import NatsServer, start_nats
from modelbus.launcher.postgres import PostgresServer, start_postgres
from modelbus.launcher.program import wait_ready
from running import free_port

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends PostgreSQL another account")


@pytest.fixture
def directory() -> Iterator[Path]:
    directory = public_temporary_directory("modelbus-launcher-")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    directory = public_temporary_directory("modelbus-launcher-")
    server = start_postgres(directory / "postgres", free_port(), fast=True)
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture
def cluster(postgres: PostgresServer, directory: Path) -> PostgresServer:
    """A server that is stopped, with a cluster of its own to spoil."""
    postgres.stop()
    shutil.copytree(postgres.data, directory / "data", copy_function=_copy_owned)
    for path in [directory / "data", *(directory / "data").rglob("*")]:
        os.chown(path, postgres.data.stat().st_uid, postgres.data.stat().st_gid)
    (directory / "data").chmod(0o700)
    postgres.restart()
    return PostgresServer(directory, postgres.port + 1, postgres.password, fast=True)


def _copy_owned(source: str, target: str) -> str:
    return str(shutil.copy2(source, target))


async def test_postgres_asks_for_the_password(postgres: PostgresServer) -> None:
    connection = await asyncpg.connect(postgres.url)
    assert await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    await connection.close()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url.replace(postgres.password, "guessed"))


@as_root
def test_postgres_runs_without_privileges_when_we_are_root(postgres: PostgresServer) -> None:
    account = unprivileged_account()

    assert account is not None
    assert psutil.Process(postgres.pid).uids().effective == account.uid != 0
    assert postgres.data.stat().st_mode & 0o777 == 0o700


async def test_a_killed_postgres_restarts_on_the_same_port_with_its_data(postgres: PostgresServer) -> None:
    url = postgres.url
    session = await asyncpg.connect(url)
    await session.execute("CREATE TABLE kept (id int); INSERT INTO kept VALUES (1)")

    os.kill(postgres.pid, 9)
    postgres.restart()

    again = await asyncpg.connect(url)
    assert await again.fetchval("SELECT id FROM kept") == 1
    await again.close()
    session.terminate()


def test_a_taken_port_is_told_from_spoilt_data(postgres: PostgresServer, cluster: PostgresServer) -> None:
    cluster.port = postgres.port
    cluster.prepare()
    cluster.start()

    with pytest.raises(PortInUseError, match=f"{postgres.port}.*MODELBUS_POSTGRES_PORT"):
        wait_ready([cluster], within_s=10)


def test_a_spoilt_cluster_is_named_with_the_way_out(cluster: PostgresServer) -> None:
    (cluster.data / "global" / "pg_control").write_bytes(b"x" * 8192)

    with pytest.raises(CorruptDatabaseError, match=rf"{cluster.data}.*make reset"):
        _start(cluster)


@pytest.mark.parametrize(("version", "reason"), [(None, "it lacks PG_VERSION"), ("9.6\n", "made by PostgreSQL 9.6")])
def test_a_directory_that_is_no_cluster_of_this_version_is_refused(
    directory: Path, version: str | None, reason: str
) -> None:
    (directory / "data" / "global").mkdir(parents=True)
    (directory / "data" / "global" / "pg_control").touch()
    if version:
        (directory / "data" / "PG_VERSION").write_text(version)

    with pytest.raises(CorruptDatabaseError, match=reason):
        PostgresServer(directory, 0, "password").prepare()


def _start(server: PostgresServer) -> None:
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)


def test_a_cluster_whose_making_was_cut_short_is_made_anew(directory: Path) -> None:
    (directory / "data.unfinished").mkdir()
    (directory / "data.unfinished" / "PG_VERSION").write_text("18")

    server = start_postgres(directory, free_port(), fast=True)

    assert server.is_ready()
    server.stop()


@as_root
def test_programs_that_the_account_cannot_read_are_copied_to_where_it_can(directory: Path) -> None:
    account, package = unprivileged_account(), postgres_programs().parent.parent
    private = directory / "private"
    private.mkdir(mode=0o700)
    (private / package.name).symlink_to(package)
    (private / f"{package.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))

    programs = programs_for(account, private / package.name / "pginstall" / "bin", directory)

    assert account is not None
    assert programs.is_relative_to(directory)
    assert not programs.is_relative_to(private)
    assert account.can_run(str(programs / "initdb"), "--version")


@as_root
def test_a_home_closed_to_the_account_gets_its_database_elsewhere(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homes, "ELSEWHERE", directory / "elsewhere")
    (directory / "private").mkdir(mode=0o700)
    home = Home(directory / "private" / "home")
    home.prepare()

    place = home.place_postgres(unprivileged_account())

    assert place.is_relative_to(directory / "elsewhere")
    assert home.postgres.readlink() == home.place_postgres(unprivileged_account()) == place
    home.forget()
    assert not place.exists()
    assert not home.path.exists()


async def test_a_killed_nats_restarts_on_the_same_port_with_its_streams(directory: Path) -> None:
    server = start_nats(directory)
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="KEPT", subjects=["kept"])
    assert client.max_payload == MAX_PAYLOAD
    await client.close()

    server.kill()
    assert not server.is_ready()
    server.restart()

    again = await nats.connect(server.url)
    assert (await again.jetstream().stream_info("KEPT")).config.subjects == ["kept"]
    await again.close()
    server.stop()


async def test_a_spoilt_stream_is_found_though_the_server_starts(directory: Path) -> None:
    server = start_nats(directory, free_port())
    client = await nats.connect(server.url)
    await client.jetstream().add_stream(name="SPOILT", subjects=["spoilt"])
    await client.close()
    server.stop()
    _spoil(directory, "SPOILT")

    server.restart()

    assert isinstance(server.corruption(), CorruptStreamsError)
    assert "make reset" in str(server.corruption())
    server.stop()


def _spoil(directory: Path, stream: str) -> None:
    next(directory.rglob(f"{stream}/meta.inf")).write_text("x")


def test_a_store_that_nats_refuses_is_named_with_the_way_out(directory: Path) -> None:
    (directory / "jetstream").touch()
    server = NatsServer(directory, 0)

    with pytest.raises(CorruptStreamsError, match=rf"{directory}/jetstream.*make reset"):
        _start_nats(server)


def _start_nats(server: NatsServer) -> None:
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)
