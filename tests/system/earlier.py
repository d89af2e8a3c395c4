"""The release before this one, as it is kept in `previous/`: its own steps and services, as processes."""

import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

KEPT = Path(__file__).parent / "previous"


class Earlier:
    """Runs what belongs to that release."""

    def __init__(self, packages: Path, services: Sequence[str]) -> None:
        # They go before everything that is installed.
        self._path = {"PYTHONPATH": str(packages)}
        self._forks = subprocess.Popen(
            [sys.executable, "-B", str(KEPT / "forking.py"), *services],
            env=os.environ | self._path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = Lock()

    def serve(self, service: str, environment: Mapping[str, str], log: Path) -> "Forked":
        """Start a service as `python -m modelbus.<name> serve` would."""
        return self._fork(f"modelbus.{service}.__main__", "serve", environment, log)

    def run(self, package: str, step: str, environment: Mapping[str, str], log: Path) -> None:
        """Run a step as `python -m modelbus.<package> <step>` would, until it is done.

        Raises:
            AssertionError: it failed.
        """
        done = self._fork(f"modelbus.{package}.__main__", step, environment, log)
        done.join()
        assert done.exitcode == 0, log.read_text()

    def ask(self, **question: Any) -> Any:
        """Ask the process that forks."""
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        with self._lock:
            self._forks.stdin.write(json.dumps(question) + "\n")
            self._forks.stdin.flush()
            return json.loads(self._forks.stdout.readline())

    def close(self) -> None:
        """End it; what still runs is killed."""
        self._forks.communicate()

    def _fork(self, module: str, function: str, environment: Mapping[str, str], log: Path) -> "Forked":
        known = {**environment, **self._path}
        return Forked(self, self.ask(module=module, function=function, environment=known, log=str(log)))


@dataclass
class Forked:
    """One process."""

    release: Earlier
    pid: int
    exitcode: int | None = None

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._look(must_wait=False) is None

    def terminate(self) -> None:
        """Tell it to end."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def join(self, timeout: float | None = None) -> None:  # noqa: ARG002 - the test's own time limit is enough
        """Wait until it has ended."""
        self._look(must_wait=True)

    def _look(self, *, must_wait: bool) -> int | None:
        if self.exitcode is None:
            self.exitcode = self.release.ask(pid=self.pid, must_wait=must_wait)
        return self.exitcode


@contextmanager
def earlier_release(directory: Path, *services: str) -> Iterator[Earlier]:
    """Unpack the release that is kept, and answer what runs these services of it."""
    with tarfile.open(next(KEPT.glob("*.tar.xz"))) as kept:
        kept.extractall(directory, filter="data")
    release = Earlier(directory, services)
    try:
        yield release
    finally:
        release.close()
