"""The simulator is put together here: providers, their doors and the control API on one port."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from types import MappingProxyType

from aiohttp import web

from modelbus.simulator.anthropic import Anthropic
from modelbus.simulator.control import Control
from modelbus.simulator.door import Door
from modelbus.simulator.listers import AiHubMix, Files, Gemini, Ollama
from modelbus.simulator.openai import OpenAI
from modelbus.simulator.openrouter import OpenRouter
from modelbus.simulator.providers import Provider

_LARGEST_BODY = 16 * 1024**2
# Stopping waits so long for open answers, at most twice over, then cancels them.
_GRACE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Simulator:
    """A running simulator: where it is, and its providers to be arranged and asked."""

    url: str
    openai: Provider
    openrouter: Provider
    anthropic: Provider
    gemini: Provider
    ollama: Provider
    aihubmix: Provider
    files: Provider

    def base_url(self, provider: Provider) -> str:
        """Where a client of this provider should be pointed at, `/v1` included."""
        return self.url + provider.shape.prefix

    def reset(self) -> None:
        """Bring every provider back to how it started."""
        for field in fields(self):
            if isinstance(provider := getattr(self, field.name), Provider):
                provider.reset()


@asynccontextmanager
async def running_simulator(port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[Simulator]:
    """Run a simulator; port 0 takes any free one. Leaving ends open answers and hangs within a second."""
    shapes = (OpenAI(), OpenRouter(), Anthropic(), Gemini(), Ollama(), AiHubMix(), Files())
    providers = {shape.name: Provider(shape) for shape in shapes}
    runner = web.AppRunner(
        _assemble(*providers.values()),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=_GRACE_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        bound_port = runner.addresses[0][1]
        shown_host = f"[{host}]" if ":" in host else host
        yield Simulator(f"http://{shown_host}:{bound_port}", **providers)
    finally:
        await runner.cleanup()


def _assemble(*providers: Provider) -> web.Application:
    by_name = MappingProxyType({provider.name: provider for provider in providers})

    async def close_providers(_app: web.Application) -> None:
        for provider in providers:
            provider.is_closing = True

    app = web.Application(client_max_size=_LARGEST_BODY)
    for provider in providers:
        app.add_routes(Door(provider).routes())
    app.add_routes(Control(by_name, _LARGEST_BODY).routes())
    app.on_shutdown.append(close_providers)
    return app
