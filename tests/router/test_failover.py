from pathlib import Path
from typing import Any

import pytest

from modelbus.simulator import Fault, Rule, Simulator
from router.routers import RunningRouter, running_router
from router.world import World

CAUSES = [
    Fault(status=429),
    Fault(status=500),
    Fault(status=503),
    Fault(status=404),
    Fault(status=401),
    Fault(status=402),
    Fault(status=403),
    Fault(reset_before_headers=True),
    Fault(html=True),
    Fault(redirect_to="http://127.0.0.1:9/elsewhere"),
    Fault(invalid_json=True),
    Fault(cut_after_tokens=0),
    Fault(body={"error": {"message": "upstream says no"}}, status=200),
    Fault(gzip_bomb_bytes=100_000),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("fault", CAUSES, ids=lambda fault: str(fault.to_json()))
async def test_what_fails_before_the_first_token_is_served_by_the_next_source(
    router: RunningRouter, simulator: Simulator, world: World, fault: Fault, *, is_stream: bool
) -> None:
    simulator.openai.misbehave(fault)

    answer = await router.complete(stream=is_stream)

    assert answer.status_code == 200
    assert "openrouter" in answer.text
    assert answer.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert answer.headers["x-modelbus-attempts"] == "2"
    assert len(simulator.openai.exchanges) == 1


@pytest.mark.parametrize(
    ("fault", "is_stream"),
    [
        (Fault(accept_and_hang=True), False),
        (Fault(accept_and_hang=True), True),
        (Fault(hang_after_headers=True), False),
        (Fault(hang_after_headers=True), True),
        (Fault(stall_after_tokens=0), True),
        (Fault(stall_after_tokens=1), False),
    ],
)
async def test_what_hangs_before_the_first_token_is_served_by_the_next_source(
    world: World, tmp_path: Path, simulator: Simulator, fault: Fault, *, is_stream: bool
) -> None:
    simulator.openai.misbehave(fault)
    async with running_router(tmp_path, world.seed, first_byte_s=1, stall_s=1) as router:
        answer = await router.complete(stream=is_stream)

    assert answer.status_code == 200
    assert answer.headers["x-modelbus-source"] == str(world.at_beta.id)


async def test_a_supplier_that_is_not_there_is_passed_over(world: World, tmp_path: Path, simulator: Simulator) -> None:
    nowhere = world.seed.supplier("nowhere", "http://127.0.0.1:9/v1", requires_credential=False)
    world.seed.source(world.model, nowhere, priority=0)
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete()

    assert answer.headers["x-modelbus-attempts"] == "2"
    assert len(simulator.openai.exchanges) == 1


async def test_a_supplier_that_needs_no_credential_is_called_without_one(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    open_one = world.seed.supplier("open", simulator.base_url(simulator.openai), requires_credential=False)
    world.seed.source(world.model, open_one, priority=0)
    async with running_router(tmp_path, world.seed) as router:
        await router.complete()

    assert simulator.openai.exchanges[0].key is None


@pytest.mark.parametrize("status", [401, 402, 403, 429])
async def test_a_refused_credential_makes_way_for_the_next_and_is_not_tried_again(
    world: World, tmp_path: Path, simulator: Simulator, status: int
) -> None:
    world.seed.credential(world.acme, "sim-openai-key-2", priority=20)
    simulator.openai.misbehave(Fault(status=status), key="sim-openai-key-1")
    async with running_router(tmp_path, world.seed) as router:
        answers = [await router.complete() for _ in range(3)]

    assert [answer.headers["x-modelbus-source"] for answer in answers] == [str(world.at_acme.id)] * 3
    asked = [exchange.key for exchange in simulator.openai.exchanges]
    assert asked == ["sim-openai-key-1", *["sim-openai-key-2"] * 3]


async def test_a_cooled_credential_is_used_again_when_the_supplier_said_so(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    simulator.openai.misbehave(Fault(status=429, headers={"Retry-After": "0"}), times=1)
    async with running_router(tmp_path, world.seed) as router:
        first, second = await router.complete(), await router.complete()

    assert first.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert second.headers["x-modelbus-source"] == str(world.at_acme.id)


@pytest.mark.parametrize("retry_after", ["9" * 400, f"Fri, {2**64} Dec 2100 00:00:00 GMT", "soon"])
async def test_a_supplier_whose_retry_after_is_nonsense_is_passed_over(
    router: RunningRouter, simulator: Simulator, world: World, retry_after: str
) -> None:
    simulator.openai.misbehave(Fault(status=429, headers={"Retry-After": retry_after}), times=1)

    answer = await router.complete()

    assert answer.headers["x-modelbus-source"] == str(world.at_beta.id)


async def test_a_lost_connection_does_not_count_against_the_credential(
    router: RunningRouter, simulator: Simulator, world: World
) -> None:
    simulator.openai.misbehave(Fault(reset_before_headers=True), times=1)

    first, second = await router.complete(), await router.complete()

    assert first.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert second.headers["x-modelbus-source"] == str(world.at_acme.id)


async def test_equal_credentials_take_turns(world: World, tmp_path: Path, simulator: Simulator) -> None:
    world.seed.credential(world.acme, "sim-openai-key-2")
    async with running_router(tmp_path, world.seed) as router:
        for _ in range(4):
            await router.complete()

    asked = [str(exchange.key) for exchange in simulator.openai.exchanges]
    assert sorted(asked[:2]) == ["sim-openai-key-1", "sim-openai-key-2"]
    assert asked[2:] == asked[:2]


async def test_a_chain_falls_through_to_the_step_that_serves(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    gone = world.seed.model("gone", is_available=False, reason="delisted")
    mini = world.seed.model("mini")
    at_acme = world.seed.source(mini, world.acme, "gpt-4o-mini")
    world.seed.chain("best", gone, mini, world.at_beta)
    simulator.openai.misbehave(Fault(status=500), model="gpt-4o-mini", times=1)
    async with running_router(tmp_path, world.seed) as router:
        first, second = await router.complete(model="best"), await router.complete(model="best")

    assert first.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert second.headers["x-modelbus-source"] == str(at_acme.id)


async def test_no_source_is_asked_twice_though_the_chain_names_it_twice(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    world.seed.chain("again", world.model, world.at_acme, world.model)
    simulator.openai.misbehave(Fault(status=500))
    simulator.openrouter.misbehave(Fault(status=500))
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete(model="again")

    assert answer.headers["x-modelbus-attempts"] == "2"
    assert (len(simulator.openai.exchanges), len(simulator.openrouter.exchanges)) == (1, 1)


async def test_when_all_fail_the_attempts_are_named(router: RunningRouter, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(status=500))
    simulator.openrouter.misbehave(Fault(reset_before_headers=True))

    answer = await router.complete()

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (502, "upstream_failed", "server_error")
    assert "acme: answered 500; beta: connection lost" in error["message"]


async def test_when_no_credential_is_accepted_the_suppliers_are_named_and_no_key(
    router: RunningRouter, simulator: Simulator
) -> None:
    simulator.openai.accept_keys("another")
    simulator.openrouter.accept_keys("another")

    tried, known = await router.complete(), await router.complete()

    for answer in (tried, known):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (502, "upstream_credentials_exhausted")
        assert "acme" in error["message"]
        assert "sim-" not in error["message"]
    assert len(simulator.openai.exchanges) == 1


async def test_when_every_credential_is_dead_nobody_is_asked_and_the_supplier_is_named(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    only = world.seed.model("only")
    world.seed.source(only, world.acme)
    world.seed.put(world.acme_key.model_copy(update={"state": "dead", "state_reason": "answered 401"}))
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete(model="only")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (502, "upstream_credentials_exhausted")
    assert "acme: no usable credential" in error["message"]
    assert not simulator.openai.exchanges


async def test_when_all_hang_it_is_a_timeout(world: World, tmp_path: Path, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))
    simulator.openrouter.misbehave(Fault(accept_and_hang=True))
    async with running_router(tmp_path, world.seed, first_byte_s=0.2) as router:
        answer = await router.complete()

    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert answer.headers["x-modelbus-attempts"] == "2"


async def test_the_time_in_all_ends_the_journey(world: World, tmp_path: Path, simulator: Simulator) -> None:
    simulator.openai.misbehave(Fault(accept_and_hang=True))
    async with running_router(tmp_path, world.seed, total_s=0.2) as router:
        answer = await router.complete()

    assert answer.status_code == 504
    assert not simulator.openrouter.exchanges


async def test_a_credential_that_no_master_key_opens_is_passed_over(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    foreign: dict[str, Any] = {"sealed": "not-a-token"}
    world.seed.put(world.acme_key.model_copy(update=foreign))
    async with running_router(tmp_path, world.seed) as router:
        answer = await router.complete()

    assert answer.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert answer.headers["x-modelbus-attempts"] == "1"
    assert not simulator.openai.exchanges


async def test_an_idle_connection_that_the_supplier_dropped_is_no_failure(
    router: RunningRouter, simulator: Simulator, world: World
) -> None:
    await router.complete()
    # The second request finds the first one's connection, and it is reset before any answer.
    simulator.openai.behave(Rule(fault=Fault(reset_before_headers=True), times=1))

    answer = await router.complete()

    assert answer.headers["x-modelbus-source"] == str(world.at_acme.id)
    assert answer.headers["x-modelbus-attempts"] == "1"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<html>internal host db7</html>", ""),
        ({"error": None}, ""),
        ({"detail": "no such tool"}, ": no such tool"),
        ({"object": "error", "message": "top_k is\n too large", "code": 40303}, ": top_k is too large"),
        ({"detail": [{"loc": ["body", "n"], "msg": "too many"}]}, ": too many"),
        ({"errors": ["one", "two"]}, ': ["one","two"]'),
        ("model overloaded", ": model overloaded"),
        ([1], ": 1"),
    ],
    ids=str,
)
async def test_a_refusal_in_a_strange_shape_is_told_in_the_envelope_and_keeps_its_words(
    router: RunningRouter, simulator: Simulator, body: Any, words: str
) -> None:
    simulator.openai.misbehave(Fault(status=400, body=body))

    answer = await router.complete()

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (400, "upstream_refused", "invalid_request_error")
    assert error["message"] == f"the supplier refused the request with status 400{words}"
    assert answer.headers["content-type"] == "application/json"
    assert not simulator.openrouter.exchanges


async def test_a_prompt_that_is_moderated_is_the_callers_matter_and_not_the_keys(
    router: RunningRouter, simulator: Simulator, world: World
) -> None:
    told = {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["violence"], "flagged_input": "x"}}}
    simulator.openai.misbehave(Fault(status=403, body=told), times=1)

    refused, served = await router.complete(), await router.complete()

    assert (refused.status_code, refused.json()) == (403, told)
    assert served.headers["x-modelbus-source"] == str(world.at_acme.id)


async def test_a_request_that_is_too_large_for_a_credential_leaves_it_to_others(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    world.seed.credential(world.acme, "sim-openai-key-2", priority=20)
    words = "Request too large for gpt-4o on tokens per min (TPM): Limit 10000, Requested 15000."
    told = {"error": {"message": words, "type": "tokens", "code": "rate_limit_exceeded"}}
    simulator.openai.misbehave(Fault(status=429, body=told), times=2)
    async with running_router(tmp_path, world.seed) as router:
        too_large, small = await router.complete(), await router.complete()

    assert too_large.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert small.headers["x-modelbus-source"] == str(world.at_acme.id)
    keys = ["sim-openai-key-1", "sim-openai-key-2", "sim-openai-key-1"]
    assert [exchange.key for exchange in simulator.openai.exchanges] == keys


async def test_a_request_that_is_too_large_for_all_credentials_is_told_so(
    router: RunningRouter, simulator: Simulator
) -> None:
    for provider in (simulator.openai, simulator.openrouter):
        provider.misbehave(Fault(status=429, body={"error": {"message": "Request too large for this key"}}))

    answers = [await router.complete() for _ in range(2)]

    for answer in answers:
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (429, "upstream_rate_limit_exceeded")
        assert [each["failure"] for each in error["attempts"]] == [
            "answered 429, the request is larger than a credential's limit"
        ] * 2


async def test_a_model_that_a_credential_may_not_use_does_not_take_it_from_other_models(
    world: World, tmp_path: Path, simulator: Simulator
) -> None:
    other = world.seed.model("gpt-4o-mini")
    at_acme = world.seed.source(other, world.acme)
    words = "Project `p` does not have access to model `gpt-4o`"
    told = {"error": {"message": words, "type": "invalid_request_error", "code": "model_not_found"}}
    simulator.openai.misbehave(Fault(status=403, body=told), times=1)
    async with running_router(tmp_path, world.seed) as router:
        refused, served = await router.complete(), await router.complete(model="gpt-4o-mini")

    assert refused.headers["x-modelbus-source"] == str(world.at_beta.id)
    assert served.headers["x-modelbus-source"] == str(at_acme.id)
