"""Disks that are full or only read: real ones in memory where we may mount them, else what an ordinary user can do."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

FILLER = "filler"
CAN_NOT = "here nobody may mount a disk of its own: neither root, nor an ordinary user in a namespace"


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk of a test's own."""

    path: Path

    def fill(self) -> None:
        """Leave no byte."""
        room = os.statvfs(self.path)
        assert room.f_blocks * room.f_frsize < 2**30, "that is not a small disk, but the machine's"
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
    mount = ("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs")
    if os.geteuid():
        with _mounted_apart(path, mount):
            yield Disk(path)
        return
    path.mkdir(mode=0o755)
    _run(*mount, str(path))
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
    _run("mount", "--bind", str(path), str(path))
    try:
        _run("mount", "-o", "remount,bind,ro", str(path))
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextmanager
def _mounted_apart(path: Path, mount: tuple[str, ...]) -> Iterator[None]:
    """Mount in a namespace in which one is root, as an ordinary user may; its files are seen through its process."""
    place = path.with_name(f"{path.name}-apart")
    place.mkdir(mode=0o755)
    program = f'{" ".join(mount)} "$0" && echo mounted && read end'
    _run("unshare", "--user", "--map-root-user", "--mount", "true")
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", program, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        try:
            assert holder.stdout is not None
            if not holder.stdout.readline():
                pytest.skip(CAN_NOT)
            path.symlink_to(f"/proc/{holder.pid}/root{place}")
            yield
        finally:
            holder.kill()


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(CAN_NOT)
    if done.returncode:
        pytest.skip(f"{CAN_NOT}: {done.stderr.strip()}")
