import asyncio
from typing import Any

import httpx

from builders import a_credential, a_model, a_served_model, a_source, a_supplier, shown
from catalogs import Told
from modelbus.contracts.catalog import (
    ModelAvailable,
    ModelChanged,
    ModelUnavailable,
    SourceAvailable,
    SourceChanged,
    SourceUnavailable,
    SyncRequested,
)


async def model_of(http: httpx.AsyncClient, model: dict[str, Any]) -> tuple[bool, str | None]:
    found = await shown(http, f"/api/v1/models/{model['id']}")
    return found["is_available"], found["reason"]


async def test_the_first_source_makes_its_model_available(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_model(http)
    assert (model["is_available"], model["reason"]) == (False, "no_source")

    source = await a_source(http, model["id"], (await a_supplier(http))["id"])

    assert source["is_available"]
    assert await model_of(http, model) == (True, None)
    assert [str(event.model_id) for event in await told(ModelAvailable)] == [model["id"]]
    assert [str(event.source_id) for event in await told(SourceAvailable)] == [source["id"]]


async def test_disabling_the_only_source_makes_its_model_unavailable(http: httpx.AsyncClient, told: Told) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    source = await a_source(http, model["id"], supplier["id"])

    answer = await http.post(f"/api/v1/sources/{source['id']}/disable")

    assert (answer.json()["is_available"], answer.json()["reason"]) == (False, "disabled")
    assert await model_of(http, model) == (False, "disabled")
    [gone] = await told(ModelUnavailable)
    assert (str(gone.model_id), gone.reason) == (model["id"], "disabled")
    assert [str(each) for each in gone.previous_source_ids] == [source["id"]]


async def test_disabling_one_of_two_sources_leaves_the_model_available(http: httpx.AsyncClient, told: Told) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    one = await a_source(http, model["id"], supplier["id"])
    await a_source(http, model["id"], supplier["id"])

    await http.post(f"/api/v1/sources/{one['id']}/disable")

    assert await model_of(http, model) == (True, None)
    assert await told(ModelUnavailable) == []
    assert [event.reason for event in await told(SourceUnavailable)] == ["disabled"]


async def test_two_changes_at_once_can_not_both_see_the_other_source_serving(
    http: httpx.AsyncClient, told: Told
) -> None:
    supplier = await a_supplier(http)
    for _ in range(8):
        model = await a_model(http)
        pair = [await a_source(http, model["id"], supplier["id"]) for _ in range(2)]
        await asyncio.gather(*(http.post(f"/api/v1/sources/{source['id']}/disable") for source in pair))
        assert await model_of(http, model) == (False, "disabled")

    assert len(await told(ModelUnavailable)) == 8


async def test_a_change_that_changes_nothing_tells_nothing(http: httpx.AsyncClient, told: Told) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    source = await a_source(http, model["id"], supplier["id"])
    before = len(await told(SourceChanged)), len(await told(ModelChanged))

    answer = await http.post(f"/api/v1/sources/{source['id']}/enable")
    await http.patch(f"/api/v1/models/{model['id']}", json={})

    assert "x-modelbus-revision" not in answer.headers
    assert (len(await told(SourceChanged)), len(await told(ModelChanged))) == before


async def test_a_disabled_supplier_takes_its_models_with_it_and_brings_them_back(
    http: httpx.AsyncClient, told: Told
) -> None:
    supplier, other = await a_supplier(http), await a_supplier(http)
    alone, shared = await a_model(http), await a_model(http)
    for model, by in ((alone, supplier), (shared, supplier), (shared, other)):
        await a_source(http, model["id"], by["id"])

    await http.post(f"/api/v1/suppliers/{supplier['id']}/disable")

    assert await model_of(http, alone) == (False, "supplier_disabled")
    assert await model_of(http, shared) == (True, None)
    await http.post(f"/api/v1/suppliers/{supplier['id']}/enable")
    assert await model_of(http, alone) == (True, None)
    assert [str(event.model_id) for event in await told(ModelUnavailable)] == [alone["id"]]


async def test_a_supplier_serves_only_with_a_usable_credential(http: httpx.AsyncClient, told: Told) -> None:
    supplier, model = await a_supplier(http, requires_credential=True), await a_model(http)
    source = await a_source(http, model["id"], supplier["id"])
    assert (source["is_available"], source["reason"]) == (False, "no_credential")

    credential = await a_credential(http, supplier["id"])
    assert await model_of(http, model) == (True, None)
    await http.post(f"/api/v1/credentials/{credential['id']}/disable")
    assert await model_of(http, model) == (False, "no_credential")
    await http.post(f"/api/v1/credentials/{credential['id']}/enable")
    await http.delete(f"/api/v1/credentials/{credential['id']}")
    assert await model_of(http, model) == (False, "no_credential")
    assert [event.cause for event in await told(SyncRequested)] == ["credential"]


async def test_a_disabled_model_is_unavailable_whatever_sources_it_has(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)

    answer = await http.post(f"/api/v1/models/{model['id']}/disable")

    assert (answer.json()["is_available"], answer.json()["reason"]) == (False, "disabled")
    assert (await http.post(f"/api/v1/models/{model['id']}/enable")).json()["is_available"]


async def test_a_deleted_model_is_told_gone_and_its_sources_unavailable(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)

    assert (await http.delete(f"/api/v1/models/{model['id']}")).status_code == 204

    assert (await http.get(f"/api/v1/models/{model['id']}")).status_code == 404
    assert [event.reason for event in await told(ModelUnavailable)] == ["deleted"]
    assert [event.reason for event in await told(SourceUnavailable)] == ["deleted"]
    assert (await told(ModelChanged))[-1].deleted


async def test_a_deleted_supplier_leaves_its_sources_unavailable(http: httpx.AsyncClient) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    source = await a_source(http, model["id"], supplier["id"])

    await http.delete(f"/api/v1/suppliers/{supplier['id']}")

    assert (await shown(http, f"/api/v1/sources/{source['id']}"))["reason"] == "deleted"
    assert await model_of(http, model) == (False, "deleted")


async def test_a_deleted_source_is_told_gone(http: httpx.AsyncClient, told: Told) -> None:
    model, supplier = await a_model(http), await a_supplier(http)
    source = await a_source(http, model["id"], supplier["id"])

    await http.delete(f"/api/v1/sources/{source['id']}")

    assert (await told(SourceChanged))[-1].deleted
    assert [event.reason for event in await told(SourceUnavailable)] == ["deleted"]
    assert await model_of(http, model) == (False, "no_source")


async def test_answers_to_changes_carry_the_revision_they_took(http: httpx.AsyncClient) -> None:
    first = await http.post("/api/v1/models", json={"name": "one"})
    second = await http.post("/api/v1/models", json={"name": "two"})

    assert [int(each.headers["x-modelbus-revision"]) for each in (first, second)] == [1, 2]
