"""`python -m modelbus.launcher up|reset|status|backup|restore|import`."""

import sys

if sys.version_info < (3, 12):  # noqa: UP036 - said before anything is imported that an old Python can't even read
    sys.stderr.write("Modelbus needs Python 3.12 or newer: install it, or name it with make PYTHON=/path/to/python.\n")
    sys.exit(10)

import argparse
import errno
import os
from pathlib import Path

from modelbus.launcher.backup import backup, restore
from modelbus.launcher.errors import DiskFullError, HomeNotWritableError, LaunchError
from modelbus.launcher.home import Home
from modelbus.launcher.importing import import_file
from modelbus.launcher.launch import up
from modelbus.launcher.program import tail
from modelbus.launcher.reset import reset
from modelbus.launcher.settings import read_settings
from modelbus.launcher.status import status

LINES_SHOWN = 15
WIDTH_SHOWN = 240
"""Of each line: an exception logged as JSON is as long as a page."""


def main() -> int:
    """Do what is asked; every foreseeable failure is one sentence and an exit code of its own."""
    try:
        return run(parsed())
    except LaunchError as error:
        return explain(error)
    except PermissionError as error:
        return explain(HomeNotWritableError(Path(error.filename or "."), error.strerror or str(error)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return explain(DiskFullError(Path(error.filename or ".")))


def parsed() -> argparse.Namespace:
    """Read the arguments."""
    codes = {kind.exit_code: (kind.__doc__ or "").splitlines()[0] for kind in LaunchError.__subclasses__()}
    codes[10] = "This Python is older than 3.12."
    parser = argparse.ArgumentParser(
        prog="python -m modelbus.launcher",
        description="Run Modelbus on this machine.",
        epilog="\n".join(["exit codes:", *(f"  {code:<4}{meaning}" for code, meaning in sorted(codes.items()))]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start everything and watch it; Ctrl-C stops it")
    commands.add_parser("reset", help="forget all data")
    commands.add_parser("status", help="say what runs: exit code 0 ready, 3 not running, 4 not all of it ready")
    commands.add_parser("backup", help="write the configuration to a new file").add_argument("file", type=Path)
    restored = commands.add_parser("restore", help="put such a file in place of the configuration")
    restored.add_argument("file", type=Path)
    restored.add_argument("--replace", action="store_true", help="take away what is configured")
    brought = commands.add_parser("import", help="import tables of an older system, JSON or CSV")
    brought.add_argument("file", type=Path)
    brought.add_argument("--shape", help="what the entries are; needed for an array and for CSV")
    brought.add_argument("--dry-run", action="store_true", help="only report what would come of it")
    return parser.parse_args()


def run(given: argparse.Namespace) -> int:
    """Run the command in the current directory."""
    settings = read_settings(os.environ, Path.cwd())
    home = Home(settings.home)
    match given.command:
        case "status":
            return status(home)
        case "reset":
            reset(home)
        case "backup":
            backup(home, given.file)
        case "restore":
            restore(home, given.file, replace=given.replace)
        case "import":
            import_file(home, given.file, shape=given.shape, dry_run=given.dry_run)
        case _:
            up(settings)
    return 0


def explain(error: LaunchError) -> int:
    """Print the sentence, after the last lines of the log that it is about."""
    if error.log and (end := tail(error.log, error.log_offset, LINES_SHOWN)):
        lines = "\n".join(line[:WIDTH_SHOWN] for line in end.splitlines())
        print(f"\nThe end of {error.log}:\n{lines}\n", file=sys.stderr)
    print(error, file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
