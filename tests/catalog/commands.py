"""The commands that `python -m modelbus.catalog` takes, run in this process: another one imports for a second."""

import asyncio
import io
import runpy
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from running import MASTER_KEY
from servers import FreshDatabase


async def command(
    database: FreshDatabase, *words: str, said: str = "", master_keys: str | None = MASTER_KEY
) -> tuple[int, str]:
    """Run a command that reads what is said; answer its exit code, and what it told on either stream."""
    told = io.StringIO()
    with pytest.MonkeyPatch.context() as patched, redirect_stdout(told), redirect_stderr(told):
        patched.setenv("MODELBUS_DATABASE_URL", database.url("catalog"))
        if master_keys is not None:
            patched.setenv("MODELBUS_MASTER_KEYS", master_keys)
        patched.setattr(sys, "argv", ["modelbus.catalog", *words])
        patched.setattr(sys, "stdin", io.StringIO(said))
        # Its loop ends with it, and an engine that is kept would not.
        patched.setattr("modelbus.chassis.database.create_async_engine", create_async_engine)
        return await asyncio.to_thread(_exit_code), told.getvalue()


def _exit_code() -> int:
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("modelbus.catalog", run_name="__main__")
    assert isinstance(ended.value.code, int)
    return ended.value.code
