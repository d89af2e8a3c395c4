"""What a follower has heard of and not applied."""

from collections.abc import Iterator
from uuid import uuid4

import msgspec

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
