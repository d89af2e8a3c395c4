"""Other teams install the contracts alone, from a built package, and read events by them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
DIRECT = {"msgspec", "pydantic"}
INDIRECT = {"annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"}
"""What pydantic brings."""
FOREIGN = """
import importlib, pkgutil, sys
from importlib.metadata import distributions, requires
from pathlib import Path
import modelbus.contracts as contracts

for module in pkgutil.iter_modules(contracts.__path__):
    importlib.import_module(f"modelbus.contracts.{module.name}")
from modelbus.contracts.catalog import ModelUnavailable
from modelbus.contracts.envelope import read_envelope
from modelbus.contracts.event import read_event

headers = {"ce-specversion": "1.0", "ce-id": "019aa6b6-0000-7000-8000-000000000001", "ce-type": "model.unavailable",
    "ce-source": "/modelbus/catalog", "ce-time": "2026-11-20T10:00:00Z", "ce-revision": "4711"}
envelope = read_envelope(headers, Path(sys.argv[1]).read_bytes())
event = read_event(ModelUnavailable, envelope.data)
print(envelope.revision, event.name)
print(*sorted(each.split(">")[0] for each in requires("modelbus-contracts")))
print(*sorted(each.name.lower().replace("_", "-") for each in distributions()))
"""


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """An interpreter that knows nothing but the contracts, with what the lock file has for them."""
    _run(UV, "build", "--wheel", "--no-build-isolation", "--out-dir", tmp_path, ROOT / "libs/contracts")
    [wheel] = tmp_path.glob("*.whl")
    _run(UV, "venv", "--python", sys.executable, tmp_path / "clean")
    interpreter = tmp_path / "clean/bin/python"
    pinned = ("--constraint", ROOT / "requirements.lock")
    _run(UV, "pip", "install", "--python", interpreter, *pinned, wheel)
    return interpreter


def _run(*command: str | Path) -> str:
    shown = {**os.environ, "VIRTUAL_ENV": sys.prefix}
    done = subprocess.run(list(map(str, command)), env=shown, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_contracts_install_alone_with_two_dependencies_and_read_an_event(python: Path) -> None:
    sample = ROOT / "tests/contracts/samples/model.unavailable/1-0.json"

    read, needed, installed = _run(python, "-I", "-c", FOREIGN, sample).splitlines()

    assert read.startswith("4711 ")
    assert set(needed.split()) == DIRECT
    assert set(installed.split()) == {"modelbus-contracts", *DIRECT, *INDIRECT}
