"""The journal: what is recorded outlives a process that is killed, and is told once."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.chassis.ids import new_id
from modelbus.chassis.messaging import Bus
from modelbus.router.ledger.journal import Journal, left_in
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.ledger.spool import Spool
from router.test_usage import an_entry
from testing_bus import LocalBus

RUN = uuid4()
MIB = 1024 * 1024


def a_ledger(directory: Path, run_id: UUID | None = None) -> tuple[Ledger, Spool]:
    spool = Spool(directory, most_bytes=MIB)
    spool.open()
    return Ledger(spool, Bus("nats://127.0.0.1:9", service="router"), router_id="r", run_id=run_id or new_id()), spool


def told_by(spool: Spool) -> list[tuple[str, list[str]]]:
    told: list[tuple[str, list[str]]] = []
    while found := spool.oldest(100):
        bodies = [msgspec.json.decode(each.batch.body) for each in found]
        told += [(body["run_id"], [request["id"] for request in body["requests"]]) for body in bodies]
        spool.trim(found[-1])
    return told


def test_entries_are_read_back_with_the_run_that_noted_them(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", RUN)
    for text in (b"one", b"two"):
        journal.note(text)

    assert left_in(tmp_path / "journal") == (RUN, [b"one", b"two"])


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.integers(0, 5)), max_size=40))
def test_the_file_holds_what_was_noted_since_as_far_as_there_is_room(
    tmp_path_factory: pytest.TempPathFactory, steps: list[bytes | int]
) -> None:
    path = tmp_path_factory.getbasetemp() / "journal"
    journal = Journal(path, RUN, half_bytes=200)
    noted: list[bytes] = []
    for step in steps:
        if isinstance(step, bytes):
            journal.note(step)
            if sum(len(text) + 8 for text in noted) + len(step) + 16 <= 200:
                noted.append(step)
        else:
            noted = noted[step:]
            journal.keep(noted)
        assert left_in(path) == ((RUN, noted) if noted else None)


@pytest.mark.parametrize("held", [b"", b"short", b"\0" * 4096, b"\xff" * 4096])
def test_a_file_that_is_no_journal_holds_nothing(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "journal").write_bytes(held)

    assert left_in(tmp_path / "journal") is None


async def test_what_is_recorded_after_the_last_write_is_told_by_the_next_process(tmp_path: Path) -> None:
    ledger, spool = a_ledger(tmp_path, RUN)
    written, unwritten = an_entry(), an_entry()
    await ledger.write()
    ledger.record(written)
    await ledger.write()
    ledger.record(unwritten)
    spool.close()  # As the kernel does for a process that is killed.

    later, spool = a_ledger(tmp_path)
    await later.write()

    assert told_by(spool) == [(str(RUN), [str(written.id)]), (str(RUN), [str(unwritten.id)])]
    assert left_in(tmp_path / "journal") is None


async def test_what_was_spooled_just_before_the_end_is_not_told_twice(tmp_path: Path) -> None:
    ledger, spool = a_ledger(tmp_path, RUN)
    await ledger.write()
    entries = [an_entry() for _ in range(3)]
    for entry in entries:
        ledger.record(entry)
    noted = (tmp_path / "journal").read_bytes()
    await ledger.write()
    spool.close()
    (tmp_path / "journal").write_bytes(noted)  # Killed before it could note that the spool has them.

    later, spool = a_ledger(tmp_path)
    await later.write()

    assert told_by(spool) == [(str(RUN), [str(entry.id) for entry in entries])]


async def killed_with_spool_and_journal(directory: Path) -> list[str]:
    """Leave two requests in both, and one in the journal alone; answer their ids."""
    ledger, spool = a_ledger(directory, RUN)
    entries = [an_entry() for _ in range(3)]
    for entry in entries[:2]:
        ledger.record(entry)
    await ledger.write()
    spool.close()
    Journal(directory / "journal", RUN).keep([msgspec.json.encode(entry) for entry in entries])
    return [str(entry.id) for entry in entries]


async def told_to(bus: LocalBus) -> list[str]:
    client = await bus.client()
    context = client.jetstream()
    count = (await context.stream_info("USAGE")).state.messages
    messages = [await context.get_msg("USAGE", number) for number in range(1, count + 1)]
    await client.close()
    return [request["id"] for each in messages for request in msgspec.json.decode(each.data or b"")["requests"]]


def refuse(*_args: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("fails", [None, "os.fsync", "modelbus.router.ledger.ledger.Journal"])
async def test_what_a_killed_process_left_is_told_once_though_the_bus_is_faster_than_the_disk(
    tmp_path: Path, bus: LocalBus, monkeypatch: pytest.MonkeyPatch, fails: str | None
) -> None:
    made = await killed_with_spool_and_journal(tmp_path)
    connection, spool = Bus(bus.url, service="router"), Spool(tmp_path, most_bytes=MIB)
    spool.open()
    connection.start()
    await connection.connected()
    later = Ledger(spool, connection, router_id="r", run_id=new_id())

    await later.publish()
    if fails:
        with monkeypatch.context() as broken:
            broken.setattr(fails, refuse)
            await later.write()
        await later.publish()
    await later.write()
    await later.publish()
    await connection.stop()

    assert await told_to(bus) == made


async def test_a_page_that_a_power_failure_took_ends_the_journal_and_the_router_runs(tmp_path: Path) -> None:
    ledger, spool = a_ledger(tmp_path, RUN)
    await ledger.write()
    first, second = an_entry(), an_entry()
    ledger.record(first)
    whole = len((tmp_path / "journal").read_bytes().rstrip(b"\0"))
    ledger.record(second)
    spool.close()
    torn = bytearray((tmp_path / "journal").read_bytes())
    torn[whole + 100 : whole + 200] = bytes(100)
    (tmp_path / "journal").write_bytes(torn)

    later, spool = a_ledger(tmp_path)
    await later.write()

    assert told_by(spool) == [(str(RUN), [str(first.id)])]


def test_an_entry_of_an_earlier_turn_is_not_taken_for_one_of_this(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, RUN, half_bytes=200)
    for text in (b"old", b"old and told"):
        journal.note(text)
    earlier = path.read_bytes()
    journal.keep([])
    journal.keep([b"new"])
    held = bytearray(path.read_bytes())
    # The page with the first entry came to the disk, the one behind it is as it was.
    behind = 32 + 8 + len(b"new")
    held[behind:] = earlier[behind:]
    path.write_bytes(held)

    assert left_in(path) == (RUN, [b"new"])


def test_where_files_can_not_be_given_room_the_journal_writes_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    journal = Journal(tmp_path / "journal", RUN, half_bytes=MIB)
    journal.note(b"one")

    assert left_in(tmp_path / "journal") == (RUN, [b"one"])
    assert (tmp_path / "journal").stat().st_blocks * 512 >= 2 * MIB


async def test_without_room_for_a_journal_usage_is_written_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal").mkdir()
    ledger, spool = a_ledger(tmp_path)
    entry = an_entry()
    ledger.record(entry)
    for _ in range(2):
        await ledger.write()

    assert [ids for _, ids in told_by(spool)] == [[str(entry.id)]]
    assert capsys.readouterr().out.count("there is no journal of usage") == 1


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from uuid import UUID
from router.test_journal import RUN, a_ledger
from router.test_usage import an_entry

async def main():
    ledger, _ = a_ledger(Path(sys.argv[1]), UUID(sys.argv[2]))
    await ledger.write()
    for _ in range(100):
        ledger.record(an_entry())
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_kill_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED,
        str(tmp_path),
        str(RUN),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert await program.wait() == -signal.SIGKILL

    later, spool = a_ledger(tmp_path)
    await later.write()

    [(run_id, ids)] = told_by(spool)
    assert (run_id, len(set(ids))) == (str(RUN), 100)
