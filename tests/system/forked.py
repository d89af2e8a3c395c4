"""Services as real processes that are forked from one which has imported them all, so that a start costs little."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

SERVICES = ("catalog", "router", "integrity", "sync")
PARTS = ("app", "settings", "__main__")
"""What a service imports only when it serves, and its way in."""


def forks() -> ForkServerContext:
    """Answer what starts such processes; the one that they come from is started with the first of them."""
    context = get_context("forkserver")
    context.set_forkserver_preload([f"modelbus.{name}.{part}" for name in SERVICES for part in PARTS])
    return context


def start(context: ForkServerContext, name: str, environment: Mapping[str, str], log: Path) -> ForkServerProcess:
    """Start a service as `python -m modelbus.<name> serve` would; it does not outlive this process."""
    process = context.Process(target=_serve, args=(name, dict(environment), log), name=name, daemon=True)
    process.start()
    return process


def _serve(name: str, environment: Mapping[str, str], log: Path) -> None:
    with log.open("ab") as written:
        os.dup2(written.fileno(), sys.stdout.fileno())
        os.dup2(written.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(environment)
    import_module(f"modelbus.{name}.__main__").serve()
