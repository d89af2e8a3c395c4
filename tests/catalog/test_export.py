"""Export and restore: the whole configuration out and back, equal; nothing half done."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from builders import a_credential, a_model, a_served_model, a_source, a_supplier, shown
from catalog.commands import command
from catalog.test_feed import administrator, assert_equal_to_truth, following
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.catalog.store.export import EXPORTED, LEFT_OUT, RowReader
from modelbus.catalog.store.tables import metadata
from modelbus.chassis.ids import new_id
from modelbus.chassis.secrets import Vault, vault_of
from running import ADMIN_TOKEN, MASTER_KEY, eventually, serving
from servers import Databases, FreshDatabase
from testing_bus import LocalBus

V1 = "/api/v1"
SECRET = "sk-0123456789abcdef0123"
PASSPHRASE = {"X-Modelbus-Passphrase": "correct horse battery staple"}
FUTURE = "2999-01-01T00:00:00Z"
OTHER_KEY = "qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI="


@asynccontextmanager
async def another_catalog(
    databases: Databases, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, FreshDatabase]]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with (
        databases.lent() as database,
        serving(create_app(settings_for(database, "nats://127.0.0.1:9", **settings))) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client,
    ):
        yield client, database


async def made(http: httpx.AsyncClient, noun: str, **body: Any) -> dict[str, Any]:
    answer = await http.post(f"{V1}/{noun}", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def furnish(http: httpx.AsyncClient) -> None:
    """Make something of every kind, change some of it, delete some of it."""
    supplier = await a_supplier(http)
    one, other, deleted = [await a_served_model(http, aliases=[f"alias-{uuid4().hex}"]) for _ in range(3)]
    await a_credential(http, supplier["id"], secret=SECRET, model_ids=[one["id"]])
    gone = await a_credential(http, supplier["id"])
    await http.delete(f"{V1}/credentials/{gone['id']}")
    source = await a_source(http, one["id"], supplier["id"], cost={"input": "0.10", "output": "2.5"})
    strategy = await made(
        http, "cost-strategies", name="cheap", cost_weight=0.25, max_input_price="1.50", model_ids=[one["id"]]
    )
    steps = [{"model_id": one["id"], "source_id": source["id"]}, {"model_id": deleted["id"], "triggers": ["timeout"]}]
    await made(http, "fallback-chains", name="chain", steps=steps)
    arms = [{"name": "a", "weight": 0, **steps[0]}, {"name": "b", "weight": 9, "model_id": other["id"]}]
    shadows = [{"name": "s", "model_id": one["id"], "percent": 0.5}]
    await made(http, "splits", name="split", sticky_by="header:x-user", arms=arms, shadows=shadows)
    await made(http, "complexity-routing", name="r", levels=[{"level": "hard", "model_ids": [other["id"]]}])
    scope = await made(http, "scopes", name="scope", model_ids=[one["id"], other["id"]], strategy_id=strategy["id"])
    allowed = {"model_ids": [one["id"]], "scope_ids": [scope["id"]]}
    consumer = await made(http, "consumers", name="tenant", kind="tenant", **allowed)
    await made(http, "access-keys", name="key", consumer_id=consumer["id"], **allowed)
    await made(http, "users", name="ada", role="admin", password="correct horse battery staple")
    await made(http, "auth/tokens", name="token", role="viewer")
    for each in ({"model_id": one["id"]}, {"source_id": source["id"]}):
        await made(http, "prices", prices={"input": "1.5", "output": "2"}, **each)
    await made(http, "prices", prices={"input": "3"}, model_id=one["id"], valid_from=FUTURE)
    await label(http, one)
    await http.patch(f"{V1}/models/{other['id']}", json={"description": "né à Zürich 🦉", "context_window": 7})
    # It names one that is written later.
    replaced = await http.patch(f"{V1}/models/{one['id']}", json={"replacement_model_id": other["id"]})
    assert replaced.status_code == 200, replaced.text
    assert (await http.delete(f"{V1}/models/{deleted['id']}?force=true")).status_code == 204


async def label(http: httpx.AsyncClient, model: dict[str, Any]) -> None:
    """Label a model in every way, by a category that is under one made later."""
    capability = await made(
        http, "capabilities", name=f"c-{uuid4().hex}", domain="nlp", input_types=["text"], output_types=["text"]
    )
    inner, outer = [await made(http, "categories", name=f"c-{uuid4().hex}") for _ in range(2)]
    tag = await made(http, "tags", name=f"t-{uuid4().hex}")
    moved = await http.patch(f"{V1}/categories/{inner['id']}", json={"parent_id": outer["id"]})
    assert moved.status_code == 200, moved.text
    for noun, each in (("capabilities", capability), ("categories", inner), ("tags", tag)):
        answer = await http.put(f"{V1}/models/{model['id']}/{noun}/{each['id']}", json={})
        assert answer.is_success, answer.text


async def export(http: httpx.AsyncClient, query: str = "secrets=master", **headers: str) -> dict[str, Any]:
    answer = await http.get(f"{V1}/export?{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def records(http: httpx.AsyncClient) -> dict[str, list[dict[str, Any]]]:
    told = (await http.get(f"{V1}/snapshot")).json()["records"]
    return {kind: sorted(some, key=lambda record: str(record["id"])) for kind, some in told.items()}


async def restore(http: httpx.AsyncClient, document: Any, query: str = "", **headers: str) -> httpx.Response:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return await http.post(f"{V1}/restore?{query}", content=body, headers=headers)


def configuration(document: dict[str, Any], vault: Vault) -> dict[str, Any]:
    """Answer what a document holds, its secrets opened, without when and where it was written."""
    tables: dict[str, list[dict[str, Any]]] = json.loads(json.dumps(document["tables"]))
    for table, column in (("credentials", "sealed"), ("users", "password_hash")):
        for row in tables[table]:
            row[column] = vault.open(row[column]) if row[column] else row[column]
    return tables


def test_every_table_is_exported_or_left_out_for_a_reason() -> None:
    assert {table.name for table in EXPORTED} | LEFT_OUT.keys() == {table.name for table in metadata.sorted_tables}
    assert {table.name for table in EXPORTED}.isdisjoint(LEFT_OUT)
    assert [RowReader(table) for table in EXPORTED]


@pytest.fixture(scope="module")
async def furnished(databases: Databases) -> AsyncIterator[httpx.AsyncClient]:
    """A catalog that has something of every kind, to be read alone."""
    async with another_catalog(databases) as (http, _database):
        await furnish(http)
        yield http


async def test_a_restore_into_an_empty_catalog_gives_an_equal_export(
    furnished: httpx.AsyncClient, databases: Databases
) -> None:
    document = await export(furnished)
    assert [table.name for table in EXPORTED if not document["tables"][table.name]] == []

    async with another_catalog(databases) as (other, _database):
        answer = await restore(other, document)
        again = await export(other)
        snapshots = [await records(furnished), await records(other)]

    assert answer.status_code == 200, answer.text
    vault = Vault(MASTER_KEY)
    assert json.dumps(configuration(again, vault)) == json.dumps(configuration(document, vault))
    # But for passwords, which are sealed anew for each document, and what is no configuration: byte for byte.
    for each in (document, again):
        for name in ("made_at", "epoch", "revision", "secrets"):
            del each[name]
        for user in each["tables"]["users"]:
            user["password_hash"] = None
    assert json.dumps(again) == json.dumps(document)
    assert snapshots[0] == snapshots[1]


async def test_secrets_travel_under_a_passphrase_to_another_master_key(
    furnished: httpx.AsyncClient, databases: Databases
) -> None:
    answer = await furnished.get(f"{V1}/export", headers=PASSPHRASE)
    document = answer.json()
    inner = vault_of(PASSPHRASE["X-Modelbus-Passphrase"], document["secrets"]["salt"])

    async with another_catalog(databases, master_keys=OTHER_KEY) as (other, database):
        refused = await restore(other, document, **{"X-Modelbus-Passphrase": "another passphrase"})
        without = await restore(other, document)
        done = await restore(other, document, **PASSPHRASE)
        again = await export(other)
        connection = await asyncpg.connect(database.superuser())
        password = await connection.fetchval("SELECT password_hash FROM catalog.users")
        await connection.close()

    for wrong in (refused, without):
        assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_passphrase")
    assert done.status_code == 200, done.text
    assert SECRET not in answer.text
    assert "argon2" not in answer.text
    assert configuration(again, Vault(OTHER_KEY)) == configuration(document, inner)
    assert password.startswith("$argon2id$")


async def test_a_document_under_another_master_key_is_refused(
    furnished: httpx.AsyncClient, databases: Databases
) -> None:
    document = await export(furnished)

    async with another_catalog(databases, master_keys=OTHER_KEY) as (other, _database):
        answer = await restore(other, document)

        assert (answer.status_code, answer.json()["code"]) == (409, "secret_not_opened")
        assert (await shown(other, f"{V1}/suppliers"))["items"] == []


@pytest.mark.parametrize("passphrase", [None, "short", "with\ttab in it", "x" * 1001])
async def test_an_export_needs_to_know_what_seals_its_secrets(http: httpx.AsyncClient, passphrase: str | None) -> None:
    headers = {} if passphrase is None else {"X-Modelbus-Passphrase": passphrase}

    assert (await http.get(f"{V1}/export", headers=headers)).status_code == 422


async def test_what_is_configured_is_only_replaced_on_demand_and_then_whole(
    furnished: httpx.AsyncClient, databases: Databases
) -> None:
    document = await export(furnished)

    async with another_catalog(databases) as (other, _database):
        supplier, model = await a_supplier(other, name="of-here"), await a_model(other)
        refused = await restore(other, document)
        there = (await other.get(f"{V1}/suppliers/{supplier['id']}")).status_code
        done = await restore(other, document, "replace=true")
        again = await export(other)
        gone = [(await other.get(f"{V1}/{path}")).status_code for path in (f"suppliers/{supplier['id']}", "models/x")]
        history = await shown(other, f"{V1}/versions?thing_id={model['id']}")

    assert (refused.status_code, refused.json()["code"]) == (409, "not_empty")
    assert there == 200
    assert done.status_code == 200, done.text
    vault = Vault(MASTER_KEY)
    assert configuration(again, vault) == configuration(document, vault)
    assert gone == [404, 404]
    assert [each["is_deletion"] for each in history["items"]] == [True, False]


async def test_a_dry_run_tells_what_would_come_of_it_and_does_nothing(
    furnished: httpx.AsyncClient, databases: Databases
) -> None:
    document = await export(furnished)

    async with another_catalog(databases) as (other, _database):
        await a_supplier(other)
        before, head = await export(other), (await other.get(f"{V1}/head")).json()
        answer = await restore(other, document, "dry_run=true&replace=true")
        malformed = await restore(
            other, broken(document, lambda it: it["models"][0].update(name=7)), "dry_run=true&replace=true"
        )
        after = await export(other)

        assert (await other.get(f"{V1}/head")).json() == head
    assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["dry_run"], report["epoch"]) == (True, None)
    assert (report["before"]["suppliers"], report["after"]["suppliers"]) == (1, len(document["tables"]["suppliers"]))
    assert malformed.status_code == 422
    assert after["tables"] == before["tables"]


def broken(document: dict[str, Any], breaking: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(document))
    breaking(copied["tables"])
    return copied


BREAKINGS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "unknown table": (lambda it: it.update(unicorns=[]), "unicorns"),
    "unknown field": (lambda it: it["suppliers"][0].update(colour="red"), "colour"),
    "missing field": (lambda it: it["suppliers"][0].pop("base_url"), "base_url"),
    "wrong type": (lambda it: it["models"][1].update(context_window="large"), "tables.models.1"),
    "too large": (lambda it: it["models"][0].update(context_window=2**40), "context_window"),
    "unknown word": (lambda it: it["models"][0].update(tier="gold"), "tier"),
    "no time": (lambda it: it["models"][0].update(since="yesterday"), "since"),
    "time without zone": (lambda it: it["models"][0].update(since="2026-01-01T00:00:00"), "since"),
    "no id": (lambda it: it["models"][0].update(id="x"), "tables.models.0"),
    "no number": (lambda it: it["strategies"][0].update(max_input_price="NaN"), "max_input_price"),
    "NUL": (lambda it: it["models"][0].update(description="a\0b"), "NUL"),
    "not a row": (lambda it: it["models"].append(7), "tables.models"),
    "dangling id": (lambda it: it["sources"][0].update(model_id=str(uuid4())), "tables.sources"),
    "dangling step": (lambda it: it["chain_steps"][0].update(source_id=str(uuid4())), "tables.chain_steps"),
    "dangling label": (lambda it: it["models"][0].update(tag_ids=[str(uuid4())]), "tag_ids"),
    "category under itself": (
        lambda it: it["categories"][0].update(parent_id=it["categories"][0]["id"]),
        "tables.categories",
    ),
    "prices that overlap": (
        lambda it: [row["valid"].update(lower="2020-01-01T00:00:00Z", upper=None) for row in it["charge_prices"]],
        "tables.charge_prices",
    ),
    "price below nothing": (lambda it: it["charge_prices"][0].update(input="-1"), "tables.charge_prices"),
    "dangling capability": (lambda it: it["models"][0].update(capabilities={str(uuid4()): {}}), "capability"),
    "doubled id": (lambda it: it["suppliers"].append(it["suppliers"][0]), "tables.suppliers"),
    "doubled name": (lambda it: it["models"][1].update(name=it["models"][0]["name"]), "tables.models"),
    "secret in clear": (lambda it: it["credentials"][0].update(sealed=SECRET), "tables.credentials.0"),
    "prices that are none": (lambda it: it["sources"][0].update(cost={"input": "a lot"}), "source"),
    "nobody to administer": (lambda it: it["users"].clear(), "admin"),
}


@pytest.fixture(scope="module")
async def two(
    furnished: httpx.AsyncClient, databases: Databases
) -> AsyncIterator[tuple[dict[str, Any], httpx.AsyncClient]]:
    """A document, and a catalog that has an administrator and something configured."""
    document = await export(furnished)
    async with another_catalog(databases) as (http, _database):
        await a_supplier(http)
        await made(http, "users", name="grace", role="admin", password="correct horse battery staple")
        yield document, http


@pytest.mark.parametrize("what", BREAKINGS)
async def test_what_can_not_be_meant_is_refused_where_it_is_and_nothing_is_done(
    two: tuple[dict[str, Any], httpx.AsyncClient], what: str
) -> None:
    document, http = two
    before, head = await export(http), (await http.get(f"{V1}/head")).json()
    breaking, where = BREAKINGS[what]

    answer = await restore(http, broken(document, breaking), "replace=true")

    assert answer.status_code in {409, 422}, answer.text
    assert where in answer.json()["detail"], answer.text
    assert SECRET not in answer.text
    assert configuration(await export(http), Vault(MASTER_KEY)) == configuration(before, Vault(MASTER_KEY))
    assert (await http.get(f"{V1}/head")).json() == head


async def test_a_file_that_is_no_document_is_refused(two: tuple[dict[str, Any], httpx.AsyncClient]) -> None:
    document, http = two
    whole = json.dumps(document).encode()
    for body in (
        b"",
        b"{",
        b"[]",
        b"null",
        whole[:-1],
        whole[: len(whole) // 2],
        b"\xff" + whole,
        whole + b"{}",
        b"PK\x03",
    ):
        answer = await restore(http, body, "replace=true")
        assert (answer.status_code, answer.json()["code"]) == (422, "export_malformed"), (body[:20], answer.text)
    changes: tuple[dict[str, Any], ...] = (
        {"format": "other"},
        {"version": "1"},
        {"more": 1},
        {"tables": []},
        {"secrets": {"by": "x", "proof": "y"}},
    )
    for change in changes:
        answer = await restore(http, {**document, **change}, "replace=true")
        assert (answer.status_code, answer.json()["code"]) == (422, "export_malformed"), (change, answer.text)


async def test_a_document_of_a_newer_release_is_refused_as_such(two: tuple[dict[str, Any], httpx.AsyncClient]) -> None:
    document, http = two

    answer = await restore(http, {**document, "version": 2, "more": 1}, "replace=true")

    assert (answer.status_code, answer.json()["code"]) == (422, "export_too_new")


async def test_a_document_of_before_a_column_was_added_takes_its_default(
    furnished: httpx.AsyncClient, databases: Databases
) -> None:
    def older(tables: dict[str, Any]) -> None:
        for row in tables["models"]:
            for name in ("tier", "tag_ids", "parameters", "is_featured", "version"):
                del row[name]
        for row in tables["chain_steps"]:
            del row["triggers"]
        del tables["strategy_models"]

    document = broken(await export(furnished), older)
    async with another_catalog(databases) as (other, _database):
        answer = await restore(other, document)
        again = await export(other)

    assert answer.status_code == 200, answer.text
    model = again["tables"]["models"][0]
    assert (model["tier"], model["tag_ids"], model["parameters"], model["is_featured"]) == ("free", [], [], False)
    assert again["tables"]["chain_steps"][0]["triggers"] == ["any"]


async def test_a_document_may_be_longer_than_other_bodies_within_a_limit_of_its_own(
    http: httpx.AsyncClient, databases: Databases
) -> None:
    await a_model(http, description="x" * 9000)
    document = await export(http)
    model = document["tables"]["models"][0]
    document["tables"]["models"] = [{**model, "id": str(new_id()), "name": f"m{n}"} for n in range(300)]
    body = json.dumps(document).encode()
    assert len(body) > 2 * 1024 * 1024

    async with another_catalog(databases, max_document_bytes=len(body)) as (other, _database):
        too_long = await restore(other, body + b" ")
        elsewhere = await other.post(f"{V1}/models", content=body)
        within = await restore(other, body)

    assert (too_long.status_code, elsewhere.status_code) == (413, 413)
    assert within.status_code == 200, within.text
    assert within.json()["after"]["models"] == 300


async def test_any_layout_of_the_document_is_read(furnished: httpx.AsyncClient, databases: Databases) -> None:
    document = await export(furnished)

    async with another_catalog(databases) as (other, _database):
        answer = await restore(other, json.dumps(dict(reversed(document.items())), indent=4, sort_keys=True).encode())

    assert answer.status_code == 200, answer.text


async def test_a_restored_thing_has_a_version_to_go_back_to(furnished: httpx.AsyncClient, databases: Databases) -> None:
    document = await export(furnished)
    [scope] = document["tables"]["scopes"]
    path = f"{V1}/scopes/{scope['id']}"

    async with another_catalog(databases) as (other, _database):
        await restore(other, document)
        [kept] = (await shown(other, f"{path}/versions"))["items"]
        await other.patch(path, json={"description": "changed"})
        back = await other.post(f"{path}/rollback", json={"version": kept["version"]})
        entry = await shown(other, f"{V1}/audit/{kept['audit_id']}")

    assert (kept["version"], kept["caller_name"]) == (scope["version"], "administrator")
    assert (back.status_code, back.json()["document"]["description"]) == (200, None)
    assert entry["action"] == "POST /api/v1/restore"
    assert entry["changes"] == len(entry["versions"])


async def test_changes_go_on_after_a_restore_of_yesterday(http: httpx.AsyncClient) -> None:
    await furnish(http)
    document = await export(http)
    [scope] = document["tables"]["scopes"]
    path = f"{V1}/scopes/{scope['id']}"
    for number in range(3):
        await http.patch(path, json={"description": str(number)})
    seen = (await http.get(path)).headers["etag"]

    for _ in range(2):
        assert (await restore(http, document, "replace=true")).status_code == 200
    restored = await http.get(path)
    stale = await http.patch(path, json={"description": "x"}, headers={"If-Match": seen})
    fresh = await http.patch(path, json={"description": "x"}, headers={"If-Match": restored.headers["etag"]})

    assert restored.json()["description"] is None
    assert (stale.status_code, fresh.status_code) == (412, 200)
    numbers = [each["version"] for each in (await shown(http, f"{path}/versions"))["items"]]
    assert numbers == sorted(set(numbers), reverse=True)


async def test_an_export_leaves_a_line_in_the_audit_log(http: httpx.AsyncClient) -> None:
    await export(http)

    [line] = (await shown(http, f"{V1}/audit"))["items"]
    assert (line["action"], line["detail"]["secrets"]) == ("GET /api/v1/export", "master")


async def test_while_a_change_is_under_way_a_restore_waits_and_readers_do_not(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    await furnish(http)
    document = await export(http)
    connection = await asyncpg.connect(database.superuser())
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT 1 FROM catalog.models FOR UPDATE")

    waiting = asyncio.create_task(restore(http, document, "replace=true"))
    reads = [(await http.get(f"{V1}/models")).status_code for _ in range(5)]
    is_waiting = not waiting.done()
    await transaction.rollback()
    await connection.close()
    answer = await waiting

    assert (reads, is_waiting, answer.status_code) == ([200] * 5, True, 200)


async def test_the_commands_write_and_read_the_same_document(
    http: httpx.AsyncClient, database: FreshDatabase, databases: Databases, tmp_path: Path
) -> None:
    await furnish(http)
    file, phrase = tmp_path / "backup.json", tmp_path / "passphrase"
    phrase.write_text("correct horse battery staple\n")

    async with another_catalog(databases) as (other, target):
        with_phrase = ("--passphrase-file", str(phrase))
        written = await command(database, "export", str(file), *with_phrase)
        twice = await command(database, "export", str(file), *with_phrase)
        rehearsed = await command(target, "restore", str(file), "--dry-run", *with_phrase)
        restored = await command(target, "restore", str(file), *with_phrase)
        refused = await command(target, "restore", str(file), *with_phrase)
        again = await export(other)

    assert written[0] == 0, written[1]
    assert file.stat().st_mode & 0o077 == 0
    assert twice[0] == 2, "no backup is overwritten"
    assert [rehearsed[0], restored[0], refused[0]] == [0, 0, 2], restored[1]
    assert "--replace" in refused[1]
    document = json.loads(file.read_text())
    inner = vault_of("correct horse battery staple", document["secrets"]["salt"])
    assert configuration(again, Vault(MASTER_KEY)) == configuration(document, inner)


async def test_followers_end_equal_to_the_truth_after_each_restore(catalog_with_bus: str, bus: LocalBus) -> None:
    async with administrator(catalog_with_bus) as http, following(catalog_with_bus, bus.url) as follower:
        await furnish(http)
        document = await export(http)
        await assert_equal_to_truth(follower, http)
        epochs = [follower.epoch]
        for _ in range(3):
            await a_served_model(http)
            assert (await restore(http, document, "replace=true")).status_code == 200
            await assert_equal_to_truth(follower, http)
            epochs.append(follower.epoch)
        for _ in range(2):
            assert (await restore(http, document, "replace=true")).status_code == 200
        await a_supplier(http)
        await assert_equal_to_truth(follower, http)
        revision = (await http.get(f"{V1}/head")).json()["revision"]
        await eventually(lambda: _is_told(bus, revision))
        told = await _on_the_stream(bus)

    assert len(set(epochs)) == 4
    assert [revision for revision, _subject in told] == list(range(1, len(told) + 1))
    assert [subject for _revision, subject in told].count("catalog.reset") == 5
    assert follower.alarms == 0


async def test_an_epoch_that_a_restore_began_outlives_the_relay(database: FreshDatabase, bus: LocalBus) -> None:
    settings = settings_for(database, bus.url)
    async with serving(create_app(settings)) as url, administrator(url) as http:
        await furnish(http)
        document = await export(http)
    async with serving(create_app(settings_for(database, "nats://127.0.0.1:9"))) as url, administrator(url) as http:
        # Nobody relays what is told here.
        await restore(http, document, "replace=true")
        await a_supplier(http)
        head = (await http.get(f"{V1}/head")).json()

    async with serving(create_app(settings)) as url, administrator(url) as http:
        await eventually(lambda: _is_told(bus, head["revision"]))
        assert (await http.get(f"{V1}/head")).json()["epoch"] == head["epoch"]
    assert [revision for revision, _subject in await _on_the_stream(bus)] == list(range(1, head["revision"] + 1))


async def test_nobody_is_told_changes_across_a_restore(http: httpx.AsyncClient) -> None:
    await furnish(http)
    document = await export(http)
    before = (await http.get(f"{V1}/head")).json()["revision"]
    await restore(http, document, "replace=true")
    after = (await http.get(f"{V1}/head")).json()["revision"]
    await a_supplier(http)

    across = await http.get(f"{V1}/changes", params={"after": before})
    since = await http.get(f"{V1}/changes", params={"after": after})

    assert (after, across.status_code) == (before + 1, 410)
    assert [change["type"] for change in since.json()["changes"]] == ["supplier.changed"]


async def _on_the_stream(bus: LocalBus) -> list[tuple[int, str]]:
    client = await bus.client()
    try:
        context = client.jetstream()
        last = (await context.stream_info("CATALOG")).state.last_seq
        found = [await context.get_msg("CATALOG", seq=sequence) for sequence in range(1, last + 1)]
        return [(int((each.headers or {})["ce-revision"]), str(each.subject)) for each in found]
    finally:
        await client.close()


async def _is_told(bus: LocalBus, revision: int) -> bool:
    client = await bus.client()
    try:
        return (await client.jetstream().stream_info("CATALOG")).state.last_seq >= revision
    finally:
        await client.close()


async def test_every_list_goes_on_after_its_first_page_in_every_order(http: httpx.AsyncClient) -> None:
    await furnish(http)
    for noun in ("tags", "capabilities", "categories"):
        more = {"domain": "nlp", "input_types": ["text"], "output_types": ["text"]} if noun == "capabilities" else {}
        await made(http, noun, name="another", **more)
    [tag] = (await http.get(f"{V1}/tags?limit=1&sort=-name")).json()["items"]
    document = (await http.get("/openapi.json")).json()

    went_on = set()
    for path, operations in document["paths"].items():
        parameters = {each["name"]: each for each in operations.get("get", {}).get("parameters", [])}
        for sort in parameters.get("sort", {}).get("schema", {}).get("enum", ()):
            answer = await http.get(path.replace("{tag_id}", tag["id"]), params={"limit": 1, "sort": sort})
            assert answer.status_code == 200, (path, sort, answer.text)
            if (cursor := answer.json()["next_cursor"]) is not None:
                went_on.add(path)
                rest = await http.get(path, params={"limit": 1, "sort": sort, "cursor": cursor})
                assert rest.status_code == 200, (path, sort, rest.text)

    assert went_on >= {f"{V1}/{noun}" for noun in ("models", "sources", "suppliers", "tags", "prices", "tags/by-model")}


async def test_what_grows_with_time_is_listed_in_either_order(http: httpx.AsyncClient) -> None:
    await furnish(http)
    model = await made(http, "models", name="priced-thrice", is_featured=True)
    for year in (2997, 2998, 2999):
        price = {"model_id": model["id"], "prices": {"input": "1"}, "valid_from": f"{year}-01-01T00:00:00Z"}
        await made(http, "prices", **price, valid_until=f"{year}-06-01T00:00:00Z")
        await http.patch(f"{V1}/models/{model['id']}", json={"description": str(year)})
    thing = f"models/{model['id']}"

    for path in ("versions", "audit", f"{thing}/versions", f"{thing}/prices/history"):
        newest_first = await pages(http, f"{V1}/{path}", sort="-at")
        assert len(newest_first) > 1
        assert await pages(http, f"{V1}/{path}") == newest_first
        assert await pages(http, f"{V1}/{path}", sort="at") == newest_first[::-1]
    for noun in ("capabilities", "categories"):
        found = await pages(http, f"{V1}/{noun}/associations")
        assert await pages(http, f"{V1}/{noun}/associations", sort="-model_id") == found[::-1]


async def pages(http: httpx.AsyncClient, path: str, **query: str) -> list[dict[str, Any]]:
    """Read a list whole, two a page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await http.get(path, params={"limit": 2, **query, **cursor})).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}
