"""When a source may be used, when a model can be served, and why not."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.sources import Source


class Reason(StrEnum):
    """Why something is not available; the first that holds is told."""

    DELETED = "deleted"
    SUPPLIER_DISABLED = "supplier_disabled"
    DISABLED = "disabled"
    NO_CREDENTIAL = "no_credential"
    DELISTED = "delisted"
    NO_SOURCE = "no_source"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a source's availability depends on beside itself."""

    is_supplier_deleted: bool
    is_supplier_active: bool
    has_credential: bool
    """True also where the supplier needs none."""
    is_model_deleted: bool


def judge_source(source: Source, standing: Standing) -> Reason | None:
    """Answer why the source is not available; None when it is."""
    verdicts = (
        (
            source.deleted_at is not None or standing.is_model_deleted or standing.is_supplier_deleted,
            Reason.DELETED,
        ),
        (not standing.is_supplier_active, Reason.SUPPLIER_DISABLED),
        (not source.is_enabled, Reason.DISABLED),
        (not standing.has_credential, Reason.NO_CREDENTIAL),
        (not source.is_listed, Reason.DELISTED),
    )
    return next((reason for holds, reason in verdicts if holds), None)


def judge_model(model: Model, source_reasons: Sequence[Reason | None]) -> Reason | None:
    """Answer why the model is not available; None when it is.

    `source_reasons` are the verdicts on its sources, the preferred one first; its reason speaks for the model.
    """
    if model.deleted_at is not None:
        return Reason.DELETED
    if not model.is_active:
        return Reason.DISABLED
    if not source_reasons:
        return Reason.NO_SOURCE
    return None if None in source_reasons else source_reasons[0]
