"""A steady load: an administrator at each catalog, a caller at each router, and listings asked for now and then."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import httpx2
import openai

from faults.rig import CATALOGS, ROUTERS, Rig

HELLO: Any = [{"role": "user", "content": "Hello"}]
MODELS = ("openai/gpt-4o-mini", "default-chat")
SUPPLIER = "openai-direct"
WRITTEN = 5
"""Models that each administrator changes again and again."""
REST_S = 0.08
"""Between two things that one of them does."""
SYNC_REST_S = 1.5
PATIENCE_S = 5.0
OVERLOADED = frozenset({429, 503})


@dataclass
class Written:
    """What an administrator knows of one model."""

    name: str
    catalog: str
    confirmed: int = 0
    """The newest change that was answered; it must not be lost."""
    unknown: set[int] = field(default_factory=set)
    """Later changes whose answer was lost: they may have been made or not."""


@dataclass
class Calls:
    """What a user of one router saw."""

    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Honest refusals of the router, by code."""
    failed: Counter[str] = field(default_factory=Counter)
    """Calls without an answer, by what was seen of it."""
    ids: set[str] = field(default_factory=set)
    """Of answered requests."""
    longest_s: float = 0.0
    """Until an answer, the longest."""

    @property
    def asked(self) -> int:
        """How many calls ended."""
        return self.answered + self.refused.total() + self.failed.total()


class Load:
    """Works on a rig until it is stopped; what is under way then is brought to its end."""

    def __init__(self, rig: Rig, *, rest_s: float = REST_S) -> None:
        self._rig = rig
        self._rest_s = rest_s
        self._run = uuid4().hex[:8]
        self.is_over = False
        self.written: list[Written] = []
        self.commits: dict[int, float] = {}
        """Revision -> when its change was answered (monotonic)."""
        self.commits_at: Counter[str] = Counter()
        self.refused_writes: Counter[str] = Counter()
        self.calls = {router: Calls() for router in ROUTERS}
        self.runs: set[str] = set()
        """Runs of sync that were promised."""

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """Answer what there is to do, all of it at the same time."""
        return [
            *(self._write(catalog) for catalog in CATALOGS),
            *(self._call(router) for router in ROUTERS),
            self._sync(),
        ]

    def forget(self) -> None:
        """Expect nothing of what was done so far: the database was brought back to an earlier state."""
        for model in self.written:
            model.unknown |= set(range(model.confirmed + 1))
        self.commits.clear()
        self.runs.clear()

    async def _write(self, catalog: str) -> None:
        http = self._rig.http(catalog)
        mine = [Written(f"load/{catalog}-{self._run}-{number}", catalog) for number in range(WRITTEN)]
        for model in mine:
            await self._create(http, model)
        self.written += mine
        number = 0
        while not self.is_over:
            number += 1
            await self._change(http, mine[number % len(mine)], number)
            await asyncio.sleep(self._rest_s)

    async def _create(self, http: httpx.AsyncClient, model: Written) -> None:
        body = {"name": model.name, "description": "0"}
        answer = await http.post("/api/v1/models", json=body, timeout=PATIENCE_S)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self._note_commit(model.catalog, answer)

    async def _change(self, http: httpx.AsyncClient, model: Written, number: int) -> None:
        model.unknown.add(number)
        try:
            answer = await http.patch(
                f"/api/v1/models/{model.name}", json={"description": str(number)}, timeout=PATIENCE_S
            )
        except httpx.TransportError as error:
            self.refused_writes[type(error).__name__] += 1
            return
        if answer.is_success:
            # A change before it that was not answered can't be made any more: it was told to end, or has ended.
            model.confirmed = number
            model.unknown.clear()
            self._note_commit(model.catalog, answer)
        else:
            self.refused_writes[str(answer.status_code)] += 1
            assert answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR, answer.text

    def _note_commit(self, catalog: str, answer: httpx.Response) -> None:
        self.commits[int(answer.headers["x-modelbus-revision"])] = time.monotonic()
        self.commits_at[catalog] += 1

    async def _call(self, router: str) -> None:
        calls, number = self.calls[router], 0
        async with self._rig.caller(router) as client:
            while not self.is_over:
                number += 1
                began = time.monotonic()
                try:
                    request_id = await ask(client, MODELS[number % len(MODELS)], is_stream=number % 4 == 0)
                except openai.APIStatusError as error:
                    calls.refused[f"{error.status_code} {error.code}"] += 1
                except openai.APIError as error:
                    calls.failed[type(error).__name__] += 1
                except httpx2.TransportError as error:
                    # A stream that broke off.
                    calls.failed[type(error).__name__] += 1
                else:
                    calls.answered += 1
                    calls.ids.add(request_id)
                    calls.longest_s = max(calls.longest_s, time.monotonic() - began)
                await asyncio.sleep(self._rest_s)

    async def _sync(self) -> None:
        http, supplier = self._rig.http("catalog"), (await self._rig.supplier(SUPPLIER))["id"]
        while not self.is_over:
            try:
                asked = await http.post(f"/api/v1/suppliers/{supplier}/sync", timeout=PATIENCE_S)
            except httpx.TransportError as error:
                self.refused_writes[type(error).__name__] += 1
            else:
                if asked.status_code == httpx.codes.ACCEPTED:
                    self.runs.add(asked.json()["run_id"])
                else:
                    self.refused_writes[str(asked.status_code)] += 1
            await asyncio.sleep(SYNC_REST_S)


async def ask(client: openai.AsyncOpenAI, model: str, *, is_stream: bool) -> str:
    """Have a model say hello, and answer the id of the request once the last of it has come.

    Raises:
        openai.OpenAIError, httpx2.TransportError: it did not.
    """
    if is_stream:
        raw = await client.chat.completions.with_raw_response.create(model=model, messages=HELLO, stream=True)
        pieces = [piece async for piece in raw.parse()]
        assert any(piece.choices and piece.choices[0].finish_reason for piece in pieces)
    else:
        raw_whole = await client.chat.completions.with_raw_response.create(model=model, messages=HELLO)
        assert raw_whole.parse().choices[0].message.content
        return str(raw_whole.headers["x-request-id"])
    return str(raw.headers["x-request-id"])


@asynccontextmanager
async def under_load(rig: Rig, *, rest_s: float = REST_S) -> AsyncIterator[Load]:
    """Keep the load on during the block."""
    load = Load(rig, rest_s=rest_s)
    # A group, so that a load that has ended by a fault of its own is not waited for.
    async with asyncio.TaskGroup() as group:
        for work in load.work():
            group.create_task(work)
        try:
            yield load
        finally:
            load.is_over = True
