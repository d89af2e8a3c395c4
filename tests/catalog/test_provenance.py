"""Why fields hold what they do: administrators go before listings, listings before files, files before guesses."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from builders import a_supplier, shown
from catalog.labels import a_capability
from catalogs import Told
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.domain.candidates import ToldField
from modelbus.catalog.domain.models import CAPABILITIES, TOLD_FIELDS
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.callers import Caller
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.catalog import ModelChanged, SourceChanged
from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import Background, ListedModel, Listing
from servers import FreshDatabase

WRITTEN = sa.text(
    "SELECT relname, n_tup_ins + n_tup_upd AS rows FROM pg_stat_xact_user_tables WHERE schemaname = 'catalog'"
)
_revisions = count(1)


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield catalog
    await catalog.close()


async def apply(opened: Database, supplier: dict[str, Any], *background: Background, **fields: Any) -> set[str]:
    """Apply a listing of one model, and answer the tables that it wrote to."""
    listing = Listing(
        run_id=new_id(),
        supplier_id=supplier["id"],
        digest="d",
        models=[ListedModel(upstream_name="one", **fields)],
        left_out=[],
        background=list(background),
    )
    async with opened.transaction(Caller.system("sync")) as session:
        # PostgreSQL still counts what this connection wrote a moment ago.
        before = {row.relname: row.rows for row in await session.execute(WRITTEN)}
        await apply_listing(session, listing, next(_revisions))
        return {row.relname for row in await session.execute(WRITTEN) if row.rows > before[row.relname]}


def from_file(file: str | None = "models.dev", *, is_exact: bool = True, **fields: Any) -> Background:
    entry = None if file is None else "openai/one"
    return Background(upstream_name="one", file=file, entry=entry, is_exact=is_exact, **fields)


async def standing(http: httpx.AsyncClient, field: str) -> dict[str, Any]:
    found = await shown(http, "/api/v1/models/one/provenance")
    [it] = [each for each in found["fields"] if each["field"] == field]
    return dict(it)


async def test_a_file_fills_what_the_listing_leaves_out_and_the_listing_goes_before_it(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http, name="house")
    await a_capability(http, name="tools")
    said = from_file(
        context_window=1000,
        max_output_tokens=50,
        modalities="text+image->text",
        model_type="multimodal",
        knowledge_cutoff="2024-06-01",
        deprecated_at="2030-01-01T00:00:00Z",
        capabilities=["tools", "juggling"],
    )

    await apply(opened, supplier, said, context_window=900)

    model = await shown(http, "/api/v1/models/one")
    assert (model["context_window"], model["max_output_tokens"], model["model_type"]) == (900, 50, "multimodal")
    assert (model["modalities"], model["knowledge_cutoff"]) == ("text+image->text", "2024-06-01")
    assert (model["deprecated_at"], len(model["capability_ids"])) == ("2030-01-01T00:00:00Z", 1)
    [event] = await told(ModelChanged)
    assert event.record is not None
    assert (event.record.modalities, event.record.max_output_tokens) == ("text+image->text", 50)
    window, output = await standing(http, "context_window"), await standing(http, "max_output_tokens")
    assert (window["teller"], window["confidence"], window["supplier_name"]) == ("listing", "high", "house")
    assert [(each["value"], each["teller"], each["file"]) for each in window["candidates"]] == [
        (1000, "metadata", "models.dev")
    ]
    assert (output["teller"], output["confidence"], output["file"], output["entry"], output["candidates"]) == (
        *("metadata", "medium", "models.dev", "openai/one"),
        [],
    )
    assert (output["changed_by"], output["since"]) == ("sync", window["since"])
    assert (await standing(http, "capabilities"))["value"] == ["tools"]


async def test_the_same_listing_with_the_same_files_writes_no_row_of_models_or_sources(
    http: httpx.AsyncClient, opened: Database
) -> None:
    supplier = await a_supplier(http)
    await a_capability(http, name="tools")
    said = (
        from_file(context_window=9, knowledge_cutoff="2024-06-01", deprecated_at="2030-01-01T00:00:00Z"),
        from_file("prices", is_exact=False, context_window=8, capabilities=["tools"], tells_cost=True),
        from_file(None, model_type="embedding"),
    )
    fields = {"cost": CostPrices(input="1.5"), "modalities": "text->embedding", "display_name": "One"}
    assert await apply(opened, supplier, *said, **fields) >= {"models", "sources"}

    again = await apply(opened, supplier, *said, **fields)
    named = await apply(opened, supplier, *said, from_file("third", display_name="Uno"), **fields)
    other = await apply(opened, supplier, said[1], said[2], **fields)

    assert again.isdisjoint({"models", "sources", "versions", "cost_prices"})
    assert other >= {"models", "sources"}
    # What loses against the listing is kept with the source, and told to nobody.
    assert "sources" in named
    assert "models" not in named
    assert (await shown(http, "/api/v1/models/one"))["context_window"] == 8


async def test_files_are_believed_in_their_order_and_guesses_last(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    first, second = from_file("first", is_exact=False, context_window=1), from_file("second", context_window=2)
    await apply(opened, supplier, first, second, from_file(None, model_type="embedding"))

    window, kind = await standing(http, "context_window"), await standing(http, "model_type")
    name, output = await standing(http, "display_name"), await standing(http, "max_output_tokens")

    assert (window["value"], window["file"], window["confidence"]) == (1, "first", "low")
    assert [each["file"] for each in window["candidates"]] == ["second"]
    assert (kind["value"], kind["teller"], kind["confidence"]) == ("embedding", "inferred", "low")
    assert (name["value"], name["teller"]) == ("one", "inferred")
    assert (output["value"], output["teller"], output["confidence"]) == (None, None, None)
    await apply(opened, supplier, from_file("second", model_type="rerank"))
    assert (await standing(http, "model_type"))["value"] == "rerank"


async def test_two_suppliers_that_find_other_entries_do_not_take_turns(
    http: httpx.AsyncClient, opened: Database
) -> None:
    one, other = await a_supplier(http), await a_supplier(http)
    await apply(opened, one, from_file(context_window=1), from_file(None, model_type="embedding"))
    await apply(opened, other, from_file(context_window=2, model_type="rerank"))

    written = await apply(opened, one, from_file(context_window=1), from_file(None, model_type="embedding"))

    assert written.isdisjoint({"models", "sources"})
    await http.patch("/api/v1/models/one", json={"model_type": "image"})
    # A guess comes after what a file says, whoever's listing it was read to.
    assert [each["value"] for each in (await standing(http, "model_type"))["candidates"]] == ["rerank", "embedding"]
    window = await standing(http, "context_window")
    assert (window["value"], [each["value"] for each in window["candidates"]]) == (1, [2])
    # A listing goes before a file, whoever's it is.
    await apply(opened, other, context_window=3)
    assert (await standing(http, "context_window"))["value"] == 3


async def test_an_administrators_value_stays_until_it_is_released(http: httpx.AsyncClient, opened: Database) -> None:
    supplier = await a_supplier(http)
    said = from_file(max_output_tokens=50, knowledge_cutoff="2024-06-01", deprecated_at="2030-01-01T00:00:00Z")
    await apply(opened, supplier, said, context_window=1000, modalities="text->text")
    mine = {
        "context_window": 7,
        "modalities": "text+audio->text",
        "max_output_tokens": 8,
        "knowledge_cutoff": None,
        "display_name": "Mine",
    }
    await http.patch("/api/v1/models/one", json=mine)
    await apply(opened, supplier, said, context_window=2000, modalities="text+image->text")

    kept = await shown(http, "/api/v1/models/one")
    window = await standing(http, "context_window")
    answer = await http.post("/api/v1/models/one/provenance/release", json={"fields": [*mine, "deprecated_at"]})

    assert {name: kept[name] for name in mine} == mine
    assert (window["teller"], window["confidence"], window["changed_by"]) == (
        "administrator",
        "certain",
        "administrator",
    )
    assert [each["value"] for each in window["candidates"]] == [2000]
    automatic = answer.json()
    assert {name: automatic[name] for name in mine} == {
        "context_window": 2000,
        "modalities": "text+image->text",
        "max_output_tokens": 50,
        "knowledge_cutoff": "2024-06-01",
        "display_name": "one",
    }
    assert automatic["deprecated_at"] == "2030-01-01T00:00:00Z"
    assert (await standing(http, "max_output_tokens"))["file"] == "models.dev"
    await apply(opened, supplier, said, context_window=3000, modalities="text+image->text")
    assert (await shown(http, "/api/v1/models/one"))["context_window"] == 3000


async def test_what_was_set_by_hand_before_files_told_it_stays(http: httpx.AsyncClient, opened: Database) -> None:
    await http.post("/api/v1/models", json={"name": "one", "retires_at": "2027-01-01T00:00:00Z"})
    supplier = await a_supplier(http)
    async with opened.transaction() as session:
        await session.execute(sa.text("UPDATE catalog.models SET knowledge_cutoff = '2020-01-01'"))

    await apply(opened, supplier, from_file(knowledge_cutoff="2024-06-01", deprecated_at="2030-01-01T00:00:00Z"))

    # Nor does a file say that a model is advised against after it has gone.
    model = await shown(http, "/api/v1/models/one")
    assert (model["knowledge_cutoff"], model["deprecated_at"]) == ("2020-01-01", None)
    cutoff = await standing(http, "knowledge_cutoff")
    assert (cutoff["teller"], [each["value"] for each in cutoff["candidates"]]) == ("administrator", ["2024-06-01"])


async def test_a_price_from_a_file_is_marked_and_gives_way_to_the_listings(
    http: httpx.AsyncClient, opened: Database, told: Told
) -> None:
    supplier = await a_supplier(http)
    cost = CostPrices(input="2.5", output="10")
    await apply(opened, supplier, from_file(tells_cost=True), cost=cost)
    [source] = (await http.get("/api/v1/sources")).json()["items"]

    [marked] = (await shown(http, "/api/v1/models/one/provenance"))["costs"]
    await apply(opened, supplier, from_file(), cost=cost)
    [listed] = (await shown(http, "/api/v1/models/one/provenance"))["costs"]
    history = (await shown(http, f"/api/v1/sources/{source['id']}/prices/history"))["items"]

    assert (marked["teller"], marked["file"], marked["confidence"]) == ("metadata", "models.dev", "medium")
    assert marked["value"]["input"] == "2.5"
    assert (listed["teller"], listed["file"], listed["confidence"]) == ("listing", None, "high")
    assert sorted(each["origin"] for each in history) == ["listing", "metadata"]
    origins = [event.record.cost_origin for event in await told(SourceChanged) if event.record is not None]
    assert origins == ["metadata", "listing"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "fields"),
        ({"fields": []}, "fields"),
        ({"fields": ["name"]}, "fields"),
        ({"fields": ["modalities"] * 2}, "fields"),
    ],
)
async def test_what_can_not_be_released_is_refused(http: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    await http.post("/api/v1/models", json={"name": "one"})

    answer = await http.post("/api/v1/models/one/provenance/release", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert field in answer.text


def test_whoever_may_tell_a_field_is_known_of_it() -> None:
    assert {*ToldField} == TOLD_FIELDS | {CAPABILITIES}


@pytest.mark.parametrize("given", ["text", "text->", "->text", "text+image->text"])
async def test_modalities_are_written_as_listings_write_them(http: httpx.AsyncClient, given: str) -> None:
    answer = await http.post("/api/v1/models", json={"name": "one", "modalities": given})

    assert answer.status_code == (422 if given == "text" else 201)
