import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from builders import a_credential, a_model, a_served_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalog.statements import selects_of
from catalogs import Told
from modelbus.catalog.domain.chains import Target, Trigger, redirect
from modelbus.catalog.domain.references import Gone, Place, PlaceKind, Severity, find_broken, redirected
from modelbus.contracts.catalog import (
    AccessKeyChanged,
    ChainChanged,
    ComplexityChanged,
    ConsumerChanged,
    ModelChanged,
    ScopeChanged,
    StrategyChanged,
)
from running import eventually
from servers import FreshDatabase

type Json = dict[str, Any]

FORCED = {"force": True}


async def made(http: httpx.AsyncClient, path: str, **body: Any) -> Json:
    answer = await http.post(f"/api/v1/{path}", json=body)
    assert answer.status_code == 201, answer.text
    found: Json = answer.json()
    return found


async def a_chain(http: httpx.AsyncClient, name: str, *model_ids: str, **fields: Any) -> Json:
    return await made(http, "fallback-chains", name=name, steps=[{"model_id": each} for each in model_ids], **fields)


async def findings(http: httpx.AsyncClient, path: str, action: str = "delete") -> list[tuple[str, str]]:
    """Answer what would break: its severity, and holder and place."""
    found = (await shown(http, f"/api/v1/{path}/impact?action={action}"))["findings"]
    return [(each["severity"], f"{each['holder_name']}: {each['place']}") for each in found]


def refused(answer: httpx.Response) -> list[str]:
    assert (answer.status_code, answer.json()["code"]) == (409, "still_referenced"), answer.text
    return [f"{each['holder_name']}: {each['place']}" for each in answer.json()["findings"]]


async def everything_that_refers_to(http: httpx.AsyncClient, model_id: str, other_id: str) -> None:
    """Make one of each thing that can refer to a model; the other one is in some of them too."""
    await a_chain(http, "chain", other_id, model_id)
    arms = [{"name": "a", "model_id": other_id, "weight": 9}, {"name": "b", "model_id": model_id, "weight": 1}]
    shadows = [{"name": "c", "model_id": model_id, "percent": 1}]
    await made(http, "splits", name="split", arms=arms, shadows=shadows)
    levels = [{"level": "easy", "model_ids": [other_id]}, {"level": "hard", "model_ids": [model_id]}]
    classifier = {"thresholds": [0.2, 0.4, 0.6, 0.8], "judge_model_id": model_id, "judge_timeout_ms": 100}
    await made(http, "complexity-routing", name="routing", levels=levels, classifier=classifier)
    await made(http, "cost-strategies", name="strategy", cost_weight=1, model_ids=[model_id])
    await made(http, "scopes", name="scope", model_ids=[other_id, model_id], default_model_id=model_id)
    await made(http, "consumers", name="consumer", kind="tenant", tier="pro", model_ids=[model_id])
    await made(http, "access-keys", name="key", model_ids=[model_id, other_id])


EVERY_PLACE = [
    ("dead", "routing: level hard, position 1"),
    ("dead", "consumer: allowed model 1"),
    ("dead", "strategy: position 1"),
    ("degraded", "key: allowed model 1"),
    ("degraded", "chain: step 2"),
    ("degraded", "split: arm 'b'"),
    ("degraded", "split: shadow 'c'"),
    ("degraded", "routing: judge"),
    ("degraded", "scope: position 2"),
    ("degraded", "scope: default"),
]


async def test_every_reference_to_a_model_is_found_with_its_place_and_what_becomes_of_the_holder(
    http: httpx.AsyncClient,
) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    await everything_that_refers_to(http, model["id"], other["id"])

    preview = await shown(http, f"/api/v1/models/{model['name']}/impact?action=disable")

    assert preview["is_refused"] is True
    assert sorted((each["severity"], f"{each['holder_name']}: {each['place']}") for each in preview["findings"]) == (
        sorted(EVERY_PLACE)
    )
    severities = [each["severity"] for each in preview["findings"]]
    assert severities == sorted(severities, key=["dead", "degraded"].index)
    [step] = [each for each in preview["findings"] if each["holder_kind"] == "chain"]
    assert step["message"] == "chain 'chain', step 2 (degraded)"
    assert (step["target_kind"], step["target_id"], step["target_name"]) == ("model", model["id"], model["name"])


@pytest.mark.parametrize(
    "act",
    [
        lambda http, path: http.delete(path),
        lambda http, path: http.post(f"{path}/disable"),
        lambda http, path: http.patch(path, json={"is_active": False}),
    ],
    ids=["delete", "disable", "patch"],
)
async def test_what_would_break_something_is_refused_with_the_findings_and_changes_nothing(
    http: httpx.AsyncClient, told: Told, act: Callable[[httpx.AsyncClient, str], Any]
) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    await everything_that_refers_to(http, model["id"], other["id"])
    path = f"/api/v1/models/{model['id']}"
    before, told_before = await shown(http, path), len(await told(ModelChanged))

    answer = await act(http, path)

    assert sorted(refused(answer)) == sorted(place for _severity, place in EVERY_PLACE)
    assert "?force=true" in answer.json()["detail"]
    assert await shown(http, path) == before
    assert len(await told(ModelChanged)) == told_before


async def test_force_leaves_the_references_as_they_are(http: httpx.AsyncClient) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    chain = await a_chain(http, "chain", model["id"], other["id"])

    answer = await http.delete(f"/api/v1/models/{model['id']}", params=FORCED)

    assert answer.status_code == 204
    after = await shown(http, f"/api/v1/fallback-chains/{chain['id']}")
    assert [(step["model_id"], step["reason"]) for step in after["steps"]] == [
        (model["id"], "deleted"),
        (other["id"], None),
    ]
    assert after["version"] == 1


async def test_what_nothing_refers_to_goes_without_asking(http: httpx.AsyncClient) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    await a_chain(http, "chain", other["id"])

    assert await findings(http, f"models/{model['id']}") == []
    assert (await http.delete(f"/api/v1/models/{model['id']}")).status_code == 204


async def test_a_source_of_a_model_that_another_serves_breaks_only_references_to_itself(
    http: httpx.AsyncClient,
) -> None:
    model = await a_served_model(http)
    source = await a_source(http, model["id"], (await a_supplier(http))["id"])
    await a_chain(http, "any-source", model["id"])
    exact = [{"model_id": model["id"], "source_id": source["id"]}]
    await made(http, "fallback-chains", name="exact-source", steps=exact)

    assert await findings(http, f"sources/{source['id']}") == [("dead", "exact-source: step 1")]
    assert refused(await http.post(f"/api/v1/sources/{source['id']}/disable")) == ["exact-source: step 1"]


async def test_the_last_source_takes_its_model_along(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    model, other = await a_model(http), await a_served_model(http)
    source = await a_source(http, model["id"], supplier["id"])
    await a_chain(http, "chain", model["id"], other["id"])

    for path in (f"sources/{source['id']}", f"suppliers/{supplier['id']}"):
        for action in ("disable", "delete"):
            assert await findings(http, path, action) == [("degraded", "chain: step 1")]
        assert refused(await http.delete(f"/api/v1/{path}")) == ["chain: step 1"]
        assert refused(await http.post(f"/api/v1/{path}/disable")) == ["chain: step 1"]


async def test_only_the_last_usable_credential_of_a_supplier_breaks_something(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http, requires_credential=True)
    model = await a_model(http)
    first = await a_credential(http, supplier["id"])
    await a_source(http, model["id"], supplier["id"])
    await a_chain(http, "chain", model["id"])

    assert refused(await http.delete(f"/api/v1/credentials/{first['id']}")) == ["chain: step 1"]
    second = await a_credential(http, supplier["id"])
    assert await findings(http, f"credentials/{second['id']}") == []
    assert (await http.post(f"/api/v1/credentials/{second['id']}/disable")).status_code == 200
    assert await findings(http, f"credentials/{first['id']}", "disable") == [("dead", "chain: step 1")]
    assert refused(await http.post(f"/api/v1/credentials/{first['id']}/disable")) == ["chain: step 1"]


async def test_a_credential_counts_for_the_models_alone_that_it_may_be_used_for(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http, requires_credential=True)
    one, other = [await a_model(http) for _ in range(2)]
    for model in (one, other):
        await a_source(http, model["id"], supplier["id"])
    await a_credential(http, supplier["id"], model_ids=[other["id"]])
    for_all = await a_credential(http, supplier["id"])
    chain = {"name": "chain", "steps": [{"model_id": other["id"]}, {"model_id": one["id"]}]}
    assert (await http.post("/api/v1/fallback-chains", json=chain)).status_code == 201

    found = await findings(http, f"credentials/{for_all['id']}")

    assert found == [("degraded", "chain: step 2")]


async def test_a_supplier_that_wants_a_credential_and_has_none_ceases_to_serve(http: httpx.AsyncClient) -> None:
    supplier, model = await a_supplier(http, requires_credential=False), await a_model(http)
    await a_source(http, model["id"], supplier["id"])
    await a_chain(http, "chain", model["id"])
    path = f"/api/v1/suppliers/{supplier['id']}"

    without = await http.patch(path, json={"requires_credential": True})
    await a_credential(http, supplier["id"])
    with_one = await http.patch(path, json={"requires_credential": True})

    assert refused(without) == ["chain: step 1"]
    assert with_one.status_code == 200


async def test_a_reference_that_was_stale_before_is_not_broken_by_a_disabling_but_by_a_deletion(
    http: httpx.AsyncClient,
) -> None:
    stale, other = await a_model(http), await a_served_model(http)
    await a_chain(http, "chain", stale["id"], other["id"])
    path = f"models/{stale['id']}"

    assert await findings(http, path, "disable") == []
    assert await findings(http, path, "delete") == [("degraded", "chain: step 1")]
    assert (await http.post(f"/api/v1/{path}/disable")).status_code == 200
    assert refused(await http.delete(f"/api/v1/{path}")) == ["chain: step 1"]


async def test_a_holder_out_of_service_is_told_of_and_refuses_nothing(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    await a_chain(http, "resting", model["id"], is_active=False)

    preview = await shown(http, f"/api/v1/models/{model['id']}/impact")

    assert [each["severity"] for each in preview["findings"]] == ["dormant"]
    assert preview["is_refused"] is False
    assert (await http.delete(f"/api/v1/models/{model['id']}")).status_code == 204


async def test_a_deleted_holder_refers_to_nothing(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    chain = await a_chain(http, "chain", model["id"])
    await http.delete(f"/api/v1/fallback-chains/{chain['id']}")

    assert await findings(http, f"models/{model['id']}") == []


async def test_strategies_and_scopes_are_held_by_what_refers_to_them(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_served_model(http)
    strategies = [await made(http, "cost-strategies", name=name, cost_weight=1) for name in ("old", "new")]
    old, new = [f"/api/v1/cost-strategies/{strategy['id']}" for strategy in strategies]
    scope = await made(http, "scopes", name="scope", model_ids=[model["id"]], strategy_id=strategies[0]["id"])
    other = await made(http, "scopes", name="other", model_ids=[model["id"]])
    await made(http, "access-keys", name="key", scope_ids=[scope["id"]])
    await made(http, "consumers", name="consumer", kind="user", tier="free", scope_ids=[other["id"], scope["id"]])
    held = f"scopes/{scope['id']}"

    assert refused(await http.delete(old)) == ["scope: strategy"]
    assert refused(await http.post(f"{old}/disable")) == ["scope: strategy"]
    assert await findings(http, held) == [("dead", "key: allowed scope 1"), ("degraded", "consumer: allowed scope 2")]
    assert len(refused(await http.post(f"/api/v1/{held}/disable"))) == 2
    await http.delete(old, params={"replace_with": strategies[1]["id"]})
    await http.delete(f"/api/v1/{held}", params={"replace_with": other["id"]})

    assert (await http.get(old)).status_code == (await http.get(f"/api/v1/{held}")).status_code == 404
    assert str((await told(ScopeChanged))[-2].record.strategy_id) == new.rpartition("/")[2]
    assert (await told(AccessKeyChanged))[-1].record.scope_ids == [UUID(other["id"])]
    assert (await told(AccessKeyChanged))[-1].record.model_ids is None
    assert (await told(ConsumerChanged))[-1].record.scope_ids == [UUID(other["id"])]


async def test_replacing_rewrites_every_reference_once_in_the_same_change(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    model, other, substitute = [await a_served_model(http) for _ in range(3)]
    await everything_that_refers_to(http, model["id"], other["id"])

    answer = await http.delete(f"/api/v1/models/{model['id']}", params={"replace_with": substitute["id"]})

    assert answer.status_code == 204, answer.text
    new, kept = UUID(substitute["id"]), UUID(other["id"])
    for change in (ChainChanged, ComplexityChanged, StrategyChanged, ScopeChanged, ConsumerChanged, AccessKeyChanged):
        assert len(await told(change)) == 2, change
    chain, routing, strategy, scope, consumer, key = [
        (await told(change))[-1].record
        for change in (
            ChainChanged,
            ComplexityChanged,
            StrategyChanged,
            ScopeChanged,
            ConsumerChanged,
            AccessKeyChanged,
        )
    ]
    assert [step.model_id for step in chain.steps] == [kept, new]
    assert [level.model_ids for level in routing.levels] == [[kept], [new]]
    assert routing.classifier.judge_model_id == new
    assert (strategy.model_ids, consumer.model_ids, key.model_ids) == ([new], [new], [new, kept])
    assert (scope.model_ids, scope.default_model_id) == ([kept, new], new)
    connection = await asyncpg.connect(database.superuser())
    query = "SELECT kind, count(DISTINCT audit_id) FROM catalog.versions WHERE number = 2 GROUP BY kind ORDER BY kind"
    written = [tuple(row) for row in await connection.fetch(query)]
    audited = await connection.fetchval(
        "SELECT count(DISTINCT audit_id) FROM catalog.versions WHERE number = 2 AND kind <> 'source'"
    )
    await connection.close()
    kinds = ("access_key", "chain", "complexity", "consumer", "model", "scope", "split", "strategy")
    assert (written, audited) == ([(kind, 1) for kind in kinds], 1)


async def test_duplicates_collapse_into_their_first_place(http: httpx.AsyncClient) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    steps = [
        {"model_id": model["id"], "triggers": ["timeout"], "protocol": "anthropic"},
        {"model_id": other["id"], "triggers": ["rate_limit"]},
    ]
    chain = await made(http, "fallback-chains", name="chain", steps=steps)
    scope = await made(http, "scopes", name="scope", model_ids=[other["id"], model["id"]])

    await http.delete(f"/api/v1/models/{model['id']}", params={"replace_with": other["id"]})

    [step] = (await shown(http, f"/api/v1/fallback-chains/{chain['id']}"))["steps"]
    assert (step["model_id"], step["triggers"], step["protocol"]) == (other["id"], ["rate_limit", "timeout"], None)
    assert step["id"] == chain["steps"][1]["id"]
    assert (await shown(http, f"/api/v1/scopes/{scope['id']}"))["model_ids"] == [other["id"]]


async def test_a_source_takes_the_place_where_exact_ones_are_named_and_its_model_elsewhere(
    http: httpx.AsyncClient,
) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    [source] = (await shown(http, f"/api/v1/sources?model_id={other['id']}"))["items"]
    chain = await a_chain(http, "chain", model["id"])
    scope = await made(http, "scopes", name="scope", model_ids=[model["id"]])

    await http.post(f"/api/v1/models/{model['id']}/disable", params={"replace_with": source["id"]})

    [step] = (await shown(http, f"/api/v1/fallback-chains/{chain['id']}"))["steps"]
    assert (step["model_id"], step["source_id"]) == (other["id"], source["id"])
    assert (await shown(http, f"/api/v1/scopes/{scope['id']}"))["model_ids"] == [other["id"]]
    assert (await shown(http, f"/api/v1/models/{model['id']}"))["is_active"] is False


async def test_an_exact_source_may_give_way_to_its_own_model(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)
    source = await a_source(http, model["id"], (await a_supplier(http))["id"])
    steps = [{"model_id": model["id"], "source_id": source["id"]}]
    chain = await made(http, "fallback-chains", name="exact", steps=steps)

    answer = await http.delete(f"/api/v1/sources/{source['id']}", params={"replace_with": model["id"]})

    [step] = (await shown(http, f"/api/v1/fallback-chains/{chain['id']}"))["steps"]
    assert (answer.status_code, step["source_id"]) == (204, None)


async def test_a_supplier_is_replaced_with_all_that_it_alone_serves(http: httpx.AsyncClient) -> None:
    supplier, substitute = await a_supplier(http), await a_served_model(http)
    models = [await a_model(http) for _ in range(2)]
    for model in models:
        await a_source(http, model["id"], supplier["id"])
    chain = await a_chain(http, "chain", *[model["id"] for model in models])

    answer = await http.post(f"/api/v1/suppliers/{supplier['id']}/disable", params={"replace_with": substitute["id"]})

    steps = (await shown(http, f"/api/v1/fallback-chains/{chain['id']}"))["steps"]
    assert (answer.status_code, [step["model_id"] for step in steps]) == (200, [substitute["id"]])


@pytest.mark.parametrize("wrong", ["nothing", "itself", "its own source", "not available", "another type", "deleted"])
async def test_a_replacement_that_can_not_take_the_place_is_refused_and_changes_nothing(
    http: httpx.AsyncClient, told: Told, wrong: str
) -> None:
    model, deleted = await a_served_model(http), await a_served_model(http)
    [own] = (await shown(http, f"/api/v1/sources?model_id={model['id']}"))["items"]
    await http.delete(f"/api/v1/models/{deleted['id']}")
    await a_chain(http, "chain", model["id"])
    replacement = {
        "nothing": str(uuid4()),
        "itself": model["id"],
        "its own source": own["id"],
        "not available": (await a_model(http))["id"],
        "another type": (await a_served_model(http, model_type="embedding"))["id"],
        "deleted": deleted["id"],
    }[wrong]

    answer = await http.delete(f"/api/v1/models/{model['id']}", params={"replace_with": replacement})

    assert (answer.status_code, answer.json()["code"]) == (422, "wrong_replacement"), answer.text
    assert fields_of(answer) == ["query.replace_with"]
    assert (await shown(http, f"/api/v1/models/{model['id']}"))["is_available"] is True
    assert len(await told(ChainChanged)) == 1


async def test_a_credential_that_names_what_takes_the_place_serves_it_from_then_on(http: httpx.AsyncClient) -> None:
    supplier, one, other = (
        await a_supplier(http, requires_credential=True),
        await a_model(http),
        await a_served_model(http),
    )
    await a_source(http, one["id"], supplier["id"])
    unused = await a_source(http, other["id"], supplier["id"])
    await a_credential(http, supplier["id"], model_ids=[one["id"]])
    before = (await shown(http, f"/api/v1/sources/{unused['id']}"))["reason"]

    answer = await http.delete(f"/api/v1/models/{one['id']}?replace_with={other['id']}")

    assert answer.status_code == 204, answer.text
    assert (before, (await shown(http, f"/api/v1/sources/{unused['id']}"))["reason"]) == ("no_credential", None)


async def test_a_replacement_makes_up_for_force(http: httpx.AsyncClient) -> None:
    model, other = await a_served_model(http), await a_served_model(http)
    chain = await a_chain(http, "chain", model["id"])

    params = {"replace_with": other["id"], **FORCED}
    await http.delete(f"/api/v1/models/{model['id']}", params=params)

    [step] = (await shown(http, f"/api/v1/fallback-chains/{chain['id']}"))["steps"]
    assert step["model_id"] == other["id"]


async def set_columns(database: FreshDatabase, model_id: str, **values: Any) -> None:
    connection = await asyncpg.connect(database.superuser())
    for column, value in values.items():
        await connection.execute(f"UPDATE catalog.models SET {column} = $1 WHERE id = $2", value, UUID(model_id))
    await connection.close()


async def test_successors_and_defaults_of_a_type_are_references_too(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    model, other, substitute = [await a_served_model(http) for _ in range(3)]
    await set_columns(database, other["id"], replacement_model_id=UUID(model["id"]))
    await set_columns(database, substitute["id"], replacement_model_id=UUID(model["id"]))
    await set_columns(database, model["id"], is_default=True)
    path = f"/api/v1/models/{model['id']}"

    found = await findings(http, f"models/{model['id']}", "disable")
    answer = await http.post(f"{path}/disable", params={"replace_with": substitute["id"]})

    assert found[0] == ("dead", f"{model['name']}: default of type language")
    assert {place for _severity, place in found[1:]} == {f"{each['name']}: replacement" for each in (other, substitute)}
    assert answer.status_code == 200, answer.text
    records = {event.record.id: event.record for event in await told(ModelChanged)}
    assert records[UUID(other["id"])].replacement_model_id == UUID(substitute["id"])
    assert records[UUID(substitute["id"])].replacement_model_id is None
    assert records[UUID(substitute["id"])].is_default is True
    assert records[UUID(model["id"])].is_default is False
    assert (await shown(http, path))["version"] == 2


async def test_a_new_successor_never_leads_back(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    model, first, substitute = [await a_served_model(http) for _ in range(3)]
    await set_columns(database, substitute["id"], replacement_model_id=UUID(first["id"]))
    await set_columns(database, first["id"], replacement_model_id=UUID(model["id"]))

    await http.delete(f"/api/v1/models/{model['id']}", params={"replace_with": substitute["id"]})

    shown_now = [await shown(http, f"/api/v1/models/{each['id']}") for each in (first, substitute)]
    assert [each["replacement_model_id"] for each in shown_now] == [None, first["id"]]


async def test_the_default_of_a_type_is_handed_over_with_the_supplier_that_alone_served_it(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    supplier, substitute = await a_supplier(http), await a_served_model(http)
    model = await a_model(http)
    await a_source(http, model["id"], supplier["id"])
    await set_columns(database, model["id"], is_default=True)

    await http.post(f"/api/v1/suppliers/{supplier['id']}/disable", params={"replace_with": substitute["id"]})

    records = {event.record.id: event.record for event in await told(ModelChanged)}
    assert records[UUID(substitute["id"])].is_default is True
    assert records[UUID(model["id"])].is_default is False
    assert (await shown(http, f"/api/v1/models/{model['id']}"))["version"] == 2


async def test_the_last_two_suppliers_of_a_model_can_not_both_go_unasked(http: httpx.AsyncClient) -> None:
    for _ in range(3):
        model = await a_model(http)
        suppliers = [await a_supplier(http) for _ in range(2)]
        for supplier in suppliers:
            await a_source(http, model["id"], supplier["id"])
        await a_chain(http, f"chain-{model['id']}", model["id"])

        answers = await asyncio.gather(
            *(http.post(f"/api/v1/suppliers/{supplier['id']}/disable") for supplier in suppliers)
        )

        assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_a_reference_that_is_made_meanwhile_is_found(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    model = await a_served_model(http)
    rival = await asyncpg.connect(database.superuser())
    rivalry = rival.transaction()
    await rivalry.start()
    # As somebody who makes a reference holds the model until the commit.
    await rival.execute("SELECT 1 FROM catalog.models WHERE id = $1 FOR KEY SHARE", UUID(model["id"]))
    chain, step = uuid4(), uuid4()
    await rival.execute(
        "INSERT INTO catalog.chains (id, name, is_active, created_at, updated_at) "
        "VALUES ($1, 'late', true, now(), now())",
        chain,
    )
    await rival.execute(
        "INSERT INTO catalog.chain_steps (id, chain_id, position, model_id) VALUES ($1, $2, 0, $3)",
        step,
        chain,
        UUID(model["id"]),
    )
    watcher = await asyncpg.connect(database.superuser())

    deleting = asyncio.create_task(http.delete(f"/api/v1/models/{model['id']}"))
    await eventually(lambda: _is_waiting(watcher))
    await rivalry.commit()

    assert refused(await deleting) == ["late: step 1"]
    await rival.close()
    await watcher.close()


async def _is_waiting(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    waiting: int = await connection.fetchval(query)
    return waiting == 1


async def test_changing_chains_while_their_models_are_replaced_ends_well(http: httpx.AsyncClient) -> None:
    substitute = await a_served_model(http)
    for _ in range(3):
        models = [await a_served_model(http) for _ in range(2)]
        chain = await a_chain(http, f"chain-{models[0]['id']}", *[model["id"] for model in models])
        path = f"/api/v1/fallback-chains/{chain['id']}"
        order = [step["id"] for step in reversed(chain["steps"])]

        gone, reordered = await asyncio.gather(
            http.delete(f"/api/v1/models/{models[0]['id']}", params={"replace_with": substitute["id"]}),
            http.post(f"{path}/reorder", json={"step_ids": order}),
        )

        # The steps have other ids once the model is replaced, so the order may come too late; nothing hangs or tears.
        assert (gone.status_code, reordered.status_code in {200, 422}) == (204, True), (gone.text, reordered.text)
        named = {step["model_id"] for step in (await shown(http, path))["steps"]}
        assert named == {substitute["id"], models[1]["id"]}


@pytest.mark.parametrize("noun", ["models", "sources", "suppliers", "credentials", "cost-strategies", "scopes"])
async def test_the_impact_on_what_is_not_there_is_not_found(http: httpx.AsyncClient, noun: str) -> None:
    answer = await http.get(f"/api/v1/{noun}/{uuid4()}/impact")
    nonsense = await http.get(f"/api/v1/{noun}/{uuid4()}/impact?action=admire")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert nonsense.status_code == 422


async def test_a_preview_takes_as_many_statements_for_much_as_for_little(http: httpx.AsyncClient) -> None:
    model = await a_served_model(http)

    async def statements() -> int:
        return await selects_of(lambda: findings(http, f"models/{model['id']}"))

    await a_chain(http, "first", model["id"])
    for_one = await statements()
    for number in range(4):
        await a_chain(http, f"another-{number}", model["id"])
        await made(http, "scopes", name=f"scope-{number}", model_ids=[model["id"]])

    assert await statements() == for_one
    assert 1 <= for_one <= 3


def a_place(holder: int, target: int, **fields: Any) -> Place:
    values = {
        "holder_kind": "chain",
        "holder_id": UUID(int=holder),
        "holder_name": f"h{holder}",
        "is_active": True,
        "kind": PlaceKind.STEP,
        "label": "",
        "position": 0,
        "target_kind": "model",
        "target_id": UUID(int=target),
        "target_name": f"t{target}",
        "model_id": UUID(int=target),
        "is_available": True,
    }
    return Place(**{**values, **fields})


def severities(*places: Place, gone: Gone) -> list[Severity]:
    return [finding.severity for finding in find_broken(places, gone)]


GONE = Gone(frozenset({UUID(int=1)}))


def test_a_holder_is_dead_when_nothing_that_serves_the_same_is_left() -> None:
    goes, stays = a_place(9, 1), a_place(9, 2, position=1)
    was_stale = a_place(9, 3, position=2, is_available=False)
    of_another = a_place(8, 2)

    assert severities(goes, stays, gone=GONE) == [Severity.DEGRADED]
    assert severities(goes, was_stale, of_another, gone=GONE) == [Severity.DEAD]
    assert severities(stays, of_another, gone=GONE) == []


def test_levels_do_not_stand_in_for_one_another() -> None:
    easy = a_place(9, 2, kind=PlaceKind.LEVEL, label="easy", holder_kind="complexity")
    hard = a_place(9, 1, kind=PlaceKind.LEVEL, label="hard", holder_kind="complexity")

    assert severities(easy, hard, gone=GONE) == [Severity.DEAD]


def test_what_a_holder_does_without_only_degrades_it_and_prices_are_orphaned() -> None:
    judge = a_place(9, 1, kind=PlaceKind.JUDGE, holder_kind="complexity")
    price = a_place(8, 1, kind=PlaceKind.PRICE, holder_kind="price")

    assert severities(price, judge, gone=GONE) == [Severity.DEGRADED, Severity.ORPHANED]


def test_an_exact_source_is_lost_with_its_model() -> None:
    step = a_place(9, 5, target_kind="source", model_id=UUID(int=1))

    assert severities(step, gone=GONE) == [Severity.DEAD]


def test_a_stale_reference_breaks_only_when_its_target_is_deleted() -> None:
    stale = a_place(9, 1, is_available=False)

    assert severities(stale, gone=GONE) == []
    assert severities(stale, gone=Gone(deleted=GONE.ids)) == [Severity.DEAD]


def test_lists_are_redirected_without_naming_anything_twice_and_all_stays_all() -> None:
    one, two, three = (UUID(int=number) for number in (1, 2, 3))

    assert redirected([one, two], {one}, three) == [three, two]
    assert redirected([one, two], {one}, two) == [two]
    assert redirected([one, two], {one, two}, three) == [three]
    assert redirected(None, {one}, three) is None


def test_a_redirected_step_keeps_when_it_is_tried_and_drops_how_it_was_spoken_to() -> None:
    lost, new = UUID(int=1), UUID(int=2)
    step = Target(lost, UUID(int=7), (Trigger.TIMEOUT,), "anthropic", {"vision": False})

    assert redirect([step], {UUID(int=7)}, (new, None)) == [
        Target(new, None, (Trigger.TIMEOUT,), None, {"vision": False})
    ]
    both = redirect([step, Target(new, None, (Trigger.ANY,))], {lost}, (new, None))
    assert [target.triggers for target in both] == [(Trigger.ANY,)]


async def test_the_prices_of_a_model_are_told_of_and_refuse_nothing(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    model = await a_served_model(http)
    connection = await asyncpg.connect(database.superuser())
    await connection.execute(
        "INSERT INTO catalog.charge_prices "
        "(id, model_id, valid, is_open, state, input, is_dynamic, origin, created_at, updated_at) "
        "VALUES ($1, $2, tstzrange(now(), NULL), true, 'in_force', 1, false, 'administrator', now(), now())",
        uuid4(),
        UUID(model["id"]),
    )
    await connection.close()

    preview = await shown(http, f"/api/v1/models/{model['id']}/impact")

    assert [each["message"] for each in preview["findings"]] == [f"price {model['name']!r}, price (orphaned)"]
    assert preview["is_refused"] is False
    assert (await http.delete(f"/api/v1/models/{model['id']}")).status_code == 204
