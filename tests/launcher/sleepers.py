"""Programs that do nothing, and a launcher of them that tests may kill: `python sleepers.py <home>`."""

import json
import os
import sys
from pathlib import Path

from modelbus.launcher.fleet import Fleet
from modelbus.launcher.guarding import Guard
from modelbus.launcher.interrupts import Interrupts, StopRequested
from modelbus.launcher.leftovers import VARIABLE, stop_leftovers
from modelbus.launcher.lock import Lock
from modelbus.launcher.program import Program
from modelbus.launcher.progress import Progress

POLITE = """
import signal, sys, time
def end(*_):
    print("ended", time.monotonic(), flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    time.sleep(60)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)
PATIENCE_S = 2.0
"""Enough for a polite one on a busy machine to have its say."""


class Sleeper(Program):
    """Sleeps; the stubborn one does not listen when told to stop."""

    def command(self) -> list[str]:
        return [sys.executable, "-S", "-c", STUBBORN if self.name == "stubborn" else POLITE]

    def is_ready(self) -> bool:
        return "ready" in self.said()

    def ended_at(self) -> float:
        return float(self.log.read_text().split("ended ")[1])


def launch(home: Path, names: list[str]) -> None:
    """Run sleepers under guard until told to stop; says their process ids whenever these change."""
    os.environ[VARIABLE] = str(home)
    progress, interrupts, lock = Progress(), Interrupts(), Lock(home / "lock")
    lock.take(progress, interrupts.pause)
    stop_leftovers(home)
    guard = Guard(home, lock.descriptor, PATIENCE_S)
    fleet = Fleet(guard, progress, interrupts.pause)
    guard.start([])

    def tell() -> None:
        pids = {program.name: program.pid for program in fleet.programs}
        (home / "pids.unfinished").write_text(json.dumps(pids))
        (home / "pids.unfinished").replace(home / "pids")

    try:
        for name in names:
            fleet.start(Sleeper(name, home / f"{name}.log"))
        fleet.await_ready(*fleet.programs, within_s=10)
        tell()
        fleet.watch(tell)
    except StopRequested:
        lock.announce_leaving()
    finally:
        fleet.stop()


if __name__ == "__main__":
    launch(Path(sys.argv[1]), sys.argv[2:])
