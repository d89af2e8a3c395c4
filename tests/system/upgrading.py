"""What is asked of services while one release gives way to another."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx

import builders
from modelbus.simulator import Simulator
from system.lineup import ADMINISTRATOR, Lineup, service_of
from system.replicas import Balancer, Lister, each_goes_on, kept_up

MODEL, FLIPPING = "served-model", "flipping-model"


class Load:
    """Completions, changes and listings, again and again, at whichever replicas there are."""

    def __init__(self, lineup: Lineup, key: str, lister: Lister | None) -> None:
        self.callers = Balancer(lineup.url("router"), headers={"Authorization": f"Bearer {key}"})
        self.writers = Balancer(lineup.url("catalog"), headers=ADMINISTRATOR)
        self.lister = lister
        self.written: set[str] = set()
        self._lineup = lineup

    def kept_up(self) -> AbstractAsyncContextManager[None]:
        """Go on with everything during the block."""
        listing = [self.lister.ask] if self.lister else []
        return kept_up(self.call, self.write, self.flip, *listing, rest_s=0.1)

    async def goes_on(self) -> None:
        """Wait until every replica has answered some more."""
        await each_goes_on(*self._balancers())

    async def join(self, part: str) -> None:
        """Start a replica of this release beside the one that there is, and ask it too."""
        await self._lineup.start(part)
        await self._lineup.ready(part)
        balancer = self.writers if service_of(part) == "catalog" else self.callers
        balancer.urls += (self._lineup.url(part),)

    async def call(self, turn: int, model: str = MODEL) -> None:
        """Ask for a completion, and hear it to its end."""
        asked = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": True}
        text = await self.callers.send(turn, "/v1/chat/completions", asked)
        if text is not None and not text.endswith("data: [DONE]\n\n"):
            self.callers.failed["cut short"] += 1

    async def write(self, turn: int) -> None:
        """Make a model."""
        name = f"written/{turn}"
        if await self.writers.send(turn, "/api/v1/models", {"name": name}, key=name) is not None:
            self.written.add(name)

    async def flip(self, turn: int) -> None:
        """Take a model away that a chain needs, and give it back."""
        for change in ("disable?force=true", "enable"):
            await self.writers.send(turn, f"/api/v1/models/{FLIPPING}/{change}", {})

    async def aclose(self) -> None:
        """Let go of the connections."""
        for each in self._balancers():
            await each.aclose()

    def _balancers(self) -> list[Balancer]:
        return [self.callers, self.writers, *([self.lister.syncs] if self.lister else [])]


async def seed(lineup: Lineup, simulator: Simulator, *, is_listing: bool) -> Load:
    """Make what the load needs, at the first catalog."""
    async with httpx.AsyncClient(base_url=lineup.url("catalog"), headers=ADMINISTRATOR, timeout=20) as http:
        serving = simulator.base_url(simulator.openai)
        supplier = await builders.a_supplier(http, base_url=serving, requires_credential=True)
        await builders.a_credential(http, supplier["id"], secret="sim-openai-key-1")
        model = await builders.a_model(http, name=MODEL)
        await builders.a_source(http, model["id"], supplier["id"], upstream_name="gpt-4o")
        flipping = await builders.a_served_model(http, name=FLIPPING)
        await _make(http, "/api/v1/fallback-chains", {"name": "c", "steps": [{"model_id": flipping["id"]}]})
        key: str = (await _make(http, "/api/v1/access-keys", {"name": "upgrading"}))["key"]
        if not is_listing:
            return Load(lineup, key, None)
        listed = await builders.a_supplier(http, base_url=simulator.base_url(simulator.openrouter))
        syncs = Balancer(lineup.url("sync"), headers=ADMINISTRATOR)
        return Load(lineup, key, Lister(simulator, syncs, listed["id"]))


async def _make(http: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = (await http.post(path, json=body)).raise_for_status().json()
    return made
