"""Programs that the launcher looks after, within a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from modelbus.launcher.fleet import Fleet
from modelbus.launcher.guarding import Guard
from modelbus.launcher.interrupts import StopRequested
from modelbus.launcher.lock import Lock
from modelbus.launcher.program import Program
from modelbus.launcher.progress import Progress


@contextmanager
def tended(home: Path, *programs: Program, tell_change: Callable[[], None] = lambda: None) -> Iterator[Fleet]:
    """Start programs and look after them, under guard; they are stopped afterwards."""
    is_over = threading.Event()

    def pause(seconds: float) -> None:
        if is_over.wait(seconds):
            raise StopRequested

    def watch() -> None:
        with suppress(StopRequested):
            fleet.watch(tell_change)

    lock = Lock(home / "lock")
    lock.take(Progress())
    guard = Guard(home, lock.descriptor)
    fleet = Fleet(guard, Progress(), pause)
    guard.start([])
    watcher = threading.Thread(target=watch)
    try:
        for program in programs:
            fleet.start(program)
        fleet.await_ready(*programs, within_s=30)
        watcher.start()
        yield fleet
    finally:
        is_over.set()
        if watcher.ident:
            watcher.join()
        fleet.stop()
        lock.release()
