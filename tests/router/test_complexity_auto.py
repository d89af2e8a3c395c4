"""`auto` over a real socket: levels choose the models, conversations keep them, and a judge may be asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelbus.chassis.ids import new_id
from modelbus.contracts import routing
from modelbus.contracts.usage import RequestRecord
from modelbus.simulator import Fault, Simulator
from router.routers import KEY, RunningRouter, running_router
from router.seeding import Seed
from router.suppliers import read_request, supplier
from router.test_complexity_conversations import HARD
from router.test_usage import Listener, listening
from testing_bus import LocalBus

GREETING, ORDINARY = "hi", "Write a Python function that returns the n-th Fibonacci number."
NAMES = ("small", "middle", "large", "judge")


class Levelled:
    """A small model for trivial requests, a middle one for medium ones, a large one for expert ones, and a judge."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.seed = Seed()
        self.seed.key(KEY)
        self.acme = self.seed.supplier("acme", simulator.base_url(simulator.openai))
        self.seed.credential(self.acme, "sim-openai-key-1")
        simulator.openai.serve_names(*NAMES)
        self.models = {name: self.seed.model(name) for name in NAMES}
        self.sources = {name: self.seed.source(model, self.acme, name) for name, model in self.models.items()}
        self._routing_id = new_id()
        self.put()

    def put(self, **classifier: Any) -> None:
        levels = {"trivial": "small", "medium": "middle", "expert": "large"}
        self.seed.put(
            routing.ComplexityRecord(
                id=self._routing_id,
                name="default",
                is_active=True,
                levels=[
                    routing.ComplexityLevelRecord(level=level, model_ids=[self.models[model].id])
                    for level, model in levels.items()
                ],
                classifier=routing.ClassifierRecord(**classifier) if classifier else None,
            )
        )

    def judged(self, timeout_ms: int = 5000, *, is_sticky: bool = True) -> None:
        thresholds = [0.2, 0.4, 0.6, 0.8]
        judge = self.models["judge"].id
        self.put(thresholds=thresholds, is_sticky=is_sticky, judge_model_id=judge, judge_timeout_ms=timeout_ms)

    def lose(self, name: str) -> None:
        source = self.sources[name]
        self.seed.put(source.model_copy(update={"is_available": False, "reason": "delisted"}))

    def judge_says(self, words: str) -> None:
        choices = [{"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}]
        usage = {"prompt_tokens": 200, "completion_tokens": 1, "total_tokens": 201}
        body = {"id": "j", "object": "chat.completion", "created": 1, "model": "judge", "choices": choices}
        self.simulator.openai.misbehave(Fault(status=200, body=body | {"usage": usage}), model="judge")

    def asked(self) -> list[str | None]:
        """The models that were called, in turn."""
        return [exchange.model for exchange in self.simulator.openai.exchanges]


@pytest.fixture
def levelled(simulator: Simulator) -> Levelled:
    return Levelled(simulator)


@pytest.fixture
async def listener(bus: LocalBus) -> AsyncIterator[Listener]:
    async with listening(bus) as hearing:
        yield hearing


async def ask(router: RunningRouter, *texts: str, headers: dict[str, str] | None = None) -> httpx.Response:
    """Ask as a user who has this conversation."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    body = {"model": "auto", "messages": messages}
    return await router.http.post("/v1/chat/completions", json=body, headers=headers or {})


def level(answer: httpx.Response) -> str:
    return str(answer.raise_for_status().headers["x-modelbus-level"])


async def test_each_request_is_served_by_the_models_of_its_level(levelled: Levelled, tmp_path: Path) -> None:
    async with running_router(tmp_path, levelled.seed) as router:
        levels = [level(await ask(router, text)) for text in (GREETING, ORDINARY, HARD)]
        body = {"model": "auto", "max_tokens": 9, "messages": [{"role": "user", "content": HARD}]}
        message = await router.http.post("/v1/messages", json=body)

    assert levels == ["trivial", "medium", "expert"]
    assert level(message) == "expert"
    assert levelled.asked() == ["small", "middle", "large", "large"]


async def test_where_a_level_has_no_model_the_next_harder_one_serves_and_then_the_easier_ones(
    levelled: Levelled, tmp_path: Path
) -> None:
    levelled.lose("small")
    levelled.lose("large")

    async with running_router(tmp_path, levelled.seed) as router:
        levels = [level(await ask(router, text)) for text in (GREETING, HARD)]

    assert levels == ["trivial", "expert"]
    assert levelled.asked() == ["middle", "middle"]


async def test_a_failing_model_is_followed_by_that_of_the_next_level(levelled: Levelled, tmp_path: Path) -> None:
    levelled.simulator.openai.misbehave(Fault(status=500), model="small")

    async with running_router(tmp_path, levelled.seed) as router:
        answer = await ask(router, GREETING)

    assert (level(answer), answer.headers["x-modelbus-attempts"]) == ("trivial", "2")
    assert levelled.asked() == ["small", "middle"]


async def test_a_conversation_keeps_its_level_and_another_does_not_get_it(levelled: Levelled, tmp_path: Path) -> None:
    async with running_router(tmp_path, levelled.seed) as router:
        first = level(await ask(router, GREETING))
        risen = level(await ask(router, GREETING, "hello", HARD))
        kept = level(await ask(router, GREETING, "hello", HARD, "so", "thanks"))
        other = level(await ask(router, GREETING, "good day", "thanks"))

    assert [first, risen, kept, other] == ["trivial", "expert", "expert", "trivial"]


async def test_a_conversation_may_be_named_in_a_header(levelled: Levelled, tmp_path: Path) -> None:
    async with running_router(tmp_path, levelled.seed) as router:
        named = {"X-Modelbus-Conversation": "c1"}
        await ask(router, HARD, headers=named)
        kept = level(await ask(router, "thanks", headers=named))
        other = level(await ask(router, "thanks", headers={"X-Modelbus-Conversation": "c2"}))
        refused = await ask(router, "thanks", headers={"X-Modelbus-Conversation": "c" * 257})

    assert (kept, other) == ("expert", "trivial")
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "x-modelbus-conversation"


async def test_explaining_tells_the_level_and_what_made_it(levelled: Levelled, tmp_path: Path) -> None:
    async with running_router(tmp_path, levelled.seed) as router:
        body = {"model": "auto", "messages": [{"role": "user", "content": HARD}]}
        explanation = (await router.http.post("/api/v1/explain", json=body)).raise_for_status().json()

    ruling = explanation["ruling"]
    assert (explanation["kind"], ruling["level"], ruling["by"]) == ("complexity", "expert", "prompt")
    assert ruling["score"] > 0.76
    assert next(iter(ruling["shares"])) == "proof"
    assert [candidate["model"] for candidate in explanation["candidates"]] == ["large", "middle", "small"]
    assert levelled.asked() == []


async def test_explaining_goes_by_the_conversation_and_leaves_it_where_it_is(
    levelled: Levelled, tmp_path: Path
) -> None:
    named = {"X-Modelbus-Conversation": "c1"}
    risen = [{"role": "user", "content": GREETING}, {"role": "assistant", "content": "hello"}]
    risen.append({"role": "user", "content": HARD})
    follows = [*risen, {"role": "assistant", "content": "so"}, {"role": "user", "content": "thanks"}]

    async with running_router(tmp_path, levelled.seed) as router:

        async def explained(messages: list[Any], headers: dict[str, str]) -> tuple[str, str]:
            # With spaces, as most clients write JSON: by its bytes a request belongs to what was said before.
            body = json.dumps({"model": "auto", "messages": messages})
            headers = {"Content-Type": "application/json", **headers}
            answer = await router.http.post("/api/v1/explain", content=body, headers=headers)
            ruling = answer.raise_for_status().json()["ruling"]
            return ruling["level"], ruling["by"]

        await ask(router, HARD, headers=named)
        by_name = await explained([{"role": "user", "content": "thanks"}], named)
        spaced = json.dumps({"model": "auto", "messages": risen})
        await router.http.post("/v1/chat/completions", content=spaced, headers={"Content-Type": "application/json"})
        by_history = await explained(follows, {})
        other = {"X-Modelbus-Conversation": "c2"}
        await explained([{"role": "user", "content": HARD}], other)
        untouched = level(await ask(router, "thanks", headers=other))

    assert (by_name, by_history) == (("expert", "conversation"), ("expert", "conversation"))
    assert untouched == "trivial"


async def test_a_form_goes_to_the_medium_level_as_nothing_of_it_is_read(
    levelled: Levelled, tmp_path: Path, bus: LocalBus
) -> None:
    form: Any = {"files": {"file": ("a.wav", b"RIFF")}, "data": {"model": "auto"}}
    async with listening(bus) as listener, running_router(tmp_path, levelled.seed, nats_url=bus.url) as router:
        await router.http.post("/v1/audio/transcriptions", **form)
        [request] = await listener.heard(1)

    # The simulator hears no sound, so that each is asked in turn.
    assert [attempt.source_id for attempt in request.attempts] == [
        levelled.sources[name].id for name in ("middle", "large", "small")
    ]
    assert request.level is None


async def test_thresholds_and_stickiness_are_those_of_the_catalog(levelled: Levelled, tmp_path: Path) -> None:
    levelled.put(thresholds=[0.1, 0.2, 0.3, 0.4], is_sticky=False)

    async with running_router(tmp_path, levelled.seed) as router:
        levels = [level(await ask(router, *texts)) for texts in ([ORDINARY], [ORDINARY, "so", GREETING])]

    assert levels == ["expert", "trivial"]


async def test_the_level_and_the_question_to_the_judge_are_told_with_the_usage(
    levelled: Levelled, tmp_path: Path, listener: Listener, bus: LocalBus
) -> None:
    levelled.judged()
    levelled.judge_says("This one is: Expert.")
    async with running_router(tmp_path, levelled.seed, nats_url=bus.url) as router:
        answer = await ask(router, GREETING)
        plain = await router.complete(model="small")
        told = {request.asked_for: request for request in await listener.heard(3)}

    judged, auto = told[str(levelled.models["judge"].id)], told["auto"]
    assert (level(answer), plain.headers.get("x-modelbus-level")) == ("expert", None)
    assert levelled.asked() == ["judge", "large", "small"]
    assert (auto.level, auto.judged_request_id, told["small"].level) == ("expert", None, None)
    assert judged.judged_request_id == auto.id
    assert (judged.outcome, judged.charge, judged.level) == ("ok", Decimal(0), None)
    assert (judged.attempts[0].tokens.input, judged.access_key_id) == (200, auto.access_key_id)


async def test_the_judge_is_asked_of_what_the_user_said_once_per_conversation(
    levelled: Levelled, tmp_path: Path
) -> None:
    levelled.judged()
    levelled.judge_says("medium")
    async with running_router(tmp_path, levelled.seed) as router:
        await ask(router, "the first words")
        levels = [
            level(await ask(router, "the first words", "so", GREETING)),
            level(await ask(router, "the first words", "so", HARD)),
        ]
        counted = await router.http.post(
            "/v1/messages/count_tokens",
            json={"model": "auto", "messages": [{"role": "user", "content": "other words"}]},
        )

    questions = [exchange for exchange in levelled.simulator.openai.exchanges if exchange.model == "judge"]
    assert (levels, counted.status_code) == (["medium", "expert"], 200)
    assert len(questions) == 1
    assert b"the first words" in questions[0].body


@pytest.mark.parametrize(
    "fault",
    [
        Fault(accept_and_hang=True),
        Fault(status=500),
        Fault(status=400),
        Fault(truncated_json=True),
        Fault(reset_before_headers=True),
        Fault(),
    ],
    ids=["hangs", "fails", "refuses", "is cut", "is reset", "says something else"],
)
async def test_whatever_happens_to_the_judge_the_request_is_served_by_the_local_answer(
    levelled: Levelled, tmp_path: Path, fault: Fault
) -> None:
    levelled.judged(timeout_ms=1000)
    levelled.simulator.openai.misbehave(fault, model="judge")
    async with running_router(tmp_path, levelled.seed) as router:
        levels = [level(await ask(router, text)) for text in (GREETING, HARD)]

    assert levels == ["trivial", "expert"]
    assert levelled.asked() == ["judge", "small", "large"], "a judge that gave no level is left alone for a while"


async def test_a_judge_that_says_what_is_not_utf_8_is_not_heard(levelled: Levelled, tmp_path: Path) -> None:
    said = b'{"choices":[{"message":{"content":"expert \xff"},"finish_reason":"stop"}]}'

    async def conduct(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        writer.write(head % len(said) + said)

    async with supplier(conduct) as place:
        strange = levelled.seed.supplier("strange", place.base_url, requires_credential=False)
        levelled.seed.source(levelled.models["judge"], strange, "judge")
        levelled.lose("judge")
        levelled.judged()
        async with running_router(tmp_path, levelled.seed) as router:
            answer = await ask(router, GREETING)

    assert (answer.status_code, level(answer)) == (200, "trivial")


async def test_a_judge_that_is_not_available_or_not_for_the_caller_changes_nothing(
    levelled: Levelled, tmp_path: Path, listener: Listener, bus: LocalBus
) -> None:
    levelled.judged()
    levelled.lose("judge")
    async with running_router(tmp_path, levelled.seed, nats_url=bus.url) as router:
        answer = await ask(router, GREETING)
        told: list[RequestRecord] = await listener.heard(2)

    assert level(answer) == "trivial"
    assert [(each.status, each.outcome) for each in told if each.judged_request_id] == [(503, "failed")]


async def test_a_judge_may_be_a_model_that_the_caller_may_not_call(levelled: Levelled, tmp_path: Path) -> None:
    levelled.judged()
    levelled.judge_says("hard")
    allowed = [model.id for name, model in levelled.models.items() if name != "judge"]
    levelled.seed.records["access_key"].clear()
    levelled.seed.key(KEY, model_ids=allowed)

    async with running_router(tmp_path, levelled.seed) as router:
        answer = await ask(router, GREETING)

    assert level(answer) == "hard"
