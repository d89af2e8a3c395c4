"""Limits of time - to connect, first byte, first token, stall, all - of the operator, of a model and of a caller."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Raw

from modelbus.contracts.records import ModelParameterRecord
from modelbus.router.cache.records import Model, Parameter
from modelbus.router.domain.errors import MalformedRequestError
from modelbus.router.journey.patience import limits_of, wishes_of
from modelbus.router.upstream.client import Deadlines
from modelbus.simulator import Fault, Simulator
from router.faulty import Case, Cases, events_of
from router.routers import PROMPT, RunningRouter, running_router
from router.suppliers import read_request, supplier
from router.world import World
from running import eventually

SLOW_START = Fault(tokens_per_second=2000, first_token_ms=20_000)
SLOW_MIDDLE = Fault(reply_tokens=60, tokens_per_second=2000, stall_after_tokens=20)
ENDLESS = Fault(reply_tokens=5000, tokens_per_second=50)
PATIENT: dict[str, Any] = {"first_byte_s": 30, "first_token_s": 30, "stall_s": 30, "total_s": 60}

LIMITED = {
    "first_byte": (Fault(accept_and_hang=True), False),
    "first_token": (SLOW_START, True),
    "stall": (SLOW_MIDDLE, True),
    "total": (ENDLESS, True),
}
"""For each limit a fault that meets it first, and whether it needs a stream."""


async def ask(router: RunningRouter, headers: Mapping[str, str], **fields: Any) -> str:
    """Answer the code of the error that came, wherever it came."""
    answer = await router.http.post("/v1/chat/completions", json=PROMPT | fields, headers=dict(headers))
    content = (
        events_of(answer.text)[-1] if answer.headers["content-type"].startswith("text/event-stream") else answer.json()
    )
    return str(content["error"]["code"]) if "error" in content else "served"


async def test_each_limit_of_a_caller_ends_what_the_operator_would_wait_for(
    simulator: Simulator, tmp_path: Path
) -> None:
    asked = [Case(name, (fault,), stream) for name, (fault, stream) in LIMITED.items()]
    cases = Cases(simulator, *asked)
    async with running_router(tmp_path, cases.seed, **PATIENT) as router:
        codes = await asyncio.gather(
            *(
                ask(router, {f"x-modelbus-timeout-{name.replace('_', '-')}": "0.3"}, model=name, stream=stream)
                for name, (_, stream) in LIMITED.items()
            )
        )

    assert codes == ["upstream_timeout"] * len(LIMITED)


async def test_each_limit_of_a_model_is_its_parameter_and_goes_to_no_supplier(
    simulator: Simulator, tmp_path: Path
) -> None:
    asked = [Case(name, (fault,), stream) for name, (fault, stream) in LIMITED.items()]
    cases = Cases(simulator, *asked)
    for model in list(cases.seed.records["model"].values()):
        name = f"modelbus_timeout_{model.name}"  # type: ignore[attr-defined]  # every record of that kind has a name
        parameter = ModelParameterRecord(name=name, parameter_type="float", default=0.3)
        cases.seed.put(model.model_copy(update={"parameters": [parameter]}))
    async with running_router(tmp_path, cases.seed, **PATIENT) as router:
        codes = await asyncio.gather(
            *(ask(router, {}, model=name, stream=stream) for name, (_, stream) in LIMITED.items())
        )

    assert codes == ["upstream_timeout"] * len(LIMITED)
    assert not [each for each in simulator.openai.exchanges if b"timeout" in each.body]


async def test_a_caller_can_only_shorten_what_the_operator_grants(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))
    simulator.openrouter.misbehave(Fault(accept_and_hang=True))
    patient = {f"x-modelbus-timeout-{name}": "3600" for name in ("first-byte", "total")}
    async with running_router(tmp_path, world.seed, first_byte_s=0.2) as router:
        code = await asyncio.wait_for(ask(router, patient), 5)

    assert code == "upstream_timeout"


async def test_the_time_to_connect_is_a_limit_of_its_own(world: World, tmp_path: Path) -> None:
    over, held = asyncio.Event(), list[asyncio.StreamWriter]()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        held.append(writer)
        await over.wait()

    async with supplier(hold) as place:
        slow = world.seed.supplier("slow", place.base_url, requires_credential=False)
        model = world.seed.model("held")
        world.seed.source(model, slow)
        # A single supplier may have sixteen connections here, and the last one waits for one of them.
        async with running_router(tmp_path, world.seed, upstream_connections=16, **PATIENT) as router:
            waiting = [asyncio.create_task(ask(router, {}, model="held")) for _ in range(16)]
            await eventually(lambda: len(held) == 16)
            late = await ask(router, {"x-modelbus-timeout-connect": "0.2"}, model="held")
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            over.set()

    assert late == "upstream_timeout"


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", ""])
async def test_a_wish_that_is_no_time_is_refused_by_the_name_of_its_header(router: RunningRouter, value: str) -> None:
    answer = await router.http.post("/v1/chat/completions", json=PROMPT, headers={"X-Modelbus-Timeout-Total": value})

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, "invalid_request", "x-modelbus-timeout-total")
    assert "seconds" in error["message"]


def test_wishes_are_read_by_limit() -> None:
    headers = {b"x-modelbus-timeout-first-byte": b"1.5", b"x-modelbus-timeout-total": b"20", b"accept": b"*/*"}

    assert wishes_of(headers) == {"first_byte_s": 1.5, "total_s": 20.0}
    assert wishes_of({b"accept": b"*/*"}) == {}
    with pytest.raises(MalformedRequestError, match="x-modelbus-timeout-stall"):
        wishes_of({b"x-modelbus-timeout-stall": b"x"})


def test_the_shortest_of_all_limits_holds() -> None:
    own = Deadlines(5, 120, 60, 120, 600)

    assert own.within({"first_byte_s": 3, "total_s": 700}) == Deadlines(5, 3, 60, 120, 600)


def test_a_parameter_that_is_no_time_limits_nothing() -> None:
    written = {"connect": b"1.5", "stall": b"-1", "total": b'"soon"', "first_byte": b"null", "other": b"3"}
    parameters = tuple(Parameter(f"modelbus_timeout_{name}", Raw(value)) for name, value in written.items())
    model = Model(uuid4(), "m", (), is_available=True, reason=None, parameters=parameters)

    assert limits_of(model) == {"connect_s": 1.5}


CHAT, IMAGES = "/v1/chat/completions", "/v1/images/generations"


@pytest.mark.parametrize(
    ("resends", "path", "again"), [("text", CHAT, 1), ("text", IMAGES, 0), ("all", IMAGES, 1), ("none", CHAT, 0)]
)
async def test_what_may_have_been_done_is_asked_again_as_the_operator_says(
    world: World, tmp_path: Path, simulator: Simulator, resends: str, path: str, again: int
) -> None:
    fault = Fault(reset_before_headers=True) if path == CHAT else Fault(accept_and_hang=True)
    simulator.openai.misbehave(fault)
    model = world.seed.model("painter", model_type="multimodal")
    world.seed.source(model, world.acme, "gpt-4o", priority=1)
    world.seed.source(model, world.beta, "openai/gpt-4o", priority=2)
    asked = PROMPT | {"model": "painter", "prompt": "a bus"}
    async with running_router(tmp_path, world.seed, resends=resends, first_byte_s=1) as router:
        answer = await router.http.post(path, json=asked)

    assert len(simulator.openrouter.exchanges) == again
    if not again:
        assert answer.json()["error"]["attempts"][0]["supplier"] == "acme"


@pytest.mark.parametrize("resends", ["text", "none"])
async def test_what_was_never_sent_or_was_refused_goes_to_another_whatever_the_operator_says(
    world: World, tmp_path: Path, simulator: Simulator, resends: str
) -> None:
    nowhere = world.seed.supplier("nowhere", "http://127.0.0.1:9/v1", requires_credential=False)
    world.seed.source(world.model, nowhere, priority=0)
    simulator.openai.misbehave(Fault(status=503))
    async with running_router(tmp_path, world.seed, resends=resends) as router:
        answer = await router.complete()

    assert (answer.status_code, answer.headers["x-modelbus-attempts"]) == (200, "3")
