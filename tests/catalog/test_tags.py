"""Tags: by hand and by rule, by tag the models and by model the tags; what was done by hand goes first."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_model, shown
from catalog.labels import a_capability, a_tag, made, named, put
from catalog.people import run_sql
from catalog.refusals import fields_of
from catalogs import Told, settings_for
from modelbus.catalog.actions.popularity import REMEMBERED, count_usage, forget_usage
from modelbus.catalog.actions.prices import set_price
from modelbus.catalog.actions.tagging import tend_tags
from modelbus.catalog.api.amounts import CostAmounts
from modelbus.catalog.app import create_app
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.tag_rules import (
    ContextAtLeast,
    Facts,
    FirstSeenWithin,
    HasCapability,
    InputPriceBelow,
    IsOfType,
    NameMatches,
    Rule,
    TopByUsage,
    read,
    written,
)
from modelbus.catalog.domain.tags import forgotten, left_to_rules, tagged, with_tag, without_tag
from modelbus.catalog.store.prices import CHARGES
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.hearing import Heard
from modelbus.chassis.ids import new_id
from modelbus.contracts.bus import USAGE
from modelbus.contracts.catalog import ModelChanged, TagChanged
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.usage import AttemptRecord, RequestRecord, Tokens, UsageRecorded
from running import ADMIN_TOKEN, eventually, serving
from servers import FreshDatabase
from testing_bus import LocalBus

PATH = "/api/v1/tags"
NOW = datetime.now(UTC)
Json = dict[str, Any]
BIG = {"kind": "context_at_least", "tokens": 1000}


@pytest.fixture
async def store(database: FreshDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield opened
    await opened.close()


def usage_of(*model_ids: str, outcome: str = "ok", days_ago: int = 0, is_shadow: bool = False) -> UsageRecorded:
    """Make a batch with one request to each model."""
    at = datetime.now(UTC) - timedelta(days=days_ago)

    def attempt(model_id: str) -> AttemptRecord:
        return AttemptRecord(
            id=new_id(),
            number=1,
            model_id=UUID(model_id),
            source_id=new_id(),
            supplier_id=new_id(),
            credential_id=None,
            started_at=at,
            latency_ms=1,
            first_token_ms=None,
            status=200,
            outcome=outcome,
            error=None,
            tokens=Tokens(),
        )

    def request(model_id: str) -> RequestRecord:
        return RequestRecord(
            id=new_id(),
            access_key_id=None,
            asked_for="m",
            is_stream=False,
            started_at=at,
            latency_ms=1,
            status=200,
            outcome=outcome,
            attempts=[attempt(model_id)],
            catalog_revision=1,
            is_shadow=is_shadow,
        )

    return UsageRecorded(router_id="r1", requests=[request(each) for each in model_ids])


def heard(usage: UsageRecorded, event_id: UUID | None = None, told_at: datetime | None = None) -> Heard[UsageRecorded]:
    return Heard(usage, Envelope(event_id or new_id(), usage.type, "/router", told_at or datetime.now(UTC), b""))


async def count(store: Database, *usage: UsageRecorded) -> None:
    async with store.transaction() as session:
        await count_usage(session, [heard(each) for each in usage])


async def test_a_tag_is_made_changed_and_deleted_and_each_is_told(http: httpx.AsyncClient, told: Told) -> None:
    body = {"name": "fast", "display_name": "Fast", "description": "Quick.", "color": "#00ff00", "position": 3}

    new = await made(http, PATH, {**body, "rule": BIG})
    answer = await http.patch(f"{PATH}/{new['id']}", json={"rule": None}, headers={"If-Match": '"1"'})
    gone = await http.delete(f"{PATH}/{new['id']}")

    assert {name: new[name] for name in body} == body
    assert (new["rule"], answer.json()["rule"], answer.headers["etag"]) == (BIG, None, '"2"')
    assert gone.status_code == 204
    assert [event.record and event.record.rule for event in await told(TagChanged)] == [BIG, None, None]


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "by_magic"}, "rule"),
        ({}, "rule"),
        ({"kind": "first_seen_within", "days": 0}, "rule.first_seen_within.days"),
        ({"kind": "top_by_usage", "count": 5, "days": 31}, "rule.top_by_usage.days"),
        ({"kind": "context_at_least", "tokens": 10, "more": 1}, "rule.context_at_least.more"),
        ({"kind": "model_type", "model_type": "banana"}, "rule.model_type.model_type"),
        ({"kind": "has_capability", "capability_id": str(uuid4())}, "rule.capability_id"),
    ],
)
async def test_a_rule_that_means_nothing_is_refused_by_field(http: httpx.AsyncClient, rule: Json, field: str) -> None:
    answer = await http.post(PATH, json={"name": "t", "rule": rule})

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_a_rule_tags_models_at_once_when_it_comes_and_when_they_change(
    http: httpx.AsyncClient, told: Told
) -> None:
    old = await a_model(http, context_window=2000)
    await a_model(http, context_window=10)
    tag = await a_tag(http, rule=BIG)
    new = await a_model(http, context_window=5000)
    path = f"{PATH}/{tag['id']}/models"

    assert await named(http, path) == [old["name"], new["name"]]
    await http.patch(f"/api/v1/models/{old['id']}", json={"context_window": 5})
    assert await named(http, path) == [new["name"]]
    await http.patch(f"{PATH}/{tag['id']}", json={"rule": {**BIG, "tokens": 9000}})
    assert await named(http, path) == []
    events = [event.record for event in await told(ModelChanged)]
    assert [len(each.tag_ids) for each in events if str(each.id) == old["id"]] == [0, 1, 0]
    assert [len(each.tag_ids) for each in events if str(each.id) == new["id"]] == [1, 0]


async def test_what_rules_give_makes_no_version(http: httpx.AsyncClient) -> None:
    model = await a_model(http, context_window=2000)

    await a_tag(http, rule=BIG)

    assert (await shown(http, f"/api/v1/models/{model['id']}/tags"))["version"] == 1


async def test_by_hand_goes_before_by_rule(http: httpx.AsyncClient, store: Database) -> None:
    small, big = await a_model(http, context_window=10), await a_model(http, context_window=5000)
    tag = await a_tag(http, rule=BIG)
    of_small, of_big = (f"/api/v1/models/{model['id']}/tags" for model in (small, big))

    await put(http, f"{of_small}/{tag['id']}")
    taken = await http.delete(f"{of_big}/{tag['id']}")
    await tend_tags(store)

    assert taken.status_code == 200
    assert await named(http, f"{PATH}/{tag['id']}/models") == [small["name"]]
    standing = [
        (each["by_hand"], each["by_rule"], each["taken_away"])
        for path in (of_small, of_big)
        for each in (await shown(http, path))["items"]
    ]
    assert standing == [(True, False, False), (False, True, True)]
    assert await named(http, f"{PATH}/{tag['id']}/models", given="taken_away") == [big["name"]]
    for path in (of_small, of_big):
        assert (await http.post(f"{path}/{tag['id']}/release")).status_code == 200
        assert (await http.post(f"{path}/{tag['id']}/release")).json()["code"] == "not_tagged"
    assert await named(http, f"{PATH}/{tag['id']}/models", given="by_rule") == [big["name"]]


async def test_an_old_version_of_the_model_is_not_tagged(http: httpx.AsyncClient) -> None:
    model, tag = await a_model(http), await a_tag(http)
    path = f"/api/v1/models/{model['id']}/tags/{tag['id']}"

    first = await http.put(path, headers={"If-Match": '"1"'})
    second = await http.delete(path, headers={"If-Match": '"1"'})

    assert (first.status_code, first.headers["etag"], second.status_code) == (200, '"2"', 412)


async def test_models_are_listed_with_the_tags_that_users_see(http: httpx.AsyncClient) -> None:
    models = [await a_model(http, name=f"vendor/{name}", context_window=2000) for name in ("a", "b", "c")]
    by_rule = await a_tag(http, name="big", rule=BIG, position=1)
    by_hand = await a_tag(http, name="fine", position=0, color="#123456")
    await put(http, f"/api/v1/models/{models[0]['id']}/tags/{by_hand['id']}")
    await http.delete(f"/api/v1/models/{models[1]['id']}/tags/{by_rule['id']}")

    first = (await http.get(f"{PATH}/by-model", params={"limit": 2, "sort": "name"})).json()
    rest = (
        await http.get(f"{PATH}/by-model", params={"limit": 2, "sort": "name", "cursor": first["next_cursor"]})
    ).json()

    tags = {model["name"]: [tag["name"] for tag in model["tags"]] for model in [*first["items"], *rest["items"]]}
    assert tags == {"vendor/a": ["fine", "big"], "vendor/b": [], "vendor/c": ["big"]}
    assert first["items"][0]["tags"][0] == {
        "id": by_hand["id"],
        "name": "fine",
        "display_name": "fine",
        "color": "#123456",
        "by_hand": True,
        "by_rule": False,
    }
    assert await named(http, f"{PATH}/by-model", search="r/B") == ["vendor/b"]


async def test_a_preview_says_what_a_rule_would_do_and_does_nothing(http: httpx.AsyncClient, told: Told) -> None:
    small, big = await a_model(http, context_window=10), await a_model(http, context_window=5000)
    by_hand, away = await a_model(http, context_window=10), await a_model(http, context_window=10)
    tag = await a_tag(http, rule=BIG)
    await put(http, f"/api/v1/models/{by_hand['id']}/tags/{tag['id']}")
    await http.delete(f"/api/v1/models/{away['id']}/tags/{tag['id']}")
    before = len(await told(ModelChanged))

    other = {"kind": "name_matches", "pattern": "VENDOR/*"}
    narrow = {"kind": "name_matches", "pattern": small["name"]}
    wide = (await http.post(f"{PATH}/{tag['id']}/preview", json={"rule": other})).json()
    tight = (await http.post(f"{PATH}/{tag['id']}/preview", json={"rule": narrow})).json()

    assert (wide["matching"], wide["gains"], wide["loses"]) == (4, [{"id": small["id"], "name": small["name"]}], [])
    assert (tight["gaining"], tight["losing"]) == (1, 1)
    assert tight["loses"] == [{"id": big["id"], "name": big["name"]}]
    assert len(await told(ModelChanged)) == before


async def test_a_tag_given_by_hand_is_deleted_by_force_alone_and_leaves_nothing(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    models = [await a_model(http, context_window=5000) for _ in range(3)]
    tag = await a_tag(http, rule=BIG)
    await put(http, f"/api/v1/models/{models[0]['id']}/tags/{tag['id']}")
    await http.delete(f"/api/v1/models/{models[1]['id']}/tags/{tag['id']}")

    refused = await http.delete(f"{PATH}/{tag['id']}")
    forced = await http.delete(f"{PATH}/{tag['id']}", params={"force": True})

    assert (refused.status_code, [each["name"] for each in refused.json()["findings"]]) == (409, [models[0]["name"]])
    assert forced.status_code == 204
    left = "SELECT tag_ids || untagged_ids || rule_tag_ids AS ids, version FROM catalog.models ORDER BY id"
    assert [(row["ids"], row["version"]) for row in await run_sql(database, left)] == [([], 3), ([], 3), ([], 1)]


async def test_the_clock_takes_away_what_is_new_no_more_and_tells_each_model_once(
    http: httpx.AsyncClient, store: Database, database: FreshDatabase, told: Told
) -> None:
    young, aged = await a_model(http), await a_model(http)
    tag = await a_tag(http, rule={"kind": "first_seen_within", "days": 30})
    await run_sql(
        database, "UPDATE catalog.models SET created_at = now() - interval '31 days' WHERE id = $1", UUID(aged["id"])
    )
    before = len(await told(ModelChanged))

    await tend_tags(store)
    await tend_tags(store)

    assert await named(http, f"{PATH}/{tag['id']}/models") == [young["name"]]
    [event] = (await told(ModelChanged))[before:]
    assert (str(event.id), event.record.tag_ids) == (aged["id"], [])


async def test_popular_is_what_served_the_most_lately(http: httpx.AsyncClient, store: Database) -> None:
    first, second, third, old, failing, shadow = [(await a_model(http))["id"] for _ in range(6)]
    tag = await a_tag(http, rule={"kind": "top_by_usage", "count": 2, "days": 7})
    await count(store, usage_of(first, first, first, second, second, third))
    await count(store, usage_of(*[old] * 9, days_ago=8))
    await count(store, usage_of(*[failing] * 9, outcome="failed"))
    await count(store, usage_of(*[shadow] * 9, is_shadow=True))

    await tend_tags(store)
    before = await ids_with(http, tag)
    await count(store, usage_of(third, third))
    await tend_tags(store)

    assert before == {first, second}
    assert await ids_with(http, tag) == {first, third}


async def test_a_price_that_is_low_enough_tags_a_model(http: httpx.AsyncClient, store: Database) -> None:
    cheap, dear, _unknown = [await a_model(http) for _ in range(3)]
    for model, price in ((cheap, "0.49"), (dear, "0.5")):
        async with store.transaction() as session:
            amounts = CostAmounts.model_validate({"input": price}).amounts()
            await set_price(session, CHARGES, UUID(model["id"]), amounts, None, None)

    tag = await a_tag(http, rule={"kind": "input_price_below", "usd_per_million": "0.50"})

    assert tag["rule"] == {"kind": "input_price_below", "usd_per_million": "0.50"}
    assert await ids_with(http, tag) == {cheap["id"]}


async def test_a_change_of_price_is_asked_about_at_once(http: httpx.AsyncClient) -> None:
    model = await a_model(http)
    tag = await a_tag(http, rule={"kind": "input_price_below", "usd_per_million": "1"})

    charged = {"model_id": model["id"], "prices": {"input": "0.5", "output": "1"}}
    assert (await http.post("/api/v1/prices", json=charged)).status_code == 201
    cheap = await ids_with(http, tag)
    charged["prices"] = {"input": "2", "output": "4"}
    assert (await http.post("/api/v1/prices", json=charged)).status_code == 201

    assert (cheap, await ids_with(http, tag)) == ({model["id"]}, set())


async def test_a_batch_that_comes_twice_is_counted_once_and_remembered_for_as_long_as_it_would_count(
    http: httpx.AsyncClient, store: Database, database: FreshDatabase
) -> None:
    model = (await a_model(http))["id"]
    batch, another = heard(usage_of(model, model)), heard(usage_of(model))
    late = heard(usage_of(model), told_at=datetime.now(UTC) - REMEMBERED - timedelta(hours=1))

    for together in ([batch], [another, batch, batch, late], [late, another]):
        async with store.transaction() as session:
            await count_usage(session, together)
    await run_sql(database, "INSERT INTO catalog.heard_usage VALUES ($1, now() - interval '49 hours')", new_id())
    await run_sql(database, "INSERT INTO catalog.model_usage VALUES (current_date - 40, $1, 7)", UUID(model))
    async with store.transaction() as session:
        await forget_usage(session)

    rows = await run_sql(database, "SELECT requests FROM catalog.model_usage")
    assert [row["requests"] for row in rows] == [3]
    known = await run_sql(database, "SELECT event_id FROM catalog.heard_usage")
    assert {row["event_id"] for row in known} == {batch.envelope.id, another.envelope.id}


async def test_more_models_than_fit_into_a_statement_are_counted(
    store: Database, database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbus.catalog.store.usage._ADDED_AT_ONCE", 2)
    models = [str(new_id()) for _ in range(5)]

    await count(store, usage_of(*models), usage_of(*models[:3]))

    rows = await run_sql(database, "SELECT model_id, requests FROM catalog.model_usage")
    assert {str(row["model_id"]): row["requests"] for row in rows} == dict(zip(models, [2, 2, 2, 1, 1], strict=True))


async def test_usage_told_on_the_bus_makes_a_model_popular(
    database: FreshDatabase, bus: LocalBus, store: Database
) -> None:
    token = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    app = create_app(settings_for(database, bus.url))
    async with serving(app) as url, httpx.AsyncClient(base_url=url, headers=token, timeout=20) as http:
        model = await a_model(http)
        await a_model(http)
        tag = await a_tag(http, rule={"kind": "top_by_usage", "count": 5, "days": 1})
        client = await bus.client()
        told = usage_of(model["id"])
        envelope = Envelope(new_id(), told.type, "/modelbus/router", datetime.now(UTC), b"")
        await client.jetstream().publish(
            told.type, told.model_dump_json().encode(), stream=USAGE.name, headers=envelope.headers()
        )
        await client.close()

        async def is_popular() -> bool:
            await tend_tags(store)
            return await ids_with(http, tag) == {model["id"]}

        await eventually(is_popular)


async def ids_with(http: httpx.AsyncClient, tag: Json) -> set[str]:
    return {each["id"] for each in (await shown(http, f"{PATH}/{tag['id']}/models"))["items"]}


CAPABILITY = UUID(int=7)
FACTS = Facts(
    name="openai/gpt-4o",
    model_type="language",
    context_window=128_000,
    first_seen_at=NOW - timedelta(days=10),
    capability_ids=frozenset({CAPABILITY}),
    input_price=Decimal("0.5"),
    usage_places={7: 3},
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (FirstSeenWithin(days=11), True),
        (FirstSeenWithin(days=10), False),
        (TopByUsage(count=3, days=7), True),
        (TopByUsage(count=2, days=7), False),
        (TopByUsage(count=9, days=30), False),
        (HasCapability(CAPABILITY), True),
        (HasCapability(UUID(int=8)), False),
        (InputPriceBelow(Decimal("0.51")), True),
        (InputPriceBelow(Decimal("0.5")), False),
        (NameMatches("OpenAI/*4o"), True),
        (NameMatches("openai"), False),
        (ContextAtLeast(128_000), True),
        (ContextAtLeast(128_001), False),
        (IsOfType("language"), True),
        (IsOfType("image"), False),
    ],
    ids=str,
)
def test_a_rule_looks_at_the_facts_alone(rule: Rule, *, expected: bool) -> None:
    assert rule.gives(FACTS, NOW) is expected
    assert read(written(rule)) == rule


def test_what_is_not_known_is_neither_cheap_nor_large() -> None:
    unknown = replace(FACTS, input_price=None, context_window=None)

    assert not InputPriceBelow(Decimal(1_000_000)).gives(unknown, NOW)
    assert not ContextAtLeast(1).gives(unknown, NOW)


TAGS = [UUID(int=number) for number in range(4)]
Steps = st.lists(st.tuples(st.sampled_from(["give", "take", "release", "rules"]), st.sets(st.sampled_from(TAGS))))


@given(Steps)
def test_what_was_decided_last_by_hand_stands_whatever_the_rules_say(steps: list[tuple[str, set[UUID]]]) -> None:
    model = a_tagless_model()
    decided: dict[UUID, bool] = {}
    by_rule: set[UUID] = set()
    for step, ids in steps:
        if step == "rules":
            model, by_rule = tagged(model, ids), ids
        for tag_id in ids if step != "rules" else ():
            match step:
                case "give":
                    model, decided[tag_id] = with_tag(model, tag_id), True
                case "take":
                    model, decided[tag_id] = without_tag(model, tag_id, has_rule=True), False
                case _:
                    model = left_to_rules(model, tag_id)
                    decided.pop(tag_id, None)

        assert set(model.effective_tag_ids) == {each for each in TAGS if decided.get(each, each in by_rule)}
    for tag_id in TAGS:
        model = forgotten(model, tag_id)
    assert (model.tag_ids, model.untagged_ids, model.rule_tag_ids) == ([], [], [])


def a_tagless_model() -> Model:
    return Model(
        id=UUID(int=99),
        name="m",
        aliases=[],
        display_name="m",
        description=None,
        model_type="language",
        context_window=None,
        max_output_tokens=None,
        is_active=True,
        is_available=True,
        reason=None,
        since=NOW,
        provenance={},
        created_at=NOW,
        updated_at=NOW,
        deleted_at=None,
    )


async def test_a_tag_follows_the_capability_that_its_rule_asks_for(http: httpx.AsyncClient) -> None:
    model, capability = await a_model(http), await a_capability(http)
    await a_tag(http, name="can", rule={"kind": "has_capability", "capability_id": capability["id"]})
    of_model = f"/api/v1/models/{model['id']}"

    given = await put(http, f"{of_model}/capabilities/{capability['id']}", {})
    tags = await named(http, f"{of_model}/tags")
    await http.delete(f"{of_model}/capabilities/{capability['id']}")

    assert (given["version"], tags) == (2, ["can"])
    assert await named(http, f"{of_model}/tags") == []
