"""The way into every service's process: `serve` and `migrate`, with one clear sentence when a setting is wrong."""

import argparse
import sys
from collections.abc import Callable

from pydantic import ValidationError

EXIT_SETTINGS = 2


def run(program: str, **steps: Callable[[], None]) -> int:
    """Run the step that the command line names; answer the exit code."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("step", choices=sorted(steps))
    step = steps[parser.parse_args().step]
    try:
        step()
    except ValidationError as error:
        for wrong in error.errors():
            name = "MODELBUS_" + "_".join(str(part) for part in wrong["loc"]).upper()
            # The value is left out: it may be a secret.
            print(f"{program}: {name}: {wrong['msg']}", file=sys.stderr)  # noqa: T201 - for a person
        return EXIT_SETTINGS
    except ValueError as error:
        print(f"{program}: {error}", file=sys.stderr)  # noqa: T201 - the same
        return EXIT_SETTINGS
    return 0
