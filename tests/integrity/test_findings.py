"""Findings of every kind of holder, from events to what administrators read, acknowledge and page."""

from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from integrity.listening import Ear
from integrity.teller import (
    Teller,
    a_capability,
    a_chain,
    a_consumer,
    a_credential,
    a_model,
    a_price,
    a_source,
    a_strategy,
    a_supplier,
    an_access_key,
)
from modelbus.chassis.database import plain_dsn
from modelbus.contracts.catalog import PriceChanged
from modelbus.contracts.records import CostPrices, ModelCapabilityRecord
from modelbus.contracts.references import ReferenceRestored, ReferenceStale
from running import eventually
from servers import FreshDatabase


async def found(http: httpx.AsyncClient, **filters: Any) -> list[dict[str, Any]]:
    answer = await http.get("/api/v1/findings", params=filters)
    assert answer.status_code == httpx.codes.OK, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_whatever_names_a_model_is_flagged_when_it_goes(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    gone, stays = a_model(aliases=["gpt"], is_default=True, name="openai/gpt-4"), a_model()
    old = a_model(replacement_model_id=gone.id, name="openai/gpt-3")
    await catalog.tell(
        gone, stays, old, a_strategy([gone.id, stays.id]), an_access_key([gone.id]), a_consumer([gone.id, stays.id])
    )
    await catalog.tell(a_credential([gone.id]), a_price(gone.id, input="1"), a_price(stays.id, input="1"))

    await catalog.tell(gone.model_copy(update={"is_available": False, "reason": "delisted"}))
    await ear.hears(7)

    assert {
        (each["where"], each["kind"]) for each in await found(http, kind=["dead", "degraded", "orphaned_price"])
    } == {
        ("strategy 'cheap', position 1", "degraded"),
        ("access key 'mobile-app', allowed model 1", "dead"),
        ("consumer 'acme', allowed model 1", "degraded"),
        ("credential 'main', allowed model 1", "dead"),
        ("model 'openai/gpt-4', alias 'gpt'", "dead"),
        ("model 'openai/gpt-4', default of type language", "dead"),
        ("model 'openai/gpt-3', replacement", "degraded"),
        ("price 'openai/gpt-4', price", "orphaned_price"),
    }


async def test_what_changes_around_a_place_opens_and_closes_findings_with_their_kind(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    ear.kinds = frozenset({"capability_mismatch", "cost_jump"})
    tools, supplier = a_capability("tools"), a_supplier("openai")
    able = [ModelCapabilityRecord(capability_id=tools.id, config={})]
    other = a_capability("vision")
    first, second = (
        a_model(capabilities=able),
        a_model(capabilities=[able[0].model_copy(update={"capability_id": other.id})]),
    )
    cheap = a_source(first.id, supplier_id=supplier.id, cost=CostPrices(input="1"))
    dear = a_source(second.id, supplier_id=supplier.id, cost=CostPrices(input="5"))

    await catalog.tell(tools, other, supplier, first, second, cheap, dear, a_chain(first, second, name="prod-chat"))
    opened = await ear.hears(2)

    assert {(each.kind, each.where) for each in opened if isinstance(each, ReferenceStale)} == {
        ("capability_mismatch", "chain 'prod-chat', step 2"),
        ("cost_jump", "chain 'prod-chat', step 2"),
    }
    (jump,) = await found(http, kind="cost_jump")
    assert (jump["severity"], jump["evidence"]) == ("at_risk", {"input": ["1", "5"]})

    await catalog.tell(dear.model_copy(update={"cost": CostPrices(input="2")}))
    *_, closed = await ear.hears(3)

    assert isinstance(closed, ReferenceRestored)
    assert (closed.kind, closed.resolution) == ("cost_jump", "mended")
    assert [each["kind"] for each in await found(http, kind=["cost_jump", "capability_mismatch"])] == [
        "capability_mismatch"
    ]


async def test_prices_are_missed_only_while_some_model_has_one(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    ear.kinds = frozenset({"pending_price"})
    priced, pending = a_model(), a_model(name="openai/free")
    await catalog.tell(priced, pending)

    await catalog.tell(a_price(priced.id, input="1"))
    (stale,) = await ear.hears(1)
    assert stale.where == "model 'openai/free', price"

    await catalog.tell(PriceChanged.gone(priced.id))
    _, restored = await ear.hears(2)

    assert restored.finding_id == stale.finding_id
    assert await found(http, kind="pending_price") == []


async def test_a_ring_of_replacements_is_found_at_each_member_and_broken_for_all(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    ear.kinds = frozenset({"cycle"})
    ids = [uuid4() for _ in range(3)]
    ring = [
        a_model(model_id, replacement_model_id=ids[number - 1], name=f"ring/{number}")
        for number, model_id in enumerate(ids)
    ]
    await catalog.tell(*ring)
    await ear.hears(3)
    assert {tuple(each["evidence"]["ring"]) for each in await found(http, kind="cycle")} == {
        ("ring/2", "ring/1", "ring/0"),
        ("ring/0", "ring/2", "ring/1"),
        ("ring/1", "ring/0", "ring/2"),
    }

    await catalog.tell(ring[0].model_copy(update={"replacement_model_id": None}))
    await ear.hears(6)

    assert await found(http, kind="cycle") == []


async def test_an_acknowledged_finding_stays_and_opens_again_when_it_becomes_dead(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    gone, stays = a_model(gone="delisted"), a_model()
    await catalog.tell(gone, stays, a_chain(gone, stays))
    await ear.hears(1)
    (finding,) = await found(http, kind="degraded")

    once = await http.post(f"/api/v1/findings/{finding['id']}/acknowledge")
    twice = await http.post(f"/api/v1/findings/{finding['id']}/acknowledge")

    assert once.json() == twice.json()
    assert (once.json()["state"], once.json()["acknowledged_by"]) == ("acknowledged", "administrator")
    assert await found(http, state="acknowledged") == [once.json()]
    assert await found(http, state="open", kind="degraded") == []
    assert await found(http, kind="degraded") == [once.json()]

    await catalog.tell(stays.model_copy(update={"is_available": False, "reason": "disabled"}))
    await ear.hears(3)

    assert {each["state"] for each in await found(http, kind="dead")} == {"open"}


async def test_what_is_resolved_or_was_never_there_can_not_be_acknowledged(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    model = a_model(gone="delisted")
    await catalog.tell(model, a_chain(model))
    (stale,) = await ear.hears(1)
    await catalog.tell(a_model(model.id))
    await ear.hears(2)

    resolved = await http.post(f"/api/v1/findings/{stale.finding_id}/acknowledge")
    unknown = await http.post(f"/api/v1/findings/{uuid4()}/acknowledge")
    malformed = await http.post("/api/v1/findings/x/acknowledge")

    assert (resolved.status_code, resolved.json()["code"]) == (httpx.codes.CONFLICT, "finding_resolved")
    assert (unknown.status_code, unknown.json()["code"]) == (httpx.codes.NOT_FOUND, "finding_not_found")
    assert malformed.status_code == httpx.codes.UNPROCESSABLE_ENTITY


async def test_one_chain_is_validated_from_scratch_and_an_unknown_one_is_not_found(
    http: httpx.AsyncClient, catalog: Teller, ear: Ear
) -> None:
    gone = a_model(gone="delisted")
    chain, other = a_chain(gone, name="prod-chat"), a_chain(gone, name="other")
    await catalog.tell(gone, chain, other)
    await ear.hears(2)

    validated = await http.get(f"/api/v1/fallback-chains/{chain.id}/validation")
    unknown = await http.get(f"/api/v1/fallback-chains/{uuid4()}/validation")

    assert (validated.json()["checked"], [each["where"] for each in validated.json()["findings"]]) == (
        1,
        ["chain 'prod-chat', step 1"],
    )
    assert (unknown.status_code, unknown.json()["code"]) == (httpx.codes.NOT_FOUND, "holder_not_found")


async def test_nothing_secret_of_keys_and_credentials_is_kept(
    http: httpx.AsyncClient, catalog: Teller, database: FreshDatabase
) -> None:
    model = a_model()
    await catalog.tell(model, an_access_key([model.id]), a_credential([model.id]))

    async def are_known() -> bool:
        answer = await http.get("/api/v1/references", params={"target": str(model.id)})
        return len(answer.json().get("items", [])) == len(("key", "credential"))

    await eventually(are_known)

    connection = await asyncpg.connect(plain_dsn(database.superuser()))
    texts = await connection.fetch("SELECT record FROM integrity.records WHERE kind <> 'model'")
    await connection.close()

    assert [row["record"] for row in texts] == ["{}", "{}"]
