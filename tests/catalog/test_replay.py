"""Replaying the events from nothing gives the snapshot, whatever administrators and listings did."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builders import a_credential, a_model, a_source, a_supplier
from catalogs import settings_for
from modelbus.catalog.actions.feed import KINDS
from modelbus.catalog.actions.listings import apply_listing
from modelbus.catalog.app import create_app
from modelbus.catalog.store.tables import outbox
from modelbus.chassis.database import Database
from modelbus.chassis.ids import new_id
from modelbus.chassis.replica import Replica
from modelbus.contracts.feed import Changes, Snapshot
from modelbus.contracts.sync import ListedModel, Listing
from running import ADMIN_TOKEN, serving
from servers import Databases, FreshDatabase

REFERRING = ("fallback-chains", "complexity-routing", "cost-strategies", "scopes", "access-keys", "consumers")
LABELS = ("capabilities", "categories", "tags")
NOUNS = ("suppliers", "credentials", "models", "sources", *REFERRING, *LABELS)

made = st.tuples(st.just("make"), st.sampled_from(NOUNS), st.integers(0, 7))
touched = st.tuples(st.sampled_from(["enable", "disable", "delete"]), st.sampled_from(NOUNS), st.integers(0, 7))
rolled_back = st.tuples(st.just("rollback"), st.sampled_from(NOUNS), st.integers(0, 7))
of_models = st.tuples(
    st.sampled_from(["price", "bulk", "label", "default"]), st.sampled_from(LABELS), st.integers(0, 7)
)
listed = st.tuples(st.just("list"), st.frozensets(st.sampled_from("abcdef"), min_size=1), st.integers(0, 7))
stories = st.lists(made | touched | listed | rolled_back | of_models, min_size=5, max_size=30)


class Administrator:
    """Does whatever a story says; what the catalog refuses is part of it."""

    def __init__(self, http: httpx.AsyncClient, database: Database) -> None:
        self._http = http
        self._database = database
        self.ids: dict[str, list[str]] = {noun: [] for noun in NOUNS}
        self._listings = 0

    async def do(self, verb: str, what: Any, which: int) -> None:
        if verb == "make":
            await self._make(what, which)
        elif verb == "list":
            await self._list(sorted(what), self._one("suppliers", which))
        elif verb in {"price", "bulk", "label", "default"}:
            await self._of_model(verb, what, which)
        elif verb == "rollback":
            body = {"version": which % 3 + 1}
            params = self._consent(which)
            await self._http.post(f"/api/v1/{what}/{self._one(what, which)}/rollback", json=body, params=params)
        elif verb == "delete":
            await self._http.delete(f"/api/v1/{what}/{self._one(what, which)}", params=self._consent(which))
        else:
            params = self._consent(which) if verb == "disable" else {}
            await self._http.post(f"/api/v1/{what}/{self._one(what, which)}/{verb}", params=params)

    async def _of_model(self, verb: str, noun: str, which: int) -> None:
        model = self._one("models", which)
        match verb:
            case "price":
                prices = {"input": which % 3, "output": which + 1}
                await self._http.post("/api/v1/prices", json={"model_id": model, "prices": prices})
            case "bulk":
                change = {"tier": "pro" if which % 2 else "free", "is_active": which % 5 != 0}
                body = {"filter": {}, "change": change}
                await self._http.post("/api/v1/models/bulk", json=body, params={"force": True})
            case "label":
                await self._http.put(f"/api/v1/models/{model}/{noun}/{self._one(noun, which)}", json={})
            case _:
                await self._http.post(f"/api/v1/models/{model}/set-default")

    def _consent(self, which: int) -> dict[str, Any]:
        """Say at times that references may break, or what takes the place of what goes."""
        said: list[dict[str, Any]] = [{}, {"force": True}, {"replace_with": self._one("models", which + 1)}]
        return said[which % len(said)]

    def _one(self, noun: str, which: int) -> str:
        ids = self.ids[noun]
        return ids[which % len(ids)] if ids else str(uuid4())

    async def _make(self, noun: str, which: int) -> None:
        model, supplier = self._one("models", which), self._one("suppliers", which)
        match noun:
            case "suppliers":
                self._keep(noun, await a_supplier(self._http, requires_credential=which % 2 == 0, removal_after=1))
            case "models":
                self._keep(noun, await a_model(self._http))
            case "credentials" if await self._lives("suppliers", supplier):
                self._keep(noun, await a_credential(self._http, supplier))
            case "sources" if await self._lives("suppliers", supplier) and await self._lives("models", model):
                self._keep(noun, await a_source(self._http, model, supplier))
            case _ if noun in LABELS:
                await self._make_label(noun, which)
            case _ if noun in REFERRING:
                bodies: dict[str, dict[str, Any]] = {
                    "fallback-chains": {"steps": [{"model_id": model}]},
                    "complexity-routing": {"levels": [{"level": "hard", "model_ids": [model]}]},
                    "cost-strategies": {"cost_weight": 1, "model_ids": [model]},
                    "consumers": {"kind": "tenant", "model_ids": [model]},
                }
                params = {"force": True} if noun == "fallback-chains" else {}
                json = {"name": f"n-{uuid4().hex}", **bodies.get(noun, {"model_ids": [model]})}
                answer = await self._http.post(f"/api/v1/{noun}", json=json, params=params)
                if answer.status_code == httpx.codes.CREATED:
                    self._keep(noun, answer.json())

    async def _make_label(self, noun: str, which: int) -> None:
        bodies: dict[str, dict[str, Any]] = {
            "capabilities": {"domain": "nlp", "input_types": ["text"], "output_types": ["text"]},
            "tags": {"rule": {"kind": "input_price_below", "usd_per_million": which + 1}} if which % 2 else {},
        }
        json = {"name": f"n-{uuid4().hex}", **bodies.get(noun, {})}
        answer = await self._http.post(f"/api/v1/{noun}", json=json)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self._keep(noun, answer.json())

    async def _lives(self, noun: str, key: str) -> bool:
        return (await self._http.get(f"/api/v1/{noun}/{key}")).status_code == httpx.codes.OK

    def _keep(self, noun: str, thing: dict[str, Any]) -> None:
        self.ids[noun].append(thing["id"])

    async def _list(self, names: list[str], supplier: str) -> None:
        self._listings += 1
        models = [ListedModel(upstream_name=name) for name in names]
        listing = Listing(run_id=new_id(), supplier_id=supplier, digest="d", models=models, left_out=[])
        async with self._database.transaction() as session:
            await apply_listing(session, listing, self._listings)


@pytest.fixture(scope="module")
async def shared(databases: Databases) -> AsyncIterator[FreshDatabase]:
    """One database for every story: each begins where the one before has ended."""
    async with databases.fresh() as fresh:
        yield fresh


@given(story=stories)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_replaying_every_event_from_nothing_gives_the_snapshot(shared: FreshDatabase, story: list[Any]) -> None:
    opened = Database(shared.url("catalog"), service="catalog", outbox=outbox)
    async with (
        serving(create_app(settings_for(shared, "nats://127.0.0.1:9"))) as url,
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, timeout=20) as http,
    ):
        administrator = Administrator(http, opened)
        for verb, what, which in story:
            await administrator.do(verb, what, which)
        truth = msgspec.json.decode((await http.get("/api/v1/snapshot")).content, type=Snapshot)
        replica = Replica(frozenset(KINDS))
        while replica.revision < truth.revision:
            answer = await http.get("/api/v1/changes", params={"after": replica.revision})
            replica.apply(msgspec.json.decode(answer.content, type=Changes).changes)
    await opened.close()

    assert replica.digests() == truth.digests
    assert {kind: len(held) for kind, held in replica.records.items()} == {
        kind: len(told) for kind, told in truth.records.items()
    }
