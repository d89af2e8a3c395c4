"""Ctrl-C and SIGTERM: heard at any time, heeded where it is safe."""

import signal
import time
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):  # noqa: N818 - it is a wish, no error
    """Somebody wants an end."""


class Interrupts:
    """Notes the wish for an end, so that it can't strike between a program's start and the guard's hearing of it."""

    def __init__(self) -> None:
        self._is_requested = False
        for number in SIGNALS:
            signal.signal(number, self._note)

    def pause(self, seconds: float) -> None:
        """Sleep; raises StopRequested if an end is wanted."""
        if not self._is_requested:
            time.sleep(seconds)
        if self._is_requested:
            raise StopRequested

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._is_requested = True
