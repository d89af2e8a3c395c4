"""Forgets all data."""

from modelbus.launcher.home import Home
from modelbus.launcher.leftovers import stop_leftovers
from modelbus.launcher.lock import Lock
from modelbus.launcher.progress import Progress


def reset(home: Home) -> None:
    """Remove everything that lives in the home; raises AlreadyRunningError while it is in use, ForeignHomeError."""
    if not home.path.is_dir():
        print(f"There is nothing in {home.path} to forget.")
        return
    home.refuse_foreign()
    lock = Lock(home.lock)
    lock.take(Progress())
    try:
        stop_leftovers(home.path)
        home.forget()
    finally:
        lock.release()
    print(f"All data in {home.path} is forgotten.")
