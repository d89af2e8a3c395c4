"""When a supplier is due."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from modelbus.sync.domain.schedule import due_at

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


@given(st.uuids(), st.integers(60, 86400))
def test_due_lies_within_a_tenth_of_the_interval(run_id: UUID, interval_s: int) -> None:
    waited = due_at(NOON, run_id, interval_s) - NOON

    assert timedelta(seconds=interval_s * 0.9) <= waited <= timedelta(seconds=interval_s * 1.1)


def test_every_replica_finds_the_same_time_and_runs_differ() -> None:
    times = {due_at(NOON, UUID(int=number), 3600) for number in range(0, 60000, 1000)}

    assert due_at(NOON, UUID(int=5), 3600) == due_at(NOON, UUID(int=5), 3600)
    assert len(times) == 60
