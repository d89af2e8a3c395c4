"""Categories: a tree that nothing makes a cycle of, and the models in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import a_model, shown
from catalog.labels import a_category, made, named, put
from catalog.people import run_sql
from catalog.refusals import fields_of
from catalogs import Told
from modelbus.catalog.actions.categories import change_category
from modelbus.catalog.domain.categories import (
    Category,
    children_of,
    depth_first,
    placed,
    refuse_cycle,
    without,
)
from modelbus.catalog.domain.label_errors import CategoryCycleError
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.contracts.catalog import CategoryChanged, ModelChanged
from running import eventually
from servers import FreshDatabase

PATH = "/api/v1/categories"
PAIRS = f"{PATH}/associations"
Json = dict[str, Any]


async def tree_of(http: httpx.AsyncClient) -> Json:
    """Answer the names of the tree: each to those below it."""

    def names(nodes: list[Json]) -> Json:
        return {node["name"]: names(node["children"]) for node in nodes}

    return names((await shown(http, f"{PATH}/tree"))["items"])


async def below(http: httpx.AsyncClient, parent: Json, *names: str) -> list[Json]:
    return [await a_category(http, name=name, parent_id=parent["id"]) for name in names]


async def test_categories_are_made_in_place_and_each_that_moves_is_told(http: httpx.AsyncClient, told: Told) -> None:
    first = await a_category(http, name="first")
    third = await a_category(http, name="third", display_name="Third")
    second = await a_category(http, name="second", position=1, description="In between.")

    assert [first["position"], third["position"], second["position"]] == [0, 1, 1]
    assert await named(http, PATH, sort="position") == ["first", "second", "third"]
    moved = await shown(http, f"{PATH}/{third['id']}")
    assert (moved["position"], moved["version"], moved["display_name"]) == (2, 2, "Third")
    events = [(event.record.name, event.record.position) for event in await told(CategoryChanged)]
    assert events == [("first", 0), ("third", 1), ("second", 1), ("third", 2)]


async def test_a_move_takes_along_what_is_below(http: httpx.AsyncClient) -> None:
    text, image = await a_category(http, name="text"), await a_category(http, name="image")
    chat, code = await below(http, text, "chat", "code")
    await below(http, chat, "friendly")

    answer = await http.patch(f"{PATH}/{chat['id']}", json={"parent_id": image["id"]}, headers={"If-Match": '"1"'})

    assert answer.status_code == 200
    assert await tree_of(http) == {"text": {"code": {}}, "image": {"chat": {"friendly": {}}}}
    assert (await shown(http, f"{PATH}/{code['id']}"))["position"] == 0
    await http.patch(f"{PATH}/{chat['id']}", json={"parent_id": None, "position": 0})
    assert await tree_of(http) == {"chat": {"friendly": {}}, "text": {"code": {}}, "image": {}}
    assert (await http.patch(f"{PATH}/{chat['id']}", json={}, headers={"If-Match": '"1"'})).status_code == 412


@pytest.mark.parametrize("onto", ["itself", "its child", "its grandchild"])
async def test_a_category_is_not_put_below_itself(http: httpx.AsyncClient, onto: str) -> None:
    top = await a_category(http, name="top")
    [middle] = await below(http, top, "middle")
    [bottom] = await below(http, middle, "bottom")
    target = {"itself": top, "its child": middle, "its grandchild": bottom}[onto]

    answer = await http.patch(f"{PATH}/{top['id']}", json={"parent_id": target["id"]})

    assert (answer.status_code, answer.json()["code"], fields_of(answer)) == (422, "category_cycle", ["parent_id"])
    assert await tree_of(http) == {"top": {"middle": {"bottom": {}}}}


@pytest.fixture
async def store(database: FreshDatabase) -> AsyncIterator[Database]:
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox)
    yield opened
    await opened.close()


async def test_two_moves_at_once_do_not_make_a_cycle_together(
    http: httpx.AsyncClient, store: Database, database: FreshDatabase
) -> None:
    one, two = [UUID((await a_category(http, name=name))["id"]) for name in ("one", "two")]

    async def move_the_other() -> None:
        async with store.transaction() as session:
            await change_category(session, two, {"parent_id": one})

    async with store.transaction() as session:
        await change_category(session, one, {"parent_id": two})
        other = asyncio.create_task(move_the_other())
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        await eventually(lambda: run_sql(database, waiting))
    with pytest.raises(CategoryCycleError):
        await other

    assert await tree_of(http) == {"two": {"one": {}}}


@pytest.mark.parametrize("depth", [3, 1200])
async def test_the_tree_may_be_of_any_depth(http: httpx.AsyncClient, database: FreshDatabase, depth: int) -> None:
    keys = [uuid4() for _ in range(depth)]
    insert = """INSERT INTO catalog.categories (id, name, display_name, parent_id, position, created_at, updated_at)
        SELECT id, 'c' || number, 'c' || number, parent, 0, now(), now()
        FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS chain (id, parent, number)"""
    await run_sql(database, insert, keys, [None, *keys[:-1]])
    model = await a_model(http)
    await made(http, PAIRS, {"model_id": model["id"], "category_id": str(keys[-1])})

    text = (await http.get(f"{PATH}/tree")).text

    assert text.count('"models_below":1') == depth
    assert text.count('"models":1') == 1
    assert text.endswith("]}" * depth + "]}")


async def test_the_tree_counts_each_model_once_in_every_branch(http: httpx.AsyncClient) -> None:
    top, other = await a_category(http, name="top"), await a_category(http, name="other")
    left, right = await below(http, top, "left", "right")
    both, single, gone = [await a_model(http) for _ in range(3)]
    for model, category in ((both, left), (both, right), (both, top), (single, right), (single, other), (gone, left)):
        await made(http, PAIRS, {"model_id": model["id"], "category_id": category["id"]})
    await http.delete(f"/api/v1/models/{gone['id']}")

    top_node, other_node = (await shown(http, f"{PATH}/tree"))["items"]

    assert (top_node["models"], top_node["models_below"]) == (1, 2)
    counts = [(node["models"], node["models_below"]) for node in [*top_node["children"], other_node]]
    assert counts == [(1, 1), (2, 2), (1, 1)]


async def test_models_are_put_into_categories_and_taken_out(http: httpx.AsyncClient, told: Told) -> None:
    model = await a_model(http, name="vendor/sorted")
    one, two = await a_category(http, name="one"), await a_category(http, name="two")
    path = "/api/v1/models/vendor/sorted/categories"

    await put(http, f"{path}/{two['id']}")
    both = await put(http, f"{path}/{one['id']}")
    listed = (await http.get(PAIRS, params={"model_id": model["id"], "limit": 1})).json()
    rest = (await http.get(PAIRS, params={"limit": 1, "cursor": listed["next_cursor"]})).json()

    assert ([each["name"] for each in both["items"]], both["version"]) == (["one", "two"], 3)
    names = [each["category_name"] for each in [*listed["items"], *rest["items"]]]
    assert (names, rest["next_cursor"]) == (["one", "two"], None)
    assert [len(event.record.category_ids) for event in await told(ModelChanged)] == [0, 1, 2]
    ended = await http.delete(PAIRS, params={"model_id": model["id"], "category_id": one["id"]})
    assert (ended.status_code, await named(http, path)) == (204, ["two"])
    assert (await http.delete(f"{path}/{one['id']}")).status_code == 404
    missing = await http.post(PAIRS, json={"model_id": model["id"], "category_id": str(uuid4())})
    assert (missing.status_code, fields_of(missing)) == (422, ["category_id"])


async def test_a_category_in_use_is_deleted_by_force_alone_and_its_children_take_its_place(
    http: httpx.AsyncClient,
) -> None:
    top = await a_category(http, name="top")
    _left, middle, _right = await below(http, top, "left", "middle", "right")
    await below(http, middle, "m1", "m2")
    model = await a_model(http)
    await made(http, PAIRS, {"model_id": model["id"], "category_id": middle["id"]})

    refused = await http.delete(f"{PATH}/{middle['id']}")
    forced = await http.delete(f"{PATH}/{middle['id']}", params={"force": True})

    assert (refused.status_code, refused.json()["code"]) == (409, "label_in_use")
    found = [(each["kind"], each["name"]) for each in refused.json()["findings"]]
    assert found == [("category", "m1"), ("category", "m2"), ("model", model["name"])]
    assert forced.status_code == 204
    assert await tree_of(http) == {"top": {"left": {}, "m1": {}, "m2": {}, "right": {}}}
    assert (await shown(http, f"/api/v1/models/{model['id']}/categories"))["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "No"}, "name"),
        ({"name": "c", "position": -1}, "position"),
        ({"name": "c", "parent_id": "x"}, "parent_id"),
        ({"name": "c", "parent_id": str(uuid4())}, "parent_id"),
        ({"name": "c", "children": []}, "children"),
    ],
)
async def test_what_a_category_can_not_be_is_refused_by_field(http: httpx.AsyncClient, body: Json, field: str) -> None:
    answer = await http.post(PATH, content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert (answer.status_code, fields_of(answer)) == (422, [field])


def a_place(number: int, parent: int | None = None, position: int = 0) -> Category:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    name = f"c{number}"
    parent_id = None if parent is None else UUID(int=parent)
    return Category(UUID(int=number), name, name, None, parent_id, position, now, now, None)


Moves = st.lists(
    st.tuples(st.integers(0, 7), st.one_of(st.none(), st.integers(0, 7)), st.one_of(st.none(), st.integers(0, 9))),
    max_size=30,
)


@given(Moves, st.integers(0, 7))
def test_whatever_moves_the_tree_stays_a_tree_with_gapless_siblings(
    moves: list[tuple[int, int | None, int | None]], deleted: int
) -> None:
    tree = {each.id: each for each in (a_place(number, position=number) for number in range(8))}
    for moved, parent, position in moves:
        key, parent_id = UUID(int=moved), None if parent is None else UUID(int=parent)
        try:
            refuse_cycle(tree, key, parent_id)
        except CategoryCycleError:
            continue
        tree |= {each.id: each for each in placed(tree, tree[key], parent_id, position)}
        assert tree[key].parent_id == parent_id
        if position is not None:
            assert tree[key].position == min(position, len(children_of(tree, parent_id)) - 1)
        assert_is_tree(tree)
    heirs = [each.id for each in children_of(tree, UUID(int=deleted))]
    gone = tree[UUID(int=deleted)]
    tree |= {each.id: each for each in without(tree, gone.id)}
    del tree[gone.id]
    assert_is_tree(tree)
    at = [tree[each].position for each in heirs]
    assert at == list(range(gone.position, gone.position + len(heirs)))


def assert_is_tree(tree: dict[UUID, Category]) -> None:
    # Every category is reached from a root exactly once: a cycle is reached from none.
    assert sorted(each.id for each, _depth in depth_first(tree.values())) == sorted(tree)
    for parent in [None, *tree]:
        siblings = children_of(tree, parent)
        assert [each.position for each in siblings] == list(range(len(siblings)))
