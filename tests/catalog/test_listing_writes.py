"""What applying a listing writes and asks: each row once, nothing that is as it was, and ever as many statements."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from uuid import UUID

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncSession

from builders import a_supplier
from modelbus.catalog.actions.availability import settle_supplier
from modelbus.catalog.actions.listings import apply_listing, offer_of, remarks_of
from modelbus.catalog.domain.listings import plan
from modelbus.catalog.store import listings, models, sources, suppliers
from modelbus.catalog.store.capabilities import hold_capabilities
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import CatalogSynced
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import Background, Life, ListedModel, Listing
from servers import FreshDatabase

WRITTEN = sa.text(
    "SELECT relname, n_tup_ins AS inserted, n_tup_upd AS updated FROM pg_stat_xact_user_tables "
    "WHERE schemaname = 'catalog' AND n_tup_ins + n_tup_upd > 0"
)
_revisions = count(1)


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


def listed(names: int, **fields: Any) -> list[ListedModel]:
    return [ListedModel(upstream_name=f"m-{number}", **fields) for number in range(names)]


async def apply(
    session: AsyncSession, supplier_id: str, models: list[ListedModel], background: list[Background] | None = None
) -> None:
    listing = Listing(
        run_id=new_id(),
        supplier_id=UUID(supplier_id),
        digest="d",
        models=models,
        left_out=[],
        background=background or [],
    )
    await apply_listing(session, listing, next(_revisions))


def models_in(entries: list[dict[str, Any]]) -> list[ListedModel]:
    return [ListedModel(**{name: each[name] for name in each if name != "background"}) for each in entries]


def background_in(entries: list[dict[str, Any]]) -> list[Background]:
    return [
        Background(upstream_name=each["upstream_name"], **remark)
        for each in entries
        for remark in each.get("background", ())
    ]


async def written(opened: Database, supplier_id: str, models: list[ListedModel]) -> dict[str, tuple[int, int]]:
    """Apply a listing, and answer the rows of models and sources that it inserted and updated."""

    async def counted(session: AsyncSession) -> Counter[tuple[str, str]]:
        rows = (await session.execute(WRITTEN)).all()
        return Counter({(row.relname, verb): getattr(row, verb) for row in rows for verb in ("inserted", "updated")})

    async with opened.transaction() as session:
        # PostgreSQL still counts what this connection wrote a moment ago.
        before = await counted(session)
        await apply(session, supplier_id, models)
        after = await counted(session)
    after.subtract(before)
    return {table: (after[table, "inserted"], after[table, "updated"]) for table in ("models", "sources")}


@contextmanager
def statements(opened: Database) -> Iterator[list[str]]:
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    engine = opened._engine.sync_engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


async def test_a_first_listing_writes_each_row_once(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)

    assert await written(opened, supplier["id"], listed(30)) == {"models": (30, 0), "sources": (30, 0)}


async def test_another_suppliers_offers_of_the_same_models_write_each_source_once(
    http: httpx.AsyncClient, opened: Database
) -> None:
    first, second = await a_supplier(http), await a_supplier(http)
    await written(opened, first["id"], listed(30))

    assert await written(opened, second["id"], listed(30)) == {"models": (0, 0), "sources": (30, 0)}


async def test_what_comes_and_goes_is_written_once(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http, removal_after=1)
    await written(opened, supplier["id"], listed(30))

    assert await written(opened, supplier["id"], listed(10)) == {"models": (0, 20), "sources": (0, 20)}
    assert await written(opened, supplier["id"], listed(30)) == {"models": (0, 20), "sources": (0, 20)}


async def test_an_unchanged_listing_writes_no_model_and_no_source(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    await written(opened, supplier["id"], listed(30, context_window=8000))

    again = await written(opened, supplier["id"], listed(30, context_window=8000))

    assert again == {"models": (0, 0), "sources": (0, 0)}


async def test_only_what_changed_is_written(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    await written(opened, supplier["id"], listed(30))
    changed = [*listed(29), ListedModel(upstream_name="m-29", cost=CostPrices(input="1"), context_window=9)]

    assert await written(opened, supplier["id"], changed) == {"models": (0, 1), "sources": (0, 1)}


async def test_settling_takes_as_many_statements_for_many_models_as_for_two(
    http: httpx.AsyncClient, opened: Database
) -> None:
    taken = []
    for size in (2, 200):
        supplier = await a_supplier(http, namespace=f"n{size}")
        async with opened.transaction() as session:
            await apply(session, supplier["id"], listed(size))
            await session.execute(sa.text("UPDATE catalog.suppliers SET is_active = false"))
            with statements(opened) as sent:
                await settle_supplier(session, UUID(supplier["id"]))
        taken.append(len(sent))

    assert taken[0] == taken[1] < 10


NOBODY = "00000000-0000-7000-8000-000000000000"
A_AND_B = [{"upstream_name": "a"}, {"upstream_name": "b"}]
REMARKS = [
    {"file": "one", "context_window": 2, "capabilities": ["tools"], "tells_cost": True},
    {"file": "two", "context_window": 1, "modalities": "text->text", "knowledge_cutoff": "2025-01-31"},
    {"file": None, "model_type": "embedding", "deprecated_at": "2027-01-01T00:00:00+02:00"},
]
MOVED = (
    "UPDATE catalog.sources AS one SET model_id = other.model_id FROM catalog.sources AS other "
    "WHERE other.supplier_id = one.supplier_id AND one.upstream_name = 'a' AND other.upstream_name = 'b'"
)
an_entry = st.fixed_dictionaries(
    {"upstream_name": st.sampled_from("abcd")},
    optional={
        "display_name": st.sampled_from(["A", "ä \"'"]),
        "context_window": st.sampled_from([None, 1, 2]),
        "cost": st.sampled_from([CostPrices(), CostPrices(input="0.5"), CostPrices(input="0.50", is_dynamic=True)]),
        "life": st.sampled_from(
            [
                None,
                Life(retires_at="2025-01-01T00:00:00Z"),
                Life(deprecated_at="2090-01-01T00:00:00+02:00", replacement="a"),
            ]
        ),
        "capabilities": st.sampled_from([None, [], ["tools"], ["vision", "tools", "juggling"]]),
        "modalities": st.sampled_from([None, "text->text"]),
        "background": st.lists(st.sampled_from(REMARKS), max_size=2),
    },
)
entries = st.lists(an_entry, unique_by=lambda each: str(each["upstream_name"]), max_size=4)
edits = st.sampled_from(
    [
        "SELECT 1",
        "UPDATE catalog.models SET provenance = provenance - 'context_window'",
        "UPDATE catalog.models SET provenance = jsonb_set(provenance, '{display_name}', '\"administrator\"')",
        "UPDATE catalog.models SET aliases = ARRAY[name], name = name || '-renamed' WHERE name LIKE '%a'",
        "UPDATE catalog.models SET deleted_at = now() WHERE name LIKE '%b'",
        "UPDATE catalog.models SET provenance = provenance - 'capabilities'",
        "UPDATE catalog.models SET capabilities = '{}'",
        f"""UPDATE catalog.models SET provenance = provenance || '{{"context_window": "metadata:one:{NOBODY}"}}'""",
        "UPDATE catalog.models SET provenance = provenance - 'knowledge_cutoff', knowledge_cutoff = '2020-01-01'",
        "UPDATE catalog.sources SET background = NULL, cost_origin = 'administrator'",
        "UPDATE catalog.sources SET deleted_at = now() WHERE upstream_name = 'c'",
        "UPDATE catalog.sources SET missed = 1 WHERE upstream_name = 'd'",
        MOVED,
    ]
)


@example(first=A_AND_B, second=A_AND_B, edit=MOVED)
@given(first=entries, second=entries, edit=edits)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_postgresql_passes_over_no_offer_that_the_plan_would_change(
    http: httpx.AsyncClient, opened: Database, first: list[Any], second: list[Any], edit: str
) -> None:
    made = await a_supplier(http, namespace=f"n-{new_id().hex}")
    for name in ("tools", "vision"):
        # Those of the example before are taken.
        body = {"name": name, "domain": "nlp", "input_types": ["text"], "output_types": ["text"]}
        await http.post("/api/v1/capabilities", json=body)
    async with opened.transaction() as session:
        await apply(session, made["id"], models_in(first), background_in(first))
        await session.execute(sa.text(edit))
    listing = models_in(second)

    async with opened.transaction() as session:
        supplier = await suppliers.get_supplier(session, UUID(made["id"]))
        known = await hold_capabilities(session, ["tools", "vision"])
        assert len(known) == 2
        remarks = remarks_of(background_in(second), known)
        differing = await listings.differing(session, supplier, listing, known, remarks)
        offers = [offer_of(supplier, each, known, remarks.get(each.upstream_name, ())) for each in listing]
        names = await models.find_models(session, [offer.public_name for offer in offers])
        held = await sources.sources_of_supplier(session, supplier.id)

    passed_over = [offer for offer in offers if offer.upstream_name not in differing]
    kept = [source for source in held if source.upstream_name in {offer.upstream_name for offer in passed_over}]
    judged = plan(supplier, passed_over, kept, names)
    assert (judged.changed_sources, judged.changed_models, judged.new_offers) == ([], [], [])
    assert judged.unchanged == len(passed_over)


async def test_an_offer_that_says_nothing_new_is_passed_over(http: httpx.AsyncClient, opened: Database) -> None:
    made = await a_supplier(http)
    said = listed(3, display_name="Said", context_window=10, cost=CostPrices(input="0.25"))
    async with opened.transaction() as session:
        await apply(session, made["id"], said)
    await http.patch("/api/v1/models/m-0", json={"context_window": 7})
    new = [*said[:2], said[2].model_copy(update={"context_window": 11}), ListedModel(upstream_name="new")]

    async with opened.reading() as session:
        supplier = await suppliers.get_supplier(session, UUID(made["id"]))
        assert await listings.differing(session, supplier, new) == {"m-2", "new"}


async def test_a_listing_of_many_models_is_applied_in_portions_and_told_whole(
    http: httpx.AsyncClient, opened: Database, monkeypatch: pytest.MonkeyPatch, told: Any
) -> None:
    monkeypatch.setattr("modelbus.catalog.actions.listings.ADDED_AT_ONCE", 7)
    monkeypatch.setattr("modelbus.catalog.actions.listings.COMPARED_AT_ONCE", 3)
    supplier = await a_supplier(http)
    async with opened.transaction() as session:
        await apply(session, supplier["id"], listed(30))
    async with opened.transaction() as session:
        await apply(session, supplier["id"], listed(30, context_window=5))

    first, second = await told(CatalogSynced)
    assert (first.added, first.changes, second.changed, second.added) == (30, 30 * 4, 30, 0)
    found = (await http.get("/api/v1/models", params={"is_available": True, "limit": 100})).json()
    assert [each["context_window"] for each in found["items"]] == [5] * 30
