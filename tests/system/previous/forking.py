"""Run with another release's packages before the present ones: forks its steps and services, as standard input asks.

On the command line it is told which services to import.

In, a JSON object a line: `module`, `function`, `environment` and `log` of what is to be run, or `pid` and `must_wait`
of what was. Out, a line for each: its process id, or the exit code, null while it runs.
"""

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module

PARTS = ("app", "settings", "__main__")


def main() -> None:
    for name in sys.argv[1:]:
        for part in PARTS:
            import_module(f"modelbus.{name}.{part}")
    running: set[int] = set()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            if "pid" in asked:
                answer = _exit_code(running, **asked)
            else:
                running.add(answer := _fork(**asked))
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        for pid in running:
            os.kill(pid, signal.SIGKILL)


def _exit_code(running: set[int], pid: int, *, must_wait: bool) -> int | None:
    ended, status = os.waitpid(pid, 0 if must_wait else os.WNOHANG)
    if not ended:
        return None
    running.discard(pid)
    return os.waitstatus_to_exitcode(status)


def _fork(module: str, function: str, environment: Mapping[str, str], log: str) -> int:
    if pid := os.fork():
        return pid
    code = 1
    try:
        _redirect(log)
        os.environ.clear()
        os.environ.update(environment)
        getattr(import_module(module), function)()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        # Whatever happens, the child must not go on as the one that forks.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _redirect(log: str) -> None:
    nothing, written = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for descriptor, kept in ((nothing, sys.stdin), (written, sys.stdout), (written, sys.stderr)):
        os.dup2(descriptor, kept.fileno())


if __name__ == "__main__":
    main()
