"""Full disks end nothing: NATS comes back by itself, not before there is room, and the launcher goes on."""

import errno
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext

from faults.disks import Disk, only_read, small_disk
from launcher.sleepers import Sleeper
from launcher.tending import tended
from launcher.waiting import wait_until
from modelbus.launcher import files, fleet
from modelbus.launcher.asking import answers
from modelbus.launcher.directories import public_temporary_directory
from modelbus.launcher.files import trim, write_private
from modelbus.launcher.nats import NatsServer, start_nats
from modelbus.launcher.room import PROBE, ROOM, has_room
from running import free_port

LARGE = b"x" * 8192
"""More than a file may still have room for in its last page."""


@pytest.fixture
def directory() -> Iterator[Path]:
    directory = public_temporary_directory("modelbus-launcher-")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def disk(directory: Path) -> Iterator[Disk]:
    with small_disk(directory / "nats", "32m") as disk:
        yield disk


async def test_it_is_started_anew_once_there_is_room_and_keeps_what_it_acknowledged(
    directory: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet, "EXAMINE_S", 0.1)
    server = NatsServer(disk.path, free_port())
    server.prepare()
    with tended(directory, server):
        async with _stream(server) as context:
            await context.add_stream(name="KEPT", subjects=["kept"])
            await context.publish("kept", LARGE)
            disk.fill()
            await _is_silent(context)
        said = ""

        def is_said() -> bool:
            nonlocal said
            said += capsys.readouterr().out
            return "nats runs, but it can't write: JetStream stream '$G > KEPT'" in said and "no space left" in said

        wait_until(is_said)
        known, first = server.ailment(), server.pid
        assert known is not None
        assert not known.is_curable
        # Whoever starts on a full disk has nowhere to write down how to reach it.
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: server.pid != first and server.is_ready())
        second = server.pid
        async with _stream(server) as context:
            await _is_silent(context)
        wait_until(lambda: server.ailment() is not None)
        assert server.pid == second
        disk.free()

        wait_until(lambda: server.pid != second and server.is_ready())
        async with _stream(server) as context:
            assert (await context.publish("kept", LARGE)).seq == 2
        assert server.ailment() is None


@asynccontextmanager
async def _stream(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    client = await nats.connect(server.url)
    yield client.jetstream(timeout=0.5)
    await client.close()


async def _is_silent(context: JetStreamContext) -> None:
    with pytest.raises(NatsTimeoutError):
        await context.publish("kept", LARGE)


def test_a_server_that_is_well_or_away_is_left_as_it_is(directory: Path) -> None:
    server = start_nats(directory, free_port())
    assert answers(server.health_url)
    assert server.ailment() is None

    server.stop()

    assert server.ailment() is None


def test_there_is_room_where_a_disk_has_enough_and_takes_it(disk: Disk) -> None:
    assert has_room(disk.path)
    assert list(disk.path.iterdir()) == []
    (disk.path / "much").write_bytes(bytes(32 * 2**20 - ROOM + PROBE))
    assert not has_room(disk.path)


def test_there_is_no_room_on_a_disk_that_only_reads(directory: Path) -> None:
    with only_read(directory):
        assert not has_room(directory)


def test_a_launcher_that_can_not_write_down_who_runs_goes_on_and_writes_it_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[int] = []
    full = [OSError(errno.ENOSPC, "full")]

    def tell_change() -> None:
        if full:
            raise full.pop()
        written.append(sleeper.pid)

    sleeper = Sleeper("catalog", tmp_path / "catalog.log")
    with tended(tmp_path, sleeper, tell_change=tell_change):
        os.kill(sleeper.pid, signal.SIGKILL)
        wait_until(lambda: bool(written))
        assert written == [sleeper.pid]
    assert capsys.readouterr().out.count("can't be written") == 1


def test_a_file_that_did_not_fit_leaves_nothing_on_the_disk(disk: Disk) -> None:
    write_private(disk.path / "log.1", "old")
    with pytest.raises(OSError, match="No space left"):
        write_private(disk.path / "log.1", "x" * 2**26)

    assert [path.read_text() for path in disk.path.iterdir()] == ["old"]


def test_a_log_that_there_is_no_room_to_keep_is_given_up(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "LONGEST_LOG", 2**24)
    log = disk.path / "router.log"
    log.write_bytes(b"x" * (2**24 + 1))

    with pytest.raises(OSError, match="No space left"):
        trim(log)

    assert [(path.name, path.stat().st_size) for path in disk.path.iterdir()] == [("router.log", 0)]
