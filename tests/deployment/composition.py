"""docker-compose.yml as Compose reads it: variables filled in, merged keys merged."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from modelbus.launcher.settings import read_env_file

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?(?P<told>[^}]*))?\}")


def variables() -> dict[str, str | None]:
    """Answer every variable of the file with its default; None where it must be given."""
    found: dict[str, str | None] = {}
    for match in _VARIABLE.finditer(FILE.read_text()):
        found[match["name"]] = found.get(match["name"]) or match["default"]
    return found


def composed(environment: dict[str, str]) -> dict[str, Any]:
    """Read the file with those variables."""

    def value(match: re.Match[str]) -> str:
        given = environment.get(match["name"]) or match["default"]
        assert given is not None, f"{match['name']}: {match['told']}"
        return given

    found: dict[str, Any] = _filled(yaml.safe_load(FILE.read_text()), value)
    for service in found["services"].values():
        # A name without a value takes it from there too, and is left out where there is none.
        told = service.get("environment", {})
        given = {name: environment.get(name) if value is None else value for name, value in told.items()}
        service["environment"] = {name: value for name, value in given.items() if value is not None}
    return found


def _filled(node: Any, value: Any) -> Any:
    if isinstance(node, str):
        return _VARIABLE.sub(value, node)
    if isinstance(node, list):
        return [_filled(each, value) for each in node]
    if isinstance(node, dict):
        return {key: _filled(each, value) for key, each in node.items()}
    return node


@cache
def services() -> dict[str, dict[str, Any]]:
    """Answer the services as written, variables not filled in."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text())["services"]
    return found


def part_of(service: dict[str, Any]) -> str | None:
    """Name the part of Modelbus that the image is built of, if it is one."""
    part: str | None = (service.get("build") or {}).get("args", {}).get("SERVICE")
    return part


def make_env(path: Path) -> dict[str, str]:
    """Make the secrets as an operator does."""
    subprocess.run(["/bin/sh", ROOT / "deploy/make-env.sh", path], check=True, capture_output=True)
    return read_env_file(path)
