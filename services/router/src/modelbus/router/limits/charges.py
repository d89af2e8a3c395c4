"""What a batch of usage charges to whom: as much of it as budgets need."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

import msgspec


class Charge(NamedTuple):
    """What a request charges to each of its payers."""

    payers: tuple[UUID | None, ...]
    at: datetime
    amount: Decimal


class _Attempt(msgspec.Struct, gc=False):
    cost: Decimal | None = None


class _Request(msgspec.Struct, gc=False):
    started_at: datetime
    attempts: list[_Attempt]
    access_key_id: UUID | None = None
    consumer_id: UUID | None = None
    charge: Decimal | None = None


class Charged(msgspec.Struct, gc=False):
    """As much of `contracts.usage.UsageRecorded` as is summed up here."""

    requests: list[_Request]
    run_id: UUID | None = None

    def charges(self) -> Iterator[Charge]:
        """Answer what is charged, request by request."""
        for request in self.requests:
            amount = _cost(request) if request.charge is None and self.run_id is None else request.charge
            if amount:
                yield Charge((request.access_key_id, request.consumer_id), request.started_at, amount)


read_charged = msgspec.json.Decoder(Charged).decode


def _cost(request: _Request) -> Decimal:
    """Answer what counts for a request of an older router, which told only what it cost us."""
    known = [attempt.cost for attempt in request.attempts if attempt.cost is not None]
    return sum(known, Decimal(0))
