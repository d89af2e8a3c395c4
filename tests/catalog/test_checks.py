"""Saving with `?check=true`: integrity is asked, and whatever it does, what is saved is saved."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from builders import a_served_model, shown
from catalogs import settings_for
from modelbus.catalog.app import create_app
from modelbus.catalog.clients.integrity import LONGEST_WAIT_S
from running import ADMIN_TOKEN, SERVICE_TOKEN, serving
from servers import FreshDatabase

CHECK = {"check": "true"}
FINDING = {
    "kind": "single_point",
    "severity": "at_risk",
    "place": "all of it",
    "where": "chain 'smart', all of it",
    "target_kind": "source",
    "target_id": "0197-x",
    "target_name": "m",
    "reason": "one_source_left",
    "evidence": {"supplier": "s"},
}


class Integrity:
    """Answers what a test wants, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Response | None = JSONResponse({"findings": [FINDING]})
        """None never answers."""
        self.released = asyncio.Event()

    async def judge(self, request: Request) -> Response:
        assert request.headers["authorization"] == f"Bearer {SERVICE_TOKEN}"
        self.asked.append(await request.json())
        if self.answer is None:
            await self.released.wait()
        return self.answer or Response()


@pytest.fixture
def integrity() -> Integrity:
    return Integrity()


@pytest.fixture
async def checked(database: FreshDatabase, integrity: Integrity) -> AsyncIterator[httpx.AsyncClient]:
    """A catalog that knows where integrity is."""
    app = Starlette(routes=[Route("/api/v1/validate/proposal", integrity.judge, methods=["POST"])])
    async with (
        serving(app) as url,
        serving(create_app(settings_for(database, "nats://127.0.0.1:9", integrity_url=url))) as catalog_url,
        _client(catalog_url) as http,
    ):
        yield http
        integrity.released.set()


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http:
        yield http


async def saved(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_findings_of_each_kind_of_thing_are_answered_beside_it(
    checked: httpx.AsyncClient, integrity: Integrity
) -> None:
    model = await a_served_model(checked)
    ids = [model["id"]]
    steps, levels = [{"model_id": ids[0]}], [{"level": "easy", "model_ids": ids}]
    arm = {"name": "a", "model_id": ids[0], "source_id": None}
    things = {
        "fallback-chains": {"name": "smart", "steps": steps},
        "splits": {"name": "p", "arms": [{**arm, "weight": 1}], "shadows": [{**arm, "name": "b", "percent": 1}]},
        "complexity-routing": {"name": "r", "levels": levels},
        "cost-strategies": {"name": "s", "cost_weight": 1, "model_ids": ids},
        "scopes": {"name": "b", "model_ids": ids, "default_model_id": ids[0]},
    }
    for path, body in things.items():
        made = await saved(await checked.post(f"/api/v1/{path}", json=body, params=CHECK))
        changed = await saved(
            await checked.patch(f"/api/v1/{path}/{made['id']}", json={"description": "d"}, params=CHECK)
        )
        replaced = await saved(await checked.put(f"/api/v1/{path}/{made['id']}", json=body, params=CHECK))

        assert made["check"] == changed["check"] == replaced["check"] == {"state": "checked", "findings": [FINDING]}

    chain, split, routing, strategy, scope = (each["proposed"] for each in integrity.asked[::3])
    assert chain == {
        "config_type": "fallback",
        "id": chain["id"],
        "name": "smart",
        "steps": [{"id": chain["steps"][0]["id"], "model_id": ids[0], "source_id": None}],
    }
    shadows = [{**arm, "name": "b"}]
    assert split == {"config_type": "split", "id": split["id"], "name": "p", "arms": [arm], "shadows": shadows}
    assert (routing["levels"], routing["judge_model_id"]) == (levels, None)
    assert strategy["model_ids"] == scope["model_ids"] == ids
    assert scope["default_model_id"] == ids[0]
    assert all(each["allow_missing"] for each in integrity.asked)


ANSWERS: list[Response | None] = [
    None,
    PlainTextResponse("bad gateway", 502),
    JSONResponse({"code": "index_not_loaded"}, 503),
    PlainTextResponse("no JSON"),
    JSONResponse([]),
    JSONResponse({"findings": [{"kind": "dead"}]}),
]


async def test_whatever_integrity_answers_what_is_saved_is_saved(
    checked: httpx.AsyncClient, integrity: Integrity
) -> None:
    model = await a_served_model(checked)

    for number, answer in enumerate(ANSWERS):
        integrity.answer = answer
        body = {"name": f"smart-{number}", "steps": [{"model_id": model["id"]}]}
        async with asyncio.timeout(LONGEST_WAIT_S * 3):
            made = await saved(await checked.post("/api/v1/fallback-chains", json=body, params=CHECK))

        assert made["check"] == {"state": "unavailable", "findings": []}
    assert len(integrity.asked) == len(ANSWERS)


async def test_integrity_that_is_away_is_said_to_be_unavailable_and_asked_only_where_wanted(
    http: httpx.AsyncClient,
) -> None:
    model = await a_served_model(http)
    body = {"name": "smart", "steps": [{"model_id": model["id"]}]}

    made = await saved(await http.post("/api/v1/fallback-chains", json=body, params=CHECK))
    other = await saved(await http.post("/api/v1/fallback-chains", json={**body, "name": "other"}))

    assert made["check"] == {"state": "unavailable", "findings": []}
    assert "check" not in other
    assert (await shown(http, f"/api/v1/fallback-chains/{made['id']}"))["name"] == "smart"
