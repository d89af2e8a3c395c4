"""If-Match: whoever has not seen the newest version changes nothing; nobody's condition is ignored."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from builders import a_model, a_supplier
from catalog.writes import V1, Write, prepare, write_routes
from catalogs import settings_for
from modelbus.catalog.app import create_app
from running import ADMIN_TOKEN, serving
from servers import Databases

TOKEN = ("DELETE", "/api/v1/auth/tokens/{token_id}")
WRITES = [route for route in write_routes("PATCH", "PUT", "DELETE", "POST") if "{" in route[1] and route != TOKEN]
UNCONDITIONAL = {
    ("POST", "/api/v1/tags/{tag_id}/preview"): "changes nothing",
    ("PUT", "/api/v1/users/{user_id}/password"): "has one transaction to look, and another to write",
    ("DELETE", "/api/v1/users/{user_id}/sessions"): "sessions have no version",
    ("DELETE", "/api/v1/auth/signing-keys/{key_id}"): "a signing key never changes",
}
"""Paths on a thing whose version says nothing of what they do; they refuse conditions."""
CONDITIONAL = [route for route in WRITES if route not in UNCONDITIONAL]


@pytest.fixture(scope="module")
async def http(databases: Databases) -> AsyncIterator[httpx.AsyncClient]:
    """One catalog for all of these: each makes what it needs."""
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        databases.fresh() as database,
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield client


async def standing(http: httpx.AsyncClient) -> tuple[Any, ...]:
    """Answer what any change would move."""
    revision = (await http.get(f"{V1}/head")).json()["revision"]
    newest = [(await http.get(f"{V1}/{log}", params={"limit": 1})).json()["items"] for log in ("versions", "audit")]
    return revision, *newest


def names(routes: list[tuple[str, str]]) -> list[str]:
    return [" ".join(route) for route in routes]


@pytest.mark.parametrize("route", CONDITIONAL, ids=names(CONDITIONAL))
async def test_a_version_that_is_not_the_newest_changes_nothing_and_the_newest_does(
    http: httpx.AsyncClient, route: tuple[str, str]
) -> None:
    write = await prepare(http, *route)
    assert write.thing is not None
    seen = (await http.get(write.thing)).headers["etag"]
    before = await standing(http)

    stale = await write.send(http, **{"If-Match": '"999999"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile"), stale.text
    assert await standing(http) == before

    fresh = await write.send(http, **{"If-Match": seen})
    assert fresh.is_success, fresh.text


@pytest.mark.parametrize("route", UNCONDITIONAL, ids=names(list(UNCONDITIONAL)))
async def test_a_condition_that_can_not_be_compared_is_refused(http: httpx.AsyncClient, route: tuple[str, str]) -> None:
    if route[1].startswith("/api/v1/auth"):
        noun = route[1].rpartition("/")[0]
        made, _newer = [await http.post(noun) for _ in range(2)]
        write = Write(route[0], route[1], f"{noun}/{made.json()['id']}", None)
    else:
        write = await prepare(http, *route)
    before = await standing(http)

    answer = await write.send(http, **{"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (400, "condition_not_taken"), answer.text
    assert await standing(http) == before


async def test_a_token_of_another_version_is_not_revoked(http: httpx.AsyncClient) -> None:
    made = (await http.post(f"{V1}/auth/tokens", json={"name": "one", "role": "viewer"})).json()

    stale = await http.delete(f"{V1}/auth/tokens/{made['id']}", headers={"If-Match": '"999999"'})
    fresh = await http.delete(f"{V1}/auth/tokens/{made['id']}", headers={"If-Match": f'"{made["version"]}"'})

    assert (stale.status_code, fresh.status_code) == (412, 204)


@pytest.mark.parametrize("noun", ["suppliers", "models", "scopes", "users", "tags", "restore", "auth/login"])
async def test_what_is_about_no_thing_takes_no_condition(http: httpx.AsyncClient, noun: str) -> None:
    body: Any = {"username": "x", "password": "y"}
    if noun in {"suppliers", "models", "scopes", "users", "tags"}:
        body = (await prepare(http, "POST", f"{V1}/{noun}")).body
    if noun == "restore":
        body = (await http.get(f"{V1}/export?secrets=master")).json()
    query = {"replace": True} if noun == "restore" else {}
    before = await standing(http)

    answer = await http.post(f"{V1}/{noun}", params=query, json=body, headers={"If-Match": '"1"'})

    assert (answer.status_code, answer.json()["code"]) == (400, "condition_not_taken"), answer.text
    assert await standing(http) == before


async def test_of_two_writers_who_have_seen_the_same_exactly_one_wins(http: httpx.AsyncClient) -> None:
    for path in (f"suppliers/{(await a_supplier(http))['id']}", f"models/{(await a_model(http))['id']}"):
        for version in range(1, 6):
            answers = await asyncio.gather(
                *(
                    http.patch(
                        f"{V1}/{path}", json={"description": f"{version} {n}"}, headers={"If-Match": f'"{version}"'}
                    )
                    for n in range(8)
                )
            )
            assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
            [won] = [answer for answer in answers if answer.status_code == 200]
            assert won.headers["etag"] == f'"{version + 1}"'


@pytest.mark.parametrize("condition", ["*", '"7", "1"', '"1","7"'])
async def test_any_of_several_versions_will_do(http: httpx.AsyncClient, condition: str) -> None:
    supplier = await a_supplier(http)

    answer = await http.patch(
        f"{V1}/suppliers/{supplier['id']}", json={"description": "x"}, headers={"If-Match": condition}
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("condition", ["1", 'W/"1"', '"1', "yesterday", '"2"'])
async def test_what_is_no_tag_of_ours_matches_nothing(http: httpx.AsyncClient, condition: str) -> None:
    supplier = await a_supplier(http)

    answer = await http.patch(
        f"{V1}/suppliers/{supplier['id']}", json={"description": "x"}, headers={"If-Match": condition}
    )

    assert answer.status_code == 412
