"""A steady load: an administrator at each catalog, a caller at each router, listings asked for now and then.

And somebody who disables and enables the only source of a step of the default chain, so that findings come and go.
"""

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
BREAKS = "meta-llama/llama-3.1-70b-instruct"
"""Of one source, and named by a chain, levels of complexity and a scope, in none of which it is the only one."""
BREAK_REST_S = 1.0
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
class Broken:
    """What an administrator knows of a source that is disabled and enabled again and again."""

    source_id: str = ""
    confirmed: bool = True
    """Whether it is enabled, as was answered last."""
    unknown: set[bool] = field(default_factory=set)
    """The same, of later changes whose answer was lost."""


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

    def __init__(self, rig: Rig, *, slower: float = 1.0) -> None:
        self._rig = rig
        self._slower = slower
        self._run = uuid4().hex[:8]
        self.is_over = False
        self.written: list[Written] = []
        self.broken = Broken()
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
            self._break(),
        ]

    def forget(self) -> None:
        """Expect nothing of what was done so far: the database was brought back to an earlier state."""
        for model in self.written:
            model.unknown |= set(range(model.confirmed + 1))
        self.broken.unknown = {True, False}
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
            await asyncio.sleep(self._slower * REST_S)

    async def _create(self, http: httpx.AsyncClient, model: Written) -> None:
        body = {"name": model.name, "description": "0"}
        # Nothing is wrong yet: on a slow machine it is waited for as long as the client does.
        answer = await http.post("/api/v1/models", json=body)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        self.commits_at[model.catalog] += self._is_made(answer)

    async def _change(self, http: httpx.AsyncClient, model: Written, number: int) -> None:
        model.unknown.add(number)
        try:
            answer = await http.patch(
                f"/api/v1/models/{model.name}", json={"description": str(number)}, timeout=PATIENCE_S
            )
        except httpx.TransportError as error:
            self.refused_writes[type(error).__name__] += 1
            return
        if self._is_made(answer):
            # A change before it that was not answered can't be made any more: it was told to end, or has ended.
            model.confirmed = number
            model.unknown.clear()
            self.commits_at[model.catalog] += 1

    def _is_made(self, answer: httpx.Response) -> bool:
        """Note what became of a change."""
        if answer.is_success:
            # What had been made by a change of which the answer was lost takes no revision.
            if revision := answer.headers.get("x-modelbus-revision"):
                self.commits[int(revision)] = time.monotonic()
        else:
            self.refused_writes[str(answer.status_code)] += 1
            assert answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR, answer.text
        return answer.is_success

    async def _break(self) -> None:
        http = self._rig.http("catalog")
        model = (await http.get(f"/api/v1/models/{BREAKS}")).json()
        found = await http.get("/api/v1/sources", params={"model_id": model["id"]})
        [source] = found.json()["items"]
        self.broken = Broken(source["id"], source["is_enabled"])
        while not self.is_over:
            await self._switch(http, is_enabled=not self.broken.confirmed)
            await asyncio.sleep(self._slower * BREAK_REST_S)
        # It ends broken, so that there are findings to compare.
        while self.broken.confirmed or self.broken.unknown:
            await self._switch(http, is_enabled=False)

    async def _switch(self, http: httpx.AsyncClient, *, is_enabled: bool) -> None:
        self.broken.unknown.add(is_enabled)
        path = f"/api/v1/sources/{self.broken.source_id}/{'enable' if is_enabled else 'disable'}"
        try:
            answer = await http.post(path, params={} if is_enabled else {"force": "true"}, timeout=PATIENCE_S)
        except httpx.TransportError as error:
            self.refused_writes[type(error).__name__] += 1
            return
        if self._is_made(answer):
            self.broken.confirmed = is_enabled
            self.broken.unknown.clear()

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
                await asyncio.sleep(self._slower * REST_S)

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
            await asyncio.sleep(self._slower * SYNC_REST_S)


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
async def under_load(rig: Rig, *, slower: float = 1.0) -> AsyncIterator[Load]:
    """Keep the load on during the block; whoever works rests so many times as long as usual."""
    load = Load(rig, slower=slower)
    # A group, so that a load that has ended by a fault of its own is not waited for.
    async with asyncio.TaskGroup() as group:
        for work in load.work():
            group.create_task(work)
        try:
            yield load
        finally:
            load.is_over = True
