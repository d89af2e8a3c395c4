"""Ids that are made at the same time in processes that were one."""

import subprocess
import sys

FORKED = """
import os
from modelbus.chassis.ids import new_id
new_id()
read, write = os.pipe()
if os.fork() == 0:
    os.write(write, b"".join(new_id().bytes for _ in range(100)))
    os._exit(0)
theirs = os.read(read, 1600)
chance = lambda made: int.from_bytes(made) & (1 << 62) - 1
print(len({chance(theirs[at : at + 16]) for at in range(0, 1600, 16)} | {chance(new_id().bytes) for _ in range(100)}))
"""


def test_a_process_that_goes_on_as_two_makes_no_id_twice() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], check=True, capture_output=True, text=True)

    assert done.stdout == "200\n"
