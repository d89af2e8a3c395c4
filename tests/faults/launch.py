"""The launcher's own `up`, with more than one of some services, wires in between, and three NATS nodes where wanted.

Run as a program: `python launch.py up`, with a plan in `FAULTS_PLAN`.
"""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, override
from urllib.parse import urlsplit

from modelbus.launcher import backoff, launch
from modelbus.launcher.__main__ import main
from modelbus.launcher.asking import answers
from modelbus.launcher.home import Home
from modelbus.launcher.nats import NatsServer
from modelbus.launcher.ports import LOOPBACK
from modelbus.launcher.services import Line, Service

PLAN = "FAULTS_PLAN"

type Plan = dict[str, Any]


class Replica(Service):
    """One more of a service, under a name of its own."""

    def __init__(self, name: str, like: str, home: Home, environment: Mapping[str, str], ready: str) -> None:
        super().__init__(name, home, ["serve"], environment, ready)
        self._like = like

    @override
    def command(self) -> list[str]:
        return [sys.executable, "-m", f"modelbus.{self._like}", "serve"]


class WiredLine(Line):
    """Everything after the servers: some of it reaches them by wires."""

    plan: Plan

    @override
    def services(self) -> list[Service]:
        return [*super().services(), *(self._replica(name, **how) for name, how in self.plan["replicas"].items())]

    def _replica(self, name: str, like: str, port: int) -> Replica:
        known = super()._service_environment(like)
        state = self.home.state(name)
        state.mkdir(mode=0o700, exist_ok=True)
        known |= {"MODELBUS_PORT": str(port), "MODELBUS_STATE_DIR": str(state)}
        ready = f"http://{LOOPBACK}:{port}/health/ready"
        return Replica(name, like, self.home, self._wired(name, known), ready)

    @override
    def _service_environment(self, name: str) -> dict[str, str]:
        return self._wired(name, super()._service_environment(name))

    def _wired(self, name: str, known: dict[str, str]) -> dict[str, str]:
        wired = dict(known)
        for server, ports in self.plan["wires"].get(name, {}).items():
            variable = "MODELBUS_DATABASE_URL" if server == "postgres" else f"MODELBUS_{server.upper()}_URL"
            ways = zip(known[variable].split(","), ports, strict=True)
            wired[variable] = ",".join(url.replace(f":{urlsplit(url).port}", f":{port}") for url, port in ways)
        return wired


class Node(NatsServer):
    """One node of three."""

    plan: Plan

    def __init__(self, *args: Any, number: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.name = f"nats-{number}" if number > 1 else "nats"
        self._number = number

    @override
    def prepare(self) -> None:
        super().prepare()
        nodes = self.plan["nodes"]
        mine = nodes[self._number - 1]
        # Its own address is among them, for the cluster counts them.
        routes = [f"nats://{LOOPBACK}:{port}" for port in (mine["routes"], *mine["ways"])]
        written = self._configuration.read_text().replace("server_name: modelbus", f"server_name: {self.name}")
        self._configuration.write_text(
            f'{written}cluster {{ name: modelbus, listen: "{LOOPBACK}:{mine["routes"]}", routes: {json.dumps(routes)}, '
            # Nodes tell one another where the others are: nobody listens there, so each goes by its own wires.
            # Clients are told of none, for the same reason.
            f'advertise: "{LOOPBACK}:1", no_advertise: true }}\n'
        )

    @override
    def is_ready(self) -> bool:
        # The first of them can't be ready alone.
        return super().is_ready() and (self._number == 1 or answers(self.health_url))


class FaultyLaunch(launch.Launch):
    """A launch by plan."""

    plan: Plan

    @override
    def _start_servers(self) -> Line:
        line = super()._start_servers()
        urls = [line.nats_url, *(self._start_node(line, number) for number in range(2, len(self.plan["nodes"]) + 1))]
        more = {name: how["port"] for name, how in self.plan["replicas"].items()}
        more |= {f"nats-{number}": each["port"] for number, each in enumerate(self.plan["nodes"], 1) if number > 1}
        settings = replace(line.settings, ports={**line.settings.ports, **more})
        return WiredLine(settings, line.home, line.secrets, ",".join(urls), line.superuser_url)

    def _start_node(self, line: Line, number: int) -> str:
        directory, port = self.home.path / f"nats-{number}", self.plan["nodes"][number - 1]["port"]
        directory.mkdir(exist_ok=True)
        log, passwords = self.home.log(f"nats-{number}"), line.secrets.bus_passwords
        node = Node(directory, port, log=log, passwords=passwords, number=number)
        node.prepare()
        node.users.write_text(self.home.bus_users.read_text())
        self.fleet.start(node)
        if number == len(self.plan["nodes"]):
            self.fleet.await_ready(node, within_s=30)
        return node.url


def run(plan: Plan) -> int:
    """Do what the launcher would, by plan."""
    WiredLine.plan = Node.plan = FaultyLaunch.plan = plan
    launch.Launch = FaultyLaunch  # type: ignore[misc]
    if plan["nodes"]:
        vars(launch)["NatsServer"] = Node
    # Faults come one after another here: a second one of the same process must not be taken for a crash at start.
    backoff.STEADY_S = 2.0
    return main()


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    sys.exit(run(json.loads(os.environ[PLAN])))
