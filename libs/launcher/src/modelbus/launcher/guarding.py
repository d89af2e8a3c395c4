"""The launcher's end of the pipe to its guard."""

import os
import subprocess
import sys
from pathlib import Path

from modelbus.launcher import guard
from modelbus.launcher.program import PATIENCE_S, Program

STAGES = {"nats": 1, "postgres": 1}
"""What stops last; everything else stands on these."""
LAST_STAGE = 2


class Guard:
    """A process that stops our programs once we are gone, or once we say so."""

    def __init__(self, home: Path, lock: int, patience_s: float = PATIENCE_S) -> None:
        self._home = home
        self._lock = lock
        self._patience_s = patience_s
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None

    def start(self, programs: list[Program]) -> None:
        """Start the process and tell it what runs already."""
        self._close()
        reader, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(self._home), str(self._patience_s)],
            stdin=reader,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._lock],
            cwd="/",
            start_new_session=True,
        )
        os.close(reader)
        for program in programs:
            self.tell_start(program)

    @property
    def is_running(self) -> bool:
        """Say whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def tell_start(self, program: Program) -> None:
        """Put the program under guard."""
        self._tell(f"start {program.pid} {STAGES.get(program.name, LAST_STAGE)} {program.stop_signal.value}")

    def tell_gone(self, program: Program) -> None:
        """Take the program out of guard: its process id may be another's soon."""
        self._tell(f"gone {program.pid}")

    def end(self) -> None:
        """Let the process stop everything; it ends when that is done."""
        self._close()

    def _tell(self, line: str) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, f"{line}\n".encode())
        except BrokenPipeError:
            # It was killed: whoever watches us starts another and tells it everything.
            self._close()

    def _close(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
