"""The whole system, started for a measurement by its user's own command."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from time import perf_counter

from benchmarks.connection import Connection

from whole import System, environment_for

START_S = 90.0
LOOK_S = 0.002


@asynccontextmanager
async def standing(directory: Path) -> AsyncIterator[System]:
    """Start a system of this measurement alone, with its demonstration, and stop it afterwards."""
    home = new_home(directory)
    async with started(home, environment_for(home)) as (system, _):
        yield system


@asynccontextmanager
async def started(home: Path, environment: Mapping[str, str]) -> AsyncIterator[tuple[System, float]]:
    """Start the system in that home; yields it with the seconds until it said where everything is.

    Raises:
        RuntimeError: it did not start; the launcher's own words are told.
    """
    output, begun = home.with_suffix(".log"), perf_counter()
    with output.open("ab") as log:
        # In a session of its own: Ctrl-C is for us, and we stop the launcher in our own order.
        launcher = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "modelbus.launcher", "up"),
            env=dict(environment),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    system = System(home, launcher, environment)
    try:
        async with asyncio.timeout(START_S):
            while not (home / "endpoints.json").exists():
                if launcher.returncode is not None:
                    raise RuntimeError(output.read_text())
                await asyncio.sleep(LOOK_S)
        yield system, perf_counter() - begun
    finally:
        await system.close()


def new_home(directory: Path) -> Path:
    """Make an empty home that PostgreSQL's account may enter."""
    home = Path(mkdtemp(prefix="home-", dir=directory))
    home.chmod(0o755)
    return home


def administrator(system: System, service: str) -> Connection:
    """Answer a connection to a service with the administrator's token."""
    return Connection(system.endpoints[service], system.endpoints["admin_token"])
