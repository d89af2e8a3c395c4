"""What is secret appears in no answer but the one that shows it once, no event, no row and no line of a log."""

import asyncio
import base64
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from builders import a_credential, a_supplier, shown
from catalog.commands import command
from catalog.people import LOGIN, PASSWORD, REFRESH, TOKENS, USERS, a_user, bearer, run_sql, shows, sign_in
from catalogs import settings_for
from modelbus.catalog.actions.credentials import change_credential
from modelbus.catalog.actions.sealing import reseal
from modelbus.catalog.actions.versions import write
from modelbus.catalog.app import create_app
from modelbus.catalog.store.sealed import SEALED, Sealed, lock_sealed, save_sealed
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.secrets import Vault, WrongMasterKeyError
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, eventually, free_port, serving
from servers import FreshDatabase
from testing_bus import LocalBus

CREDENTIALS, KEYS = "/api/v1/credentials", "/api/v1/access-keys"
SECRET = "sk-very-secret-0123456789"
PASSPHRASE = "a passphrase of many words"
NEW_KEY = "qLcGyMnNsNDoiQc9ocBAxc_7W5GkHzBGbGPZd3vRzyI="
JSON = {"content-type": "application/json"}


@asynccontextmanager
async def catalog_process(database: FreshDatabase, bus: LocalBus, log: Path) -> AsyncIterator[str]:
    """The catalog as operators run it, with all that it says in a file."""
    port = free_port()
    settings = {
        "port": port,
        "database_url": database.url("catalog"),
        "nats_url": bus.url,
        "admin_token": ADMIN_TOKEN,
        "service_token": SERVICE_TOKEN,
        "master_keys": MASTER_KEY,
        "log_level": "debug",
    }
    environment = {"PATH": os.environ["PATH"], **{f"MODELBUS_{name.upper()}": str(settings[name]) for name in settings}}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "modelbus.catalog", "serve", env=environment, stdout=out, stderr=out
        )
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url) as probe:

            async def is_up() -> bool:
                assert process.returncode is None, "the catalog ended; its log says why"
                try:
                    return (await probe.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(is_up, within_s=30)
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class Answers:
    """Everything that the service answered, for all who asked."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    async def keep(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.texts.append(f"{answer.request.method} {answer.url.path}\n{answer.headers}\n{answer.text}")

    def holding(self, secret: str) -> list[str]:
        return [text.partition("\n")[0] for text in self.texts if secret in text]


async def everything_stored(database: FreshDatabase) -> str:
    connection = await asyncpg.connect(database.superuser())
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'catalog'")
        rows = [await connection.fetch(f"SELECT t::text FROM catalog.{table['tablename']} t") for table in tables]
        return "\n".join(str(row[0]) for some in rows for row in some)
    finally:
        await connection.close()


async def ask_everything(http: httpx.AsyncClient, ids: dict[str, str]) -> list[str]:
    """Ask every GET of the document whose parameters are known; answer the paths."""
    document = (await http.get("/openapi.json")).json()
    asked = []
    for path, operations in document["paths"].items():
        try:
            filled = path.format_map(ids)
        except KeyError:
            continue
        if "get" in operations and path.startswith("/api/"):
            await http.get(filled, params={"after": 0} if path.endswith("/changes") else None)
            asked.append(path)
    return asked


def bodies_with(secret: str, supplier_id: str) -> Iterable[bytes]:
    """Bodies that can't be accepted, with the secret where it belongs and where it does not."""
    good = {"supplier_id": supplier_id, "name": "key", "secret": secret, "password": secret, "token": secret}
    wrong: list[Any] = [
        {**good, "supplier_id": secret},
        {**good, "secret": {"nested": secret}},
        {**good, "secret": [secret]},
        {**good, "secret": secret + " with a space"},
        {**good, "secret": secret + "\nwith a line break"},
        {**good, "secret": secret * 200},
        {**good, "secret": secret + "ä"},
        {**good, "priority": secret},
        {**good, "model_ids": [secret]},
        {**good, "name": 7},
        [secret],
        secret,
        {"name": "", "secret": secret},
    ]
    yield from (json.dumps(each).encode() for each in wrong)
    whole = json.dumps(good).encode()
    yield whole[:-1]
    yield whole + b"}"
    yield whole.replace(b'"name"', b"name")
    yield b"\xff" + whole
    yield b"[" * 3000 + whole
    yield whole + b" " * (1024 * 1024)


async def test_nothing_that_is_secret_is_answered_logged_told_or_kept(
    database: FreshDatabase, bus: LocalBus, tmp_path: Path
) -> None:
    log = tmp_path / "catalog.log"
    answers = Answers()
    hooks = {"response": [answers.keep]}
    async with (
        catalog_process(database, bus, log) as url,
        httpx.AsyncClient(base_url=url, headers=bearer(ADMIN_TOKEN), timeout=20, event_hooks=hooks) as http,
    ):
        supplier = await a_supplier(http, requires_credential=True)
        typed = await _use_credentials(http, supplier["id"])
        typed += await _use_passwords(http)
        once = await _use_access_keys(http)
        once |= await _use_tokens(http)
        await _break_a_request(http, database, supplier["id"])
        ids = {
            f"{noun}_id": (await shown(http, f"/api/v1/{path}"))["items"][0]["id"]
            for noun, path in (
                ("supplier", "suppliers"),
                ("credential", "credentials"),
                ("consumer", "consumers"),
                ("access_key", "access-keys"),
                ("user", "users"),
            )
        }
        asked = await ask_everything(http, ids)
        for query, headers in ({"secrets": "master"}, {}), ({}, {"X-Modelbus-Passphrase": PASSPHRASE}):
            exported = await http.get("/api/v1/export", params=query, headers=headers)
            assert exported.status_code == 200, exported.text
        typed.append(PASSPHRASE)
        stored = await everything_stored(database)

    assert {"/api/v1/snapshot", "/api/v1/changes", "/api/v1/credentials/{credential_id}"} <= set(asked)
    logged = log.read_text()
    assert "request failed by a fault of ours" in logged
    for secret in typed:
        assert answers.holding(secret) == []
    for secret, shown_by in once.items():
        assert set(answers.holding(secret)) == {shown_by}
    for secret in [*typed, *once]:
        for form in (secret, base64.b64encode(secret.encode()).decode().rstrip("="), secret.encode().hex()):
            assert form not in logged
            assert form not in stored
    await _nothing_on_the_bus(bus, [*typed, *once])


async def _use_credentials(http: httpx.AsyncClient, supplier_id: str) -> list[str]:
    """Make, change, rotate and spoil credentials; answer every secret that was typed."""
    secrets = [f"{SECRET}-{number}" for number in range(4)]
    made = await a_credential(http, supplier_id, secret=secrets[0])
    path = f"{CREDENTIALS}/{made['id']}"
    await http.patch(path, json={"secret": secrets[1]})
    for _ in range(2):
        await http.post(f"{path}/rotate", json={"secret": secrets[2]}, headers={"Idempotency-Key": "rotate"})
    await http.post(f"{path}/rotate", json={"secret": f"{secrets[3]}"}, headers={"Idempotency-Key": "rotate"})
    refused = []
    for body in bodies_with(SECRET, supplier_id):
        refused.append(await http.post(CREDENTIALS, content=body, headers=JSON))
        for verb, where in (("PATCH", path), ("POST", f"{path}/rotate"), ("POST", LOGIN), ("POST", USERS)):
            refused.append(await http.request(verb, where, content=body, headers=JSON))
    assert {each.status_code for each in refused} <= {400, 401, 413, 422}
    gone = await a_credential(http, supplier_id, secret=secrets[3])
    await http.delete(f"{CREDENTIALS}/{gone['id']}")
    return [SECRET, *secrets]


async def _use_passwords(http: httpx.AsyncClient) -> list[str]:
    first, second, wrong = f"{PASSWORD} one", f"{PASSWORD} two", "a wrong guess of mine"
    user = await a_user(http, password=first)
    await sign_in(http, user["name"], wrong)
    await http.put(f"{USERS}/{user['id']}/password", json={"password": second})
    assert (await sign_in(http, user["name"], second)).status_code == 200
    await http.post(USERS, json={"name": user["name"], "role": "viewer", "password": first})
    return [first, second, wrong]


async def _use_access_keys(http: httpx.AsyncClient) -> dict[str, str]:
    """Make and rotate access keys; answer each with the request that shows it."""
    consumer = await http.post("/api/v1/consumers", json={"name": "acme", "kind": "tenant"})
    body = {"name": "team", "consumer_id": consumer.json()["id"]}
    made = await http.post(KEYS, json=body, headers={"Idempotency-Key": "key"})
    again = await http.post(KEYS, json=body, headers={"Idempotency-Key": "key"})
    assert again.json()["key"] == made.json()["key"]
    path = f"{KEYS}/{made.json()['id']}/rotate"
    rotated = await http.post(path)
    await http.post(path)
    return {made.json()["key"]: f"POST {KEYS}", rotated.json()["key"]: f"POST {path}"}


async def _use_tokens(http: httpx.AsyncClient) -> dict[str, str]:
    user = await a_user(http, role="admin")
    session = (await sign_in(http, user["name"])).json()
    fresh = (await http.post(REFRESH, json={"refresh_token": session["refresh_token"]})).json()
    token = (await http.post(TOKENS, json={"name": "ci", "role": "viewer"}, headers=shows(fresh))).json()["token"]
    await http.get(USERS, headers=bearer(token))
    await http.get(USERS, headers=bearer(f"{token}x"))
    return {
        session["access_token"]: f"POST {LOGIN}",
        session["refresh_token"]: f"POST {LOGIN}",
        fresh["access_token"]: f"POST {REFRESH}",
        fresh["refresh_token"]: f"POST {REFRESH}",
        token: f"POST {TOKENS}",
    }


async def _break_a_request(http: httpx.AsyncClient, database: FreshDatabase, supplier_id: str) -> None:
    """Let writing a credential and an access key fail by a fault that is logged with its traceback."""
    for table in ("credentials", "access_keys"):
        await run_sql(database, f"ALTER TABLE catalog.{table} RENAME COLUMN version TO vanished")
    body = {"supplier_id": supplier_id, "name": "broken", "secret": SECRET}
    broken = [await http.post(CREDENTIALS, json=body), await http.post(KEYS, json={"name": "broken"})]
    for table in ("credentials", "access_keys"):
        await run_sql(database, f"ALTER TABLE catalog.{table} RENAME COLUMN vanished TO version")
    assert [each.status_code for each in broken] == [500, 500]


async def _nothing_on_the_bus(bus: LocalBus, secrets: Iterable[str]) -> None:
    client = await bus.client()
    context = client.jetstream()
    held = (await context.stream_info("CATALOG")).state
    said = [await context.get_msg("CATALOG", seq=number) for number in range(held.first_seq, held.last_seq + 1)]
    await client.close()
    assert said
    for message in said:
        text = f"{message.headers}{(message.data or b'').decode()}"
        assert [secret for secret in secrets if secret in text] == []


async def test_a_secret_travels_sealed_and_is_hinted_at(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http, requires_credential=True)
    made = await a_credential(http, supplier["id"], secret=SECRET)
    again = f"{SECRET}-again"
    changed = await http.patch(f"{CREDENTIALS}/{made['id']}", json={"secret": again})
    short = await a_credential(http, supplier["id"], secret="short")

    snapshot = await http.get("/api/v1/snapshot", params={"kinds": "credential"})

    assert (made["hint"], changed.json()["hint"], short["hint"]) == ("…6789", "…gain", "…")
    sealed = snapshot.json()["records"]["credential"][0]["sealed"]
    assert Vault(MASTER_KEY).open(sealed) == again


def test_any_master_key_opens_and_the_first_seals() -> None:
    sealed_with_old = Vault(MASTER_KEY).seal("secret")

    both = Vault(f"{NEW_KEY},{MASTER_KEY}")

    assert both.open(sealed_with_old) == "secret"
    assert not both.is_newest(sealed_with_old)
    assert both.is_newest(both.reseal(sealed_with_old))
    assert Vault(NEW_KEY).open(both.reseal(sealed_with_old)) == "secret"
    with pytest.raises(WrongMasterKeyError):
        Vault(NEW_KEY).reseal(sealed_with_old)


async def test_a_deleted_credential_is_not_in_the_snapshot(http: httpx.AsyncClient) -> None:
    supplier = await a_supplier(http)
    made = await asyncio.gather(*(a_credential(http, supplier["id"]) for _ in range(2)))

    await http.delete(f"{CREDENTIALS}/{made[0]['id']}")

    snapshot = (await http.get("/api/v1/snapshot", params={"kinds": "credential"})).json()
    assert [record["id"] for record in snapshot["records"]["credential"]] == [made[1]["id"]]


@asynccontextmanager
async def catalog_with(database: FreshDatabase, master_keys: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings_for(database, "nats://127.0.0.1:9", master_keys=master_keys))
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, headers=bearer(ADMIN_TOKEN), timeout=20) as http,
    ):
        yield http


async def test_the_master_key_is_changed_while_everything_serves(database: FreshDatabase) -> None:
    async with catalog_with(database, MASTER_KEY) as http:
        user = await a_user(http, role="editor")
        session = (await sign_in(http, user["name"])).json()
        supplier = await a_supplier(http)
        made = [await a_credential(http, supplier["id"], secret=f"{SECRET}-{number}") for number in range(20)]
        key = await http.post(KEYS, json={"name": "team"}, headers={"Idempotency-Key": "kept"})

    is_over = asyncio.Event()
    secrets = {each["id"]: f"{SECRET}-{number}" for number, each in enumerate(made)}

    async def keep_changing(http: httpx.AsyncClient, mine: list[dict[str, Any]]) -> int:
        rounds = 0
        while not is_over.is_set():
            for each in mine:
                secret = f"{SECRET}-{each['id'][-4:]}-{rounds}"
                answer = await http.post(f"{CREDENTIALS}/{each['id']}/rotate", json={"secret": secret})
                renamed = await http.patch(f"{CREDENTIALS}/{each['id']}", json={"name": f"{each['id']} {rounds}"})
                assert (answer.status_code, renamed.status_code) == (200, 200), answer.text
                secrets[each["id"]] = secret
            rounds += 1
        return rounds

    async with catalog_with(database, f"{NEW_KEY},{MASTER_KEY}") as http:
        traffic = [asyncio.create_task(keep_changing(http, mine)) for mine in (made[:2], made[2:4])]
        done = [(await http.post(f"{CREDENTIALS}/reseal")).json()["items"] for _ in range(3)]
        is_over.set()
        assert min(await asyncio.gather(*traffic)) > 0

    first, last = ({each["what"]: each for each in items} for items in (done[0], done[-1]))
    assert first["credentials.sealed"]["resealed"] >= 16
    assert first["signing_keys.sealed"]["resealed"] == 1
    assert first["idempotency_keys.answer"]["resealed"] == first["idempotency_keys.digest"]["resealed"] == 1
    assert {each["resealed"] for each in last.values()} == {0}
    assert {each["unreadable"] for each in (*first.values(), *last.values())} == {0}
    async with catalog_with(database, NEW_KEY) as http:
        records = (await http.get("/api/v1/snapshot", params={"kinds": "credential"})).json()["records"]["credential"]
        assert {each["id"]: Vault(NEW_KEY).open(each["sealed"]) for each in records} == secrets
        replayed = await http.post(KEYS, json={"name": "team"}, headers={"Idempotency-Key": "kept"})
        assert replayed.json() == key.json()
        assert (await http.get("/api/v1/suppliers", headers=shows(session))).status_code == 200
        assert (await sign_in(http, user["name"])).status_code == 200
        assert len((await http.get("/api/v1/auth/jwks", headers={"Authorization": ""})).json()["keys"]) == 1


async def test_every_sealed_text_is_in_a_column_that_resealing_knows(database: FreshDatabase) -> None:
    async with catalog_with(database, MASTER_KEY) as http:
        user = await a_user(http)
        await sign_in(http, user["name"])
        await a_credential(http, (await a_supplier(http))["id"])
        await http.post(KEYS, json={"name": "team"}, headers={"Idempotency-Key": "kept"})
    tables = await run_sql(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'catalog'")

    fields = "SELECT '{0}', field FROM catalog.{0} t, jsonb_each_text(to_jsonb(t)) AS each(field, value)"
    sealed = " UNION ".join(f"{fields.format(table['tablename'])} WHERE value LIKE 'gAAAAA%'" for table in tables)
    holding = {tuple(row) for row in await run_sql(database, sealed)}

    assert holding == {(column.table.name, column.name) for column in SEALED}


async def test_what_no_master_key_opens_is_counted_and_left_while_the_rest_is_sealed_anew(
    database: FreshDatabase,
) -> None:
    async with catalog_with(database, MASTER_KEY) as http:
        supplier = await a_supplier(http)
        lost, kept = [await a_credential(http, supplier["id"], secret=SECRET) for _ in range(2)]
    foreign = Vault("Yh0XGmqvdZ1dK5fJqkYOuVJ0mEJXKq0sQzqkZ2M5m9E=").seal(SECRET)
    await run_sql(database, "UPDATE catalog.credentials SET sealed = $1 WHERE id = $2::text::uuid", foreign, lost["id"])

    async with catalog_with(database, f"{NEW_KEY},{MASTER_KEY}") as http:
        [done] = [
            each
            for each in (await http.post(f"{CREDENTIALS}/reseal")).json()["items"]
            if each["what"] == "credentials.sealed"
        ]
        records = (await http.get("/api/v1/snapshot", params={"kinds": "credential"})).json()["records"]["credential"]

    assert (done["checked"], done["resealed"], done["unreadable"]) == (2, 1, 1)
    sealed = {each["id"]: each["sealed"] for each in records}
    assert sealed[lost["id"]] == foreign
    assert Vault(NEW_KEY).open(sealed[kept["id"]]) == SECRET


async def test_only_an_admin_may_reseal(http: httpx.AsyncClient) -> None:
    user = await a_user(http, role="editor")
    session = (await sign_in(http, user["name"])).json()

    answer = await http.post(f"{CREDENTIALS}/reseal", headers=shows(session))

    assert answer.status_code == 403


async def test_secrets_are_sealed_anew_by_command(http: httpx.AsyncClient, database: FreshDatabase) -> None:
    supplier = await a_supplier(http)
    await a_credential(http, supplier["id"], secret=SECRET)

    code, said = await command(database, "reseal", master_keys=f"{NEW_KEY},{MASTER_KEY}")

    assert (code, said.partition(",")[0]) == (0, "credentials.sealed: 1 of 1 sealed anew")
    snapshot = (await http.get("/api/v1/snapshot", params={"kinds": "credential"})).json()
    assert Vault(NEW_KEY).open(snapshot["records"]["credential"][0]["sealed"]) == SECRET


async def test_a_change_and_a_resealing_of_one_credential_wait_for_each_other(
    http: httpx.AsyncClient, database: FreshDatabase
) -> None:
    both = Vault(f"{NEW_KEY},{MASTER_KEY}")
    made = await a_credential(http, (await a_supplier(http))["id"], secret=SECRET)
    opened = Database(database.url("catalog"), service="catalog", outbox=outbox, finish=write)

    async def sealed() -> str:
        [row] = await run_sql(database, "SELECT sealed FROM catalog.credentials")
        text: str = row["sealed"]
        return text

    async def somebody_waits() -> bool:
        return bool(await run_sql(database, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

    async with opened.transaction() as session:
        [held] = await lock_sealed(session, SEALED[0], None, 10)
        await save_sealed(session, SEALED[0], [Sealed(held.key, both.reseal(held.text))])
        renaming = asyncio.create_task(http.patch(f"{CREDENTIALS}/{made['id']}", json={"name": "renamed"}))
        await eventually(somebody_waits)
    assert (await renaming).json()["name"] == "renamed"
    assert Vault(NEW_KEY).open(await sealed()) == SECRET

    async with opened.transaction() as session:
        await change_credential(session, Vault(MASTER_KEY), UUID(made["id"]), {}, f"{SECRET}-2")
        resealing = asyncio.create_task(reseal(opened, both))
        await eventually(somebody_waits)
    assert {each.what: each.resealed for each in await resealing}["credentials.sealed"] == 1
    assert Vault(NEW_KEY).open(await sealed()) == f"{SECRET}-2"
    await opened.close()
