"""The whole system, started by the launcher as processes; what a test may know of it is what its user may."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import openai

from running import eventually, free_port

PORTS = ("catalog", "router", "sync", "integrity", "simulator", "nats", "postgres")
START_S = 90.0
UP = (sys.executable, "-m", "modelbus.launcher", "up")


@dataclass
class System:
    """A running system."""

    home: Path
    launcher: asyncio.subprocess.Process
    environment: Mapping[str, str]
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def endpoints(self) -> dict[str, Any]:
        """Read where everything is, as the launcher last wrote it."""
        found: dict[str, Any] = json.loads((self.home / "endpoints.json").read_text())
        return found

    def http(self, service: str) -> httpx.AsyncClient:
        """Answer a client of a service with the administrator's token."""
        token = {"Authorization": f"Bearer {self.endpoints['admin_token']}"}
        client = httpx.AsyncClient(base_url=self.endpoints[service], headers=token, timeout=20)
        self._clients.append(client)
        return client

    def openai(self) -> openai.AsyncOpenAI:
        """Answer the official client with the access key; it does not retry, so that each failure shows."""
        found = self.endpoints
        return openai.AsyncOpenAI(
            base_url=f"{found['router']}/v1", api_key=found["access_key"], max_retries=0, timeout=30
        )

    async def control(self, provider: str, what: str, body: Any) -> None:
        """Tell the simulated provider how to behave."""
        answer = await self.http("simulator").put(f"/_control/{provider}/{what}", json=body)
        assert answer.status_code == httpx.codes.OK, answer.text

    def signal(self, process: str, number: signal.Signals) -> None:
        """Send a signal to one process of the system."""
        os.kill(self.endpoints["pids"][process], number)

    async def kill(self, *processes: str) -> None:
        """Kill processes, and wait until the launcher has started them again and every service is ready."""
        before = self.endpoints["pids"]
        for process in processes:
            self.signal(process, signal.SIGKILL)

        def are_back() -> bool:
            return all(self.endpoints["pids"][process] != before[process] for process in processes)

        await eventually(are_back, within_s=30)
        await self.ready("catalog", "router", "sync", "integrity")

    async def ready(self, *services: str) -> None:
        """Wait until the services say that they have all that they need."""
        asked = list(services)

        async def are_ready() -> bool:
            for number, service in enumerate(asked):
                if not await self._is_ready(service):
                    # It is asked first from now on, so that the others need not answer all the while.
                    asked.insert(0, asked.pop(number))
                    return False
            return True

        await eventually(are_ready, within_s=40)

    async def _is_ready(self, service: str) -> bool:
        try:
            return (await self.http(service).get("/health/ready")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    async def supplier(self, name: str) -> dict[str, Any]:
        """Show a supplier by name."""
        found: dict[str, Any] = (await self.http("catalog").get("/api/v1/suppliers", params={"name": name})).json()
        first: dict[str, Any] = found["items"][0]
        return first

    async def sync(self, supplier: str) -> dict[str, Any]:
        """Ask for a listing and wait until its run has ended."""
        supplier_id = (await self.supplier(supplier))["id"]
        asked = await self.http("catalog").post(f"/api/v1/suppliers/{supplier_id}/sync")
        assert asked.status_code == httpx.codes.ACCEPTED, asked.text

        async def ended() -> dict[str, Any] | None:
            answer = await self.http("sync").get(f"/api/v1/runs/{asked.json()['run_id']}")
            run: dict[str, Any] = answer.json()
            return run if answer.status_code == httpx.codes.OK and run["ended_at"] else None

        run: dict[str, Any] = await eventually(ended, within_s=30)
        return run

    async def everywhere(self, revision: int | None = None) -> None:
        """Wait until the router has applied the catalog's head, or that revision."""
        if revision is None:
            revision = (await self.http("catalog").get("/api/v1/head")).json()["revision"]

        async def has() -> bool:
            cache = (await self.http("router").get("/api/v1/cache")).json()
            return bool(cache["revision"] >= revision)

        await eventually(has, within_s=20)

    async def close(self) -> None:
        """Stop the system as Ctrl-C does, and make sure that nothing of it is left."""
        for client in self._clients:
            await client.aclose()
        if self.launcher.returncode is None:
            self.launcher.send_signal(signal.SIGINT)
            await asyncio.wait_for(self.launcher.wait(), 60)


def environment_for(home: Path) -> dict[str, str]:
    """Answer an environment in which everything is this test's own."""
    ports = {f"MODELBUS_{name.upper()}_PORT": str(free_port()) for name in PORTS}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MODELBUS_")}
    # What is seen of suppliers by the clock changes the catalog, which some tests compare with itself.
    return {**inherited, **ports, "MODELBUS_HOME": str(home), "MODELBUS_PROBE_INTERVAL_S": "0"}


@asynccontextmanager
async def whole_system(directory: Path, **environment: str) -> AsyncIterator[System]:
    """Start everything and stop it afterwards; on failure the launcher's own words are shown."""
    home = directory / f"home-{uuid4().hex[:8]}"
    known = {**environment_for(home), **environment}
    system = System(home, await launch(home, known), known)
    try:
        yield system
    finally:
        await system.close()


async def launch(home: Path, environment: Mapping[str, str], program: Sequence[str] = UP) -> asyncio.subprocess.Process:
    """Run the launcher and wait until it says that all is ready."""
    output = home.with_suffix(".log")
    with output.open("ab") as log:
        launcher = await asyncio.create_subprocess_exec(*program, env=dict(environment), stdout=log, stderr=log)

    def is_up() -> bool:
        if launcher.returncode is not None:
            raise RuntimeError(output.read_text())
        return (home / "endpoints.json").exists()

    await eventually(is_up, within_s=START_S)
    return launcher
