"""All programs that run: started under guard, watched, restarted, stopped in order."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from modelbus.launcher.backoff import next_delay
from modelbus.launcher.errors import LaunchError
from modelbus.launcher.files import set_aside, trim
from modelbus.launcher.guarding import Guard
from modelbus.launcher.program import Ailment, Pause, Program, Step, wait_ready
from modelbus.launcher.progress import Progress

STEP_S = 120.0
WATCH_S = 0.1
EXAMINE_S = 2.0
TRIM_S = 30.0


@dataclass(slots=True)
class Watched:
    """A program and its recent luck; times are of the monotonic clock."""

    program: Program
    started: float
    delay_s: float = 0.0
    due: float | None = None
    """When it is started again; None while it runs."""
    is_awaited: bool = False
    """Started again and not ready yet."""
    examined: float = 0.0
    """When it was last asked for what ails it."""
    ailment: Ailment | None = None


class Fleet:
    """Programs in the order in which they were started."""

    def __init__(self, guard: Guard, progress: Progress, pause: Pause) -> None:
        self._guard, self._progress, self._pause = guard, progress, pause
        self._watched: list[Watched] = []
        self._steps: list[Step] = []
        self._is_stuck = False
        """Something could not be written the last time, and it was said."""

    @property
    def programs(self) -> list[Program]:
        """All that should run."""
        return [watched.program for watched in self._watched]

    def start(self, program: Program) -> None:
        """Start a program with a new log, put it under guard and keep it running from now on."""
        set_aside(program.log)
        program.start()
        self._guard.tell_start(program)
        self._watched.append(Watched(program, time.monotonic()))

    def run(self, *steps: Step) -> None:
        """Run steps side by side to their ends."""
        self.begin(*steps)
        self.finish(*steps)

    def begin(self, *steps: Step) -> None:
        """Start steps that are finished later."""
        for step in steps:
            if step.log not in {program.log for program in self.programs}:
                set_aside(step.log)
            step.start()
            self._guard.tell_start(step)
            self._steps.append(step)

    def finish(self, *steps: Step) -> None:
        """Wait for steps to end."""
        wait_ready(steps, STEP_S, self._pause)
        for step in steps:
            self._guard.tell_gone(step)
            self._steps.remove(step)

    def await_ready(self, *programs: Program, within_s: float) -> None:
        """Wait until these can do their work."""
        wait_ready(programs, within_s, self._pause)

    def watch(self, tell_change: Callable[[], None]) -> None:
        """Restart what dies, for ever; `tell_change` hears of every new process. The pause raises to end it."""
        trimmed, has_news = time.monotonic(), False
        while True:
            changes = [self._look_after(watched) for watched in self._watched]
            has_news = (has_news or any(changes)) and not self._is_done(tell_change)
            if not self._guard.is_running:
                self._guard.start([program for program in self.programs if program.is_running])
            if time.monotonic() - trimmed > TRIM_S:
                trimmed = time.monotonic()
                for program in self.programs:
                    self._is_done(partial(trim, program.log))
            self._pause(WATCH_S)

    def stop(self) -> None:
        """Let the guard stop everything, and see it done; should it die over that, another one goes on."""
        living = [program for program in (*self._steps, *self.programs) if program.is_running]
        self._guard.end()
        while living or self._guard.is_running:
            # Asked in the order of start and told in that of stopping: what ended between two looks stays in order.
            for program in reversed([program for program in living if not program.is_running]):
                living.remove(program)
                self._progress.say(f"{program.name} has stopped")
            if living and not self._guard.is_running:
                self._guard.start(living)
                self._guard.end()
            time.sleep(0.02)

    def _look_after(self, watched: Watched) -> bool:
        """Return whether there is a new process."""
        program, now = watched.program, time.monotonic()
        if program.is_running:
            if watched.is_awaited and program.is_ready():
                watched.is_awaited = False
                self._progress.say(f"{program.name} is back (process {program.pid})")
            elif now - watched.examined > EXAMINE_S:
                self._examine(watched, now)
            return False
        if watched.due is None:
            self._mourn(watched, now)
        elif now >= watched.due:
            return self._revive(watched, now)
        return False

    def _examine(self, watched: Watched, now: float) -> None:
        """Say what ails a program, once, and end it as soon as a new start would help: what has ended is started."""
        program, known = watched.program, watched.ailment
        watched.examined, watched.ailment = now, program.ailment()
        if watched.ailment is None:
            return
        if known is None:
            self._progress.say(f"{program.name} runs, but {watched.ailment.reason} (log: {program.log})")
        if watched.ailment.is_curable:
            self._progress.say(f"{program.name} can do it again once it is started anew: stopping it")
            program.stop()

    def _mourn(self, watched: Watched, now: float) -> None:
        program = watched.program
        self._guard.tell_gone(program)
        watched.delay_s = next_delay(watched.delay_s, now - watched.started)
        watched.due = now + watched.delay_s
        code = program.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        self._progress.say(f"{program.name} {how}; starting it again in {watched.delay_s:g} s (log: {program.log})")

    def _revive(self, watched: Watched, now: float) -> bool:
        watched.started, watched.due, watched.is_awaited, watched.ailment = now, None, True, None
        try:
            watched.program.clear_remains()
            watched.program.start()
        except (LaunchError, OSError) as failure:
            watched.delay_s = next_delay(watched.delay_s, 0)
            watched.due = now + watched.delay_s
            self._progress.say(f"{failure} Trying again in {watched.delay_s:g} s")
            return False
        self._guard.tell_start(watched.program)
        return True

    def _is_done(self, write: Callable[[], None]) -> bool:
        """Return whether it could be written; a full disk ends nothing: it is said once, and tried again."""
        try:
            write()
        except OSError as failure:
            if not self._is_stuck:
                self._progress.say(f"something can't be written and is tried again: {failure}")
            self._is_stuck = True
            return False
        self._is_stuck = False
        return True
