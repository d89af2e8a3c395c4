"""What this router sees of single sources by its breakers, for those who sum up what all observers see."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from modelbus.chassis.observing import Tell
from modelbus.contracts.health import SourceHealthChanged
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.domain.breakers import CLOSED, Breakers, BreakerState
from modelbus.router.domain.errors import NotLoadedError
from modelbus.router.ledger.tally import Tally

REPEAT = timedelta(seconds=60)
DOWN, DEGRADED, UNKNOWN = "down", "degraded", "unknown"


@dataclass(slots=True)
class _Seen:
    """A source whose breaker is open."""

    supplier_id: UUID
    since: datetime
    served_before: int
    """Calls that had gone well anywhere when it was first seen so."""
    health: str = ""
    told_at: datetime | None = None


class Observer:
    """Tells of sources whose breaker is open; of all others it has nothing to say."""

    def __init__(self, breakers: Breakers, catalog: CatalogCopy, tally: Tally, *, router_id: str) -> None:
        self._breakers = breakers
        self._catalog = catalog
        self._tally = tally
        self._router_id = router_id
        self._seen: dict[UUID, _Seen] = {}

    async def tell(self, tell: Tell[SourceHealthChanged]) -> None:
        """Tell what has changed, and from time to time all that is seen; to be repeated.

        `down` needs a witness: a call that went well since, wherever. Where none does, it is rather we who are cut off.
        """
        now, states = datetime.now(UTC), self._breakers.states(monotonic())
        is_open = {each.source_id: each for each in states if each.state != CLOSED}
        for source_id in self._seen.keys() - is_open.keys():
            # Served again, or not asked for long: from here on others know better.
            seen = self._seen[source_id]
            await tell(self._event(source_id, seen, UNKNOWN, now, None))
            del self._seen[source_id]
        for source_id, state in is_open.items():
            await self._tell_open(tell, state, self._seen.get(source_id) or self._first_seen(source_id, now), now)

    async def _tell_open(
        self, tell: Tell[SourceHealthChanged], state: BreakerState, seen: _Seen | None, now: datetime
    ) -> None:
        if seen is None:
            return
        health = DOWN if self._served > seen.served_before else DEGRADED
        if health == seen.health and seen.told_at is not None and now - seen.told_at < REPEAT:
            return
        if health != seen.health and seen.health:
            seen.since = now
        await tell(self._event(state.source_id, seen, health, now, state.reason))
        seen.health, seen.told_at = health, now

    def _first_seen(self, source_id: UUID, now: datetime) -> _Seen | None:
        try:
            source = self._catalog.table.sources.get(source_id)
        except NotLoadedError:
            source = None
        if source is not None:
            self._seen[source_id] = _Seen(source.supplier_id, now, self._served)
        return self._seen.get(source_id)

    @property
    def _served(self) -> int:
        return sum(count for (_, outcome), count in self._tally.attempts.items() if outcome == "ok")

    def _event(
        self, source_id: UUID, seen: _Seen, health: str, now: datetime, reason: str | None
    ) -> SourceHealthChanged:
        return SourceHealthChanged(
            observer=self._router_id,
            supplier_id=seen.supplier_id,
            source_id=source_id,
            health=health,
            since=now if health == UNKNOWN else seen.since,
            observed_at=now,
            reason=reason,
        )
