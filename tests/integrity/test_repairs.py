"""Findings that are mended by one call, through a real catalog, and what happens where they can't be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from builders import a_model, a_source, a_supplier, shown
from catalog.people import a_session, audited, shows
from integrity import teller
from integrity.pair import Pair, running_pair
from modelbus.contracts.labels import CapabilityRecord
from modelbus.contracts.records import CostPrices, ModelCapabilityRecord
from modelbus.integrity.clients.configuration import Configuration
from modelbus.integrity.domain.errors import CatalogAwayError
from servers import FreshDatabase
from testing_bus import LocalBus

type Serve = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def pair(database: FreshDatabase, bus: LocalBus) -> AsyncIterator[Pair]:
    async with running_pair(database, bus.url) as both:
        yield both


async def served(pair: Pair, count: int) -> list[dict[str, Any]]:
    """Make models with one supplier for each."""
    models = []
    for number in range(count):
        model = await a_model(pair.catalog, name=f"vendor/{number}", context_window=1000)
        supplier = await a_supplier(pair.catalog)
        await a_source(pair.catalog, model["id"], supplier["id"])
        models.append(model)
    return models


async def a_broken_chain(pair: Pair) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Make a chain whose first step is dead weight; answers it, its finding, and the models."""
    models = await served(pair, 3)
    body = {"name": "prod", "steps": [{"model_id": each["id"], "triggers": ["timeout"]} for each in models[:2]]}
    chain = await pair.change("POST", "fallback-chains", body)
    await pair.change("POST", f"models/{models[0]['id']}/disable", force="true")
    (finding,) = await pair.findings(kind="degraded")
    return chain, finding, models


async def repair(pair: Pair, finding: dict[str, Any], key: str | None = None, **chosen: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await pair.integrity.post(f"/api/v1/repairs/{finding['id']}", json=chosen, headers=headers)


async def test_a_repair_is_applied_once_by_the_caller_and_undone_by_the_catalogs_rollback(pair: Pair) -> None:
    chain, finding, (_, second, third) = await a_broken_chain(pair)
    offered = await shown(pair.integrity, f"/api/v1/findings/{finding['id']}")
    assert [(each["remedy"], each["model_id"]) for each in offered["proposals"]] == [
        ("replace", third["id"]),
        ("remove", None),
    ]

    answers = await asyncio.gather(
        *(repair(pair, finding, "once", remedy="replace", model_id=third["id"]) for _ in range(4))
    )

    assert [each.status_code for each in answers] == [httpx.codes.OK] * 4
    assert len({each.json()["applied_at"] for each in answers}) == 1
    assert sum("idempotency-replayed" not in each.headers for each in answers) == 1
    now = await shown(pair.catalog, f"/api/v1/fallback-chains/{chain['id']}")
    assert [(each["model_id"], each["triggers"]) for each in now["steps"]] == [
        (third["id"], ["timeout"]),
        (second["id"], ["timeout"]),
    ]
    assert now["version"] == chain["version"] + 1
    await pair.findings(0, kind="degraded")
    again = await repair(pair, finding, remedy="replace", model_id=third["id"])
    assert again.json() == answers[0].json()
    otherwise = await repair(pair, finding, remedy="remove")
    assert (otherwise.status_code, otherwise.json()["code"]) == (httpx.codes.CONFLICT, "repaired_otherwise")

    back = answers[0].json()["rollback"]
    await pair.change("POST", back["path"].removeprefix("/api/v1/"), {"version": back["version"]}, force="true")
    (reopened,) = await pair.findings(kind="degraded")
    assert (reopened["place"], reopened["target_id"]) == (finding["place"], finding["target_id"])
    other = await repair(pair, reopened, "once", remedy="remove")
    assert (other.status_code, other.json()["code"]) == (
        httpx.codes.UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
    )


async def test_every_kind_of_place_that_names_a_model_is_repaired(pair: Pair) -> None:
    lost, new = await served(pair, 2)
    ids = [lost["id"]]
    judge = {"thresholds": [0.1, 0.2, 0.3, 0.4], "judge_model_id": lost["id"], "judge_timeout_ms": 100}
    levels = [{"level": "easy", "model_ids": ids}]
    await pair.change("POST", "complexity-routing", {"name": "r", "levels": levels, "classifier": judge})
    arm = {"name": "a", "model_id": lost["id"], "weight": 7}
    shadow = {"name": "b", "model_id": lost["id"], "percent": 5}
    split = await pair.change("POST", "splits", {"name": "p", "arms": [arm], "shadows": [shadow]})
    await pair.change("POST", "cost-strategies", {"name": "s", "cost_weight": 1, "model_ids": ids})
    await pair.change("POST", "scopes", {"name": "s", "model_ids": ids, "default_model_id": lost["id"]})
    consumer = await pair.change("POST", "consumers", {"name": "c", "kind": "tenant", "model_ids": ids})
    await pair.change("POST", "access-keys", {"name": "k", "consumer_id": consumer["id"], "model_ids": ids})
    await pair.change("PATCH", f"models/{new['id']}", {"replacement_model_id": lost["id"]})
    await pair.change("POST", f"models/{lost['id']}/disable", force="true")
    places = ["level easy, position 1", "judge", "position 1", "position 1", "default", "allowed model 1"]
    places += ["allowed model 1", "replacement", "arm 'a'", "shadow 'b'"]

    found = await pair.findings(len(places), target_id=lost["id"])

    assert sorted(each["place"] for each in found) == sorted(places)
    for finding in found:
        is_own = finding["place"] == "replacement"
        chosen = {"remedy": "remove"} if is_own else {"remedy": "replace", "model_id": new["id"]}
        answer = await repair(pair, finding, **chosen)
        # A scope's default is one of its models, so whichever is repaired first mends both.
        is_mended = finding["holder_kind"] == "scope" and answer.json().get("code") == "finding_resolved"
        assert is_mended or answer.status_code == httpx.codes.OK, (finding["where"], answer.text)
    await pair.findings(0, target_id=lost["id"])
    mended = await pair.change("PATCH", f"splits/{split['id']}", {})
    assert [(each["model_id"], each["weight"]) for each in mended["arms"]] == [(new["id"], 7)]
    assert [(each["model_id"], each["percent"]) for each in mended["shadows"]] == [(new["id"], 5)]


async def test_a_repair_while_the_catalog_is_down_changes_nothing_and_may_be_asked_again(
    serve: Serve, catalog: teller.Teller
) -> None:
    gone, new = teller.a_model(gone="delisted"), teller.a_model()
    http = await serve(gone, new, teller.a_source(new.id), teller.a_scope([gone.id]))
    (finding,) = (await http.get("/api/v1/findings", params={"kind": "dead"})).json()["items"]
    catalog.is_away = True
    chosen = {"remedy": "replace", "model_id": str(new.id)}

    for _ in range(2):
        answer = await http.post(f"/api/v1/repairs/{finding['id']}", json=chosen, headers={"Idempotency-Key": "k"})

        assert (answer.status_code, answer.json()["code"]) == (
            httpx.codes.SERVICE_UNAVAILABLE,
            "catalog_unavailable",
        )
        assert answer.headers["retry-after"] == "1"
    after = await shown(http, f"/api/v1/findings/{finding['id']}")
    assert (after["state"], after["repair"]) == ("open", None)
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9") as nowhere:
        with pytest.raises(CatalogAwayError):
            await Configuration(nowhere).show("/api/v1/scopes/1", "Bearer x")


async def test_what_can_not_be_repaired_is_refused_with_what_would_be_right(pair: Pair) -> None:
    chain, finding, (first, second, third) = await a_broken_chain(pair)
    resolved_path = f"fallback-chains/{chain['id']}"

    unknown = await pair.integrity.post(f"/api/v1/repairs/{uuid4()}", json={"remedy": "remove"})
    named = await repair(pair, finding, remedy="replace", model_id=second["id"])
    stale = await repair(pair, finding, remedy="replace", model_id=first["id"])
    wrong = await repair(pair, finding, remedy="add", model_id=third["id"])
    nothing = await repair(pair, finding, remedy="replace")
    malformed = await repair(pair, finding, "", remedy="remove")
    steps = [{"model_id": second["id"]}]
    await pair.change("PATCH", resolved_path, {"steps": steps})
    await pair.findings(0, kind="degraded")
    resolved = await repair(pair, finding, remedy="remove")

    assert (unknown.status_code, unknown.json()["code"]) == (httpx.codes.NOT_FOUND, "finding_not_found")
    for refused, field in ((named, "model_id"), (stale, "model_id"), (wrong, "remedy")):
        assert (refused.status_code, refused.json()["code"]) == (
            httpx.codes.UNPROCESSABLE_ENTITY,
            "remedy_not_offered",
        )
        assert refused.json()["errors"][0]["field"] == field
    assert (nothing.status_code, nothing.json()["code"]) == (httpx.codes.UNPROCESSABLE_ENTITY, "invalid_input")
    assert (malformed.status_code, malformed.json()["code"]) == (
        httpx.codes.BAD_REQUEST,
        "idempotency_key_malformed",
    )
    assert (resolved.status_code, resolved.json()["code"]) == (httpx.codes.CONFLICT, "finding_resolved")
    assert (await shown(pair.catalog, f"/api/v1/{resolved_path}"))["version"] == chain["version"] + 1


async def test_what_the_catalog_saves_is_checked_by_integrity_and_a_single_point_is_mended_by_one_more_step(
    pair: Pair,
) -> None:
    model, spare = await served(pair, 2)
    body = {"name": "prod", "steps": [{"model_id": model["id"]}]}

    async def asked() -> dict[str, Any]:
        answer = await pair.catalog.post("/api/v1/fallback-chains", json=body, params={"check": "true"})
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    made = await asked()

    assert made["check"]["state"] == "checked"
    (live,) = await pair.findings(1, holder_id=made["id"])
    # The model may be news to integrity, as may the chain.
    changed = await pair.catalog.patch(
        f"/api/v1/fallback-chains/{made['id']}", json={"description": "d"}, params={"check": "true"}
    )
    (found,) = changed.json()["check"]["findings"]
    assert (found["kind"], found["where"], found["evidence"]) == (live["kind"], live["where"], live["evidence"])
    added = await repair(pair, live, remedy="add", model_id=spare["id"])
    assert added.status_code == httpx.codes.OK, added.text
    await pair.findings(0, holder_id=made["id"])
    steps = (await shown(pair.catalog, f"/api/v1/fallback-chains/{made['id']}"))["steps"]
    assert [each["model_id"] for each in steps] == [model["id"], spare["id"]]


CAPABILITIES = [teller.a_capability(name) for name in ("tools", "vision")]


def able(*capabilities: CapabilityRecord) -> list[ModelCapabilityRecord]:
    return [ModelCapabilityRecord(capability_id=each.id, config={}) for each in capabilities]


async def test_models_are_ranked_by_what_they_can_do_their_context_price_supplier_and_health(serve: Serve) -> None:
    tools, vision = CAPABILITIES
    lost = teller.a_model(gone="delisted", context_window=1000, capabilities=able(tools, vision))
    first = teller.a_source(lost.id, gone="delisted", cost=CostPrices.model_validate({"input": "2"}))
    other = teller.a_model(context_window=1000)
    beside = teller.a_source(other.id)
    best = {"context_window": 1000, "capabilities": able(tools, vision)}
    usual = {"cost": CostPrices.model_validate({"input": "2"}), "health": "healthy"}
    lesser: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("blind", {"capabilities": able(tools)}, {}),
        ("narrow", {"context_window": 100}, {}),
        ("dear", {}, {"cost": CostPrices.model_validate({"input": "9"})}),
        ("same-supplier", {}, {"supplier_id": beside.supplier_id}),
        ("ailing", {}, {"health": "down"}),
    ]
    records: list[Any] = []
    for name, model_fields, source_fields in [("equal", {}, {}), *lesser]:
        model = teller.a_model(name=name, **{**best, **model_fields})
        records += [model, teller.a_source(model.id, **{**usual, **source_fields})]
    chain = teller.a_chain(lost, other)
    http = await serve(*CAPABILITIES, lost, first, other, beside, *records, chain)
    (finding,) = (await http.get("/api/v1/findings", params={"kind": "degraded"})).json()["items"]

    offered = (await shown(http, f"/api/v1/findings/{finding['id']}"))["proposals"]

    named = [each["model_name"] for each in offered if each["remedy"] == "replace"]
    assert len(named) == 5
    assert named[0] == "equal"
    assert "blind" not in named
    reasons = {each["model_name"]: each["reasons"] for each in offered}
    assert "can do all that is needed" in reasons["equal"]
    assert "costs the same" in reasons["equal"]
    assert "of a supplier that no other place has" in reasons["equal"]
    assert "context of 100 tokens, and 1000 before" in reasons["narrow"]
    assert "costs 4.50 times as much" in reasons["dear"]
    assert "of the supplier that other places have" in reasons["same-supplier"]
    assert "down right now" in reasons["ailing"]


async def test_the_replacement_that_somebody_has_named_goes_before_all_others(serve: Serve) -> None:
    named, other = teller.a_model(name="z-named"), teller.a_model(name="a-other")
    lost = teller.a_model(gone="retired", replacement_model_id=named.id)
    exact = teller.a_source(other.id, gone="delisted")
    sources = [teller.a_source(named.id), teller.a_source(other.id), exact]
    http = await serve(named, other, lost, *sources, teller.a_scope([lost.id]), teller.a_chain(exact))

    offers = {}
    for finding in (await http.get("/api/v1/findings", params={"kind": "dead"})).json()["items"]:
        proposals = (await shown(http, f"/api/v1/findings/{finding['id']}"))["proposals"]
        offers[finding["holder_kind"]] = [(each["remedy"], each["model_name"]) for each in proposals]
        if finding["holder_kind"] == "scope":
            assert (proposals[0]["score"], proposals[0]["reasons"][0]) == (1.0, "it is named as the replacement")

    assert offers["scope"] == [("replace", "z-named"), ("replace", "a-other")]
    # A step that names an exact source may name its model instead.
    assert ("replace", "a-other") in offers["chain"]


async def test_only_models_that_mend_the_finding_by_the_rules_are_offered(serve: Serve) -> None:
    tools, _ = CAPABILITIES
    first, fallback = teller.a_model(capabilities=able(tools)), teller.a_model(capabilities=able(*CAPABILITIES[1:]))
    handy, unhandy = teller.a_model(capabilities=able(tools)), teller.a_model(capabilities=able(*CAPABILITIES[1:]))
    models = [first, fallback, handy, unhandy]
    chain = teller.a_chain(first, fallback)
    http = await serve(*CAPABILITIES, *models, *(teller.a_source(model.id) for model in models), chain)
    (finding,) = (await http.get("/api/v1/findings", params={"kind": "capability_mismatch"})).json()["items"]

    offered = (await shown(http, f"/api/v1/findings/{finding['id']}"))["proposals"]
    chosen = {"remedy": "replace", "model_id": str(unhandy.id)}
    refused = await http.post(f"/api/v1/repairs/{finding['id']}", json=chosen)

    assert [each["model_id"] for each in offered] == [str(handy.id), None]
    assert (refused.status_code, refused.json()["code"]) == (httpx.codes.UNPROCESSABLE_ENTITY, "remedy_not_offered")


async def test_users_repair_as_themselves_if_they_may_edit(pair: Pair, database: FreshDatabase) -> None:
    _, finding, _ = await a_broken_chain(pair)
    viewer, editor = [await a_session(pair.catalog, role=role) for role in ("viewer", "editor")]
    path = f"/api/v1/repairs/{finding['id']}"

    refused = await pair.integrity.post(path, json={"remedy": "remove"}, headers=shows(viewer))
    done = await pair.integrity.post(path, json={"remedy": "remove"}, headers=shows(editor))

    assert (refused.status_code, refused.json()["detail"]) == (403, "this needs the role 'editor'")
    assert (done.status_code, done.json()["applied_by"]) == (200, editor["user"]["name"])
    lines = [line for line in await audited(database, "done") if line["caller_name"] == editor["user"]["name"]]
    assert [line["action"] for line in lines][1:] == ["PATCH /api/v1/fallback-chains/{chain_id}"]
