"""Asks each simulated provider the ordinary thing, with the right key."""

import asyncio
from contextlib import AbstractAsyncContextManager

import aiohttp

from modelbus.simulator import Provider

DEADLINE_SECONDS = 5

type Request = AbstractAsyncContextManager[aiohttp.ClientResponse]


class Asking:
    """One method for each provider; fields replace or add to those of the ordinary body."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def of(self, provider: str, **fields: object) -> Request:
        """Ask the provider of this name."""
        if provider == "anthropic":
            return self.anthropic("messages", **fields)
        return self.openai(**fields) if provider == "openai" else self.openrouter(**fields)

    def openai(self, **fields: object) -> Request:
        """Ask for a chat completion."""
        return self._session.post(
            "/openai/v1/chat/completions",
            json={"model": "gpt-4o", "messages": [{"role": "user", "content": "one two three"}]} | fields,
            headers={"Authorization": "Bearer sim-openai-key-1"},
            allow_redirects=False,
        )

    def openrouter(self, **fields: object) -> Request:
        """Ask for a chat completion."""
        return self._session.post(
            "/openrouter/api/v1/chat/completions",
            json={"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "one two three"}]} | fields,
            headers={"Authorization": "Bearer sim-openrouter-key-1"},
        )

    def anthropic(self, path: str = "messages", **fields: object) -> Request:
        """Ask for a message, or for what the other path gives."""
        ordinary = {
            "model": "claude-3-5-haiku-20241022",
            "max_tokens": 100,
            "messages": [{"role": "user", "content": "one two three"}],
        }
        headers = {"x-api-key": "sim-anthropic-key-1", "anthropic-version": "2023-06-01"}
        return self._session.post(f"/anthropic/v1/{path}", json=ordinary | fields, headers=headers)

    def models(self, prefix: str = "/openai/v1", **query: str) -> Request:
        """Ask for the listing of the provider with this prefix."""
        name = prefix.split("/")[1]
        headers = {"x-api-key": f"sim-{name}-key-1", "anthropic-version": "2023-06-01"}
        return self._session.get(f"{prefix}/models", params=query, headers=headers)


async def client_is_missed(provider: Provider) -> bool:
    """Wait until the last request has ended, and tell whether its caller had gone; a deadline fails the test."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await provider.exchanges[-1].ended.wait()
    return provider.exchanges[-1].client_disconnected
