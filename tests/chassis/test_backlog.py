"""What a follower has heard of and not applied."""

from collections.abc import Iterator
from uuid import uuid4

import msgspec
import pytest

from modelbus.chassis import backlog as backlog_module
from modelbus.chassis.backlog import Backlog
from modelbus.contracts.feed import Change


class Watched(dict[int, Change]):
    """Counts how often all of it is gone through."""

    passes = 0

    def __iter__(self) -> Iterator[int]:
        self.passes += 1
        return super().__iter__()


def waiting(*revisions: int) -> Backlog:
    backlog = Backlog()
    for revision in revisions:
        backlog.add(Change(revision, "model.changed", uuid4(), msgspec.Raw(b"{}")), None)
    return backlog


def test_what_is_known_by_now_is_forgotten_once_nothing_newer_waits() -> None:
    backlog = waiting(5, 7, 6)

    backlog.settle(6)
    before = len(backlog)
    backlog.settle(7)

    assert (before, len(backlog)) == (3, 0)


def test_of_a_snapshot_only_what_is_newer_goes_on_waiting() -> None:
    backlog = waiting(5, 6, 9)

    backlog.begin_anew(6, is_same_epoch=True)
    kept = len(backlog)
    backlog.settle(9)

    assert (kept, len(backlog)) == (1, 0)


def test_a_step_of_a_storm_does_not_go_through_all_that_waits() -> None:
    backlog = waiting(*range(1, 101))
    backlog._changes = watched = Watched(backlog._changes)
    watched.passes = 0

    for applied in range(0, 100, 25):
        backlog.take(applied, 25)
        backlog.settle(applied + 25)

    assert (watched.passes, len(backlog)) == (0, 0)


def test_behind_a_gap_no_more_waits_than_there_is_room_for_and_there_is_room_again_once_it_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backlog_module, "MOST_BYTES", 20)
    backlog = waiting(*range(2, 101), *range(2, 101))
    assert (len(backlog), backlog.take(0, 100)) == (10, [])

    assert [each.revision for each in backlog.take(1, 5)] == [2, 3, 4, 5, 6]
    for revision in (12, 13, 14, 15, 16, 17):
        backlog.add(Change(revision, "model.changed", uuid4(), msgspec.Raw(b"{}")), None)
    assert [each.revision for each in backlog.take(6, 100)] == list(range(7, 17))

    backlog.begin_anew(100, is_same_epoch=True)
    for revision in range(102, 130):
        backlog.add(Change(revision, "model.changed", uuid4(), msgspec.Raw(b"{}")), None)
    backlog.settle(111)
    assert len(backlog) == 0
    backlog.add(Change(112, "model.changed", uuid4(), msgspec.Raw(b"{}")), None)
    assert backlog.has_next(111)
