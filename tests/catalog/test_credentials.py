import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_credential, a_model, a_source, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.catalog.actions.credentials import end_coolings, set_state
from modelbus.catalog.actions.versions import write
from modelbus.catalog.domain.credentials import LONGEST_COOLING, Credential, Seen, State
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault
from modelbus.contracts.bus import USAGE
from modelbus.contracts.catalog import CredentialChanged, ModelUnavailable, SyncRequested
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.usage import AttemptRecord, RequestRecord, Tokens, UsageRecorded
from running import ADMIN_TOKEN, MASTER_KEY, eventually
from servers import FreshDatabase
from testing_bus import LocalBus

CREDENTIALS = "/api/v1/credentials"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECRET = "sk-another-0123456789"


@pytest.fixture
async def opened(database: FreshDatabase) -> AsyncIterator[Database]:
    catalog = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)
    yield catalog
    await catalog.close()


def ahead(**after: int) -> datetime:
    """Answer a time that lies ahead of the test, however long ago the others began."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(**after)


async def see(opened: Database, credential: dict[str, Any], state: State, **fields: Any) -> None:
    seen = Seen(**{"state": state, "generation": 1, "reason": "answered 429", **fields})
    async with opened.transaction() as session:
        await set_state(session, UUID(credential["id"]), seen)


async def state_of(http: httpx.AsyncClient, credential: dict[str, Any]) -> tuple[str, str | None, str | None]:
    found = await shown(http, f"{CREDENTIALS}/{credential['id']}")
    return found["state"], found["state_reason"], found["state_until"]


async def a_served_supplier(http: httpx.AsyncClient) -> tuple[dict[str, Any], dict[str, Any]]:
    """A supplier that needs a credential, and the model that it alone serves."""
    supplier, model = await a_supplier(http, requires_credential=True), await a_model(http)
    await a_source(http, model["id"], supplier["id"])
    return supplier, model


async def reason_of(http: httpx.AsyncClient, model: dict[str, Any]) -> str | None:
    reason: str | None = (await shown(http, f"/api/v1/models/{model['id']}"))["reason"]
    return reason


async def test_what_a_credential_may_be_used_for_is_shown_and_told(http: httpx.AsyncClient, told: Told) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    fields = {"weight": 3, "model_ids": [model["id"]], "rpm_limit": 500, "tpm_limit": 100_000}

    made = await a_credential(http, supplier["id"], **fields)
    changed = await http.patch(f"{CREDENTIALS}/{made['id']}", json={"model_ids": None, "rpm_limit": None})

    assert {name: made[name] for name in fields} == fields
    assert made["warnings"][0]["code"] == "not_available"
    assert (changed.json()["model_ids"], changed.json()["rpm_limit"], changed.json()["warnings"]) == (None, None, [])
    records = [each.record for each in await told(CredentialChanged)]
    assert [(each.weight, each.model_ids and [str(one) for one in each.model_ids]) for each in records] == [
        (3, [model["id"]]),
        (3, None),
    ]
    assert [(each.rpm_limit, each.tpm_limit, each.generation) for each in records] == [
        (500, 100_000, 1),
        (None, 100_000, 1),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("weight", -1),
        ("weight", 1001),
        ("rpm_limit", 0),
        ("rpm_limit", 2**31),
        ("tpm_limit", "many"),
        ("model_ids", []),
        ("state", "ok"),
        ("last_used_at", None),
        ("sealed", "gAAAAA"),
    ],
)
async def test_what_can_not_be_is_refused_by_its_field(http: httpx.AsyncClient, field: str, value: Any) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])

    answer = await http.patch(f"{CREDENTIALS}/{made['id']}", json={field: value})

    assert (answer.status_code, fields_of(answer)) == (422, [field])


async def test_a_model_that_does_not_exist_is_refused_by_its_path(http: httpx.AsyncClient, told: Told) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    body = {"supplier_id": supplier["id"], "name": "key", "secret": SECRET, "model_ids": [model["id"], str(uuid4())]}

    answer = await http.post(CREDENTIALS, json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "dangling_reference")
    assert fields_of(answer) == ["model_ids.1"]
    assert await told(CredentialChanged) == []


async def test_a_source_is_available_only_while_a_credential_may_be_used_for_its_model(http: httpx.AsyncClient) -> None:
    supplier, model = await a_served_supplier(http)
    other = await a_model(http)
    await a_source(http, other["id"], supplier["id"])

    made = await a_credential(http, supplier["id"], model_ids=[model["id"]])
    assert (await reason_of(http, model), await reason_of(http, other)) == (None, "no_credential")

    await a_credential(http, supplier["id"], model_ids=[other["id"]])
    assert (await reason_of(http, model), await reason_of(http, other)) == (None, None)
    await http.delete(f"{CREDENTIALS}/{made['id']}")
    assert (await reason_of(http, model), await reason_of(http, other)) == ("no_credential", None)
    await a_credential(http, supplier["id"])
    assert (await reason_of(http, model), await reason_of(http, other)) == (None, None)


@pytest.mark.parametrize("kind", ["direct", "aggregator"])
async def test_a_new_credential_and_a_new_secret_ask_for_a_listing_and_nothing_else_does(
    http: httpx.AsyncClient, told: Told, kind: str
) -> None:
    supplier = await a_supplier(http, kind=kind)
    path = f"{CREDENTIALS}/{(await a_credential(http, supplier['id']))['id']}"

    await http.patch(path, json={"name": "renamed", "weight": 2})
    await http.post(f"{path}/rotate", json={"secret": SECRET})
    await http.patch(path, json={"secret": f"{SECRET}-2"})
    await http.post(f"{path}/disable")
    await http.post(f"{path}/rotate", json={"secret": f"{SECRET}-3"})

    assert [(str(each.supplier_id), each.cause) for each in await told(SyncRequested)] == [
        (supplier["id"], "credential")
    ] * 3


async def test_rotating_keeps_the_row_and_makes_a_dead_key_live_again(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier, model = await a_served_supplier(http)
    made = await a_credential(http, supplier["id"])
    await see(opened, made, State.DEAD, reason="answered 401")
    assert await state_of(http, made) == ("dead", "answered 401", None)
    assert await reason_of(http, model) == "no_credential"

    answer = await http.post(f"{CREDENTIALS}/{made['id']}/rotate", json={"secret": SECRET})

    rotated = answer.json()
    assert (rotated["id"], rotated["hint"], rotated["state"], rotated["state_reason"]) == (
        made["id"],
        "…6789",
        "ok",
        None,
    )
    assert rotated["version"] == made["version"] + 1
    assert answer.headers["etag"] == f'"{rotated["version"]}"'
    assert await reason_of(http, model) is None
    last = (await told(CredentialChanged))[-1].record
    assert (Vault(MASTER_KEY).open(last.sealed), last.generation) == (SECRET, 2)


async def test_what_was_seen_of_the_secret_before_says_nothing_of_the_new_one(
    http: httpx.AsyncClient, opened: Database
) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    await http.post(f"{CREDENTIALS}/{made['id']}/rotate", json={"secret": SECRET})

    await see(opened, made, State.DEAD, generation=1)
    assert (await state_of(http, made))[0] == "ok"

    await see(opened, made, State.DEAD, generation=2)
    assert (await state_of(http, made))[0] == "dead"


async def test_the_same_seen_twice_is_told_once_and_makes_no_version(
    http: httpx.AsyncClient, told: Told, opened: Database, database: FreshDatabase
) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    until = ahead(minutes=5)

    for _ in range(3):
        await see(opened, made, State.COOLING, until=until)
    for _ in range(3):
        await see(opened, made, State.DEAD, reason="answered 403")
    await see(opened, made, State.COOLING, until=until + timedelta(hours=1))

    assert [each.record.state for each in await told(CredentialChanged)] == ["ok", "cooling", "dead"]
    assert (await shown(http, f"{CREDENTIALS}/{made['id']}"))["version"] == 1
    connection = await asyncpg.connect(database.superuser())
    assert await connection.fetchval("SELECT count(*) FROM catalog.versions WHERE kind = 'credential'") == 1
    await connection.close()


async def test_a_cooling_credential_leaves_its_sources_as_they_are_and_a_dead_one_does_not(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier, model = await a_served_supplier(http)
    one, two = await a_credential(http, supplier["id"]), await a_credential(http, supplier["id"])

    await see(opened, one, State.COOLING, until=ahead(minutes=5))
    await see(opened, two, State.DEAD, reason="answered 401")
    assert await reason_of(http, model) is None
    await see(opened, one, State.DEAD, reason="answered 402")

    assert await reason_of(http, model) == "no_credential"
    assert [each.reason for each in await told(ModelUnavailable)] == ["no_credential"]


async def test_what_is_seen_of_a_credential_that_is_gone_is_ignored(http: httpx.AsyncClient, opened: Database) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    await http.delete(f"{CREDENTIALS}/{made['id']}")

    await see(opened, made, State.DEAD)
    await see(opened, {"id": str(uuid4())}, State.DEAD)


async def test_a_reset_trusts_a_dead_credential_again_and_a_late_event_does_not_kill_it(
    http: httpx.AsyncClient, told: Told, opened: Database
) -> None:
    supplier, model = await a_served_supplier(http)
    made = await a_credential(http, supplier["id"])
    path = f"{CREDENTIALS}/{made['id']}/reset"
    await see(opened, made, State.DEAD)

    answer = await http.post(path)
    await see(opened, made, State.DEAD)
    again = await http.post(path)

    assert (answer.json()["state"], again.json()["state"]) == ("ok", "ok")
    assert await reason_of(http, model) is None
    assert [each.record.generation for each in await told(CredentialChanged)] == [1, 1, 2]
    assert len(await told(SyncRequested)) == 2


async def test_a_credential_that_has_cooled_off_is_ok_by_the_clock_and_told_so(
    http: httpx.AsyncClient, told: Told, opened: Database, database: FreshDatabase
) -> None:
    supplier = await a_supplier(http)
    soon, later = await a_credential(http, supplier["id"]), await a_credential(http, supplier["id"])
    for credential in (soon, later):
        await see(opened, credential, State.COOLING, until=ahead(hours=1))
    connection = await asyncpg.connect(database.superuser())
    passed = "UPDATE catalog.credentials SET state_until = now() - interval '1 second' WHERE id = $1::text::uuid"
    await connection.execute(passed, soon["id"])
    await connection.close()

    async def is_ok() -> bool:
        return await state_of(http, soon) == ("ok", None, None)

    await eventually(is_ok)
    assert (await state_of(http, later))[0] == "cooling"
    last = (await told(CredentialChanged))[-1].record
    assert (str(last.id), last.state, last.generation) == (soon["id"], "ok", 1)
    async with opened.transaction() as session:
        assert await end_coolings(session) is False


def a_credential_in(state: State, until: datetime | None = None) -> Credential:
    return Credential(
        id=new_id(),
        supplier_id=new_id(),
        name="key",
        sealed="sealed",
        hint="…",
        is_active=True,
        priority=1,
        state=state,
        created_at=NOW,
        updated_at=NOW,
        deleted_at=None,
        state_until=until,
    )


sights = st.builds(
    Seen,
    state=st.sampled_from(State),
    generation=st.integers(1, 2),
    reason=st.sampled_from(["429", "401"]),
    until=st.none() | st.integers(-100, 200_000).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


@given(st.lists(sights, max_size=5), st.randoms(use_true_random=False))
def test_what_is_seen_ends_the_same_in_any_order_and_however_often(seen: list[Seen], chance: Any) -> None:
    fresh = replace(a_credential_in(State.OK), generation=1)

    def after(sequence: list[Seen]) -> tuple[str, datetime | None]:
        credential = fresh
        for each in sequence:
            credential = credential.seen(each, NOW)
        return credential.state, credential.state_until

    shuffled = [*seen, *seen]
    chance.shuffle(shuffled)

    assert after(seen) == after(shuffled)


def test_nothing_cools_for_longer_than_a_day() -> None:
    seen = Seen(State.COOLING, 1, "answered 429", NOW + timedelta(days=365))

    assert a_credential_in(State.OK).seen(seen, NOW).state_until == NOW + LONGEST_COOLING


async def test_two_rotations_at_once_leave_one_secret_of_the_two(http: httpx.AsyncClient, told: Told) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    path = f"{CREDENTIALS}/{made['id']}/rotate"

    answers = await asyncio.gather(*(http.post(path, json={"secret": f"{SECRET}-{each}"}) for each in range(4)))

    assert [each.status_code for each in answers] == [200] * 4
    versions = sorted(each.json()["version"] for each in answers)
    assert versions == [2, 3, 4, 5]
    last = (await told(CredentialChanged))[-1].record
    final = await shown(http, f"{CREDENTIALS}/{made['id']}")
    assert Vault(MASTER_KEY).open(last.sealed)[-4:] == final["hint"][-4:]
    assert last.generation == 5


async def test_of_two_rotations_from_the_same_version_only_one_is_done(http: httpx.AsyncClient) -> None:
    made = await a_credential(http, (await a_supplier(http))["id"])
    path = f"{CREDENTIALS}/{made['id']}/rotate"

    answers = await asyncio.gather(
        *(http.post(path, json={"secret": f"{SECRET}-{each}"}, headers={"If-Match": '"1"'}) for each in range(3))
    )

    assert sorted(each.status_code for each in answers) == [200, 412, 412]


async def test_rotating_and_deleting_at_once_end_in_a_deleted_credential(
    http: httpx.AsyncClient, told: Told, database: FreshDatabase
) -> None:
    supplier = await a_supplier(http)
    for number in range(6):
        made = await a_credential(http, supplier["id"], name=f"number {number}")
        path = f"{CREDENTIALS}/{made['id']}"
        rotated, deleted = await asyncio.gather(http.post(f"{path}/rotate", json={"secret": SECRET}), http.delete(path))
        assert (rotated.status_code in {200, 404}, deleted.status_code) == (True, 204)
        assert (await http.get(path)).status_code == 404
        assert (await told(CredentialChanged))[-1].deleted

    connection = await asyncpg.connect(database.superuser())
    assert await connection.fetchval("SELECT string_agg(sealed, '') FROM catalog.credentials") == ""
    await connection.close()


async def test_a_supplier_deleted_while_its_credentials_change_leaves_none(http: httpx.AsyncClient) -> None:
    for _ in range(4):
        supplier = await a_supplier(http)
        made = [await a_credential(http, supplier["id"]) for _ in range(3)]
        answers = await asyncio.gather(
            *(http.patch(f"{CREDENTIALS}/{each['id']}", json={"weight": 7}) for each in made),
            http.delete(f"/api/v1/suppliers/{supplier['id']}"),
            http.post(CREDENTIALS, json={"supplier_id": supplier["id"], "name": "late", "secret": SECRET}),
        )
        assert {each.status_code for each in answers} <= {200, 201, 204, 404, 422}
        assert (await shown(http, f"{CREDENTIALS}?supplier_id={supplier['id']}"))["items"] == []


async def test_credentials_are_found_by_each_filter_and_sorted(http: httpx.AsyncClient, opened: Database) -> None:
    supplier, model = await a_supplier(http), await a_model(http)
    one = await a_credential(http, supplier["id"], name="one", priority=5, model_ids=[model["id"]])
    await a_credential(http, supplier["id"], name="two", priority=1, is_active=False)
    three = await a_credential(http, (await a_supplier(http))["id"], name="three", priority=3)
    await see(opened, three, State.DEAD)

    async def names(query: str) -> list[str]:
        return [item["name"] for item in (await shown(http, f"{CREDENTIALS}?{query}"))["items"]]

    assert await names(f"supplier_id={supplier['id']}") == ["one", "two"]
    assert await names("state=dead") == ["three"]
    assert await names("is_active=false") == ["two"]
    assert await names("search=E") == ["one", "three"]
    assert await names(f"model_id={model['id']}") == ["one", "two", "three"]
    assert await names(f"model_id={uuid4()}") == ["two", "three"]
    assert await names("sort=priority") == ["two", "three", "one"]
    assert await names("name=one") == [one["name"]]
    assert (await http.get(f"{CREDENTIALS}?state=fine")).status_code == 422


async def test_the_last_credential_of_what_is_referred_to_goes_only_by_force(http: httpx.AsyncClient) -> None:
    supplier, model = await a_served_supplier(http)
    made = await a_credential(http, supplier["id"])
    steps = [{"model_id": model["id"]}]
    assert (await http.post("/api/v1/fallback-chains", json={"name": "smart", "steps": steps})).status_code == 201
    path = f"{CREDENTIALS}/{made['id']}"

    refused = [await http.post(f"{path}/disable"), await http.delete(path)]
    forced = await http.delete(f"{path}?force=true")

    assert [(each.status_code, len(each.json()["findings"])) for each in refused] == [(409, 1)] * 2
    assert forced.status_code == 204
    assert await reason_of(http, model) == "no_credential"


def usage(*uses: tuple[str, str, datetime]) -> UsageRecorded:
    """A batch in which each access key called once with each credential."""
    return UsageRecorded(
        router_id="r1",
        requests=[
            RequestRecord(
                id=new_id(),
                access_key_id=UUID(key),
                asked_for="m",
                is_stream=False,
                started_at=at,
                latency_ms=1,
                status=200,
                outcome="ok",
                catalog_revision=1,
                attempts=[
                    AttemptRecord(
                        id=new_id(),
                        number=1,
                        model_id=new_id(),
                        source_id=new_id(),
                        supplier_id=new_id(),
                        credential_id=UUID(credential),
                        started_at=at,
                        latency_ms=1,
                        first_token_ms=None,
                        status=200,
                        outcome="ok",
                        error=None,
                        tokens=Tokens(),
                    )
                ],
            )
            for credential, key, at in uses
        ],
    )


async def test_usage_tells_when_credentials_and_keys_were_last_used(catalog_with_bus: str, bus: LocalBus) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=catalog_with_bus, headers=headers, timeout=20) as http:
        supplier = await a_supplier(http)
        one, two = await a_credential(http, supplier["id"]), await a_credential(http, supplier["id"])
        key = (await http.post("/api/v1/access-keys", json={"name": "team"})).json()
        revision = (await http.get("/api/v1/head")).json()["revision"]
        early, late = NOW - timedelta(minutes=2), NOW - timedelta(minutes=1)

        client = await bus.client()
        for event in (
            usage((one["id"], key["id"], late), (two["id"], key["id"], early)),
            usage((one["id"], key["id"], early)),
        ):
            envelope = Envelope(
                id=new_id(),
                type=event.type,
                source="/modelbus/router",
                time=NOW,
                data=event.model_dump_json().encode(),
            )
            await client.jetstream().publish(
                event.type, envelope.data, stream=USAGE.name, headers=envelope.headers(), timeout=5
            )
        await client.close()

        async def used_at() -> list[str | None]:
            paths = (f"{CREDENTIALS}/{one['id']}", f"{CREDENTIALS}/{two['id']}", f"/api/v1/access-keys/{key['id']}")
            return [(await shown(http, path))["last_used_at"] for path in paths]

        wanted = [at.isoformat().replace("+00:00", "Z") for at in (late, early, late)]

        async def is_noted() -> bool:
            return await used_at() == wanted

        await eventually(is_noted)
        assert (await http.get("/api/v1/head")).json()["revision"] == revision
        assert (await shown(http, f"{CREDENTIALS}/{one['id']}"))["version"] == 1
