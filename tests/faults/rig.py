"""The whole system with a second catalog and a second router, and wires that can fail between some of it.

`catalog`, `router`, NATS and PostgreSQL reach one another as `make up` has it. `catalog-2`, `router-2`, `sync` and
`integrity` reach servers and catalog by wires. On three NATS nodes nothing is wired.
"""

import json
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override
from uuid import uuid4

import httpx
import nats
import openai
import psutil
from nats.aio.client import Client

from faults.launch import PLAN
from faults.wires import Fault, Wire
from running import eventually, free_port
from whole import System, environment_for, launch

CATALOGS = ("catalog", "catalog-2")
ROUTERS = ("router", "router-2")
SERVICES = (*CATALOGS, *ROUTERS, "sync", "integrity")
REPLICAS = {"catalog-2": "catalog", "router-2": "router"}
NODES = 3
_WIRED = {
    "catalog-2": ("nats", "postgres"),
    "router-2": ("nats", "catalog-2"),
    "sync": ("nats", "postgres", "catalog"),
    "integrity": ("nats", "postgres", "catalog"),
}
"""Whose ways lead over wires, and where to."""


@dataclass
class Rig(System):
    """A running system whose processes and wires can be made to fail."""

    wires: dict[tuple[str, str], Wire] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    _kept: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @override
    def http(self, service: str) -> httpx.AsyncClient:
        """Answer the client of a service or replica; the same one each time, as it is asked for in loops."""
        if service not in self._kept:
            if service in self.ports:
                found = self.endpoints
                token = {"Authorization": f"Bearer {found['admin_token']}"}
                url = f"http://127.0.0.1:{self.ports[service]}"
                self._kept[service] = httpx.AsyncClient(base_url=url, headers=token, timeout=20)
                self._clients.append(self._kept[service])
            else:
                self._kept[service] = super().http(service)
        return self._kept[service]

    def caller(self, router: str) -> openai.AsyncOpenAI:
        """Answer the official client of a router; it does not retry, so that each failure shows."""
        url = str(self.http(router).base_url).rstrip("/") + "/v1"
        return openai.AsyncOpenAI(base_url=url, api_key=self.endpoints["access_key"], max_retries=0, timeout=30)

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[Client]:
        """Enter the bus as its operator."""
        client = await nats.connect(
            self.endpoints["nats_operator"].split(","),
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,
            error_cb=_outlast,
        )
        try:
            yield client
        finally:
            await client.close()

    @property
    def database(self) -> str:
        """Where the superuser enters the database of the services."""
        return str(self.endpoints["postgres"]).rpartition("/")[0] + "/modelbus"

    def freeze(self, *processes: str) -> None:
        """Stop processes in the middle of whatever they do."""
        self._signal_all(processes, signal.SIGSTOP)

    def thaw(self, *processes: str) -> None:
        """Let them go on."""
        self._signal_all(processes, signal.SIGCONT)

    def _signal_all(self, processes: Iterable[str], number: signal.Signals) -> None:
        for name in processes:
            # PostgreSQL works in processes of its own.
            process = psutil.Process(self.endpoints["pids"][name])
            for each in (process, *process.children(recursive=True)):
                each.send_signal(number)

    async def crash(self, *processes: str) -> None:
        """Kill processes, and wait until the launcher has started them again."""
        before = self.endpoints["pids"]
        for each in processes:
            self.signal(each, signal.SIGKILL)
        await eventually(lambda: all(self.endpoints["pids"][each] != before[each] for each in processes), within_s=60)

    async def all_ready(self) -> None:
        """Wait until every service says that it has all that it needs."""
        await self.ready(*SERVICES)

    async def strike(self, server: str, fault: Fault) -> None:
        """Let all wires that lead there fail."""
        for wire in self.wires_to(server):
            await wire.suffer(fault)

    async def mend(self) -> None:
        """Let every wire carry again."""
        for wire in self.wires.values():
            await wire.mend()

    def wires_to(self, server: str) -> list[Wire]:
        """Answer the wires that lead to a server; the catalog's replica counts as the catalog."""
        return [wire for (_, end), wire in self.wires.items() if REPLICAS.get(end, end) == server]

    async def leads(self, catalog: str) -> bool:
        """Tell whether this catalog tells the outbox."""
        try:
            figures = await self.http(catalog).get("/metrics", timeout=5)
        except httpx.HTTPError:
            return False
        return "modelbus_relay_leader 1.0" in figures.text

    async def leader(self) -> str:
        """Wait until one of the catalogs leads, and answer which."""

        async def found() -> str | None:
            for catalog in CATALOGS:
                if await self.leads(catalog):
                    return catalog
            return None

        leader: str = await eventually(found, within_s=40)
        return leader

    async def let_lead(self, catalog: str) -> None:
        """Kill the other catalog, if that is what it takes to let this one tell the outbox."""
        while await self.leader() != catalog:
            await self.crash(*(each for each in CATALOGS if each != catalog))
            await self.all_ready()

    @override
    async def close(self) -> None:
        for name in self.endpoints["pids"] if self.launcher.returncode is None else ():
            self.thaw(name)
        await super().close()
        for wire in self.wires.values():
            await wire.remove()


async def _outlast(_error: Exception) -> None:
    """Let the client find its way back; its own logger would print each try."""


@asynccontextmanager
async def rig(directory: Path, *, nodes: int = 1, **environment: str) -> AsyncIterator[Rig]:
    """Start everything and stop it afterwards."""
    home = directory / f"home-{uuid4().hex[:8]}"
    known = environment_for(home)
    # A run whose worker was killed is taken up soon.
    known |= {"MODELBUS_SYNC_LEASE_S": "6", "MODELBUS_NATS_REPLICAS": str(nodes), **environment}
    ports = {name: free_port() for name in REPLICAS}
    wires = _wires(known, ports) if nodes == 1 else {}
    known[PLAN] = json.dumps(_plan(known, ports, wires, nodes))
    async with AsyncExitStack() as stack:
        for wire in wires.values():
            await wire.mend()
            stack.push_async_callback(wire.remove)
        program = (sys.executable, str(Path(__file__).with_name("launch.py")), "up")
        running = Rig(home, await launch(home, known, program), known, wires=wires, ports=ports)
        stack.push_async_callback(running.close)
        yield running


def _wires(known: dict[str, str], ports: dict[str, int]) -> dict[tuple[str, str], Wire]:
    def port_of(server: str) -> int:
        return ports.get(server) or int(known[f"MODELBUS_{server.upper()}_PORT"])

    ends = [(client, server) for client, servers in _WIRED.items() for server in servers]
    return {(client, server): Wire(free_port(), port_of(server)) for client, server in ends}


def _plan(
    known: dict[str, str], ports: dict[str, int], wires: dict[tuple[str, str], Wire], nodes: int
) -> dict[str, Any]:
    laid: dict[str, dict[str, int]] = {}
    for (client, server), wire in wires.items():
        laid.setdefault(client, {})[REPLICAS.get(server, server)] = wire.port
    others = [{"port": free_port()} for _ in range(nodes - 1)]
    cluster = [{"port": int(known["MODELBUS_NATS_PORT"])}, *others] if nodes > 1 else []
    return {
        "replicas": {name: {"like": like, "port": ports[name]} for name, like in REPLICAS.items()},
        "wires": laid,
        "nodes": [each | {"routes": free_port(), "monitor": free_port()} for each in cluster],
    }
