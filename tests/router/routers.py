"""Routers for tests: in this process, with the catalog and the bus away unless a test brings them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import AsyncOpenAI

from modelbus.router.app import create_app
from modelbus.router.settings import Settings
from router.seeding import Seed
from running import ADMIN_TOKEN, MASTER_KEY, SERVICE_TOKEN, free_port, serving

KEY = "mb-test-key"
MESSAGES: list[Any] = [{"role": "user", "content": "one two three"}]
PROMPT: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}


@dataclass(frozen=True, slots=True)
class RunningRouter:
    """A router and two ways to talk to it."""

    url: str
    http: httpx.AsyncClient
    """Shows the access key."""
    sdk: AsyncOpenAI

    async def complete(self, **fields: Any) -> httpx.Response:
        return await self.http.post("/v1/chat/completions", json=PROMPT | fields)

    async def cache(self) -> dict[str, Any]:
        answer = await self.http.get("/api/v1/cache", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        shown: dict[str, Any] = answer.raise_for_status().json()
        return shown


def router_settings(state_dir: Path, **fields: Any) -> Settings:
    away = f"127.0.0.1:{free_port()}"
    usual: dict[str, Any] = {
        "nats_url": f"nats://{away}",
        "catalog_url": f"http://{away}",
        "admin_token": ADMIN_TOKEN,
        "service_token": SERVICE_TOKEN,
        "master_keys": MASTER_KEY,
        "state_dir": state_dir,
    }
    return Settings(**(usual | fields))


@asynccontextmanager
async def running_router(state_dir: Path, seed: Seed | None = None, **fields: Any) -> AsyncIterator[RunningRouter]:
    """Run a router that finds the seed as its last-known-good file."""
    if seed is not None:
        seed.save(state_dir / "catalog.snapshot")
    async with serving(create_app(router_settings(state_dir, **fields))) as url:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            httpx.AsyncClient(base_url=url, headers=headers, timeout=20) as http,
            AsyncOpenAI(base_url=url + "/v1", api_key=KEY, max_retries=0, timeout=20) as sdk,
        ):
            yield RunningRouter(url, http, sdk)
