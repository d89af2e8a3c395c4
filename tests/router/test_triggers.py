"""Chain steps are tried after the failures that they name, and what is the request's own fault must be named."""

from pathlib import Path

import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts import routing
from modelbus.contracts.records import ModelRecord, SupplierRecord
from modelbus.router.domain.verdicts import Cause, cause_of
from modelbus.simulator import Fault, Rule, Simulator
from router.routers import KEY, running_router
from router.seeding import Seed

LONG = "gpt-4-turbo"


def a_chain(simulator: Simulator, *triggers: list[str]) -> Seed:
    """A chain whose first step is at the first supplier, and whose others are at the second."""
    seed = Seed()
    seed.key(KEY)
    here = seed.supplier("here", simulator.base_url(simulator.openai))
    there = seed.supplier("there", simulator.base_url(simulator.openrouter))
    seed.credential(here, "sim-openai-key-1")
    seed.credential(there, "sim-openrouter-key-1")
    names = ["first", *(f"step-{number}" for number in range(2, len(triggers) + 2))]
    models = [seed.model(name) for name in names]
    for model in models:
        seed.source(model, here if model.name == "first" else there, model.name)
    simulator.openai.serve_names(*names)
    simulator.openrouter.serve_names(*names)
    steps = [
        routing.ChainStepRecord(id=new_id(), model_id=model.id, triggers=named)
        for model, named in zip(models, (["any"], *triggers), strict=True)
    ]
    seed.put(routing.ChainRecord(id=new_id(), name="chain", is_active=True, steps=steps))
    return seed


FAULTS = {
    "rate_limit": Fault(status=429),
    "timeout": Fault(accept_and_hang=True),
    "context_length": Fault(context_length_exceeded=True),
    "content_filter": Fault(content_filter=True),
    "other": Fault(status=500),
}
NEVER = ["rate_limit", "timeout"]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize("failure", ["rate_limit", "timeout", "context_length", "content_filter"])
async def test_a_failure_leads_to_the_step_that_names_it(
    simulator: Simulator, tmp_path: Path, failure: str, *, is_stream: bool
) -> None:
    others = [[name] for name in ("rate_limit", "timeout", "context_length", "content_filter") if name != failure]
    seed = a_chain(simulator, *others, [failure, "timeout"])
    simulator.openai.misbehave(FAULTS[failure])
    patience = 0.3 if failure == "timeout" else 30  # no slow machine makes a time-out of another failure
    async with running_router(tmp_path, seed, first_byte_s=patience) as router:
        answer = await router.complete(model="chain", stream=is_stream)

    assert answer.status_code == 200
    assert [exchange.model for exchange in simulator.openrouter.exchanges] == ["step-5"]


@pytest.mark.parametrize("failure", ["context_length", "content_filter"])
async def test_what_is_the_requests_fault_goes_to_no_step_that_is_for_any_failure(
    simulator: Simulator, tmp_path: Path, failure: str
) -> None:
    simulator.openai.misbehave(FAULTS[failure])
    async with running_router(tmp_path, a_chain(simulator, ["any"])) as router:
        answer = await router.complete(model="chain")

    assert answer.status_code == 400
    assert not simulator.openrouter.exchanges


async def test_a_failure_that_no_step_names_ends_the_chain(simulator: Simulator, tmp_path: Path) -> None:
    simulator.openai.misbehave(FAULTS["other"])
    async with running_router(tmp_path, a_chain(simulator, ["rate_limit"], ["context_length"])) as router:
        answer = await router.complete(model="chain")

    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_failed")
    assert not simulator.openrouter.exchanges


async def test_every_source_of_a_step_that_has_begun_is_asked_whatever_its_triggers(
    simulator: Simulator, tmp_path: Path
) -> None:
    seed = a_chain(simulator, ["timeout"])
    [chain] = [each for each in seed.records["chain"].values() if isinstance(each, routing.ChainRecord)]
    first, second = chain.steps
    narrow = first.model_copy(update={"triggers": ["timeout"]})
    seed.put(chain.model_copy(update={"steps": [narrow, second]}))
    [there] = [each for each in seed.records["supplier"].values() if getattr(each, "name", "") == "there"]
    [model] = [each for each in seed.records["model"].values() if getattr(each, "name", "") == "first"]
    assert isinstance(there, SupplierRecord)
    assert isinstance(model, ModelRecord)
    seed.source(model, there, "first", priority=99)
    simulator.openai.misbehave(FAULTS["other"])
    async with running_router(tmp_path, seed) as router:
        answer = await router.complete(model="chain")

    assert answer.status_code == 200
    assert [exchange.model for exchange in simulator.openrouter.exchanges] == ["first"]


async def test_a_longer_step_that_fails_too_is_told_beside_the_first(simulator: Simulator, tmp_path: Path) -> None:
    simulator.openai.misbehave(FAULTS["context_length"])
    simulator.openrouter.behave(
        Rule(fault=FAULTS["context_length"], model="step-2", times=1), Rule(fault=FAULTS["other"], model="step-2")
    )
    async with running_router(tmp_path, a_chain(simulator, ["context_length"])) as router:
        too_long, failed = [await router.complete(model="chain") for _ in range(2)]

    assert too_long.status_code == 400
    assert "here" not in too_long.text
    error = failed.json()["error"]
    assert (failed.status_code, error["code"]) == (502, "upstream_failed")
    assert [each["failure"] for each in error["attempts"]] == ["answered 400 (context_length)", "answered 500"]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (b'{"error":{"message":"...","code":"context_length_exceeded"}}', Cause.CONTEXT_LENGTH),
        (b'{"error":{"message":"prompt is too long: 210000 tokens > 200000 maximum"}}', Cause.CONTEXT_LENGTH),
        (b'{"error":{"message":"This model\'s maximum context length is 8192 tokens."}}', Cause.CONTEXT_LENGTH),
        (b"The input token count (1200000) exceeds the maximum number of tokens allowed", Cause.CONTEXT_LENGTH),
        (b'{"message":"Input is too long for requested model."}', Cause.CONTEXT_LENGTH),
        (b"the request exceeds the available context size. try increasing the context size", Cause.CONTEXT_LENGTH),
        (b"Please reduce the length of the messages or completion", Cause.CONTEXT_LENGTH),
        (b'{"error":{"code":"content_filter","message":"The response was filtered"}}', Cause.CONTENT_FILTER),
        (b'{"error":{"innererror":{"code":"ResponsibleAIPolicyViolation"}}}', Cause.CONTENT_FILTER),
        (b'{"error":{"message":"Output blocked by content filtering policy"}}', Cause.CONTENT_FILTER),
        (b'{"error":{"message":"Your request was rejected as a result of our safety system."}}', Cause.CONTENT_FILTER),
        (b"This model does not support assistant message prefill.", Cause.UNABLE),
        (b'{"error":{"message":"max_tokens must be at least 1"}}', Cause.REQUEST),
        (b"", Cause.REQUEST),
    ],
)
def test_complaints_are_known_by_their_words(said: bytes, cause: Cause) -> None:
    assert cause_of(said) is cause
