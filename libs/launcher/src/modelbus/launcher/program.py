"""A program that we run: how it starts, when it is ready, and why it failed."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar

from modelbus.launcher.account import Account
from modelbus.launcher.errors import LaunchError, MissingProgramError, ProgramFailedError

Pause = Callable[[float], None]

POLL_S = 0.02
PATIENCE_S = 15.0
"""How long a program may take to stop; a service takes up to 8 s for its running requests, and 6 for all else."""


@dataclass(frozen=True, slots=True)
class Ailment:
    """Why a program that runs has to be started anew."""

    reason: str
    is_curable: bool
    """Whether it would do its work then."""


class Program(ABC):
    """One program with a log of its own, in a process group of its own so that Ctrl-C reaches the launcher alone."""

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    @abstractmethod
    def command(self) -> list[str]:
        """Name the program and its arguments."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Say whether it can do its work now; never blocks for more than a second."""

    def environment(self) -> Mapping[str, str] | None:
        """What the program sees; None passes ours on."""
        return None

    def account(self) -> Account | None:
        """Who runs it; None is ourselves."""
        return None

    def clear_remains(self) -> None:  # noqa: B027 - most programs leave nothing
        """Remove what a process that died has left in the way of the next; blocks until that is done."""

    def ailment(self) -> Ailment | None:
        """Tell what keeps it from its work though it runs, if only a new start helps; blocks for a second at most."""
        return None

    def failure(self) -> LaunchError:
        """Explain why it ended while it was being started."""
        return ProgramFailedError(f"{self.name} ended while it was being started: its log is {self.log}.")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process started last."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process

    @property
    def pid(self) -> int:
        """The process id; of the last process if it has ended."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Say whether the process lives; reaps it if it has ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process, its output appended to the log."""
        account, command = self.account(), self.command()
        with _opened(self.log) as output:
            self._log_offset = output.tell()
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=self.environment(),
                    # Where everybody may be: PostgreSQL's account may not enter the directory we were called in.
                    cwd="/" if account else None,
                    start_new_session=True,
                    **(account.identity if account else {}),
                )
            except OSError as error:
                raise MissingProgramError(command[0], error.strerror or str(error)) from error

    def said(self, lines: int = 200) -> str:
        """Return the last lines that the process started last has written."""
        return tail(self.log, self._log_offset, lines)

    def fail(self, failure: LaunchError) -> LaunchError:
        """Let the failure point to what this process has written."""
        failure.log, failure.log_offset = self.log, self._log_offset
        return failure

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        if self.is_running:
            self.process.kill()
            self.process.wait()

    def stop(self, patience_s: float = PATIENCE_S) -> None:
        """Ask the process to end; kill it when it does not."""
        if not self.is_running:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self, within_s: float = 30) -> None:
        """Start it again, after a stop if it runs, and wait until it is ready."""
        self.stop()
        self.clear_remains()
        self.start()
        wait_ready([self], within_s)


class Step(Program):
    """A program that does one thing and ends; it is ready when it has ended well."""

    def __init__(
        self,
        name: str,
        log: Path,
        command: list[str],
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> None:
        super().__init__(name, log)
        self._command, self._environment, self._account = command, environment, account

    def command(self) -> list[str]:
        """Name the program and its arguments."""
        return self._command

    def environment(self) -> Mapping[str, str] | None:
        """What the program sees."""
        return self._environment

    def account(self) -> Account | None:
        """Who runs it."""
        return self._account

    def is_ready(self) -> bool:
        """Say whether it has done its work."""
        return self.process.poll() == 0

    def failure(self) -> LaunchError:
        """Name the step and how it ended."""
        return ProgramFailedError(f"The step `{self.name}` failed with exit code {self.process.poll()}.")


def wait_ready(programs: Iterable[Program], within_s: float, pause: Pause = time.sleep) -> None:
    """Return when all are ready; raises the failure of the first that ends before, or of one that takes too long."""
    waiting = list(programs)
    deadline = time.monotonic() + within_s
    while waiting := [program for program in waiting if not _is_up(program)]:
        if time.monotonic() > deadline:
            slow = waiting[0]
            raise slow.fail(ProgramFailedError(f"{slow.name} was not ready after {within_s:.0f} s."))
        pause(POLL_S)


def _is_up(program: Program) -> bool:
    was_running = program.is_running  # asked first, else one that ends well in between would count as failed
    if program.is_ready():
        return True
    if not was_running:
        raise program.fail(program.failure())
    return False


def tail(log: Path, offset: int, lines: int) -> str:
    """Return the last lines of the log, none from before the offset."""
    try:
        with log.open(errors="replace") as written:
            written.seek(offset)
            return "".join(deque(written, maxlen=lines))
    except FileNotFoundError:
        return ""


def _opened(log: Path) -> BinaryIO:
    # Requests and errors are nobody else's business; appending lets the launcher cut a log that is being written.
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600), "ab")
