"""Whatever happens to the launcher, nothing that it has started is left."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from launcher import sleepers
from launcher.sleepers import Sleeper
from launcher.waiting import lives, wait_until
from modelbus.launcher.leftovers import find_leftovers


class Run:
    """A launcher of sleepers in a process of its own."""

    def __init__(self, home: Path, *names: str) -> None:
        self.home = home
        (home / "pids").unlink(missing_ok=True)
        command = [sys.executable, sleepers.__file__, str(home), *names]
        with (home / "said").open("w") as said:
            self.process = subprocess.Popen(command, stdout=said)
        wait_until(lambda: (home / "pids").exists() or self.process.poll() is not None)

    @property
    def pids(self) -> dict[str, int]:
        return {name: int(pid) for name, pid in json.loads((self.home / "pids").read_text()).items()}

    @property
    def guards(self) -> list[int]:
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in children if any(word.endswith("guard.py") for word in _command_of(child))]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> str:
        """Stop it as Ctrl-C does, and return all that it has said."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(15)
        return (self.home / "said").read_text()


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


Launch = Callable[..., Run]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start launchers of sleepers in one home; at the end nothing may be left of any."""
    runs: list[Run] = []

    def start(*names: str) -> Run:
        runs.append(Run(tmp_path, *names))
        return runs[-1]

    yield start
    for run in runs:
        run.kill()
    wait_until(lambda: not find_leftovers(tmp_path))


def test_an_end_that_is_asked_for_stops_services_before_the_servers_they_stand_on(launch: Launch) -> None:
    run = launch("nats", "catalog")
    pids = run.pids

    said = run.end()

    assert run.process.returncode == 0
    assert not any(lives(pid) for pid in pids.values())
    assert said.index("catalog has stopped") < said.index("nats has stopped")
    assert _ended(run, "catalog") < _ended(run, "nats")


def test_a_killed_launcher_leaves_no_process_and_stops_what_it_had_in_order(launch: Launch) -> None:
    run = launch("nats", "catalog", "stubborn")
    pids, guards = run.pids, run.guards

    run.kill()

    wait_until(lambda: not any(lives(pid) for pid in [*pids.values(), *guards]))
    assert _ended(run, "catalog") < _ended(run, "nats")


def test_the_next_launcher_waits_until_the_guard_of_a_killed_one_is_done(launch: Launch) -> None:
    first = launch("stubborn")
    pids = first.pids
    first.kill()

    second = launch("catalog")

    assert not any(lives(pid) for pid in pids.values())
    assert "Waiting for the last run" in second.end()


def test_a_killed_guard_is_replaced_and_knows_everything(launch: Launch) -> None:
    run = launch("catalog")
    first = run.guards
    os.kill(first[0], signal.SIGKILL)
    wait_until(lambda: run.guards not in ([], first))

    run.kill()

    wait_until(lambda: not lives(run.pids["catalog"]))


def test_what_outlives_both_launcher_and_guard_is_stopped_by_the_next_launcher(launch: Launch) -> None:
    first = launch("catalog")
    orphan, guards = first.pids["catalog"], first.guards
    os.kill(first.process.pid, signal.SIGSTOP)
    os.kill(guards[0], signal.SIGKILL)
    first.kill()
    assert lives(orphan)

    second = launch("catalog")

    assert not lives(orphan)
    second.end()


def test_a_program_that_dies_is_started_again_and_said_so(launch: Launch) -> None:
    run = launch("catalog")
    first = run.pids["catalog"]

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: run.pids["catalog"] != first)
    second = run.pids["catalog"]
    wait_until(lambda: "ready" in (run.home / "catalog.log").read_text().replace("ready", "", 1))
    assert lives(second)
    said = run.end()
    assert "catalog was killed by signal 9; starting it again in 0.5 s" in said
    assert not lives(second)


def _ended(run: Run, name: str) -> float:
    return Sleeper(name, run.home / f"{name}.log").ended_at()
