"""Sixteen ways in which a supplier fails, streamed and not: what the caller gets, and what the ledger says of it."""

import asyncio
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from modelbus.simulator import Fault, Rule, Simulator
from router.faulty import Case, Cases, Outcome, lines_of
from router.routers import RunningRouter, running_router
from router.test_usage import listening
from testing_bus import LocalBus

LIMITS: dict[str, Any] = {"connect_s": 1, "first_byte_s": 0.6, "first_token_s": 0.6, "stall_s": 0.4, "total_s": 5}
FLAPPING_S = 60.0 if os.environ.get("MINUTES") else 1.5
"""Longer by hand: `make soak`."""
RATE_LIMITED = Fault(status=429, headers={"Retry-After": "7"})
CUT = Fault(reply_tokens=60, tokens_per_second=2000, cut_after_tokens=40)
STALLED = Fault(reply_tokens=60, tokens_per_second=2000, stall_after_tokens=40)
PREFILLED = {"messages": [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "three"}]}

# Before the first token everything is mended by the next source, whatever it is.
MENDED = {
    "rate-limited": (RATE_LIMITED,),
    "one-500": (Fault(status=500),),
    "overloaded": (Fault(status=503),),
    "reset": (Fault(reset_before_headers=True),),
    "hangs": (Fault(accept_and_hang=True),),
    "late-token": (Fault(first_token_ms=20_000),),
    "several": (RATE_LIMITED, Fault(status=500), Fault(reset_before_headers=True), Fault(accept_and_hang=True)),
}
OF_THE_BODY = {
    "cut": CUT,
    "stalled": STALLED,
    "malformed": Fault(malformed_chunk_at=30, reply_tokens=60, tokens_per_second=2000),
    "unfinished": Fault(missing_finish_reason=True, missing_done=True, reply_tokens=60, tokens_per_second=2000),
}
MENDED_CASES = [
    *(Case(f"{name}-{stream}", (*faults, None), stream) for name, faults in MENDED.items() for stream in (True, False)),
    *(Case(f"{name}-False", (fault, None)) for name, fault in OF_THE_BODY.items() if name in {"cut", "stalled"}),
    Case("malformed-False", (Fault(invalid_json=True), None)),
]
BROKEN_CASES = [Case(name, (fault, None), stream=True) for name, fault in OF_THE_BODY.items()]
HOPELESS_CASES = [
    *(Case(f"all-429-{stream}", (RATE_LIMITED, RATE_LIMITED), stream) for stream in (True, False)),
    *(Case(f"all-503-{stream}", (Fault(status=503),) * 3, stream) for stream in (True, False)),
    *(Case(f"all-hang-{stream}", (Fault(accept_and_hang=True),) * 2, stream) for stream in (True, False)),
    *(Case(f"mixed-{stream}", (Fault(status=500), RATE_LIMITED), stream) for stream in (True, False)),
]


async def test_whatever_fails_before_the_first_token_is_mended_and_each_attempt_is_told(
    simulator: Simulator, tmp_path: Path, bus: LocalBus
) -> None:
    cases = Cases(simulator, *MENDED_CASES)
    async with listening(bus) as listener, running_router(tmp_path, cases.seed, nats_url=bus.url, **LIMITS) as router:
        outcomes = await asyncio.gather(*(cases.ask(router, case) for case in MENDED_CASES))
        told = await listener.heard(len(MENDED_CASES))

    found = {case.name: (outcome.answer.status_code, outcome.served_by) for case, outcome in _each(outcomes)}
    assert found == {case.name: (200, len(case.faults)) for case in MENDED_CASES}
    for case, outcome in _each(outcomes):
        assert outcome.answer.headers["x-modelbus-attempts"] == str(len(case.faults)), case.name
        assert outcome.events[-1] == "[DONE]" if case.stream else outcome.answer.json()["choices"], case.name
        *failed, served = lines_of(told, case.name)
        assert served == ("ok", 200), case.name
        assert [outcome for outcome, _ in failed] == ["failed"] * (len(case.faults) - 1), case.name


async def test_a_stream_that_breaks_after_the_first_token_says_so_and_is_told_as_cut(
    simulator: Simulator, tmp_path: Path, bus: LocalBus
) -> None:
    cases = Cases(simulator, *BROKEN_CASES)
    async with listening(bus) as listener, running_router(tmp_path, cases.seed, nats_url=bus.url, **LIMITS) as router:
        outcomes = await asyncio.gather(*(cases.ask(router, case) for case in BROKEN_CASES))
        told = await listener.heard(len(BROKEN_CASES))

    for case, outcome in zip(BROKEN_CASES, outcomes, strict=True):
        assert (outcome.answer.status_code, outcome.served_by) == (200, 1), case.name
        assert "[DONE]" not in outcome.answer.text, case.name
        assert outcome.error["code"] == ("upstream_timeout" if case.name == "stalled" else "upstream_failed")
        [attempt] = outcome.error["attempts"]
        assert (attempt["attempt"], attempt["supplier"]) == (1, f"{case.name}-at-1")
        assert lines_of(told, case.name) == [("cut", 200)], case.name
    passed = {case.name: len(outcome.events) for case, outcome in zip(BROKEN_CASES, outcomes, strict=True)}
    assert passed["cut"] >= 40
    assert passed["unfinished"] >= 60
    tokens = {each.asked_for: each.attempts[0].tokens for each in told}
    assert 35 <= (tokens["cut"].output or 0) <= 60
    assert all(tokens[name].is_estimated for name in ("cut", "stalled", "malformed"))


async def test_where_nothing_helps_the_end_is_honest(simulator: Simulator, tmp_path: Path, bus: LocalBus) -> None:
    cases = Cases(simulator, *HOPELESS_CASES)
    async with listening(bus) as listener, running_router(tmp_path, cases.seed, nats_url=bus.url, **LIMITS) as router:
        outcomes = await asyncio.gather(*(cases.ask(router, case) for case in HOPELESS_CASES))
        told = await listener.heard(len(HOPELESS_CASES))

    for case, outcome in zip(HOPELESS_CASES, outcomes, strict=True):
        kind = case.name.rpartition("-")[0]
        error = outcome.answer.json()["error"]
        assert (outcome.answer.status_code, error["code"]) == {
            "all-429": (502, "upstream_credentials_exhausted"),
            "all-503": (502, "upstream_failed"),
            "all-hang": (504, "upstream_timeout"),
            "mixed": (502, "upstream_failed"),
        }[kind], case.name
        assert outcome.answer.headers.get("retry-after") == ("7" if kind == "all-429" else None), case.name
        suppliers = [(each["attempt"], each["supplier"]) for each in error["attempts"]]
        assert suppliers == [(place, f"{case.name}-at-{place}") for place in range(1, len(case.faults) + 1)]
        assert "sim-" not in outcome.answer.text, case.name
        assert [outcome for outcome, _ in lines_of(told, case.name)] == ["failed"] * len(case.faults), case.name


async def test_a_request_that_is_at_fault_is_told_so_in_the_suppliers_words_and_asked_of_nobody_else(
    simulator: Simulator, tmp_path: Path
) -> None:
    faults = {"too-long": Fault(context_length_exceeded=True), "filtered": Fault(content_filter=True)}
    asked = [
        Case(f"{name}-{stream}", (fault, None), stream) for name, fault in faults.items() for stream in (False, True)
    ]
    cases = Cases(simulator, *asked)
    async with running_router(tmp_path, cases.seed, **LIMITS) as router:
        outcomes = [await cases.ask(router, case) for case in asked]

    codes = [(each.answer.status_code, each.answer.json()["error"]["code"]) for each in outcomes]
    assert codes == [(400, "context_length_exceeded")] * 2 + [(400, "content_filter")] * 2
    assert not simulator.openrouter.exchanges


async def test_a_fallback_that_refuses_a_prefilled_turn_makes_way_for_the_next(
    simulator: Simulator, tmp_path: Path
) -> None:
    down, refuses = Fault(status=500), Fault(refuse_prefill=True)
    asked = [
        *(Case(f"mended-{stream}", (down, refuses, None), stream, fields=PREFILLED) for stream in (True, False)),
        Case("all-refuse", (refuses, refuses), fields=PREFILLED),
        Case("nobody-left", (down, refuses), fields=PREFILLED),
    ]
    cases = Cases(simulator, *asked)
    async with running_router(tmp_path, cases.seed, **LIMITS) as router:
        outcomes = {case.name: await cases.ask(router, case) for case in asked}

    assert [outcomes[name].served_by for name in ("mended-True", "mended-False")] == [3, 3]
    assert outcomes["all-refuse"].answer.status_code == 400
    told = outcomes["nobody-left"]
    assert (told.answer.status_code, told.error["code"]) == (502, "upstream_failed")
    assert [each["failure"] for each in told.error["attempts"]] == ["answered 500", "answered 400 (unable)"]


@pytest.mark.timeout(FLAPPING_S + 120)
async def test_a_supplier_that_flaps_under_load_costs_no_request_and_every_attempt_is_told(
    simulator: Simulator, tmp_path: Path, bus: LocalBus
) -> None:
    flapping = Case("flapping", (None, None))
    cases, until = Cases(simulator, flapping), asyncio.get_running_loop().time() + FLAPPING_S
    codes = Counter[int]()

    async def call(router: RunningRouter) -> None:
        while asyncio.get_running_loop().time() < until:
            codes[(await cases.ask(router, flapping)).answer.status_code] += 1

    async def flap() -> None:
        while asyncio.get_running_loop().time() < until:
            simulator.openai.behave(*([] if simulator.openai.behaviours else [Rule(fault=Fault(status=503))]))
            await asyncio.sleep(0.05)

    async with listening(bus) as listener, running_router(tmp_path, cases.seed, nats_url=bus.url) as router:
        await asyncio.gather(flap(), *(call(router) for _ in range(8)))
        told = await listener.heard(codes.total())

    attempts = Counter(outcome for outcome in lines_of(told, "flapping"))
    assert set(codes) == {200}
    assert len({request.id for request in told}) == len(told) == codes.total()
    assert attempts["ok", 200] == codes.total()
    assert attempts["failed", 503] > 0
    assert attempts.total() == simulator.openai.counts["chat"] + simulator.openrouter.counts["chat"]


def _each(outcomes: list[Outcome]) -> list[tuple[Case, Outcome]]:
    return list(zip(MENDED_CASES, outcomes, strict=True))
