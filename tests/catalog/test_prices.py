"""Prices over REST: set, changed, taken back; history stays; nothing overlaps, whoever tries."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from builders import a_model, a_served_model, a_source, a_supplier, shown
from catalog.pricing import PRICES, a_costed_model, a_price, known, later
from catalog.refusals import fields_of
from catalog.statements import selects_of
from catalogs import Told
from modelbus.contracts.catalog import PriceChanged, SourceChanged
from servers import FreshDatabase


async def standing(http: httpx.AsyncClient, model: dict[str, Any], **query: Any) -> dict[str, Any]:
    answer = await http.get(f"/api/v1/models/{model['id']}/prices", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def history(http: httpx.AsyncClient, model: dict[str, Any]) -> list[tuple[Any, str]]:
    found = await shown(http, f"/api/v1/models/{model['id']}/prices/history")
    return [(known(each["prices"]), each["state"]) for each in found["items"]]


async def listed(http: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await http.get(PRICES, params=query)
    assert answer.status_code == 200, answer.text
    return [each["model_name"] for each in answer.json()["items"]]


async def test_a_price_is_in_force_at_once_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)

    prices = await a_price(http, {"input": 2.50, "output": "1E1", "image": 0}, model_id=model["id"])

    assert known(prices["in_force"]["prices"]) == {"input": "2.5", "output": "10", "image": "0"}
    assert (prices["state"], prices["version"], prices["in_force"]["origin"]) == ("priced", 1, "administrator")
    assert (await standing(http, model))["in_force"] == prices["in_force"]
    [event] = await told(PriceChanged)
    record = event.model_dump(mode="json")["record"]
    assert (record["id"], record["model_id"]) == (model["id"], model["id"])
    assert known(record["charge"]) == {"input": "2.5", "output": "10", "image": "0"}
    assert (record["valid_from"], record["valid_until"]) == (prices["in_force"]["valid_from"], None)
    snapshot = await shown(http, "/api/v1/snapshot?kinds=price")
    assert snapshot["records"]["price"] == [record]


async def test_a_new_price_ends_the_one_before_and_history_stays(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    first = await a_price(http, {"input": "1"}, model_id=model["id"])
    between = datetime.now(UTC).isoformat()

    second = await a_price(http, {"input": "2"}, model_id=model["id"])

    assert await history(http, model) == [({"input": "2"}, "in_force"), ({"input": "1"}, "over")]
    as_of = await standing(http, model, as_of=between)
    assert known(as_of["in_force"]["prices"]) == {"input": "1"}
    assert as_of["in_force"]["valid_until"] == second["in_force"]["valid_from"]
    before = await standing(http, model, as_of="2020-01-01T00:00:00Z")
    assert before["in_force"] is None
    assert [str(event.record.charge.input) for event in await told(PriceChanged)] == ["1", "2"]
    assert first["in_force"]["id"] != second["in_force"]["id"]


async def test_the_price_of_a_time_to_come_is_known_before(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    await a_price(http, {"input": "1"}, model_id=model["id"])

    await a_price(http, {"input": "2"}, model_id=model["id"], valid_from=later(days=1), valid_until=later(days=2))

    for ahead, amount in ((0.5, "1"), (1.5, "2"), (2.5, "1")):
        then = await standing(http, model, as_of=later(days=ahead))
        assert known(then["in_force"]["prices"]) == {"input": amount}
    assert [known(each["prices"]) for each in (await standing(http, model))["coming"]] == [
        {"input": "2"},
        {"input": "1"},
    ]


async def test_the_same_price_again_is_no_change(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    first = await a_price(http, {"input": "1.50"}, model_id=model["id"])

    again = await a_price(http, {"input": "1.5"}, model_id=model["id"])

    assert (again["in_force"], again["version"]) == (first["in_force"], 1)
    assert len(await told(PriceChanged)) == 1


async def test_an_overlap_is_refused_and_names_the_other_price(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    begins, ends = later(days=10), later(days=20)
    [coming] = (await a_price(http, model_id=model["id"], valid_from=begins, valid_until=ends))["coming"]

    for span in (
        {},
        {"valid_until": later(days=11)},
        {"valid_from": later(days=12)},
        {"valid_from": begins, "valid_until": ends},
        {"valid_from": later(days=12), "valid_until": later(days=13)},
    ):
        body = {"model_id": model["id"], "prices": {"input": "3"}, **span}
        answer = await http.post(PRICES, json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "price_overlap"), span
        assert [finding["id"] for finding in answer.json()["findings"]] == [coming["id"]]
    assert len(await history(http, model)) == 1
    await a_price(http, {"input": "3"}, model_id=model["id"], valid_until=begins)
    await a_price(http, {"input": "3"}, model_id=model["id"], valid_from=ends)


async def test_of_overlapping_prices_at_once_one_wins(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    span = {"valid_from": later(days=1), "valid_until": later(days=2)}

    answers = await asyncio.gather(
        *(
            http.post(PRICES, json={"model_id": model["id"], "prices": {"input": str(each)}, **span})
            for each in range(1, 6)
        )
    )

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"price_overlap"}
    assert len(await history(http, model)) == 1


async def test_the_database_itself_refuses_overlaps(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    model = await a_costed_model(http, {"input": "1"})
    await a_price(http, {"input": "1"}, model_id=model["id"])
    connection = await asyncpg.connect(database.superuser())
    try:
        for table, owner in (("charge_prices", "model_id"), ("cost_prices", "source_id")):
            copied = f"""
                INSERT INTO catalog.{table} (
                    id, {owner}, valid, is_open, state, is_dynamic, origin, created_at, updated_at
                )
                SELECT gen_random_uuid(), {owner}, $1, true, $2, false, 'administrator', now(), now()
                FROM catalog.{table} LIMIT 1
            """
            for state in ("coming", "in_force", "over"):
                with pytest.raises(asyncpg.ExclusionViolationError):
                    await connection.execute(copied, asyncpg.Range(datetime.now(UTC), None), state)
            await connection.execute(copied, asyncpg.Range(datetime.now(UTC), None), "withdrawn")
            await connection.execute(copied, asyncpg.Range(None, datetime(2020, 1, 1, tzinfo=UTC)), "over")
            for bad in ("-1", "1000000000", "NaN", "Infinity"):
                with pytest.raises(asyncpg.CheckViolationError):
                    await connection.execute(f"UPDATE catalog.{table} SET output = '{bad}'")
    finally:
        await connection.close()


async def test_a_price_to_come_is_changed_and_taken_back(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    await a_price(http, {"input": "1"}, model_id=model["id"])
    [coming] = (await a_price(http, {"input": "2"}, model_id=model["id"], valid_from=later(days=1)))["coming"]
    path = f"{PRICES}/{coming['id']}"

    moved = (await http.patch(path, json={"valid_from": later(days=5), "prices": {"input": "4"}})).json()
    bounded = (await http.patch(path, json={"valid_until": later(days=9)})).json()
    gone = await http.delete(path)

    assert [known(each["prices"]) for each in moved["coming"]] == [{"input": "4"}]
    assert moved["in_force"]["valid_until"] == moved["coming"][0]["valid_from"]
    assert [known(each["prices"]) for each in bounded["coming"]] == [{"input": "4"}, {"input": "1"}]
    assert gone.status_code == 204
    after = await standing(http, model)
    assert (after["coming"], after["in_force"]["valid_until"]) == ([], None)
    assert sorted(state for _, state in await history(http, model)) == ["in_force", "withdrawn", "withdrawn"]


async def test_a_price_to_come_can_not_be_moved_onto_another(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    await a_price(http, model_id=model["id"], valid_from=later(days=2), valid_until=later(days=3))
    after = await a_price(http, model_id=model["id"], valid_from=later(days=6), valid_until=later(days=7))
    coming = after["coming"]

    answer = await http.patch(f"{PRICES}/{coming[0]['id']}", json={"valid_until": later(days=6.5)})

    assert (answer.status_code, answer.json()["code"]) == (409, "price_overlap")
    assert answer.json()["findings"][0]["id"] == coming[1]["id"]
    assert (await standing(http, model))["coming"] == coming


async def test_history_is_never_changed_and_the_refusal_says_why(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    first = (await a_price(http, {"input": "1"}, model_id=model["id"]))["in_force"]
    second = (await a_price(http, {"input": "2"}, model_id=model["id"]))["in_force"]

    for price, code in ((first, "price_over"), (second, "price_begun")):
        for refused in (
            await http.patch(f"{PRICES}/{price['id']}", json={"prices": {"input": "9"}}),
            await http.delete(f"{PRICES}/{price['id']}"),
        ):
            assert (refused.status_code, refused.json()["code"]) == (409, code)
    past = await http.post(
        PRICES, json={"model_id": model["id"], "prices": {"input": "3"}, "valid_from": "2024-01-01T00:00:00Z"}
    )
    assert (past.status_code, past.json()["code"]) == (422, "price_in_past")
    assert fields_of(past) == ["valid_from"]
    assert await history(http, model) == [({"input": "2"}, "in_force"), ({"input": "1"}, "over")]
    assert len(await told(PriceChanged)) == 2


async def test_a_price_in_force_is_ended_now_or_later(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    price = (await a_price(http, model_id=model["id"]))["in_force"]
    until = later(days=1)

    limited = (await http.patch(f"{PRICES}/{price['id']}", json={"valid_until": until})).json()
    ended = (await http.post(f"{PRICES}/{price['id']}/end")).json()

    assert limited["in_force"]["valid_until"] == until
    assert (ended["in_force"], ended["state"]) == (None, "pending")
    assert [event.deleted for event in await told(PriceChanged)] == [False, False, True]
    assert (await shown(http, "/api/v1/snapshot?kinds=price"))["records"]["price"] == []
    assert (await http.post(f"{PRICES}/{price['id']}/end")).json()["code"] == "price_over"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prices": {}}, "prices"),
        ({"prices": {"input": "-0.01"}}, "prices.input"),
        ({"prices": {"output": "10000.01"}}, "prices.output"),
        ({"prices": {"image": "1000.01"}}, "prices.image"),
        ({"prices": {"input": "NaN"}}, "prices.input"),
        ({"prices": {"input": "Infinity"}}, "prices.input"),
        ({"prices": {"input": "1e400"}}, "prices.input"),
        ({"prices": {"input": "0.0000000001"}}, "prices.input"),
        ({"prices": {"input": "cheap"}}, "prices.input"),
        ({"prices": {"input": True}}, "prices.input"),
        ({"prices": {"tokens": "1"}}, "prices.tokens"),
        ({"prices": {"is_dynamic": True}}, "prices.is_dynamic"),
        ({"prices": {"input": "1"}, "valid_from": "2999-12-31T00:00:00"}, "valid_from"),
        ({"prices": {"input": "1"}, "valid_from": "9999-12-31T23:59:59-23:59"}, "valid_from"),
        ({"prices": {"input": "1"}, "valid_from": "0001-01-01T00:00:00+23:59"}, "valid_from"),
        ({"prices": {"input": "1"}, "valid_until": "2020-01-01T00:00:00Z"}, "valid_until"),
        ({"prices": {"input": "1"}, "model_id": str(uuid4())}, "model_id"),
    ],
)  # fmt: skip
async def test_a_price_that_can_not_be_meant_is_refused_by_its_field(
    http: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    model = await a_model(http)

    answer = await http.post(PRICES, json={"model_id": model["id"], **body})

    assert answer.status_code == 422, answer.text
    assert fields_of(answer) == [field]
    assert await history(http, model) == []


async def test_a_price_is_of_one_thing_alone(http: httpx.AsyncClient) -> None:
    model = await a_costed_model(http, {"input": "1"})
    [source] = (await standing(http, model))["sources"]

    for named in ({}, {"model_id": model["id"], "source_id": source["source_id"]}):
        answer = await http.post(PRICES, json={"prices": {"input": "1"}, **named})
        assert answer.status_code == 422
    answer = await http.post(PRICES, json={"prices": {"input": "1"}, "source_id": str(uuid4())})
    assert fields_of(answer) == ["source_id"]
    assert (await http.patch(f"{PRICES}/{uuid4()}", json={})).status_code == 404


async def test_whoever_has_not_seen_the_newest_price_is_refused(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    first = await http.post(PRICES, json={"model_id": model["id"], "prices": {"input": "1"}})
    seen = first.headers["etag"]

    second = await http.post(
        PRICES, json={"model_id": model["id"], "prices": {"input": "2"}}, headers={"If-Match": seen}
    )
    third = await http.post(
        PRICES, json={"model_id": model["id"], "prices": {"input": "3"}}, headers={"If-Match": seen}
    )

    assert (seen, second.status_code, second.headers["etag"], third.status_code) == ('"1"', 201, '"2"', 412)
    assert (await http.get(f"/api/v1/models/{model['id']}/prices")).headers["etag"] == '"2"'


async def test_a_cost_set_by_hand_is_the_sources_cost_at_once(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_costed_model(http, {"input": "1"})
    [source] = (await standing(http, model))["sources"]
    path = f"/api/v1/sources/{source['source_id']}"

    prices = await a_price(http, {"input": "0.80"}, source_id=source["source_id"])

    assert known(prices["in_force"]["prices"]) == {"input": "0.8"}
    assert known((await shown(http, path))["cost"]) == {"input": "0.8"}
    assert str((await told(SourceChanged))[-1].record.cost.input) == "0.8"
    found = (await shown(http, f"{path}/prices/history"))["items"]
    assert [(known(each["prices"]), each["state"]) for each in found] == [
        ({"input": "0.8"}, "in_force"),
        ({"input": "1"}, "over"),
    ]
    await http.post(f"{PRICES}/{prices['in_force']['id']}/end")
    assert known((await shown(http, path))["cost"]) == {}


async def test_models_are_listed_by_how_they_stand_to_their_price(http: httpx.AsyncClient) -> None:
    priced, orphaned, deleted = [await a_served_model(http, name=name) for name in ("priced", "orphaned", "deleted")]
    await a_served_model(http, name="pending")
    await a_model(http, name="never-served")
    for model in (priced, orphaned, deleted):
        await a_price(http, model_id=model["id"])
    await http.post(f"/api/v1/models/{orphaned['id']}/disable")
    await http.delete(f"/api/v1/models/{deleted['id']}")

    assert await listed(http, sort="name") == ["deleted", "orphaned", "pending", "priced"]
    assert await listed(http, state="priced") == ["priced"]
    assert await listed(http, state="pending") == ["pending"]
    assert await listed(http, state="orphaned", sort="name") == ["deleted", "orphaned"]
    assert (await shown(http, f"{PRICES}?total=true&limit=1"))["total"] == 4
    waiting = await standing(http, orphaned)
    assert waiting["deprecated_at"] is not None
    assert (waiting["state"], waiting["in_force"]["valid_until"]) == ("orphaned", None)

    await http.post(f"/api/v1/models/{orphaned['id']}/enable")

    back = await standing(http, orphaned)
    assert (back["state"], back["deprecated_at"]) == ("priced", None)
    assert back["in_force"] == waiting["in_force"]


async def test_models_are_found_by_supplier_tag_text_and_margin(http: httpx.AsyncClient) -> None:
    tag = (await http.post("/api/v1/tags", json={"name": "fast"})).json()
    losing = await a_costed_model(http, {"input": "1"}, {"input": "3"}, name="losing")
    earning = await a_costed_model(http, {"input": "1"}, name="earning")
    unknown = await a_costed_model(http, {"is_dynamic": True}, name="unknown")
    for model in (losing, earning, unknown):
        await a_price(http, {"input": "2"}, model_id=model["id"])
    await http.put(f"/api/v1/models/{earning['id']}/tags/{tag['id']}")
    [source] = (await standing(http, unknown))["sources"]

    assert await listed(http, margin="negative", over="cheapest") == []
    assert await listed(http, margin="negative", over="dearest") == ["losing"]
    assert await listed(http, margin="positive", over="preferred") == ["losing", "earning"]
    assert await listed(http, margin="unknown") == ["unknown"]
    assert await listed(http, supplier_id=source["supplier_id"]) == ["unknown"]
    assert await listed(http, search="earn") == ["earning"]
    assert await listed(http, model_type="image") == []
    assert await listed(http, tag_id=tag["id"]) == ["earning"]
    page = await shown(http, f"{PRICES}?limit=2")
    rest = await shown(http, f"{PRICES}?limit=2&cursor={page['next_cursor']}")
    assert [each["model_name"] for each in (*page["items"], *rest["items"])] == ["losing", "earning", "unknown"]


async def test_margins_are_shown_per_source_and_over_the_wanted_one(http: httpx.AsyncClient) -> None:
    model = await a_costed_model(
        http, {"input": "3", "output": "3"}, {"input": "1", "output": "5"}, {"is_dynamic": True}
    )

    prices = await a_price(http, {"input": "2", "output": "6"}, model_id=model["id"])

    first, second, dynamic = (each["margin"] for each in prices["sources"])
    assert first["input"] == {"amount": "-1", "percent": "-50"}
    assert (first["output"]["amount"], first["blended"]["amount"], first["is_negative"]) == ("3", "0", True)
    assert (second["blended"], second["is_negative"]) == ({"amount": "1", "percent": "33.3333"}, False)
    assert (dynamic["blended"], dynamic["is_negative"]) == (None, False)
    evenly = await standing(http, model, input_share=1, output_share=1)
    assert evenly["sources"][0]["margin"]["blended"] == {"amount": "1", "percent": "25"}
    for over, amount in (("cheapest", "1"), ("dearest", "0"), ("preferred", "0")):
        [item] = (await shown(http, f"{PRICES}?over={over}"))["items"]
        assert item["margin"]["blended"]["amount"] == amount
    refused = await http.get(f"{PRICES}?input_share=0&output_share=0")
    assert fields_of(refused) == ["query.input_share"]


async def test_each_change_is_a_version_and_going_back_leaves_the_past(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    await a_price(http, {"input": "1"}, model_id=model["id"])
    await a_price(http, {"input": "2"}, model_id=model["id"], valid_from=later(days=1))
    await a_price(http, {"input": "3"}, model_id=model["id"], valid_until=later(hours=1))
    path = f"{PRICES}/{model['id']}"

    versions = (await shown(http, f"{path}/versions"))["items"]
    compared = await shown(http, f"{path}/versions/compare?from=1&to=2")
    back = await http.post(f"{path}/rollback", json={"version": 2})

    assert [each["version"] for each in versions] == [3, 2, 1]
    assert {each["caller_name"] for each in versions} == {"administrator"}
    assert [each["field"] for each in compared["differences"]] == ["periods"]
    assert (back.status_code, back.json()["version"]) == (200, 4)
    after = await standing(http, model)
    assert known(after["in_force"]["prices"]) == {"input": "1"}
    assert [known(each["prices"]) for each in after["coming"]] == [{"input": "2"}]
    assert [amounts for amounts, state in await history(http, model) if state == "over"] == [
        {"input": "3"},
        {"input": "1"},
    ]
    assert str((await told(PriceChanged))[-1].record.charge.input) == "1"


async def test_the_list_takes_one_statement_however_long_the_page(http: httpx.AsyncClient) -> None:
    for _ in range(5):
        model = await a_costed_model(http, {"input": "1"}, {"input": "2"})
        await a_price(http, {"input": "3"}, model_id=model["id"])

    async def look(limit: int) -> None:
        assert len((await shown(http, f"{PRICES}?limit={limit}"))["items"]) == limit

    assert await selects_of(lambda: look(1)) == await selects_of(lambda: look(5)) == 1


async def test_a_source_shows_what_is_left_of_its_models_charge(http: httpx.AsyncClient) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    source = await a_source(http, model["id"], supplier["id"], cost={"input": "1.20"})
    await a_price(http, {"input": "1"}, model_id=model["id"])

    found = await shown(http, f"/api/v1/sources/{source['id']}/prices")

    assert found["margin"]["input"] == {"amount": "-0.2", "percent": "-20"}
    assert (found["margin"]["is_negative"], known(found["charge"])) == (True, {"input": "1"})
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    earlier = (await http.get(f"/api/v1/sources/{source['id']}/prices", params={"as_of": yesterday})).json()
    assert (earlier["in_force"], earlier["charge"]) == (None, None)
