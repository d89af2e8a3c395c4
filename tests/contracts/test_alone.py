"""Other teams install the contracts alone, from a built package, and read events by them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from foreign import program

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
DIRECT = {"msgspec", "pydantic"}
INDIRECT = {"annotated-types", "pydantic-core", "typing-extensions", "typing-inspection"}
"""What pydantic brings."""
HEADERS = {
    "ce-specversion": "1.0",
    "ce-id": "019aa6b6-0000-7000-8000-000000000001",
    "ce-type": "model.unavailable",
    "ce-source": "/modelbus/catalog",
    "ce-time": "2026-11-20T10:00:00Z",
    "ce-revision": "4711",
}
SHOWN = """
import importlib, pkgutil
from importlib.metadata import distributions, requires
import modelbus.contracts as contracts

for module in pkgutil.iter_modules(contracts.__path__):
    importlib.import_module(f"modelbus.contracts.{module.name}")
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


def test_the_contracts_install_alone_with_two_dependencies_and_the_documented_program_reads_events_by_them(
    python: Path,
) -> None:
    body = (ROOT / "tests/contracts/samples/model.unavailable/1-0.json").read_bytes()
    newer = body.replace(b"{", b'{"added_later": 1, ', 1)
    messages = [(HEADERS, body), (HEADERS, newer), ({**HEADERS, "ce-type": "model.available"}, b"{}"), ({}, body)]
    heard = "".join(f"told({headers!r}, {message!r})\n" for headers, message in messages)

    read = _run(python, "-I", "-c", program("MalformedEnvelopeError") + heard).splitlines()
    needed, installed = _run(python, "-I", "-c", SHOWN).splitlines()

    assert read[:2] == ["4711 openai/gpt-4o delisted"] * 2
    assert [line.partition(":")[0] for line in read[2:]] == ["not an event"]
    assert set(needed.split()) == DIRECT
    assert set(installed.split()) == {"modelbus-contracts", *DIRECT, *INDIRECT}
