"""What the person at the terminal sees: one line per step, with the seconds since the start."""

import contextlib
import time


class Progress:
    """Tells each step as it is done."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Print a line; a terminal that has gone away is no reason to stop."""
        with contextlib.suppress(BrokenPipeError):
            print(f"{self.elapsed_s:7.2f} s  {text}", flush=True)

    def show(self, text: str) -> None:
        """Print text as it is."""
        with contextlib.suppress(BrokenPipeError):
            print(text, flush=True)
