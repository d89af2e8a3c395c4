"""What routers tell of requests is counted once, however much of it is heard together."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from integrity.spending import a_batch, a_request, an_attempt
from integrity.teller import a_source
from modelbus.chassis.database import Database
from modelbus.integrity.actions.usage import count_usage, recent_uses
from modelbus.integrity.domain.usage import EVERYTHING, Use


async def test_of_batches_that_are_heard_together_each_is_counted_once(
    integrity_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelbus.integrity.store.usage._ADDED_AT_ONCE", 2)
    source, other = a_source(uuid4()), a_source(uuid4())
    first, second = a_request(an_attempt(source)), a_request(an_attempt(source, "failed"), an_attempt(other))
    batch, another = a_batch(first), a_batch(second)
    late = a_batch(a_request(an_attempt(other)), told_at=datetime.now(UTC) - timedelta(days=2))

    counted = []
    for together in ([batch], [another, batch, another, late], [late, another]):
        async with integrity_database.transaction() as session:
            counted.append(await count_usage(session, together))

    assert counted == [[first], [second], []]
    async with integrity_database.transaction() as session:
        uses = await recent_uses(session, [source.id, other.id, other.supplier_id, EVERYTHING])
    assert uses == {source.id: Use(2, 1), other.id: Use(1), other.supplier_id: Use(1), EVERYTHING: Use(2, 1)}
