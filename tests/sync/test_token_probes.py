"""Probes that cost tokens are wanted, the smallest there are, and within a budget a day."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from modelbus.contracts.catalog import CatalogSynced
from modelbus.contracts.records import SupplierRecord
from modelbus.simulator import Fault
from modelbus.simulator.providers import Provider
from modelbus.sync.domain.token_probes import Price, TokenProbe, smallest_chat
from sync.catalog_stand_in import a_credential, a_supplier
from sync.running_sync import RunningSync
from sync.test_probes import at_openai, at_openrouter, module_prober, shown, sync, watched

__all__ = ["module_prober", "sync"]

CHEAP = Price(Decimal(1), Decimal(2))


def a_probe(**fields: Any) -> TokenProbe:
    now = datetime.now(UTC)
    defaults: dict[str, Any] = {
        "supplier_id": a_supplier().id,
        "upstream_name": "gpt-4o-mini",
        "interval_s": 3600,
        "daily_calls": 2,
        "daily_cost": None,
        "is_reasoning": None,
        "due_at": now,
        "day": now.date(),
    }
    return TokenProbe(**{**defaults, **fields})


async def wanted(sync: RunningSync, supplier: SupplierRecord, **fields: Any) -> httpx.Response:
    # Once a day, so that the prober itself asks once and the test as often as it likes.
    body = {"upstream_name": "gpt-4o-mini", "interval_s": 86_400, **fields}
    return await sync.http.put(f"/api/v1/probes/{supplier.id}/tokens", json=body)


async def ask(sync: RunningSync, supplier: SupplierRecord) -> httpx.Response:
    return await sync.http.post("/api/v1/probes", json={"supplier_id": str(supplier.id), "with_tokens": True})


def bodies(provider: Provider, kind: str) -> list[dict[str, Any]]:
    return [json.loads(each.body) for each in provider.exchanges if each.kind == kind]


@pytest.mark.parametrize(
    ("model", "thinks"),
    [("gpt-4o-mini", False), ("o3", True), ("openai/o4-mini", True), ("gpt-5.1", True), ("foo-o1", False)],
)
def test_models_that_think_are_known_by_their_names(model: str, *, thinks: bool) -> None:
    assert a_probe(upstream_name=model).thinks is thinks
    assert a_probe(upstream_name=model, is_reasoning=not thinks).thinks is not thinks


def test_a_model_that_thinks_is_given_room_for_it_and_no_word_that_it_refuses() -> None:
    assert smallest_chat("o3", thinks=True).keys() == {"model", "messages", "max_completion_tokens"}
    assert smallest_chat("gpt-4o", thinks=False)["max_tokens"] == 1


def test_the_budget_of_a_day_is_kept_in_calls_and_in_money() -> None:
    spent = a_probe(daily_calls=2).spend(CHEAP).spend(CHEAP)
    # 32 tokens in and 16 out: 64 millionths of a dollar.
    dear = a_probe(daily_calls=9, daily_cost=Decimal("0.0001")).spend(CHEAP)

    assert spent.why_not(CHEAP) == "the 2 calls of today are made"
    assert "0.0001 USD" in (dear.why_not(CHEAP) or "")
    assert "nobody knows what the model costs" in (a_probe(daily_cost=Decimal(1)).why_not(None) or "")
    assert a_probe().why_not(None) is None
    tomorrow = spent.on(spent.day.replace(year=spent.day.year + 1))
    assert (tomorrow.calls, tomorrow.cost, tomorrow.why_not(CHEAP)) == (0, Decimal(0), None)
    assert spent.on(spent.day) == spent


async def test_the_smallest_request_is_made_and_counted_and_the_budget_ends_it(sync: RunningSync) -> None:
    supplier = at_openai(sync, requires_credential=True)
    await sync.catalog.put(supplier, a_credential(supplier, "sim-openai-key-1"))
    await watched(sync, supplier)

    before = await ask(sync, supplier)
    await wanted(sync, supplier, daily_calls=2)
    asked = [await ask(sync, supplier) for _ in range(3)]
    calls = (await shown(sync, supplier))["token_probe"]["calls"]
    assert asked[1].json()["token_probe"]["calls"] == calls
    ended = [await sync.http.delete(f"/api/v1/probes/{supplier.id}/tokens") for _ in range(2)]

    assert (before.status_code, before.json()["code"]) == (404, "not_found")
    assert [each.status_code for each in asked] == [200, 200, 409]
    assert asked[2].json()["code"] == "probe_budget_spent"
    assert asked[0].json()["looks"][-1] | {"at": "", "latency_ms": 0} == {
        "at": "",
        "way": "token",
        "is_ok": True,
        "latency_ms": 0,
        "reason": None,
    }
    [sent, _] = bodies(sync.simulator.openai, "chat")
    assert (sent["model"], sent["max_tokens"]) == ("gpt-4o-mini", 1)
    assert calls == 2
    assert [each.status_code for each in ended] == [204, 404]


async def test_anthropic_is_asked_in_its_own_words(sync: RunningSync) -> None:
    provider = sync.simulator.anthropic
    fields = {"protocol": "anthropic", "flavour": "anthropic", "requires_credential": True}
    supplier = a_supplier(sync.simulator.base_url(provider), **fields)
    await sync.catalog.put(supplier, a_credential(supplier, "sim-anthropic-key-1"))
    await watched(sync, supplier)
    await wanted(sync, supplier, upstream_name=provider.listing.items[0]["id"])

    asked = await ask(sync, supplier)

    assert asked.json()["looks"][-1]["way"] == "token"
    assert asked.json()["looks"][-1]["reason"] is None
    assert bodies(provider, "messages")[0]["max_tokens"] == 1


async def test_the_other_form_is_tried_where_the_first_is_refused_and_counted(sync: RunningSync) -> None:
    provider, supplier = sync.simulator.openai, at_openai(sync, requires_credential=True)
    await sync.catalog.put(supplier, a_credential(supplier, "sim-openai-key-1"))
    await watched(sync, supplier)
    await wanted(sync, supplier)
    words = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    provider.misbehave(Fault(status=400, body={"error": {"message": words}}), path="chat", times=1)

    asked = await ask(sync, supplier)

    assert asked.json()["looks"][-1]["reason"] is None
    assert [sorted({*each} & {"max_tokens", "max_completion_tokens"}) for each in bodies(provider, "chat")] == [
        ["max_tokens"],
        ["max_completion_tokens"],
    ]
    assert (await shown(sync, supplier))["token_probe"]["calls"] == 2


async def test_a_budget_in_money_needs_a_price_and_counts_by_it(sync: RunningSync) -> None:
    supplier = at_openrouter(sync)
    await watched(sync, supplier)
    sync.simulator.openrouter.serve_models([{"id": "m", "pricing": {"prompt": "0.000001", "completion": "0.000002"}}])
    sync.simulator.openrouter.accept_keys()
    await wanted(sync, supplier, upstream_name="m", daily_cost="0.0001")

    without = await ask(sync, supplier)
    run = await sync.listing_of(supplier)
    counts = {"added": 1, "changed": 0, "removed": 0, "held": 0, "unchanged": 0, "changes": 2}
    await sync.catalog.tell(CatalogSynced(run_id=run["id"], supplier_id=run["supplier_id"], **counts))
    await sync.run_in(run["id"], "applied")
    first, second = await ask(sync, supplier), await ask(sync, supplier)

    assert "nobody knows what the model costs" in without.json()["detail"]
    assert (first.status_code, second.status_code) == (200, 409)
    assert "0.0001" in second.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"upstream_name": ""}, "upstream_name"),
        ({"interval_s": 5}, "interval_s"),
        ({"daily_calls": 0}, "daily_calls"),
        ({"daily_cost": "-1"}, "daily_cost"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_bad_wishes_are_refused_by_field(sync: RunningSync, change: dict[str, Any], field: str) -> None:
    answer = await wanted(sync, at_openai(sync), **change)

    assert answer.status_code == 422
    assert field in answer.text


async def test_a_supplier_that_nobody_knows_is_refused(sync: RunningSync) -> None:
    stranger = a_supplier()

    answers = [
        await wanted(sync, stranger),
        await sync.http.post("/api/v1/probes", json={"supplier_id": str(stranger.id)}),
    ]

    assert [(each.status_code, each.json()["code"]) for each in answers] == [(422, "dangling_reference")] * 2
