"""The guard outlives a launcher that was killed, and stops what it had started; it stops it at a normal end, too.

Run as a plain file with nothing but the interpreter's smallest modules, so that it costs little: it reads lines from
its standard input, `start <pid> <stage> <signal>` and `gone <pid>`. End of file means that the launcher is gone or
wants an end. It inherits the launcher's lock, so that nobody starts anew before it is done.
"""

import os
import signal
import sys
import time

POLL_S = 0.02
DEATH_S = 2.0
MARK = b"MODELBUS_LAUNCHED_FROM="
"""Begins the variable that every program we start has in its environment; its value is the home."""


def main() -> None:
    """Follow the launcher to its end, then stop its programs: arguments are the home and seconds of patience."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    home, patience_s = sys.argv[1].encode(), float(sys.argv[2])
    stop(follow(), patience_s)
    sweep(home)


def follow() -> dict[int, tuple[int, int]]:
    """Read until the end and return what runs then: stage and signal by process id."""
    running: dict[int, tuple[int, int]] = {}
    said = b""
    while heard := os.read(0, 65536):
        *lines, said = (said + heard).split(b"\n")
        for word, pid, *rest in (line.split() for line in lines):
            if word == b"start":
                running[int(pid)] = (int(rest[0]), int(rest[1]))
            else:
                running.pop(int(pid), None)
    return running


def stop(running: dict[int, tuple[int, int]], patience_s: float) -> None:
    """Stop the highest stage first: all of it at once, and by force what takes too long."""
    for stage in sorted({stage for stage, _ in running.values()}, reverse=True):
        pids = [pid for pid, (its_stage, _) in running.items() if its_stage == stage]
        for pid in pids:
            send(pid, running[pid][1])
        for pid in await_end(pids, patience_s):
            send(-pid, signal.SIGKILL)  # its whole group; each of our programs leads one
        await_end(pids, DEATH_S)


def await_end(pids: list[int], within_s: float) -> list[int]:
    """Return those that still live after that time."""
    end = time.monotonic() + within_s
    while (pids := [pid for pid in pids if lives(pid)]) and time.monotonic() < end:
        time.sleep(POLL_S)
    return pids


def lives(pid: int) -> bool:
    """Say whether the process runs; one that has ended and waits for its parent to notice does not."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # pathlib would treble our size
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True  # no /proc here, as on macOS, where the first process notices at once


def send(pid: int, number: int) -> None:
    """Signal a process, or a group by its negative id, if it is there."""
    try:
        os.kill(pid, number)
    except OSError:
        return


def sweep(home: bytes) -> None:
    """Kill what bears our mark still: a program started in the launcher's very last moment, or a program's child."""
    if not os.path.isdir("/proc/self"):  # noqa: PTH112  # pathlib would treble our size
        return
    for name in os.listdir("/proc"):  # noqa: PTH208  # the same
        if name.isdigit() and int(name) != os.getpid() and MARK + home in environment(name):
            send(int(name), signal.SIGKILL)


def environment(pid: str) -> list[bytes]:
    """Return the process's variables as it was started; none if it is not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as variables:  # noqa: PTH123  # the same
            return variables.read().split(b"\0")
    except OSError:
        return []


if __name__ == "__main__":
    main()
