"""What a test tells of its run reaches whoever reads the output, from a worker too, whatever becomes of the test."""

import sys
from pathlib import Path
from subprocess import run

TOLD = """
import threading, pytest

def test_that_succeeds(record_property):
    record_property("seed", "1, before")
    record_property("seed", "1, last")

@pytest.mark.timeout(0.1)
def test_that_takes_too_long(record_property):
    record_property("seed", "2, last")
    threading.Event().wait()
"""
WITH = ("--disable-plugin-autoload", "-p", "xdist", "-p", "timeout", "-p", "telling", "-p", "no:cacheprovider")


def test_what_a_worker_tells_stands_in_the_summary_and_beside_a_failure_by_time(tmp_path: Path) -> None:
    (tmp_path / "test_told.py").write_text(TOLD)

    done = run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", *WITH, str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )

    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("seed: ")] == ["seed: 1, last", "seed: 2, last"], done.stdout
    assert lines.index("2, last") < lines.index("seed: 1, last")
