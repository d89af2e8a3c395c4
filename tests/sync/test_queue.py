"""The queue of runs: one worker a run, one run a supplier, nothing lost with a worker."""

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from modelbus.chassis.database import Database
from modelbus.chassis.feed import Applied, Records
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault
from modelbus.contracts.records import Record, SupplierRecord
from modelbus.contracts.sync import ListedModel
from modelbus.sync.actions import listings, runs
from modelbus.sync.actions.intake import Intake
from modelbus.sync.clients.answers import Delivery
from modelbus.sync.clients.catalog import Directory
from modelbus.sync.domain.errors import LeaseLostError
from modelbus.sync.domain.runs import KEPT_FOR, MOST_LOSSES, CatalogPoint, Counts, Run
from modelbus.sync.jobs import Terms, Worker, forget_old, schedule_runs
from modelbus.sync.store import runs as stored
from modelbus.sync.store.tables import listings as listing_rows
from modelbus.sync.store.tables import outbox
from modelbus.sync.store.tables import runs as run_rows
from running import MASTER_KEY
from sync.catalog_stand_in import a_credential, a_supplier
from sync.running_sync import OpenDatabase

NOW = datetime(2025, 1, 1, tzinfo=UTC)
LONG, OVER = 60.0, -1.0
KNOWN = CatalogPoint(uuid4(), 0)


def a_run(supplier_id: UUID | None = None, **fields: object) -> Run:
    defaults: dict[str, object] = {"cause": "administrator", "requested_at": NOW}
    return Run(id=new_id(), supplier_id=supplier_id or new_id(), **{**defaults, **fields})  # type: ignore[arg-type]


async def request(database: Database, *wanted: Run) -> asyncio.Event:
    wake = asyncio.Event()
    async with database.transaction() as session:
        for run in wanted:
            await runs.request_run(session, run, wake)
        assert not wake.is_set()
    return wake


async def take(database: Database, *, lease_s: float = LONG, known: CatalogPoint = KNOWN) -> Run | None:
    async with database.transaction() as session:
        return await runs.take_run(session, lease_s=lease_s, known=known, name_of=lambda _: "supplier")


async def release(database: Database, held: Run) -> None:
    async with database.transaction() as session:
        await runs.release_run(session, held)


async def fail(database: Database, held: Run) -> None:
    async with database.transaction() as session:
        await runs.fail_run(session, held, "no", attempts=1)


async def keep(database: Database, held: Run) -> None:
    listing = listings.normalise(held, [ListedModel(upstream_name="a")], [])
    async with database.transaction() as session:
        await listings.keep_listing(session, held, listings.Arrival(listing, left_out=0, attempts=1))


class Endless:
    """An intake that does not end."""

    async def take_in(self, _run: Run, _delivery: Delivery) -> None:
        await asyncio.Event().wait()


def a_worker(database: Database) -> Worker:
    terms, intake = Terms(LONG, most_at_once=10), cast("Intake", Endless())
    return Worker(database, lambda _: "supplier", intake, terms=terms, known=lambda: KNOWN, wake=asyncio.Event())


async def find(database: Database, run_id: UUID) -> Run:
    async with database.reading() as session:
        return await stored.find_run(session, run_id)


async def test_workers_are_woken_when_the_run_is_committed_and_not_before(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        wake = await request(database, a_run())

        assert wake.is_set()


async def test_a_run_is_taken_by_one_worker(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        run = a_run()
        await request(database, run)

        takes = await asyncio.gather(*(take(database) for _ in range(5)))

        [held] = [each for each in takes if each]
        assert (held.id, held.status, held.times_taken, held.supplier_name) == (run.id, "fetching", 1, "supplier")


async def test_no_two_workers_of_any_replica_hold_runs_of_one_supplier(open_database: OpenDatabase) -> None:
    suppliers = [new_id() for _ in range(3)]
    busy: set[UUID] = set()
    done: Counter[UUID] = Counter()

    async def work(database: Database) -> None:
        while sum(done.values()) < 18:
            held = await take(database)
            if held is None:
                await asyncio.sleep(0)
                continue
            assert held.supplier_id not in busy
            busy.add(held.supplier_id)
            await asyncio.sleep(0.005)
            busy.remove(held.supplier_id)
            await fail(database, held)
            done[held.supplier_id] += 1

    async with open_database() as one, open_database() as other:
        await request(one, *(a_run(supplier) for supplier in suppliers for _ in range(6)))

        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            for database in (one, other, one, other):
                group.create_task(work(database))

    assert done == dict.fromkeys(suppliers, 6)


async def test_postgresql_itself_refuses_a_second_fetching_run_of_a_supplier(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        first = a_run(status="fetching")
        await request(database, first)

        with pytest.raises(sa.exc.IntegrityError, match="uq_runs_fetching"):
            await request(database, a_run(first.supplier_id, status="fetching"))


async def test_a_run_waits_until_the_worker_knows_what_the_catalog_knew(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        epoch = uuid4()
        run = a_run(catalog_epoch=epoch, catalog_revision=7)
        await request(database, run)

        assert await take(database, known=CatalogPoint(None, 0)) is None
        assert await take(database, known=CatalogPoint(epoch, 6)) is None
        held = await take(database, lease_s=OVER, known=CatalogPoint(epoch, 7))
        assert await take(database, known=CatalogPoint(epoch, 6)) is None

        assert held is not None
        assert held.id == run.id


@pytest.mark.parametrize("is_due", [True, False], ids=["by the schedule", "by an administrator"])
async def test_a_run_that_sync_asks_for_waits_for_a_worker_that_knows_what_was_known_then(
    open_database: OpenDatabase, *, is_due: bool
) -> None:
    epoch, wake = uuid4(), asyncio.Event()
    suppliers, known = [a_supplier(sync_interval_s=60)], CatalogPoint(epoch, 7)
    async with open_database() as database:
        async with database.transaction() as session:
            if is_due:
                asked = await runs.request_due_listings(session, suppliers, wake, known)
            else:
                asked = await runs.request_listings(session, suppliers, "somebody", wake, known)

        assert await take(database, known=CatalogPoint(epoch, 6)) is None
        held = await take(database, known=known)

        assert held is not None
        assert [held.id] == asked


async def test_a_run_of_another_epoch_of_the_catalog_does_not_wait_for_a_revision_that_never_comes(
    open_database: OpenDatabase,
) -> None:
    async with open_database() as database:
        run = a_run(catalog_epoch=uuid4(), catalog_revision=7)
        await request(database, run)

        assert await take(database, known=CatalogPoint(uuid4(), 3, is_confirmed=False)) is None
        held = await take(database, known=CatalogPoint(uuid4(), 3))

        assert held is not None
        assert held.id == run.id


async def test_a_dead_worker_s_run_is_taken_up_again_and_the_late_one_counts_no_more(
    open_database: OpenDatabase,
) -> None:
    async with open_database() as database:
        await request(database, a_run())
        late = await take(database, lease_s=OVER)
        assert late is not None

        held = await take(database)

        assert held is not None
        assert (held.id, held.times_taken) == (late.id, 2)
        for act in (keep, fail):
            with pytest.raises(LeaseLostError):
                await act(database, late)
        async with database.transaction() as session:
            with pytest.raises(LeaseLostError):
                await runs.renew_lease(session, late, lease_s=LONG)
        await keep(database, held)
        assert (await find(database, held.id)).status == "fetched"


async def test_a_renewed_lease_holds(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        await request(database, a_run())
        held = await take(database, lease_s=OVER)
        assert held is not None
        async with database.transaction() as session:
            await runs.renew_lease(session, held, lease_s=LONG)

        assert await take(database) is None


async def test_a_released_run_is_taken_at_once(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        await request(database, a_run())
        held = await take(database)
        assert held is not None
        await release(database, held)

        again = await take(database)

        assert again is not None
        assert again.id == held.id


async def test_a_worker_that_is_told_to_stop_gives_back_what_it_takes_then(
    open_database: OpenDatabase,
) -> None:
    async with open_database() as database:
        await request(database, a_run())
        begun = time.monotonic()
        held = await take(database)
        takes_s = time.monotonic() - begun
        assert held is not None
        await release(database, held)
        left: list[str] = []

        for part in range(60):
            working = asyncio.create_task(a_worker(database).work())
            await asyncio.sleep(takes_s * part / 30)
            working.cancel()
            await asyncio.wait([working])
            left.append((await find(database, held.id)).status)

        assert set(left) == {"requested"}
        assert (await find(database, held.id)).times_taken > 1


async def test_a_run_that_is_given_back_however_often_is_never_given_up(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        await request(database, a_run())
        for _ in range(MOST_LOSSES + 1):
            held = await take(database)
            assert held is not None
            await release(database, held)

        last = await take(database)

        assert last is not None
        assert (last.status, last.times_taken, last.times_lost) == ("fetching", MOST_LOSSES + 2, 0)


async def test_a_run_that_outlives_many_workers_is_given_up_and_told(open_database: OpenDatabase) -> None:
    async with open_database() as database:
        run, next_run = a_run(), a_run(requested_at=NOW + timedelta(seconds=1))
        await request(database, run, next_run)
        for _ in range(MOST_LOSSES):
            await take(database, lease_s=OVER)

        held = await take(database)

        assert held is not None
        assert held.id == next_run.id
        given_up = await find(database, run.id)
        assert (given_up.status, given_up.reason) == ("failed", "the worker was lost 5 times while it fetched")
        async with database.reading() as session:
            assert (await session.scalars(sa.select(outbox.rows.c.type))).all() == ["sync.failed"]


def whole(*records: Record) -> Applied:
    changed: Records = {}
    for record in records:
        changed.setdefault(record.kind, {})[record.id] = record.model_dump_json().encode()
    return Applied(changed=changed, gone={}, is_whole=True)


async def schedule(database: Database, *suppliers: SupplierRecord) -> list[UUID]:
    async with database.transaction() as session:
        return await runs.request_due_listings(session, suppliers, asyncio.Event(), KNOWN)


async def count_runs(database: Database) -> int:
    async with database.reading() as session:
        return await session.scalar(sa.select(sa.func.count()).select_from(run_rows)) or 0


async def test_what_is_due_is_asked_for_once_by_many_replicas(open_database: OpenDatabase) -> None:
    supplier = a_supplier(sync_interval_s=60)
    async with open_database() as one, open_database() as other:
        made = await asyncio.gather(*(schedule(database, supplier) for database in (one, other) * 4))

        assert sum(len(each) for each in made) == 1
        assert await count_runs(one) == 1


async def test_a_supplier_is_due_after_its_interval_and_not_while_a_run_is_open(open_database: OpenDatabase) -> None:
    now = datetime.now(UTC)
    recent, old, waiting, never, on_demand = (a_supplier(sync_interval_s=each) for each in (60, 60, 60, 60, 0))
    async with open_database() as database:
        await request(
            database,
            a_run(recent.id, status="failed", requested_at=now - timedelta(seconds=50)),
            a_run(old.id, status="failed", requested_at=now - timedelta(seconds=500)),
            a_run(old.id, status="applied", requested_at=now - timedelta(seconds=70)),
            a_run(waiting.id, status="requested", requested_at=now - timedelta(seconds=500)),
        )

        made = await schedule(database, recent, old, waiting, never, on_demand)

        asked = {(await find(database, run_id)).supplier_id for run_id in made}
        assert asked == {old.id, never.id}
        assert {(await find(database, run_id)).cause for run_id in made} == {"schedule"}


async def test_only_suppliers_that_can_be_asked_are_scheduled(open_database: OpenDatabase) -> None:
    def scheduled(**fields: Any) -> SupplierRecord:
        return a_supplier(sync_interval_s=60, **fields)

    plain, keyed = scheduled(), scheduled(requires_credential=True)
    passed_over = [
        scheduled(is_active=False),
        dead := scheduled(requires_credential=True),
        scheduled(requires_credential=True),
        a_supplier(),
    ]
    directory = Directory(Vault(MASTER_KEY))
    credentials = [a_credential(keyed, "x"), a_credential(dead, "x", state="dead")]
    directory.follow(whole(*passed_over, plain, keyed, *credentials))
    async with open_database() as database:
        await schedule_runs(database, directory, asyncio.Event(), KNOWN)

        async with database.reading() as session:
            found = await session.scalars(sa.select(run_rows.c.supplier_id))
            assert set(found.all()) == {plain.id, keyed.id}


async def test_the_last_five_listings_of_each_supplier_are_kept_and_those_not_yet_read(
    open_database: OpenDatabase,
) -> None:
    supplier_id, other_id = new_id(), new_id()
    async with open_database() as database:
        for number in range(8):
            run = a_run(supplier_id)
            await request(database, run)
            held = await take(database)
            assert held is not None
            await keep(database, held)
            if number > 0:
                async with database.transaction() as session:
                    await runs.refuse_run(session, run.id, "no", NOW)
        await request(database, a_run(other_id))
        other = await take(database)
        assert other is not None
        await keep(database, other)

        async with database.transaction() as session:
            forgotten = await listings.forget_old_listings(session)

        async with database.reading() as session:
            kept = (await session.execute(sa.select(listing_rows.c.supplier_id))).scalars().all()
        assert forgotten == 2
        assert Counter(kept) == {supplier_id: 6, other_id: 1}


async def test_the_listing_that_was_applied_last_is_kept_however_many_were_refused_since(
    open_database: OpenDatabase,
) -> None:
    supplier_id, kept = new_id(), []
    async with open_database() as database:
        for number in range(9):
            run = a_run(supplier_id)
            await request(database, run)
            held = await take(database)
            assert held is not None
            await keep(database, held)
            async with database.transaction() as session:
                if number < 2:
                    await runs.complete_run(session, run.id, Counts(0, 0, 0, 0, 0), NOW)
                else:
                    await runs.refuse_run(session, run.id, "no", NOW)
            kept += [run.id] if number in {1, 4, 5, 6, 7, 8} else []

        async with database.transaction() as session:
            await listings.forget_old_listings(session)

        async with database.reading() as session:
            found = await session.scalars(sa.select(listing_rows.c.run_id))
            assert set(found.all()) == set(kept)


async def test_old_runs_are_forgotten_but_the_last_fifty_of_each_supplier_and_those_with_a_listing(
    open_database: OpenDatabase,
) -> None:
    busy, quiet = new_id(), new_id()
    now = datetime.now(UTC)
    long_ago, lately = now - KEPT_FOR - timedelta(days=1), now - KEPT_FOR + timedelta(days=1)

    def ended(supplier_id: UUID, number: int, at: datetime) -> Run:
        return a_run(supplier_id, status="failed", requested_at=at + timedelta(seconds=number), ended_at=at)

    listed, unended = a_run(busy, requested_at=long_ago - timedelta(days=1)), a_run(new_id(), requested_at=long_ago)
    async with open_database() as database:
        await request(database, listed)
        held = await take(database)
        assert held is not None
        await keep(database, held)
        async with database.transaction() as session:
            await runs.refuse_run(session, listed.id, "no", long_ago)
        old = [ended(busy, number, long_ago) for number in range(53)]
        recent = [ended(busy, number, lately) for number in range(10)]
        await request(database, *old, *recent, ended(quiet, 0, long_ago), unended)

        await forget_old(database, outbox)

        # 10 recent ones and 40 old ones are the last fifty; the one with a listing is older than all of them.
        async with database.reading() as session:
            kept = Counter((await session.scalars(sa.select(run_rows.c.supplier_id))).all())
        assert kept == {busy: 51, quiet: 1, unended.supplier_id: 1}
        assert (await find(database, listed.id)).status == "refused"
