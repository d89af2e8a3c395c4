"""The spool: what was appended survives whatever happens to the process."""

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from uuid import UUID
from zlib import crc32

import msgspec
import pytest

from modelbus.chassis.ids import id_of, new_id
from modelbus.chassis.messaging import Bus
from modelbus.router.ledger.entries import AttemptEntry, RequestEntry, Tokens
from modelbus.router.ledger.ledger import Ledger
from modelbus.router.ledger.packing import Batch, line_of
from modelbus.router.ledger.spool import Spool, Spooled, SpoolInUseError
from modelbus.router.settings import Settings

MIB = 1024 * 1024


def a_batch(body: bytes = b"{}") -> Batch:
    return Batch(new_id(), datetime.now(UTC), body)


def an_open_spool(directory: Path, most_bytes: int = MIB) -> Spool:
    spool = Spool(directory, most_bytes=most_bytes)
    spool.open()
    return spool


def drained(spool: Spool) -> list[Batch]:
    found: list[Batch] = []
    while spooled := spool.oldest(3):
        found += [each.batch for each in spooled]
        spool.trim(spooled[-1])
    return found


def on_disk(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.spool"))


def test_batches_come_back_in_order_and_leave_nothing_once_trimmed(tmp_path: Path) -> None:
    spool = an_open_spool(tmp_path)
    batches = [a_batch(b'{"n":%d}' % number) for number in range(10)]
    spool.append(batches[:4])
    spool.append(batches[4:])

    assert drained(spool) == batches
    assert on_disk(tmp_path) == 0


def test_what_is_not_trimmed_comes_again(tmp_path: Path) -> None:
    spool = an_open_spool(tmp_path)
    batches = [a_batch() for _ in range(3)]
    spool.append(batches)

    first: list[Spooled] = spool.oldest(10)
    spool.trim(first[0])

    assert [each.batch for each in spool.oldest(10)] == batches[1:]


def test_another_process_finds_what_was_left(tmp_path: Path) -> None:
    before = an_open_spool(tmp_path)
    batches = [a_batch() for _ in range(5)]
    before.append(batches)
    before.close()

    after = an_open_spool(tmp_path)
    late = a_batch()
    after.append([late])

    assert drained(after) == [*batches, late]
    assert on_disk(tmp_path) == 0


def test_a_segment_that_is_all_told_does_not_outlive_the_next_start(tmp_path: Path) -> None:
    for _ in range(3):
        spool = an_open_spool(tmp_path)
        spool.append([a_batch()])
        drained(spool)
        spool.close()
    left = an_open_spool(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    left.append([a_batch()])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "usage-000000000001.spool"]


def test_two_processes_never_share_a_spool(tmp_path: Path) -> None:
    _held = an_open_spool(tmp_path)

    with pytest.raises(SpoolInUseError, match="state directory"):
        an_open_spool(tmp_path)


@pytest.mark.parametrize("damage", [b"half a li", b"00000000 wrong checksum\n", b"\x00" * 100 + b"\n"])
def test_a_damaged_line_is_skipped_and_the_others_are_not(tmp_path: Path, damage: bytes) -> None:
    before = an_open_spool(tmp_path)
    batch = a_batch()
    before.append([batch])
    before.close()
    [segment] = tmp_path.glob("*.spool")
    with segment.open("ab") as file:
        file.write(damage)

    after = an_open_spool(tmp_path)
    late = a_batch()
    after.append([late])

    assert drained(after) == [batch, late]
    assert on_disk(tmp_path) == 0


def test_the_disk_is_bounded_and_the_oldest_go_first(tmp_path: Path) -> None:
    spool = an_open_spool(tmp_path, most_bytes=8000)
    batches = [a_batch(b'"%s"' % (b"x" * 900)) for _ in range(50)]
    for batch in batches:
        spool.append([batch])

    assert on_disk(tmp_path) <= 8000
    kept = drained(spool)
    assert 3 <= len(kept) < 10
    assert kept == batches[-len(kept) :]


def test_trimming_what_was_dropped_meanwhile_harms_nothing(tmp_path: Path) -> None:
    spool = an_open_spool(tmp_path, most_bytes=8000)
    spool.append([a_batch(b'"%s"' % (b"x" * 900))])
    spooled = spool.oldest(1)
    for _ in range(20):
        spool.append([a_batch(b'"%s"' % (b"x" * 900))])

    spool.trim(spooled[-1])

    assert len(drained(spool)) >= 3


def test_a_disk_that_takes_no_more_leaves_the_spool_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = an_open_spool(tmp_path)
    batch = a_batch()
    spool.append([batch])

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            spool.append([a_batch()])
    late = a_batch()
    spool.append([late])

    assert drained(spool) == [batch, late]


def test_a_killed_process_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    program = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from modelbus.chassis.ids import new_id
from modelbus.router.ledger.packing import Batch
from modelbus.router.ledger.spool import Spool

spool = Spool(Path(sys.argv[1]), most_bytes=1024 * 1024)
spool.open()
while True:
    batch = Batch(new_id(), datetime.now(UTC), b"{}")
    spool.append([batch])
    print(batch.id, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        appended = [writer.stdout.readline().strip() for _ in range(50)]
        writer.send_signal(signal.SIGKILL)
        appended += [line.strip() for line in writer.stdout]

    found = [str(batch.id) for batch in drained(an_open_spool(tmp_path))]

    assert len(appended) >= 50
    assert found[: len(appended)] == appended
    assert len(found) <= len(appended) + 1


def requests_of(count: int) -> list[RequestEntry]:
    """Make entries as busy routers do, one ended every millisecond: a few models and keys, all else of each its own.

    The same at every call, on machines of every speed: an id bears its moment, and how those differ is what it takes.
    """
    chance, noon = Random(7), datetime(2026, 1, 1, 12, tzinfo=UTC)
    known = [id_of(f"known {number}", noon - timedelta(days=number)) for number in range(40)]
    return [a_request_ended(noon + timedelta(milliseconds=number), chance, known) for number in range(count)]


def a_request_ended(ended_at: datetime, chance: Random, known: list[UUID]) -> RequestEntry:
    latency_ms = chance.randrange(100, 9000)
    started_at = ended_at - timedelta(milliseconds=latency_ms, microseconds=chance.randrange(1000))
    tried_at = started_at + timedelta(microseconds=chance.randrange(150, 1000))
    return RequestEntry(
        id=id_of(f"request {ended_at}", started_at),
        access_key_id=chance.choice(known),
        asked_for="openai/gpt-4o-mini",
        is_stream=True,
        started_at=started_at,
        latency_ms=latency_ms,
        status=200,
        outcome="ok",
        attempts=[
            AttemptEntry(
                id=id_of(f"attempt {ended_at}", tried_at),
                number=1,
                model_id=chance.choice(known),
                source_id=chance.choice(known),
                supplier_id=chance.choice(known),
                credential_id=chance.choice(known),
                started_at=tried_at,
                latency_ms=latency_ms - 1,
                first_token_ms=chance.randrange(50, latency_ms),
                status=200,
                outcome="ok",
                error=None,
                tokens=Tokens(input=chance.randrange(9000), output=chance.randrange(2000)),
                cost=Decimal(chance.randrange(10**5)) / 10**7,
            )
        ],
        catalog_revision=12345,
        consumer_id=chance.choice(known),
        charge=Decimal(chance.randrange(10**5)) / 10**7,
    )


async def test_an_hour_without_the_bus_at_a_thousand_a_second_fits_the_default_bound(tmp_path: Path) -> None:
    """Scaled down: what a second takes on disk, written five times a second as the router does, times 3,600."""
    spool = an_open_spool(tmp_path, most_bytes=64 * MIB)
    away = Bus("nats://127.0.0.1:9", service="test")
    ledger = Ledger(spool, away, router_id="test", run_id=new_id())
    entries = requests_of(2000)
    for written in range(10):
        for entry in entries[written * 200 : (written + 1) * 200]:
            ledger.record(entry)
        await ledger.write()

    a_second = on_disk(tmp_path) / 2
    assert a_second * 3600 < default_of("spool_bytes")
    assert 190 < a_second / 1000 < 205, "as docs/operations.md says"
    batches = drained(spool)
    assert 1050 < sum(len(batch.body) for batch in batches) / 2000 < 1150, "as docs/benchmarks.md says"
    told = [each for batch in batches for each in msgspec.json.decode(batch.body)["requests"]]
    assert [UUID(each["id"]) for each in told] == [entry.id for entry in entries]


def test_what_goes_beyond_the_bound_is_told_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = an_open_spool(tmp_path, most_bytes=8000)
    batches = [a_batch(b'"%s"' % (b"x" * 900)) for _ in range(12)]
    for batch in batches[:7]:
        spool.append([batch])
    told = capsys.readouterr().out
    assert told.count("nearly full") == 1
    assert "usage is lost" not in told
    assert spool.dropped_bytes == 0
    for batch in batches[7:]:
        spool.append([batch])

    assert "usage is lost, the spool is full" in capsys.readouterr().out
    assert spool.dropped_bytes == sum(len(line_of(batch)) for batch in batches) - on_disk(tmp_path) > 0


def test_what_an_earlier_version_wrote_is_read(tmp_path: Path) -> None:
    body = b'{"requests":[%s]}' % b",".join([b'{"id":1}'] * 500)
    batch = a_batch(body)
    rest = b" ".join((str(batch.id).encode(), batch.time.isoformat().encode(), batch.body))
    (tmp_path / "usage-000000000001.spool").write_bytes(b"%08x %b\n" % (crc32(rest), rest))
    spool = an_open_spool(tmp_path)
    late = a_batch(body)
    spool.append([late])

    assert drained(spool) == [batch, late]


@pytest.mark.parametrize("body", [b"%%%", b"QUJD"], ids=["no base 64", "not compressed"])
def test_a_line_that_can_not_be_unpacked_is_skipped(tmp_path: Path, body: bytes) -> None:
    rest = b" ".join((str(new_id()).encode(), datetime.now(UTC).isoformat().encode(), body))
    (tmp_path / "usage-000000000001.spool").write_bytes(b"%08x %b\n" % (crc32(rest), rest))
    spool = an_open_spool(tmp_path)

    assert drained(spool) == []


def default_of(setting: str) -> int:
    default: int = Settings.model_fields[setting].default
    return default


def refuse(path: Path, *, missing_ok: bool = False) -> None:
    raise OSError(30, "Read-only file system", path, missing_ok)


def test_what_is_written_counts_as_written_though_nothing_old_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = an_open_spool(tmp_path, most_bytes=8000)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        for _ in range(12):
            spool.append([a_batch(b'"%s"' % (b"x" * 900))])
    late = a_batch()
    spool.append([late])

    assert on_disk(tmp_path) <= 8000
    assert drained(spool)[-1] == late


def test_what_was_told_is_not_told_again_though_its_file_can_not_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = an_open_spool(tmp_path, most_bytes=8000)
    batches = [a_batch(b'"%s"' % (b"x" * 900)) for _ in range(2)]
    for batch in batches:
        spool.append([batch])
    first = spool.oldest(1)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refuse)
        with pytest.raises(OSError, match="Read-only"):
            spool.trim(first[0])

    assert drained(spool) == batches[1:]
    assert on_disk(tmp_path) == 0
