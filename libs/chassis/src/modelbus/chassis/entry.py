"""The way into every service's process: its steps, with one clear sentence when a setting is wrong."""

import argparse
import gc
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

EXIT_SETTINGS = 2
EXIT_TRY_AGAIN = 75
"""As BSD's `sysexits.h` has it: nothing is wrong with what was asked."""

UNUSED = ("aiohttp", "rich", "pygments")
"""What libraries of ours take along wherever it is installed, and no service uses.

NATS for WebSockets, the logs for tracebacks with values in them, the HTTP client for a command line: 11 MB a process.
"""

_WHILE_LOADING = 100_000
"""So many new objects before garbage is looked for: what is loaded stays, and looking takes a tenth of loading it."""

type Takes = Callable[[argparse.ArgumentParser], object]
"""Adds what a step takes on the command line; the step gets it by name."""


class TryAgainError(Exception):
    """A step could not be done now and has changed nothing; the text says why, and what to do."""


def takes_file(parser: argparse.ArgumentParser) -> None:
    """Take the file that a step writes."""
    parser.add_argument("file", type=Path)


def _load_lean() -> None:
    """Have libraries do as if what we don't use were not installed, and look for little garbage in what is loaded."""
    gc.set_threshold(_WHILE_LOADING)
    for name in UNUSED:
        # As the import system has it: https://docs.python.org/3/reference/import.html#the-module-cache
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def run(program: str, takes: Mapping[str, Takes] | None = None, **steps: Callable[..., None]) -> int:
    """Run the step that the command line names; answer the exit code."""
    parser = argparse.ArgumentParser(prog=program)
    known = parser.add_subparsers(dest="step", required=True)
    for name, step in sorted(steps.items()):
        of_step = known.add_parser(name.replace("_", "-"), help=step.__doc__, description=step.__doc__)
        if takes is not None and name in takes:
            takes[name](of_step)
    told = vars(parser.parse_args())
    step = steps[told.pop("step").replace("-", "_")]
    _load_lean()
    try:
        step(**told)
    except ValidationError as error:
        for wrong in error.errors():
            name = "MODELBUS_" + "_".join(str(part) for part in wrong["loc"]).upper()
            # The value is left out: it may be a secret.
            print(f"{program}: {name}: {wrong['msg']}", file=sys.stderr)  # noqa: T201 - for a person
        return EXIT_SETTINGS
    except ValueError as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201 - the same
        return EXIT_SETTINGS
    except TryAgainError as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201 - the same
        return EXIT_TRY_AGAIN
    finally:
        # The interpreter looks at everything once more as it ends, which takes as long as half of loading it.
        gc.freeze()
    return 0
