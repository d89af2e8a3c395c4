"""Paths of models: names hold slashes and may end in anything, and no path takes what is another's."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import APIRouter
from starlette.routing import Match

from builders import a_model, a_supplier, shown
from catalog.refusals import fields_of
from catalogs import settings_for
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.api.model_names import RESERVED_ENDINGS, leads_elsewhere, reserved_endings
from modelbus.catalog.api.paths import in_order
from modelbus.catalog.app import ROUTES, create_app
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.contracts.sync import ListedModel, Listing
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase

IN_ORDER = in_order(noun.routes for noun in ROUTES)
CALLS = [(method, route.path) for route in IN_ORDER.routes for method in sorted(route.methods)]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
async def database(databases: Databases) -> AsyncIterator[FreshDatabase]:
    """One database for all of these, and one catalog; each test has models of its own."""
    async with databases.fresh() as fresh:
        yield fresh


@pytest.fixture(scope="module")
async def http(database: FreshDatabase) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as client,
    ):
        yield client


def filled(path: str) -> str:
    """Put something into every place of a path: a name with slashes where one may stand, else an id."""
    path = re.sub(r"\{\w+:path\}", "vendor/some/model", path)
    path = re.sub(r"\{number\}", "3", path)
    return re.sub(r"\{\w+(:\w+)?\}", "01930000-0000-7000-8000-000000000000", path)


def taken_by(router: APIRouter, method: str, path: str) -> str:
    scope = {"type": "http", "method": method, "path": path, "headers": []}
    found: str = next(each.path for each in router.routes if each.matches(scope)[0] == Match.FULL)  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_every_path_leads_to_its_own_endpoint(method: str, path: str) -> None:
    assert taken_by(IN_ORDER, method, filled(path)) == path


def test_the_order_does_not_depend_on_who_comes_first() -> None:
    backwards = in_order(noun.routes for noun in reversed(ROUTES))

    assert {(m, path): taken_by(backwards, m, filled(path)) for m, path in CALLS} == {
        (m, path): path for m, path in CALLS
    }


def test_every_path_below_a_model_is_reserved() -> None:
    assert set(RESERVED_ENDINGS) == set(reserved_endings(path for _, path in CALLS))
    assert {"/sources", "/parameters/{name}", "/set-default"} <= set(RESERVED_ENDINGS)


@pytest.mark.parametrize("ending", RESERVED_ENDINGS)
async def test_no_model_can_be_named_like_a_path_below_a_model(http: httpx.AsyncClient, ending: str) -> None:
    name = filled("vendor/model" + ending)

    assert leads_elsewhere(name)
    answer = await http.post("/api/v1/models", json={"name": name})
    assert (answer.status_code, fields_of(answer)) == (422, ["name"])
    renamed = await http.patch(f"/api/v1/models/{(await a_model(http))['id']}", json={"aliases": [name]})
    assert (renamed.status_code, fields_of(renamed)) == (422, ["aliases.0"])


@pytest.mark.parametrize(
    "name", ["bulk", "set-default", "sources", "vendor/bulk", "vendor/sources2", "a/b/c/d", "tags"]
)
async def test_other_names_are_reached_by_name(http: httpx.AsyncClient, name: str) -> None:
    made = await a_model(http, name=name)

    assert await shown(http, f"/api/v1/models/{name}") == made
    assert (await http.patch(f"/api/v1/models/{name}", json={"tier": "max"})).status_code == 200
    assert (await http.post(f"/api/v1/models/{name}/disable")).json()["is_active"] is False
    assert (await http.delete(f"/api/v1/models/{name}")).status_code == 204


async def test_a_model_that_a_listing_named_like_a_path_is_reached_by_its_id(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    supplier = await a_supplier(http)
    names = ["vendor" + filled(ending) for ending in RESERVED_ENDINGS]
    listing = Listing(
        run_id=new_id(),
        supplier_id=supplier["id"],
        digest="d",
        models=[ListedModel(upstream_name=name) for name in names],
        left_out=[],
    )
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    async with opened.transaction() as session:
        await apply_listing(session, listing, 1)
    await opened.close()

    query = {"supplier_id": supplier["id"]}
    found = {item["name"]: item["id"] for item in (await http.get("/api/v1/models", params=query)).json()["items"]}

    assert sorted(found) == sorted(names)
    for name, key in found.items():
        assert (await shown(http, f"/api/v1/models/{key}"))["name"] == name
        assert (await shown(http, f"/api/v1/models/{key}/sources"))["items"][0]["upstream_name"] == name
        changed = await http.patch(f"/api/v1/models/{key}", json={"tier": "pro", "custom_name": "Fine"})
        assert (changed.status_code, changed.json()["name"]) == (200, name)
