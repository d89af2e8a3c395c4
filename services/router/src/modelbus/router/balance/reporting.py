"""Routers tell one another, and the catalog, which credentials were refused; the request path only takes note of it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

from nats.aio.msg import Msg
from pydantic import ValidationError

from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import Bus
from modelbus.chassis.observing import Tell
from modelbus.contracts.credentials import CredentialCooled, CredentialRejected, CredentialReport
from modelbus.contracts.event import read_event
from modelbus.router.balance.standings import Refused, Standings
from modelbus.router.cache.records import Credential
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import NotLoadedError

TELL_EVERY_S = 0.1
SAME_AGAIN = timedelta(seconds=5)
"""The same of the same credential is told no sooner."""
LONGEST_HEARD_S = 300.0
"""So long another's word holds here, whatever it says; then the credential is tried."""
_MOST_REMEMBERED = 1000

log = logger(__name__)


class Reporter:
    """Tells and hears."""

    def __init__(self, standings: Standings, table: Callable[[], Table], bus: Bus, *, router_id: str) -> None:
        self._standings = standings
        self._table = table
        self._bus = bus
        self._router_id = router_id
        self._hears = False
        self._told_at: dict[tuple[UUID, bool], datetime] = {}
        self.told = self.believed = 0

    async def tell(self, tell: Tell[CredentialReport]) -> None:
        """Tell what was refused since the last time, and hear the others from the first time on; to be repeated.

        Where the bus is away nothing waits for it: each router finds out by itself.

        Raises:
            nats.errors.Error: the bus has gone in this moment.
        """
        untold = self._standings.take_untold()
        if not self._bus.is_connected:
            return
        if not self._hears:
            client = await self._bus.connected()
            for event_type in (CredentialRejected, CredentialCooled):
                await client.subscribe(event_type.type, cb=self._hear)
            self._hears = True
        for refused in untold:
            key = (refused.credential.id, refused.is_cooled)
            if refused.at - self._told_at.get(key, datetime.min.replace(tzinfo=UTC)) >= SAME_AGAIN:
                await tell(self._report(refused))
                self._remember(key, refused.at)
                self.told += 1

    def _remember(self, key: tuple[UUID, bool], at: datetime) -> None:
        if len(self._told_at) >= _MOST_REMEMBERED:
            self._told_at = {each: then for each, then in self._told_at.items() if at - then < SAME_AGAIN}
        self._told_at[key] = at

    def _report(self, refused: Refused) -> CredentialReport:
        kind = CredentialCooled if refused.is_cooled else CredentialRejected
        return kind(
            credential_id=refused.credential.id,
            supplier_id=refused.credential.supplier_id,
            generation=refused.credential.generation,
            status=refused.status,
            at=refused.at,
            until=refused.at + timedelta(seconds=refused.out_s),
            observer=self._router_id,
        )

    async def _hear(self, message: Msg) -> None:
        is_cooled = message.subject == CredentialCooled.type
        try:
            report = read_event(CredentialCooled if is_cooled else CredentialRejected, message.data)
        except ValidationError as error:
            log.warning("what is told of a credential can't be read", error=str(error))
            return
        # What this router told itself comes back, too: it knows that already.
        credential = self._known(report)
        if credential is not None and self._believe(report, credential, is_cooled=is_cooled):
            self.believed += 1

    def _known(self, report: CredentialReport) -> Credential | None:
        try:
            credential = self._table().credentials.get(report.credential_id)
        except NotLoadedError:
            return None
        return credential if credential is not None and credential.generation == report.generation else None

    def _believe(self, report: CredentialReport, credential: Credential, *, is_cooled: bool) -> bool:
        # By how long it says, not by when: clocks differ between machines.
        now, age_s = monotonic(), max((datetime.now(UTC) - report.at).total_seconds(), 0.0)
        out_s = min((report.until - report.at).total_seconds(), LONGEST_HEARD_S)
        if age_s >= out_s:
            return False
        refused = Refused(credential, report.status, is_cooled, out_s, report.at)
        return self._standings.hear(refused, now - age_s, now)
