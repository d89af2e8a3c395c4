"""What a process does before and after its step."""

import subprocess
import sys

PROCESS = """
import atexit, gc, sys
from modelbus.chassis.entry import run

def serve():
    '''Tell what is left out and how seldom garbage is looked for.'''
    print([name for name in ("aiohttp", "rich", "pygments") if sys.modules.get(name, "?") is None], end=" ")
    print(gc.get_threshold()[0] > before)

before = gc.get_threshold()[0]
atexit.register(lambda: print(gc.get_freeze_count() > 0))
sys.argv = ["modelbus-test", "serve"]
sys.exit(run("modelbus-test", serve=serve))
"""


def test_what_nobody_uses_is_left_out_and_no_garbage_is_looked_for_in_what_stays() -> None:
    done = subprocess.run([sys.executable, "-c", PROCESS], check=True, capture_output=True, text=True)

    assert done.stdout.splitlines() == ["['aiohttp', 'rich', 'pygments'] True", "True"]
