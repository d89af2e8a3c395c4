from uuid import UUID, uuid4

import msgspec
import pytest

from modelbus.chassis.replica import Difference, GapError, Replica, compare_all
from modelbus.contracts.feed import Change, Snapshot

ONE, TWO = UUID(int=1), UUID(int=2)


def change(revision: int, record_id: UUID, name: str | None) -> Change:
    record = None if name is None else {"id": str(record_id), "name": name}
    data = msgspec.json.encode({"id": str(record_id), "record": record, "deleted": name is None})
    return Change(revision, "model.changed", uuid4(), msgspec.Raw(data))


def a_replica() -> Replica:
    replica = Replica(frozenset({"model"}))
    replica.replace(Snapshot(uuid4(), 4, {}, {"model": [msgspec.Raw(b'{"id":"%s","name":"a"}' % str(ONE).encode())]}))
    return replica


def test_changes_that_follow_are_applied_in_order() -> None:
    replica = a_replica()

    applied = replica.apply([change(5, TWO, "b"), change(6, TWO, "c"), change(7, ONE, None)])

    assert (replica.revision, set(replica.records["model"])) == (7, {TWO})
    assert msgspec.json.decode(replica.records["model"][TWO])["name"] == "c"
    assert (set(applied.changed["model"]), applied.gone["model"]) == ({TWO}, {ONE})


@pytest.mark.parametrize("revisions", [(6,), (5, 7), (5, 5), (4,)])
def test_changes_with_a_gap_are_refused_whole(revisions: tuple[int, ...]) -> None:
    replica = a_replica()
    before = replica.digests()

    with pytest.raises(GapError):
        replica.apply([change(revision, TWO, "b") for revision in revisions])

    assert (replica.revision, replica.digests(), set(replica.records["model"])) == (4, before, {ONE})


def test_the_digest_does_not_depend_on_the_way() -> None:
    one, other = a_replica(), a_replica()

    one.apply([change(5, TWO, "b"), change(6, TWO, None), change(7, TWO, "c")])
    other.apply([change(5, TWO, "c")])

    assert one.digests() == other.digests()


def test_a_record_that_was_made_and_deleted_at_once_is_only_gone() -> None:
    applied = a_replica().apply([change(5, TWO, "b"), change(6, TWO, None)])

    assert (applied.changed["model"], applied.gone["model"]) == ({}, {TWO})


def test_a_kind_that_no_snapshot_told_of_is_not_passed_on_as_empty() -> None:
    replica = Replica(frozenset({"model", "split"}))
    replica.replace(Snapshot(uuid4(), 4, {}, {"model": []}))

    replica.apply([change(5, TWO, "b")])
    passed_on = replica.snapshot()

    assert passed_on is not None
    assert (set(replica.lacks), set(passed_on.records)) == ({"split"}, {"model"})


def a_credential(**fields: object) -> bytes:
    told = {"id": str(ONE), "supplier_id": str(TWO), "name": "key", "sealed": "x", "is_active": True, "priority": 1}
    return msgspec.json.encode({**told, "state": "ok", **fields})


@pytest.mark.parametrize(
    ("told", "reshaped", "other"),
    [
        ({}, 0, 0),
        ({"state_since": None}, 1, 0),
        ({"added_tomorrow": [{"of": "any shape"}]}, 1, 0),
        ({"state_since": "2026-01-01T00:00:00Z"}, 0, 1),
        ({"priority": 2}, 0, 1),
        ({"priority": "first"}, 0, 1),
    ],
    ids=str,
)
def test_a_record_that_another_release_tells_with_more_fields_says_the_same(
    told: dict[str, object], reshaped: int, other: int
) -> None:
    ours, theirs = {"credential": {ONE: a_credential()}}, {"credential": {ONE: a_credential(**told)}}

    assert compare_all(ours, theirs) == compare_all(theirs, ours) == Difference(reshaped, other)


def test_a_record_that_one_copy_does_not_have_differs() -> None:
    ours, theirs = {"credential": {ONE: a_credential()}, "tag": {}}, {"credential": {TWO: a_credential()}, "tag": {}}

    assert compare_all(ours, theirs) == Difference(reshaped=0, other=2)
