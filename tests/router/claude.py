"""A catalog in which one model is served by Anthropic and another by OpenAI, and the official clients for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from modelbus.contracts import records
from modelbus.simulator import Provider, Simulator
from router.routers import KEY, running_router
from router.seeding import Seed

CLAUDE, GPT = "claude-3-5-sonnet-20241022", "gpt-4o"
KEY_FOR_NOTHING = "mb-for-nothing"
both = pytest.mark.parametrize("model", [CLAUDE, GPT])
"""For tests that hold at a supplier of either protocol."""


@dataclass(frozen=True, slots=True)
class Sdks:
    """Both official clients at one router."""

    url: str
    openai: AsyncOpenAI
    anthropic: AsyncAnthropic
    http: httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class TwoProtocols:
    """What is in the catalog."""

    seed: Seed
    at_anthropic: records.SourceRecord
    at_openai: records.SourceRecord


def two_protocols(simulator: Simulator) -> TwoProtocols:
    """Seed it."""
    seed = Seed()
    seed.key(KEY)
    seed.key(KEY_FOR_NOTHING, model_ids=[])
    anthropic = seed.supplier("anthropic", simulator.base_url(simulator.anthropic), protocol="anthropic")
    openai = seed.supplier("openai", simulator.base_url(simulator.openai))
    seed.credential(anthropic, "sim-anthropic-key-1")
    seed.credential(openai, "sim-openai-key-1")
    claude = seed.source(seed.model(CLAUDE), anthropic, CLAUDE)
    gpt = seed.source(seed.model(GPT, model_type="multimodal"), openai, GPT)
    seed.source(seed.model("text-embedding-3-small", model_type="embedding"), openai, "text-embedding-3-small")
    seed.chain("either", claude, gpt)
    return TwoProtocols(seed, claude, gpt)


@asynccontextmanager
async def sdks_at(url: str, **options: Any) -> AsyncIterator[Sdks]:
    """Open the clients."""
    usual: dict[str, Any] = {"max_retries": 0, "timeout": 20}
    async with (
        AsyncOpenAI(base_url=url + "/v1", api_key=KEY, **(usual | options)) as openai,
        AsyncAnthropic(base_url=url, api_key=KEY, **(usual | options)) as anthropic,
        httpx.AsyncClient(base_url=url, headers={"x-api-key": KEY}, timeout=20) as http,
    ):
        yield Sdks(url, openai, anthropic, http)


@asynccontextmanager
async def running_sdks(state_dir: Path, seed: Seed, **fields: Any) -> AsyncIterator[Sdks]:
    """Run a router, and open the clients."""
    async with running_router(state_dir, seed, **fields) as router, sdks_at(router.url) as sdks:
        yield sdks


def provider_of(simulator: Simulator, model: str) -> Provider:
    """Answer who serves the model in the end."""
    return simulator.anthropic if model == CLAUDE else simulator.openai
