"""Idempotency-Key: a POST that is repeated is done once, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from builders import shown
from catalog.writes import V1, post, prepare, write_routes
from catalogs import settings_for
from modelbus.catalog.actions.history import forget_history
from modelbus.catalog.app import create_app
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from running import ADMIN_TOKEN, MASTER_KEY, serving
from servers import Databases, FreshDatabase

WITHOUT = {
    ("POST", "/api/v1/auth/login"): "nobody is known yet who could have asked before",
    ("POST", "/api/v1/auth/refresh"): "the same; a token that was used opens nothing again",
    ("POST", "/api/v1/auth/logout"): "whoever has signed out is signed out",
    ("POST", "/api/v1/tags/{tag_id}/preview"): "changes nothing",
    ("POST", "/api/v1/restore"): "see the test of its own",
}
ROUTES = [route for route in write_routes("POST") if route not in WITHOUT]


@pytest.fixture(scope="module")
async def shared(databases: Databases) -> AsyncIterator[httpx.AsyncClient]:
    """One catalog for all that leaves the others alone."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        databases.fresh() as database,
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield client


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": uuid4().hex}


async def standing(http: httpx.AsyncClient) -> tuple[Any, ...]:
    """Answer what any change would move."""
    revision = (await http.get(f"{V1}/head")).json()["revision"]
    newest = [(await http.get(f"{V1}/{log}", params={"limit": 1})).json()["items"] for log in ("versions", "audit")]
    return revision, *newest


async def a_body(http: httpx.AsyncClient, pattern: str) -> Any:
    """Answer what a path takes that is about no one thing."""
    model = (await prepare(http, "POST", f"{V1}/prices")).body["model_id"]
    match pattern.removeprefix(V1):
        case "/models/set-default":
            return {"model_id": model}
        case "/models/bulk":
            return {"ids": [model], "change": {"is_featured": True}}
        case "/prices/adjust":
            return {"ids": [model], "by": {"set": {"input": "1"}}}
        case "/import":
            return {"model_configs": [{"provider": "openai", "model": "gpt-4o"}]}
        case "/capabilities/associations" | "/categories/associations":
            noun = pattern.split("/")[3]
            made = await post(http, noun, (await prepare(http, "POST", f"{V1}/{noun}")).body)
            return {"model_id": model, {"capabilities": "capability_id", "categories": "category_id"}[noun]: made["id"]}
        case _:
            return (await prepare(http, "POST", pattern)).body


@pytest.mark.parametrize("pattern", [pattern for _method, pattern in ROUTES])
async def test_a_repeated_request_is_done_once_and_answered_alike(shared: httpx.AsyncClient, pattern: str) -> None:
    if "{" in pattern:
        write = await prepare(shared, "POST", pattern)
        path, body = write.path, write.body
    else:
        path, body = pattern, await a_body(shared, pattern)
    sent = {} if body is None else {"json": body}
    key = a_key()

    first = await shared.post(path, **sent, headers=key)
    assert first.is_success, first.text
    before = await standing(shared)
    again = [await shared.post(path, **sent, headers=key) for _ in range(2)]

    assert await standing(shared) == before
    for answer in again:
        assert (answer.status_code, answer.content) == (first.status_code, first.content)
        assert answer.headers.get("etag") == first.headers.get("etag")
        assert (answer.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)


async def test_twenty_equal_requests_at_once_make_one_thing_and_get_one_answer(shared: httpx.AsyncClient) -> None:
    for noun in ("suppliers", "access-keys", "models"):
        body, key = (await prepare(shared, "POST", f"{V1}/{noun}")).body, a_key()

        answers = await asyncio.gather(*(shared.post(f"{V1}/{noun}", json=body, headers=key) for _ in range(20)))

        assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
        assert len([answer for answer in answers if "idempotency-replayed" in answer.headers]) == 19
        versions = (await shown(shared, f"{V1}/versions?thing_id={answers[0].json()['id']}"))["items"]
        assert len(versions) == 1


async def test_an_answer_outlives_a_restart(database: FreshDatabase) -> None:
    key, answers = a_key(), []
    for _ in range(2):
        async with (
            serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
            httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as http,
        ):
            answers.append(await http.post(f"{V1}/access-keys", json={"name": "once"}, headers=key))

    assert answers[0].status_code == 201
    assert answers[0].content == answers[1].content


async def test_another_body_path_or_query_under_the_same_key_is_refused(shared: httpx.AsyncClient) -> None:
    key, chain = a_key(), (await prepare(shared, "POST", f"{V1}/fallback-chains")).body
    assert (await shared.post(f"{V1}/fallback-chains", json=chain, headers=key)).status_code == 201
    before = await standing(shared)

    for path, body in (
        ("fallback-chains", {**chain, "name": "another"}),
        ("cost-strategies", chain),
        ("fallback-chains?force=true", chain),
    ):
        answer = await shared.post(f"{V1}/{path}", json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await standing(shared) == before


async def test_callers_do_not_share_their_keys(shared: httpx.AsyncClient) -> None:
    token = (await shared.post(f"{V1}/auth/tokens", json={"name": uuid4().hex, "role": "editor"})).json()["token"]
    key, body = a_key(), {"name": f"t-{uuid4().hex}"}

    mine = await shared.post(f"{V1}/tags", json=body, headers=key)
    theirs = await shared.post(f"{V1}/tags", json=body, headers={**key, "Authorization": f"Bearer {token}"})

    assert mine.status_code == 201
    assert (theirs.status_code, theirs.json()["code"]) == (409, "already_exists")


async def test_what_was_refused_can_be_repaired_under_the_same_key(shared: httpx.AsyncClient) -> None:
    key, name = a_key(), f"t-{uuid4().hex}"
    await shared.post(f"{V1}/tags", json={"name": name})

    taken = await shared.post(f"{V1}/tags", json={"name": name}, headers=key)
    malformed = await shared.post(f"{V1}/tags", json={"name": 7}, headers=key)
    stale = await shared.post(f"{V1}/tags", json={"name": f"{name}-2"}, headers={**key, "If-Match": '"1"'})
    repaired = await shared.post(f"{V1}/tags", json={"name": f"{name}-2"}, headers=key)

    assert [answer.status_code for answer in (taken, malformed, stale, repaired)] == [409, 422, 400, 201]


@pytest.mark.parametrize("key", ["", "x" * 256, "with\ttab"])
async def test_a_key_that_can_not_be_is_refused(shared: httpx.AsyncClient, key: str) -> None:
    answer = await shared.post(f"{V1}/tags", json={"name": f"t-{uuid4().hex}"}, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


async def test_a_connection_that_dies_before_the_commit_leaves_nothing(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    key, body = a_key(), {"name": "vendor/once"}
    connection = await asyncpg.connect(database.superuser())
    held = connection.transaction()
    await held.start()
    # The request gets as far as its events, whose numbers somebody else holds.
    await connection.execute("SELECT 1 FROM catalog.catalog_head FOR UPDATE")
    asked = asyncio.create_task(http.post(f"{V1}/models", json=body, headers=key))
    killer = await asyncpg.connect(database.superuser())
    waits = (
        "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock' AND query ~ 'catalog_head'"
    )
    while (pid := await killer.fetchval(waits, database.name)) is None:
        assert not asked.done(), asked.result().text
        await asyncio.sleep(0.01)
    await killer.execute("SELECT pg_terminate_backend($1)", pid)
    broken = await asked
    await held.rollback()
    left = [await killer.fetchval(f"SELECT count(*) FROM catalog.{table}") for table in ("models", "idempotency_keys")]
    await connection.close()
    await killer.close()

    again = await http.post(f"{V1}/models", json=body, headers=key)

    assert (broken.status_code, left) == (503, [0, 0])
    assert (again.status_code, "idempotency-replayed" in again.headers) == (201, False)


async def test_neither_what_was_asked_nor_answered_is_kept_in_clear(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    made = await http.post(f"{V1}/access-keys", json={"name": "needle-in-it"}, headers=a_key())
    connection = await asyncpg.connect(database.superuser())
    row = await connection.fetchrow("SELECT digest, answer FROM catalog.idempotency_keys")
    await connection.close()

    assert row is not None
    for kept in row:
        assert kept.startswith("gAAAA")
    assert made.json()["key"] not in str(row)


async def test_after_the_master_key_was_lost_nothing_is_done_twice(database: FreshDatabase) -> None:
    key, answers = a_key(), []
    for master_key in (MASTER_KEY, "qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI="):
        async with (
            serving(create_app(settings_for(database, "nats://127.0.0.1:9", master_keys=master_key))) as url,
            httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as http,
        ):
            answers.append(await http.post(f"{V1}/access-keys", json={"name": "once"}, headers=key))

    assert [answer.status_code for answer in answers] == [201, 409]
    assert answers[1].json()["code"] == "idempotency_answer_lost"


async def test_keys_are_forgotten_after_a_day(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    old, young = a_key(), a_key()
    for key in (old, young):
        await http.post(f"{V1}/tags", json={"name": f"t-{uuid4().hex}"}, headers=key)
    connection = await asyncpg.connect(database.superuser())
    for key, hours in ((old, 24.1), (young, 23.9)):
        await connection.execute(
            "UPDATE catalog.idempotency_keys SET created_at = $1 WHERE key = $2",
            datetime.now(UTC) - timedelta(hours=hours),
            key["Idempotency-Key"],
        )
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    async with opened.transaction() as session:
        await forget_history(session, outbox, days=7)
    await opened.close()

    left = await connection.fetch("SELECT key FROM catalog.idempotency_keys")
    await connection.close()
    assert [row["key"] for row in left] == [young["Idempotency-Key"]]


async def test_a_restore_is_done_once_under_its_key(http: httpx.AsyncClient) -> None:
    await http.post(f"{V1}/tags", json={"name": "kept"})
    document, key = (await http.get(f"{V1}/export?secrets=master")).content, a_key()

    answers = [await http.post(f"{V1}/restore?replace=true", content=document, headers=key) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["epoch"] == answers[1].json()["epoch"] == (await http.get(f"{V1}/head")).json()["epoch"]
