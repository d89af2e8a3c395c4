"""What a launcher has left behind that was killed together with its guard."""

import contextlib
import os
import signal
from pathlib import Path

import psutil

from modelbus.launcher.guard import MARK
from modelbus.launcher.program import PATIENCE_S

VARIABLE = MARK.decode().rstrip("=")


def stop_leftovers(home: Path) -> int:
    """Stop every program that was started from this home and return how many there were."""
    left = find_leftovers(home)
    for process in left:
        with contextlib.suppress(psutil.Error):
            is_postgres = process.name().startswith("postgres")
            process.send_signal(signal.SIGINT if is_postgres else signal.SIGTERM)
    for process in psutil.wait_procs(left, timeout=PATIENCE_S)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(left, timeout=PATIENCE_S)
    return len(left)


def find_leftovers(home: Path) -> list[psutil.Process]:
    """Find every program that was started from this home and lives."""
    return [process for process in psutil.process_iter(["name"]) if _is_ours(process, home)]


def _is_ours(process: psutil.Process, home: Path) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(VARIABLE) == str(home)
    except (psutil.Error, OSError):
        return False
