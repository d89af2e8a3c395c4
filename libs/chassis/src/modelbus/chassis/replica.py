"""A replica: the catalog's records as their own JSON texts, with the revision and the digests that go with them."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec
from pydantic import ValidationError

from modelbus.contracts.catalog import CHANGES
from modelbus.contracts.event import read_event
from modelbus.contracts.feed import Change, RecordChange, Snapshot, digest_text, record_digest

_AS_CHANGE = b'{"id":"00000000-0000-0000-0000-000000000000","record":%s}'
_KIND_OF_TYPE = {event.type: kind for kind, event in CHANGES.items()}

type Records = dict[str, dict[UUID, bytes]]
"""Kind of record -> id -> the record as JSON."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What has just been applied: the records that are new or changed, and those that are gone."""

    changed: Records
    gone: dict[str, set[UUID]]
    is_whole: bool
    """True after a snapshot: `changed` holds everything, and whatever is not in it is gone."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How many records of one copy are not in another as they are."""

    reshaped: int
    """Say the same with more or fewer fields, as a release ahead or behind tells them."""
    other: int
    """Say something else, or are in one of the two alone."""


def compare_all(ours: Records, theirs: Records) -> Difference:
    """Compare two copies of the records of the same kinds by what they say to this release."""
    found = [_compare(kind, ours[kind], theirs[kind]) for kind in ours]
    return Difference(sum(each.reshaped for each in found), sum(each.other for each in found))


def _compare(kind: str, ours: Mapping[UUID, bytes], theirs: Mapping[UUID, bytes]) -> Difference:
    both = [(ours[record_id], theirs[record_id]) for record_id in ours.keys() & theirs.keys()]
    texts = [(one, another) for one, another in both if one != another]
    reshaped = sum(_say_the_same(kind, one, another) for one, another in texts)
    return Difference(reshaped, len(texts) - reshaped + len(ours.keys() ^ theirs.keys()))


def _say_the_same(kind: str, one: bytes, another: bytes) -> bool:
    try:
        first, second = (read_event(CHANGES[kind], _AS_CHANGE % body) for body in (one, another))
    except ValidationError:
        return False
    return first == second


class GapError(Exception):
    """The changes do not follow the replica's revision."""


class Replica:
    """Records of some kinds at one revision."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self.kinds = kinds
        self.epoch: UUID | None = None
        """None before anything was loaded."""
        self.revision = 0
        self.lacks = kinds
        """Kinds that no snapshot has told of: that no record of theirs is held says nothing."""
        self.records: Records = {kind: {} for kind in kinds}
        self._digests = dict.fromkeys(kinds, 0)

    def replace(self, snapshot: Snapshot) -> Applied:
        """Take a snapshot for what is held."""
        told = {
            kind: {msgspec.json.decode(raw, type=_Identified).id: bytes(raw) for raw in snapshot.records.get(kind, ())}
            for kind in self.kinds
        }
        self.records = {kind: {} for kind in self.kinds}
        self._digests = dict.fromkeys(self.kinds, 0)
        self.epoch, self.revision = snapshot.epoch, snapshot.revision
        self.lacks = self.kinds - snapshot.records.keys()
        for kind, bodies in told.items():
            for record_id, body in bodies.items():
                self.put(kind, record_id, body)
        return Applied(changed=self.records, gone={}, is_whole=True)

    def put(self, kind: str, record_id: UUID, body: bytes) -> None:
        """Hold this for the record, whatever was held before."""
        self._remove(kind, record_id)
        self.records[kind][record_id] = body
        self._digests[kind] += record_digest(kind, record_id, body)

    def apply(self, changes: list[Change]) -> Applied:
        """Apply changes that follow one another, and the replica's revision, without a gap.

        Raises:
            GapError: they do not; nothing has been applied.
            msgspec.DecodeError: one of them can't be read; nothing has been applied.
        """
        for expected, change in enumerate(changes, start=self.revision + 1):
            if change.revision != expected:
                raise GapError(f"expected revision {expected}, got {change.revision}")
        # Read all before anything is set: one that can't be read must not leave half a batch behind.
        ours = [
            (kind, msgspec.json.decode(change.data, type=RecordChange))
            for change in changes
            if (kind := _KIND_OF_TYPE.get(change.type)) in self.kinds
        ]
        applied = Applied(changed={}, gone={}, is_whole=False)
        for kind, new in ours:
            self._set(kind, new, applied)
        self.revision += len(changes)
        return applied

    def digests(self) -> dict[str, str]:
        """Answer the digest of each kind."""
        return {kind: digest_text(total) for kind, total in self._digests.items()}

    def snapshot(self) -> Snapshot | None:
        """Answer everything that is held, without kinds that it lacks; None before anything was loaded."""
        if self.epoch is None:
            return None
        told = {kind: held for kind, held in self.records.items() if kind not in self.lacks}
        records = {kind: [msgspec.Raw(body) for body in held.values()] for kind, held in told.items()}
        return Snapshot(self.epoch, self.revision, self.digests(), records)

    def _set(self, kind: str, change: RecordChange, applied: Applied) -> None:
        if change.deleted:
            self._remove(kind, change.id)
            applied.changed.get(kind, {}).pop(change.id, None)
            applied.gone.setdefault(kind, set()).add(change.id)
            return
        body = bytes(change.record)
        self.put(kind, change.id, body)
        applied.changed.setdefault(kind, {})[change.id] = body
        applied.gone.get(kind, set()).discard(change.id)

    def _remove(self, kind: str, record_id: UUID) -> None:
        old = self.records[kind].pop(record_id, None)
        if old is not None:
            self._digests[kind] -= record_digest(kind, record_id, old)


class _Identified(msgspec.Struct):
    id: UUID
