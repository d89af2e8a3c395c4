"""Traffic of all kinds at one router: who asks for what, who leaves when, and a ledger of what must be told of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any
from uuid import UUID

import httpx
from nats.aio.msg import Msg

from modelbus.contracts import records
from modelbus.contracts.event import read_event
from modelbus.contracts.usage import RequestRecord, UsageRecorded
from modelbus.simulator import Simulator
from router.claude import CLAUDE, GPT
from router.routers import KEY, MESSAGES
from router.seeding import Seed, a_shadow, an_arm
from testing_bus import LocalBus

LIMITED, WRONG = "mb-limited", "mb-wrong"
CHAIN, SPLIT, SLOW, VECTORS = "chain", "split", "slow", "text-embedding-3-small"
LEAVES_AFTER_S = 0.1
"""Before an answer of the slow model begins."""
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
_TOOLS = {
    "tools": [{"type": "function", "function": {"name": "weather", "parameters": _PARAMETERS}}],
    "tool_choice": "required",
}
_CLAUDES_TOOLS = {"tools": [{"name": "weather", "input_schema": _PARAMETERS}], "tool_choice": {"type": "any"}}
_CHAT, _MESSAGES, _EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
_SAID: dict[str, Any] = {"messages": MESSAGES, "max_tokens": 50}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (_CHAT, _SAID | {"model": GPT}),
    "chat with Anthropic": (_CHAT, _SAID | {"model": CLAUDE}),
    "messages": (_MESSAGES, _SAID | {"model": CLAUDE}),
    "messages with OpenAI": (_MESSAGES, _SAID | {"model": GPT}),
    "tools": (_CHAT, _SAID | _TOOLS | {"model": GPT}),
    "tools with Anthropic": (_CHAT, _SAID | _TOOLS | {"model": CLAUDE}),
    "tools with OpenAI": (_MESSAGES, _SAID | _CLAUDES_TOOLS | {"model": GPT}),
    "responses": ("/v1/responses", {"model": GPT, "input": "one two three"}),
    "embeddings": (_EMBEDDINGS, {"model": VECTORS, "input": ["one two", "three"]}),
    "chain": (_CHAT, _SAID | {"model": CHAIN}),
    "split": (_MESSAGES, _SAID | {"model": SPLIT}),
    "slow": (_CHAT, _SAID | {"model": SLOW}),
}


@dataclass(frozen=True, slots=True)
class Catalog:
    """What is asked for, at three suppliers of two protocols."""

    seed: Seed
    suppliers: dict[UUID, str]
    """Which provider plays which."""
    changed: records.SourceRecord


def a_catalog(simulator: Simulator) -> Catalog:
    """Seed it."""
    seed = Seed()
    seed.key(KEY)
    seed.key(LIMITED, rpm_limit=10)
    acme = seed.supplier("acme", simulator.base_url(simulator.openai))
    beta = seed.supplier("beta", simulator.base_url(simulator.openrouter))
    claudes = seed.supplier("claudes", simulator.base_url(simulator.anthropic), protocol="anthropic")
    suppliers = {}
    for supplier, provider in ((acme, simulator.openai), (beta, simulator.openrouter), (claudes, simulator.anthropic)):
        seed.credential(supplier, f"sim-{provider.name}-key-1")
        suppliers[supplier.id] = provider.name
    gpt, claude = seed.model(GPT), seed.model(CLAUDE)
    seed.source(gpt, acme, GPT, priority=1)
    at_beta = seed.source(gpt, beta, f"openai/{GPT}", priority=2)
    seed.source(claude, claudes, CLAUDE)
    seed.source(seed.model(SLOW), acme, SLOW)
    seed.source(seed.model(VECTORS, model_type="embedding"), acme, VECTORS)
    seed.chain(CHAIN, claude, gpt)
    seed.split(SPLIT, an_arm("a", gpt), an_arm("b", claude), shadows=[a_shadow("copy", claude)])
    return Catalog(seed, suppliers, at_beta)


class Calls:
    """Each call by its trace, until it is told: once, and with the status that its caller saw."""

    def __init__(self) -> None:
        self.asked: dict[str, int | None] = {}
        """Calls that are over and not told, with the status unless their caller left before it."""
        self.told: dict[str, int] = {}
        """What was told and is not over; at the end, what was told twice, or was asked by nobody."""
        self.wrong: list[tuple[int | None, int]] = []
        self.split: set[UUID] = set()
        """Requests of the split."""
        self.copies: dict[UUID, UUID] = {}
        """Of them: which request each copies."""
        self.attempts: Counter[UUID] = Counter()
        self.answered: Counter[UUID] = Counter()
        """Attempts by supplier: all, and those that had a status."""
        self.outcomes: Counter[str] = Counter()

    def end(self, trace: str, status: int | None) -> None:
        """A caller has had its answer, or has left."""
        self.asked[trace] = status
        self._settle(trace)

    def hear(self, record: RequestRecord) -> None:
        """Take what is told of a call, or of a copy."""
        if record.shadowed_request_id is not None:
            self.copies[record.id] = record.shadowed_request_id
        elif record.trace_id is None:
            return
        else:
            self.outcomes[record.outcome] += 1
            if record.split_id is not None:
                self.split.add(record.id)
            trace = record.trace_id if record.trace_id not in self.told else f"{record.trace_id} again"
            self.told[trace] = record.status
            self._settle(trace)
        for attempt in record.attempts:
            self.attempts[attempt.supplier_id] += 1
            self.answered[attempt.supplier_id] += attempt.status is not None

    def _settle(self, trace: str) -> None:
        if trace in self.asked and trace in self.told:
            seen, told = self.asked.pop(trace), self.told.pop(trace)
            if seen not in {None, told}:
                self.wrong.append((seen, told))


@asynccontextmanager
async def hearing(bus: LocalBus, calls: Calls) -> AsyncIterator[None]:
    """Hear the usage as another team would, and keep no more of it than must be."""
    client = await bus.client()

    async def hear(message: Msg) -> None:
        for record in read_event(UsageRecorded, message.data).requests:
            calls.hear(record)

    await client.jetstream().subscribe(UsageRecorded.type, cb=hear, ordered_consumer=True)
    yield
    await client.close()


class Callers:
    """They ask for anything in any way, again and again, and some leave."""

    def __init__(self, url: str, calls: Calls, *, until: float, rest_s: float) -> None:
        self._url, self._calls = url, calls
        self._until, self._rest_s = until, rest_s
        self.count = 0
        self.ways: Counter[str] = Counter()
        self.refused: Counter[int] = Counter()
        self.left: Counter[str] = Counter()

    async def call(self, seed: int) -> None:
        """Be one of them."""
        chance = Random(seed)
        async with httpx.AsyncClient(base_url=self._url, timeout=20) as http:
            while asyncio.get_running_loop().time() < self._until:
                await self._ask(http, chance)
                await asyncio.sleep(self._rest_s)

    async def _ask(self, http: httpx.AsyncClient, chance: Random) -> None:
        way = chance.choice(tuple(WAYS))
        key = chance.choices((KEY, LIMITED, WRONG), (85, 10, 5))[0]
        is_stream = way != "embeddings" and chance.random() < 0.5
        leaves = chance.choice(("late", "at once", "within")) if key == KEY and chance.random() < 0.5 else "late"
        trace = f"{chance.getrandbits(128):032x}"
        self.count += 1
        self.ways[way] += 1
        # Who is not let in leaves no record.
        answer = await self._answer(http, way, key, trace, is_stream=is_stream, leaves=leaves)
        if answer is None or "x-modelbus-attempts" in answer.headers:
            self._calls.end(trace, answer.status_code if answer else None)
        else:
            self.refused[answer.status_code] += 1

    async def _answer(
        self, http: httpx.AsyncClient, way: str, key: str, trace: str, *, is_stream: bool, leaves: str
    ) -> httpx.Response | None:
        """Answer what was answered, whole or not; None to a caller that left before."""
        path, body = WAYS[way]
        headers = {"Authorization": f"Bearer {key}", "traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
        begun, when = None, f"before {'a stream' if is_stream else 'an answer'}"

        async def begin_to_wait(step: str, _told: object) -> None:
            # Nobody hears of a request that did not go out.
            if step == "http11.send_request_body.complete" and leaves == "at once":
                patience.reschedule(asyncio.get_running_loop().time() + LEAVES_AFTER_S)

        asked = http.stream(
            "POST",
            path,
            json=body | {"stream": True} if is_stream else body,
            headers=headers,
            extensions={"trace": begin_to_wait},
        )
        try:
            async with asyncio.timeout(None) as patience, asked as answer:
                begun, when = answer, "within"
                async for _ in answer.aiter_bytes():
                    if leaves == "within" and is_stream:
                        self.left[when] += 1
                        break
        except TimeoutError:
            self.left[when] += 1
        return begun
