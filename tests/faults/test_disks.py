"""Disks of tests are full once they are filled, and have room again: root's, and those of whoever may not mount."""

import errno
import os
from pathlib import Path

import pytest

from faults.disks import small_disk


@pytest.mark.parametrize("user", [0, 1000])
def test_a_small_disk_is_full_when_it_is_filled_and_gives_its_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int
) -> None:
    if user:
        monkeypatch.setattr(os, "geteuid", lambda: user)
    elif os.geteuid():
        pytest.skip("only root mounts where everybody sees it")
    with small_disk(tmp_path / "disk", "64k") as disk:
        kept = disk.path / "kept"
        kept.write_bytes(b"before")
        disk.fill()
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (disk.path / "more").write_bytes(b"x" * 8192)
        disk.free()
        (disk.path / "more").write_bytes(b"x" * 8192)

        assert kept.read_bytes() == b"before"
        assert (tmp_path / "disk" / "more").stat().st_size == 8192

    assert not (tmp_path / "disk" / "more").exists()
