"""What runs now, and whether it is ready."""

import psutil

from modelbus.launcher.asking import answers
from modelbus.launcher.endpoints import read_endpoints
from modelbus.launcher.home import Home
from modelbus.launcher.services import SERVICES

NOT_RUNNING = 3
NOT_READY = 4


def status(home: Home) -> int:
    """Print a line per program and return 0 if all is well, 3 if nothing runs, 4 if something is not ready."""
    found = read_endpoints(home)
    if found is None or not psutil.pid_exists(found["pids"]["launcher"]):
        print(f"Modelbus does not run from {home.path}.")
        return NOT_RUNNING
    states = {name: _state(name, found[name], pid) for name, pid in found["pids"].items() if name != "launcher"}
    for name, state in states.items():
        print(f"  {name:<11}{state:<11}process {found['pids'][name]}")
    return 0 if set(states.values()) <= {"ready", "running"} else NOT_READY


def _state(name: str, url: str, pid: int) -> str:
    if not psutil.pid_exists(pid):
        return "dead"
    paths = dict.fromkeys(SERVICES, "/health/ready") | {"simulator": "/_control"}
    if name not in paths:
        return "running"
    return "ready" if answers(url + paths[name]) else "not ready"
