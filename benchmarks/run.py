"""The one command: `python benchmarks/run.py [--only NAME] [--write]`."""

import sys
from pathlib import Path

# The benchmarks start the system as the tests do, and are no package: both folders are found by their place.
ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.command import main  # noqa: E402 - found by the line above

if __name__ == "__main__":
    sys.exit(main())
