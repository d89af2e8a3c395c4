"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable

import psutil


def wait_until(is_met: Callable[[], bool], within_s: float = 15) -> None:
    """Return once the condition holds; an AssertionError says that it never did."""
    deadline = time.monotonic() + within_s
    while not is_met():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
