"""Files that are whole or as they were."""

from errno import ENOSPC
from pathlib import Path

import pytest

from modelbus.chassis.whole_files import write_whole


def test_a_file_is_replaced_and_what_it_was_is_kept_where_that_is_wanted(tmp_path: Path) -> None:
    place, before = tmp_path / "new" / "sums", tmp_path / "new" / "sums.1"
    write_whole(place, b"one", previous=before)
    assert not before.exists()
    write_whole(place, b"two", previous=before)
    write_whole(tmp_path / "new" / "alone", b"three")

    assert (place.read_bytes(), before.read_bytes(), place.stat().st_mode & 0o777) == (b"two", b"one", 0o600)
    assert sorted(each.name for each in place.parent.iterdir()) == ["alone", "sums", "sums.1"]


def test_a_disk_that_is_full_leaves_the_files_as_they_were_and_nothing_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "sums"
    write_whole(place, b"one")

    def full(_file: int) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(place, b"two", previous=tmp_path / "sums.1")

    assert place.read_bytes() == b"one"
    assert [each.name for each in tmp_path.iterdir()] == ["sums"]
