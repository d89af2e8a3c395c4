"""The whole system with a second catalog and a second router, and wires that can fail between some of it.

`catalog`, `router`, NATS and PostgreSQL reach one another as `make up` has it, but both catalogs reach sync and
integrity by wires. `catalog-2`, `router-2`, `sync` and `integrity` reach servers and catalog by wires, and callers
`router-2`. In `pairs` there are a second sync and a second integrity, wired nowhere. Each of three NATS nodes is
reached by wires of its own, by those services and by the other nodes.
"""

import json
import signal
import sys
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Literal, override
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
PAIRS = {"sync-2": "sync", "integrity-2": "integrity"}
NODES = ("nats", "nats-2", "nats-3")
_WIRED = {
    "catalog": ("sync", "integrity"),
    "catalog-2": ("nats", "postgres", "sync", "integrity"),
    "router-2": ("nats", "catalog-2"),
    "sync": ("nats", "postgres", "catalog"),
    "integrity": ("nats", "postgres", "catalog"),
    "callers": ("router-2",),
}
"""Whose ways lead over wires, and where to."""

type Wires = dict[tuple[str, str], Wire]
"""By who connects, and where."""

METRICS_EVERY_S = 0.2
"""Between two looks at all figures of a service, which are many."""

type Shape = Literal["one node", "pairs", "three nodes"]
"""Of how much a rig consists."""


@dataclass
class Rig(System):
    """A running system whose processes and wires can be made to fail."""

    wires: Wires = field(default_factory=dict)
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
        way, url = self.wires.get(("callers", router)), self.http(router).base_url
        return openai.AsyncOpenAI(
            base_url=str(url.copy_with(port=way.port if way else url.port, path="/v1")),
            api_key=self.endpoints["access_key"],
            max_retries=0,
            timeout=30,
        )

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
        await self.ready(*self.services)

    async def strike(self, server: str, fault: Fault) -> None:
        """Let all wires that lead there fail."""
        for wire in self.wires_to(server):
            await wire.suffer(fault)

    async def mend(self) -> None:
        """Let every wire carry again."""
        for wire in self.wires.values():
            await wire.mend()

    def wires_to(self, server: str) -> list[Wire]:
        """Answer the wires on which a server is reached; replicas count as what they replicate, and nodes as NATS."""
        return [wire for (by, end), wire in self.wires.items() if by not in NODES and end.partition("-")[0] == server]

    def wires_of(self, node: str) -> list[Wire]:
        """Answer the wires between one NATS node and the others, in both directions."""
        return [wire for ends, wire in self.wires.items() if node in ends and ends[0] in NODES]

    @property
    def services(self) -> tuple[str, ...]:
        """Name all services, replicas among them."""
        return (*SERVICES, *(each for each in PAIRS if each in self.ports))

    def like(self, service: str) -> list[str]:
        """Name a service and its replicas."""
        return [each for each in self.services if each.partition("-")[0] == service]

    async def leads(self, service: str) -> bool:
        """Tell whether this one tells the outbox."""
        try:
            figures = await self.http(service).get("/metrics", timeout=5)
        except httpx.HTTPError:
            return False
        return "modelbus_relay_leader 1.0" in figures.text

    async def leader(self, service: str = "catalog") -> str:
        """Wait until one of a service's processes tells its outbox, and answer which."""

        async def found() -> str | None:
            for each in self.like(service):
                if await self.leads(each):
                    return each
            return None

        leader: str = await eventually(found, within_s=40, every_s=METRICS_EVERY_S)
        return leader

    async def let_lead(self, process: str) -> None:
        """Kill the other process of a service, if that is what it takes to let this one tell the outbox."""
        service = process.partition("-")[0]
        while await self.leader(service) != process:
            await self.crash(*(each for each in self.like(service) if each != process))
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
async def rig(directory: Path, shape: Shape = "one node", **environment: str) -> AsyncIterator[Rig]:
    """Start everything and stop it afterwards."""
    home = directory / f"home-{uuid4().hex[:8]}"
    known = environment_for(home)
    # A run whose worker was killed is taken up soon.
    nodes = NODES if shape == "three nodes" else ()
    known |= {"MODELBUS_SYNC_LEASE_S": "6", "MODELBUS_NATS_REPLICAS": str(len(nodes) or 1), **environment}
    replicas = {**REPLICAS, **PAIRS} if shape == "pairs" else REPLICAS
    ports = {name: free_port() for name in replicas}
    cluster = _cluster(known, nodes)
    wires = _wires(known, ports, {name: each["port"] for name, each in cluster.items()})
    between = _wires_between(cluster)
    known[PLAN] = json.dumps(
        {
            "replicas": {name: {"like": like, "port": ports[name]} for name, like in replicas.items()},
            "wires": _laid(wires),
            "nodes": [{**cluster[name], "ways": _ways(name, between)} for name in nodes],
        }
    )
    async with AsyncExitStack() as stack:
        wires |= between
        for wire in wires.values():
            await wire.mend()
            stack.push_async_callback(wire.remove)
        program = (sys.executable, str(Path(__file__).with_name("launch.py")), "up")
        running = Rig(home, await launch(home, known, program), known, wires=wires, ports=ports)
        stack.push_async_callback(running.close)
        yield running


def _wires(known: Mapping[str, str], ports: Mapping[str, int], nodes: Mapping[str, int]) -> Wires:
    def ends(server: str) -> Mapping[str, int]:
        if server == "nats" and nodes:
            return nodes
        return {server: ports.get(server) or int(known[f"MODELBUS_{server.upper()}_PORT"])}

    wired = [(client, server) for client, servers in _WIRED.items() for server in servers]
    return {(client, end): Wire(free_port(), port) for client, server in wired for end, port in ends(server).items()}


def _laid(wires: Wires) -> dict[str, dict[str, list[int]]]:
    """Answer by client where it finds each server, of NATS each node."""
    laid: dict[str, dict[str, list[int]]] = {}
    for (client, end), wire in wires.items():
        laid.setdefault(client, {}).setdefault(end.partition("-")[0], []).append(wire.port)
    return laid


def _cluster(known: dict[str, str], nodes: Collection[str]) -> dict[str, dict[str, int]]:
    """Answer by node on which ports it listens: for clients, and for other nodes."""
    first = int(known["MODELBUS_NATS_PORT"])
    return {name: {"port": first if name == "nats" else free_port(), "routes": free_port()} for name in nodes}


def _wires_between(cluster: dict[str, dict[str, int]]) -> Wires:
    return {pair: Wire(free_port(), cluster[pair[1]]["routes"]) for pair in permutations(cluster, 2)}


def _ways(node: str, wires: Wires) -> list[int]:
    """Answer where a node finds the others."""
    return [wire.port for (client, _), wire in wires.items() if client == node]
