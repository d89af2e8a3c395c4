"""The file by which scripts find everything while it runs."""

import json
import os
from collections.abc import Iterable
from typing import Any

from modelbus.launcher.files import write_private
from modelbus.launcher.home import Home
from modelbus.launcher.program import Program
from modelbus.launcher.services import Line


def write_endpoints(line: Line, programs: Iterable[Program]) -> None:
    """Write where everything is, who the processes are, and what opens it."""
    services = {name: line.settings.url(name) for name in ("catalog", "router", "sync", "integrity", "simulator")}
    found = {
        **services,
        "nats": line.bus_url("subscriber"),
        "nats_operator": line.bus_url("operator"),
        "postgres": line.superuser_url,
        "admin_token": line.secrets.admin_token,
        "service_token": line.secrets.service_token,
        "access_key": line.secrets.access_key,
        "pids": {"launcher": os.getpid()} | {program.name: program.pid for program in programs},
    }
    write_private(line.home.endpoints, json.dumps(found, indent=2) + "\n")


def read_endpoints(home: Home) -> dict[str, Any] | None:
    """Return what the file says, or None if nothing runs."""
    try:
        found = json.loads(home.endpoints.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
