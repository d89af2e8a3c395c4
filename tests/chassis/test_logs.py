"""What is logged holds no secret, whatever goes wrong."""

import json
import subprocess
import sys

import pytest

SECRET = "Bearer mb-very-secret"
PROGRAM = """
import sys
from modelbus.chassis.logs import configure_logs, logger

configure_logs("test", "info", sys.argv[1])

def call(authorization: str) -> None:
    raise RuntimeError("it went wrong")

try:
    call(sys.argv[2])
except RuntimeError:
    logger("test").exception("failed")
"""


@pytest.mark.parametrize("style", ["json", "pretty"])
def test_a_traceback_holds_no_local_variables(style: str) -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM, style, SECRET], capture_output=True, text=True, check=True)

    assert "it went wrong" in said.stdout
    assert SECRET not in said.stdout + said.stderr


JOINED = """
import sys
from structlog.contextvars import bound_contextvars
from modelbus.chassis.logs import configure_logs, logger

configure_logs("test", "info", sys.argv[1])
with bound_contextvars(request_id="request-1", caller="ada", revision=7):
    logger("test").info("something is done", run_id="run-2")
    logger("test").debug("nobody asked")
import logging
with bound_contextvars(request_id="request-3"):
    logging.getLogger("library").warning("something else")
"""


@pytest.mark.parametrize("style", ["json", "pretty"])
def test_each_line_has_the_ids_that_are_bound_and_what_the_level_leaves_out_is_not_there(style: str) -> None:
    said = subprocess.run([sys.executable, "-c", JOINED, style], capture_output=True, text=True, check=True)

    first, second = said.stdout.splitlines()
    if style == "json":
        wanted = {"service": "test", "request_id": "request-1", "caller": "ada", "revision": 7, "run_id": "run-2"}
        assert json.loads(first).items() >= wanted.items()
        assert json.loads(second).items() >= {"event": "something else", "request_id": "request-3"}.items()
    else:
        assert all(f"{name}=" in first for name in ("service", "request_id", "caller", "revision", "run_id"))
        assert "something else" in second
        assert "request_id=request-3" in second
