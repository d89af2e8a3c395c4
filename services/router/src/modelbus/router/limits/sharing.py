"""Routers tell one another what was drawn from limits, on core NATS; with the bus away each goes on by itself."""

from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

import msgspec
from nats.aio.msg import Msg

from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.chassis.messaging import Bus
from modelbus.contracts.envelope import Envelope
from modelbus.contracts.limits import LimitsDrawn
from modelbus.router.cache.copy import CatalogCopy
from modelbus.router.cache.records import AccessKey, Consumer, Credential
from modelbus.router.domain.errors import NotLoadedError
from modelbus.router.limits.registry import Drawn, Registry

TELL_EVERY_S = 0.025
"""How late others hear; with it grows what several routers may let through together beyond a limit."""
_REPEAT_EVERY_S = 1.0
_FORGET_EVERY_S = 60.0
_MOST_AT_ONCE = 2000

log = logger(__name__)


class _Told(msgspec.Struct, frozen=True, gc=False):
    """As `contracts.limits.LimitsDrawn`."""

    teller_id: UUID
    holders: list[Drawn]


_read = msgspec.json.Decoder(_Told).decode


class Sharing:
    """Tells and hears."""

    def __init__(self, registry: Registry, bus: Bus, catalog: CatalogCopy, *, run_id: UUID) -> None:
        self._registry = registry
        self._bus = bus
        self._catalog = catalog
        self._id = run_id
        self._hears = False
        self._repeated_at = self._forgot_at = monotonic()

    async def tell(self) -> None:
        """Tell what was drawn since the last time, and hear the others from the first time on.

        Where the bus is away it is never told: what was let through meanwhile is not undone by paying for it later.

        Raises:
            nats.errors.Error: the bus has gone in this moment.
        """
        self._tend(monotonic())
        drawn = self._registry.take_untold()
        if not self._bus.is_connected:
            return
        if not self._hears:
            await (await self._bus.connected()).subscribe(LimitsDrawn.type, cb=self._hear)
            self._hears = True
        for begin in range(0, len(drawn), _MOST_AT_ONCE):
            told = _Told(self._id, drawn[begin : begin + _MOST_AT_ONCE])
            await self._bus.publish(LimitsDrawn.type, msgspec.json.encode(told), _envelope().headers())

    def _tend(self, now: float) -> None:
        if now - self._repeated_at >= _REPEAT_EVERY_S:
            self._repeated_at = now
            self._registry.repeat_inside()
        if now - self._forgot_at >= _FORGET_EVERY_S:
            self._forgot_at = now
            self._registry.forget_idle()

    async def _hear(self, message: Msg) -> None:
        try:
            told = _read(message.data)
        except msgspec.DecodeError as error:
            log.warning("what a router tells of limits can't be read", error=str(error))
            return
        if told.teller_id == self._id:
            return
        for drawn in told.holders:
            holder = self._holder(drawn.holder_id)
            if holder is not None:
                self._registry.hear(told.teller_id, drawn, holder)

    def _holder(self, holder_id: UUID) -> AccessKey | Consumer | Credential | None:
        try:
            table = self._catalog.table
        except NotLoadedError:
            return None
        return table.access_keys.get(holder_id) or table.consumers.get(holder_id) or table.credentials.get(holder_id)


def _envelope() -> Envelope:
    return Envelope(
        id=new_id(),
        type=LimitsDrawn.type,
        source="/modelbus/router",
        time=datetime.now(UTC),
        data=b"",
        data_schema=f"/schemas/{LimitsDrawn.type}/{LimitsDrawn.version}.json",
    )
