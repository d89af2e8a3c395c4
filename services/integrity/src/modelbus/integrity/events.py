"""What integrity hears: every change of what refers and of what is referred to."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.chassis.hearing import Heard, Hearing
from modelbus.contracts.bus import INTEGRITY_HEARS_CATALOG
from modelbus.contracts.catalog import (
    CatalogReset,
    ChainChanged,
    ComplexityChanged,
    ModelAvailable,
    ModelChanged,
    ModelUnavailable,
    ScopeChanged,
    SourceChanged,
)
from modelbus.contracts.event import Event
from modelbus.contracts.feed import RecordChange
from modelbus.integrity.actions.holders import learn_holder
from modelbus.integrity.actions.targets import learn_model, learn_source, look_at_model
from modelbus.integrity.domain.errors import UnnumberedEventError
from modelbus.integrity.domain.index import Telling
from modelbus.integrity.domain.references import HolderKind

LATE_S = 1.0
"""An event older than that says that we are behind."""


def build_hearing(on_reset: Callable[[], None], on_late: Callable[[int], None]) -> Hearing:
    """Answer the hearing of the CATALOG stream.

    `on_reset` is called when the catalog's numbering started anew, `on_late` with the revision of an event that
    was told long ago: one snapshot brings us up to date sooner than the queue in front of us.
    """
    hearing = Hearing(INTEGRITY_HEARS_CATALOG)
    telling = partial(_telling, on_late=on_late)

    @hearing.hear(ModelChanged)
    async def model_changed(session: AsyncSession, heard: Heard[ModelChanged]) -> None:
        await learn_model(session, telling(heard), heard.event.id, heard.event.record, _record_text(heard))

    @hearing.hear(SourceChanged)
    async def source_changed(session: AsyncSession, heard: Heard[SourceChanged]) -> None:
        await learn_source(session, telling(heard), heard.event.id, heard.event.record, _record_text(heard))

    @hearing.hear(ChainChanged)
    async def chain_changed(session: AsyncSession, heard: Heard[ChainChanged]) -> None:
        await _holder_changed(session, telling(heard), HolderKind.CHAIN, heard)

    @hearing.hear(ComplexityChanged)
    async def complexity_changed(session: AsyncSession, heard: Heard[ComplexityChanged]) -> None:
        await _holder_changed(session, telling(heard), HolderKind.COMPLEXITY, heard)

    @hearing.hear(ScopeChanged)
    async def scope_changed(session: AsyncSession, heard: Heard[ScopeChanged]) -> None:
        await _holder_changed(session, telling(heard), HolderKind.SCOPE, heard)

    @hearing.hear(ModelUnavailable)
    async def model_unavailable(session: AsyncSession, heard: Heard[ModelUnavailable]) -> None:
        await look_at_model(session, telling(heard), heard.event.model_id)

    @hearing.hear(ModelAvailable)
    async def model_available(session: AsyncSession, heard: Heard[ModelAvailable]) -> None:
        await look_at_model(session, telling(heard), heard.event.model_id)

    @hearing.hear(CatalogReset)
    async def catalog_reset(_session: AsyncSession, _heard: Heard[CatalogReset]) -> None:
        # Nothing to write: should this replica die now, every look compares epochs and finds the same.
        on_reset()

    return hearing


async def _holder_changed(
    session: AsyncSession,
    told: Telling,
    kind: HolderKind,
    heard: Heard[ChainChanged] | Heard[ComplexityChanged] | Heard[ScopeChanged],
) -> None:
    await learn_holder(session, told, (kind, heard.event.id), heard.event.record, _record_text(heard))


def _telling(heard: Heard[Any], on_late: Callable[[int], None]) -> Telling:
    if heard.envelope.revision is None:
        raise UnnumberedEventError(f"{heard.envelope.type} {heard.envelope.id} bears no revision")
    if (datetime.now(UTC) - heard.envelope.time).total_seconds() > LATE_S:
        on_late(heard.envelope.revision)
    return Telling(heard.envelope.revision, heard.envelope.time)


def _record_text(heard: Heard[Event]) -> bytes:
    """Cut the record out of the body as it stands: the feed's digests are over these bytes."""
    return bytes(msgspec.json.decode(heard.envelope.data, type=RecordChange).record)
