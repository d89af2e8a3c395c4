"""When a source may be used, when a model can be served, and why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.sources import Source


class Reason(StrEnum):
    """Why something is not available; the first that holds is told."""

    DELETED = "deleted"
    SUPPLIER_DISABLED = "supplier_disabled"
    DISABLED = "disabled"
    RETIRED = "retired"
    NO_CREDENTIAL = "no_credential"
    DELISTED = "delisted"
    UNHEALTHY = "unhealthy"
    NO_SOURCE = "no_source"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the availability of all sources of a supplier depends on."""

    is_supplier_deleted: bool
    is_supplier_active: bool
    has_credential: bool
    """True also where the supplier needs none."""
    only_models: frozenset[UUID] | None = None
    """The models that its usable credentials may be used for; None means every model."""

    def has_credential_for(self, model_id: UUID) -> bool:
        """Tell whether the supplier can be called for the model."""
        return self.has_credential and (self.only_models is None or model_id in self.only_models)


def judge_source(source: Source, standing: Standing, now: datetime, *, is_model_deleted: bool) -> Reason | None:
    """Answer why the source is not available now; None when it is."""
    verdicts = (
        (
            source.deleted_at is not None or is_model_deleted or standing.is_supplier_deleted,
            Reason.DELETED,
        ),
        (not standing.is_supplier_active, Reason.SUPPLIER_DISABLED),
        (not source.is_enabled, Reason.DISABLED),
        (source.is_retired(now), Reason.RETIRED),
        (not standing.has_credential_for(source.model_id), Reason.NO_CREDENTIAL),
        (not source.is_listed, Reason.DELISTED),
        # Last: what somebody has decided, or the supplier has said, comes before what is seen from outside.
        (source.is_unhealthy(now), Reason.UNHEALTHY),
    )
    return next((reason for holds, reason in verdicts if holds), None)


def judge_model(model: Model, source_reasons: Sequence[Reason | None], now: datetime) -> Reason | None:
    """Answer why the model is not available now; None when it is.

    `source_reasons` are the verdicts on its sources, the preferred one first; its reason speaks for the model.
    """
    if model.deleted_at is not None:
        return Reason.DELETED
    if not model.is_active:
        return Reason.DISABLED
    if model.is_retired(now):
        return Reason.RETIRED
    if not source_reasons:
        return Reason.NO_SOURCE
    return None if None in source_reasons else source_reasons[0]
