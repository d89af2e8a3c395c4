"""One launcher per home: a lock that the kernel releases when its last holder is gone."""

import fcntl
import os
import time
from pathlib import Path

import psutil

from modelbus.launcher.errors import AlreadyRunningError
from modelbus.launcher.program import Pause
from modelbus.launcher.progress import Progress

CLEANING_S = 15.0
POLL_S = 0.1


class Lock:
    """Holds the home from `take` until this process and the guard, which inherits it, are gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = -1

    def take(self, progress: Progress, pause: Pause = time.sleep) -> None:
        """Wait for the guard of a launcher that is gone; raises AlreadyRunningError for one that lives."""
        deadline = time.monotonic() + CLEANING_S
        is_told = False
        while not self._try():
            holder = self._holder()
            if (holder and psutil.pid_exists(holder)) or time.monotonic() > deadline:
                raise AlreadyRunningError(self.path.parent, holder)
            if not is_told:
                progress.say("Waiting for the last run to be cleaned up")
                is_told = True
            pause(POLL_S)
        self._write(str(os.getpid()))

    def announce_leaving(self) -> None:
        """Let the next launcher wait instead of refusing: we are about to stop."""
        self._write("")

    def release(self) -> None:
        """Give the lock back."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def _try(self) -> bool:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A reset may have removed the file that we opened: a lock on that one would keep nobody out.
            if self.path.exists() and os.fstat(descriptor).st_ino == self.path.stat().st_ino:
                self.descriptor = descriptor
                return True
        except BlockingIOError:
            pass
        os.close(descriptor)
        return False

    def _holder(self) -> int | None:
        try:
            return int(self.path.read_text())
        except (OSError, ValueError):
            return None

    def _write(self, text: str) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, text.encode(), 0)
