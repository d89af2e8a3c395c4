"""What a follower has heard of and not applied: changes by revision, their traces, and the gaps between them."""

from time import monotonic

from modelbus.contracts.feed import Change

GAP_S = 0.1
MOST_BYTES = 32 * 1024 * 1024
"""Of changes that wait; some ten thousand. What comes beyond is not kept, as it can be asked for."""


class Backlog:
    """Changes that wait for those before them, or for their turn."""

    def __init__(self) -> None:
        self.head = 0
        """The newest revision that was heard of, applied or not."""
        self._changes: dict[int, Change] = {}
        self._bytes = 0
        """How much these hold."""
        self._newest = 0
        """The newest of these; to look for it at each step would make a storm quadratic."""
        self._traces: dict[int, str] = {}
        """The traces that changes belong to, where they belong to any."""
        self._gap_since: float | None = None
        self._gap_after = 0
        """A gap that begins elsewhere is another one: whoever gets on is not stuck, however far the head is."""

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def is_gap_old(self) -> bool:
        """Tell whether a change is missing for so long that it must be asked for."""
        return self._gap_since is not None and monotonic() - self._gap_since > GAP_S

    def add(self, change: Change, trace_parent: str | None) -> None:
        """Keep a change that was heard, while there is room."""
        if change.revision in self._changes or self._bytes >= MOST_BYTES:
            return
        self._changes[change.revision] = change
        self._bytes += len(change.data)
        self._newest = max(self._newest, change.revision)
        if trace_parent is not None:
            self._traces[change.revision] = trace_parent

    def hear_of(self, head: int, applied: int) -> bool:
        """Note how far the truth is; answer whether something is missing from now on."""
        self.head = max(self.head, head)
        if self.head > applied and self._gap_since is None:
            self._gap_since, self._gap_after = monotonic(), applied
            return True
        return False

    def has_next(self, applied: int) -> bool:
        """Tell whether a change follows without a gap."""
        return applied + 1 in self._changes

    def take(self, applied: int, most: int) -> list[Change]:
        """Take out what follows without a gap, so many at most."""
        run: list[Change] = []
        while len(run) < most and (change := self._changes.pop(applied + len(run) + 1, None)) is not None:
            run.append(change)
            self._bytes -= len(change.data)
        return run

    def take_causes(self, changes: list[Change]) -> list[str]:
        """Take out the traces that the changes belong to, each once."""
        if not self._traces:
            return []
        causes = [cause for each in changes if (cause := self._traces.pop(each.revision, None))]
        if not self._changes:
            self._traces.clear()
        return list(dict.fromkeys(causes))

    def settle(self, applied: int) -> None:
        """Forget what is known by now; what is only waiting for its turn is no gap."""
        if self._newest <= applied:
            self._changes.clear()
            self._bytes = 0
        if self.head <= applied or self.has_next(applied):
            self._gap_since = None
        elif self._gap_since is None or self._gap_after != applied:
            self._gap_since, self._gap_after = monotonic(), applied

    def close_gap(self) -> None:
        """Note that all was asked for."""
        self._gap_since = None

    def begin_anew(self, revision: int, *, is_same_epoch: bool) -> None:
        """Go on from a snapshot; what was heard in another epoch bears numbers that mean something else now."""
        self.head = revision
        self._changes = {number: each for number, each in self._changes.items() if is_same_epoch and number > revision}
        self._bytes = sum(len(each.data) for each in self._changes.values())
        self._newest = max(self._changes, default=0)
        self._traces.clear()
        self._gap_since = None
