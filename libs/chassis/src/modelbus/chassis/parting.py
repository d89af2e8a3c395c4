"""Where an outbox and its stream part: a database that was restored goes on from where it was, the stream does not."""

from uuid import UUID

import sqlalchemy as sa
from nats.js import JetStreamContext

from modelbus.chassis.database import Database
from modelbus.chassis.outbox import Outbox
from modelbus.contracts.envelope import Envelope, MalformedEnvelopeError, read_envelope


async def envelope_at(context: JetStreamContext, stream: str, sequence: int, source: str) -> Envelope | None:
    """Answer the envelope of the stream's message; None where it is not that teller's, or bears no number."""
    found = await context.get_msg(stream, seq=sequence)
    try:
        envelope = read_envelope(found.headers, b"")
    except MalformedEnvelopeError:
        return None
    return envelope if envelope.source == source and envelope.epoch and envelope.revision else None


async def last_shared(context: JetStreamContext, stream: str, database: Database, outbox: Outbox) -> int:
    """Answer the newest revision up to which both tell the same; what the outbox has forgotten was told.

    Both only grow, so they are the same up to somewhere and differ from there on: it is found by halving.
    """
    state = (await context.stream_info(stream)).state
    same, other, shared = state.first_seq - 1, state.last_seq + 1, 0
    while other - same > 1:
        middle = at = (same + other) // 2
        while (told := await envelope_at(context, stream, at, outbox.source)) is None and at > same + 1:
            at -= 1
        revision = 0 if told is None else told.revision or 0
        if told is None or await _is_shared(database, outbox, revision, told.id):
            same, shared = middle, max(shared, revision)
        else:
            other = at
    return shared


async def _is_shared(database: Database, outbox: Outbox, revision: int, event_id: UUID) -> bool:
    rows = outbox.rows.c
    async with database.reading() as session:
        first = await session.scalar(sa.select(sa.func.min(rows.revision)))
        held = await session.scalar(sa.select(rows.id).where(rows.revision == revision))
    return first is None or revision < first or held == event_id
