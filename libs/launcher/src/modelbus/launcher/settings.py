"""What the environment decides for the launcher, and what it passes on to the services."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelbus.launcher.errors import BadSettingError
from modelbus.launcher.ports import LOOPBACK, check_distinct

PORTS = {
    "catalog": 8000,
    "router": 8001,
    "sync": 8002,
    "integrity": 8003,
    "simulator": 8100,
    "nats": 8422,
    "postgres": 8432,
}
HIGHEST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """Where everything lives and listens."""

    home: Path
    host: str
    """The interface of services and simulator; the servers listen on the loopback interface only."""
    ports: Mapping[str, int]
    is_seeded: bool
    environment: Mapping[str, str]
    """All variables, .env included; services read their own from it."""

    def host_of(self, name: str) -> str:
        """Name the interface that the program listens on."""
        return LOOPBACK if name in {"nats", "postgres"} else self.host

    def url(self, name: str) -> str:
        """Where a client on this machine finds the service."""
        host = {"0.0.0.0": LOOPBACK, "::": "::1"}.get(self.host, self.host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.ports[name]}"


def read_settings(environment: Mapping[str, str], directory: Path) -> Settings:
    """Read the variables, those of a .env file in the directory included; the environment has the last word."""
    variables = read_env_file(directory / ".env") | dict(environment)
    ports = {name: _port(variables, f"MODELBUS_{name.upper()}_PORT", port) for name, port in PORTS.items()}
    check_distinct(ports)
    seed = variables.get("MODELBUS_SEED", "on")
    if seed not in {"on", "off"}:
        raise BadSettingError(f"MODELBUS_SEED must be on or off, not {seed!r}.")
    return Settings(
        home=(directory / variables.get("MODELBUS_HOME", ".modelbus")).expanduser().absolute(),
        host=variables.get("MODELBUS_HOST") or LOOPBACK,
        ports=ports,
        is_seeded=seed == "on",
        environment=variables,
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Read NAME=value lines; what is empty or begins with # is passed over."""
    if not path.is_file():
        return {}
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def _port(variables: Mapping[str, str], variable: str, default: int) -> int:
    text = variables.get(variable) or str(default)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= HIGHEST_PORT:
        raise BadSettingError(f"{variable} must be a port from 1 to {HIGHEST_PORT}, not {text!r}.")
    return int(text)
