"""Configurations that are not saved yet, judged by the rules of those that are."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from integrity.teller import a_chain, a_model, a_price, a_scope, a_source
from modelbus.contracts.records import CostPrices
from running import SERVICE_TOKEN

type Serve = Callable[..., Awaitable[httpx.AsyncClient]]

PATH = "/api/v1/validate/proposal"


async def propose(http: httpx.AsyncClient, config_type: str, **proposed: Any) -> httpx.Response:
    return await http.post(PATH, json={"proposed": {"config_type": config_type, **proposed}})


async def findings(http: httpx.AsyncClient, config_type: str, **proposed: Any) -> list[dict[str, Any]]:
    answer = await propose(http, config_type, **proposed)
    assert answer.status_code == httpx.codes.OK, answer.text
    found: list[dict[str, Any]] = answer.json()["findings"]
    return found


async def test_a_proposal_is_judged_as_what_is_saved_would_be(serve: Serve) -> None:
    gone, stays, other = a_model(gone="delisted"), a_model(), a_model()
    sources = [a_source(stays.id), a_source(other.id)]
    chain, scope = a_chain(gone, stays, stays, name="prod"), a_scope([gone.id, stays.id], default=gone.id, name="s")
    http = await serve(gone, stays, other, *sources, chain, scope)

    steps = [{"id": str(step.id), "model_id": str(step.model_id)} for step in chain.steps]
    proposed = await findings(http, "fallback", id=str(chain.id), name="prod", steps=steps)
    proposed += await findings(
        http, "scope", id=str(scope.id), name="s", model_ids=[str(each) for each in scope.model_ids],
        default_model_id=str(gone.id),
    )  # fmt: skip

    saved = (await http.post("/api/v1/validate", json={"config_type": "all"})).json()["findings"]
    assert {each["kind"] for each in proposed} == {"degraded", "duplicate_step", "single_point"}
    assert sorted(proposed, key=repr) == sorted(saved, key=repr)
    assert (await http.get("/api/v1/references", params={"target": str(other.id)})).json()["items"] == []


async def test_every_kind_of_proposal_is_judged(serve: Serve) -> None:
    gone, stays = a_model(gone="delisted"), a_model()
    costly = a_source(stays.id, cost=CostPrices.model_validate({"input": "2"}))
    http = await serve(gone, stays, costly, a_price(stays.id, input="3"))

    levels = [{"level": "easy", "model_ids": [str(gone.id)]}]
    routing = await findings(http, "complexity", levels=levels, judge_model_id=str(gone.id))
    strategy = await findings(http, "strategy", model_ids=[str(gone.id)])
    too_cheap = await findings(http, "pricing", model_id=str(stays.id), input="1.5")

    assert [(each["kind"], each["place"]) for each in routing] == [
        ("dead", "level easy, position 1"),
        ("degraded", "judge"),
    ]
    assert [each["kind"] for each in strategy] == ["dead"]
    assert await findings(http, "strategy", model_ids=None) == []
    assert [(each["kind"], each["evidence"]["input"]) for each in too_cheap] == [("negative_margin", ["1.5", "2"])]
    assert await findings(http, "pricing", model_id=str(stays.id), input="2") == []


async def test_ids_that_do_not_exist_are_named_by_their_fields(serve: Serve) -> None:
    model, other = a_model(), a_model()
    source = a_source(other.id)
    http = await serve(model, other, source)
    missing = str(uuid4())
    steps = [{"model_id": missing}, {"model_id": str(model.id), "source_id": str(source.id)}]

    refused = await propose(http, "fallback", steps=steps)

    assert (refused.status_code, refused.json()["code"]) == (httpx.codes.UNPROCESSABLE_ENTITY, "missing_targets")
    told = {each["field"]: each["message"] for each in refused.json()["errors"]}
    assert told.keys() == {"proposed.steps.0.model_id", "proposed.steps.1.source_id"}
    assert missing in told["proposed.steps.0.model_id"]
    assert str(model.id) in told["proposed.steps.1.source_id"]
    body = {"proposed": {"config_type": "strategy", "model_ids": [missing]}, "allow_missing": True}
    (found,) = (await http.post(PATH, json=body)).json()["findings"]
    assert (found["kind"], found["reason"]) == ("dead", "deleted")


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"config_type": "chains"}, "'fallback', 'split', 'complexity', 'strategy', 'scope', 'pricing'"),
    ({}, "config_type"),
    ({"config_type": "fallback", "steps": []}, "steps"),
    ({"config_type": "fallback", "steps": [{"model_id": "gpt-4o"}]}, "steps.0.model_id"),
    ({"config_type": "fallback", "steps": [{"model_id": str(uuid4()), "weight": 1}]}, "weight"),
    ({"config_type": "complexity", "levels": []}, "levels"),
    ({"config_type": "strategy"}, "model_ids"),
    ({"config_type": "scope", "model_ids": []}, "model_ids"),
    ({"config_type": "scope", "model_ids": [str(uuid4())], "name": "a\x00b"}, "name"),
    ({"config_type": "pricing", "model_id": str(uuid4()), "input": "-1"}, "input"),
]


async def test_a_malformed_proposal_is_refused_with_what_would_be_right(serve: Serve) -> None:
    http = await serve()

    for proposed, named in MALFORMED:
        answer = await http.post(PATH, json={"proposed": proposed})

        assert (answer.status_code, answer.json()["code"]) == (httpx.codes.UNPROCESSABLE_ENTITY, "invalid_input")
        assert named in answer.json()["detail"]


async def test_a_service_may_ask_for_the_judgement_of_a_proposal_only(serve: Serve) -> None:
    http = await serve()
    service = {"Authorization": f"Bearer {SERVICE_TOKEN}"}
    body = {"proposed": {"config_type": "strategy", "model_ids": None}}

    asked = await http.post(PATH, json=body, headers=service)
    beyond = await http.post("/api/v1/validate", json={"config_type": "all"}, headers=service)

    assert (asked.status_code, beyond.status_code) == (httpx.codes.OK, httpx.codes.FORBIDDEN)
