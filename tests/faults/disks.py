"""Disks that are full or only read: real ones in memory where we may mount them, else what an ordinary user can do."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

FILLER = "filler"
CAN_NOT = "only root may mount a disk of its own, and not in every container"


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk of a test's own."""

    path: Path

    def fill(self) -> None:
        """Leave no byte."""
        filler = os.open(self.path / FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (2**20, 4096, 1):
                with suppress(OSError):
                    while True:
                        os.write(filler, b"x" * size)
        finally:
            os.close(filler)

    def free(self) -> None:
        """Give the room back."""
        (self.path / FILLER).unlink()


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[Disk]:
    """Mount a disk in memory; the test is skipped where nobody may."""
    path.mkdir(mode=0o755)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(path))
    try:
        yield Disk(path)
    finally:
        # What still has files open there ends with the test.
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def only_read(path: Path) -> Iterator[None]:
    """Let nobody write into a directory during the block."""
    if os.geteuid():
        path.chmod(0o500)
        yield
        path.chmod(0o700)
        return
    # Root is bound by mounts alone.
    _mount("--bind", str(path), str(path))
    try:
        _mount("-o", "remount,bind,ro", str(path))
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _mount(*how: str) -> None:
    try:
        done = subprocess.run(["mount", *how], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(CAN_NOT)
    if done.returncode:
        pytest.skip(f"{CAN_NOT}: {done.stderr.strip()}")
