"""What is logged holds no secret, whatever goes wrong."""

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
