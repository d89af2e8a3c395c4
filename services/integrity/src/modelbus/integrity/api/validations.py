"""Validation on demand, as administrators ask for it."""

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from modelbus.chassis.service import Reading
from modelbus.integrity.actions import validations
from modelbus.integrity.domain.findings import Fault, FindingKind, Severity
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.targets import TargetKind

type ConfigType = Literal["fallback", "complexity", "scope", "all"]

_KINDS: Mapping[ConfigType, tuple[HolderKind, ...]] = {
    "fallback": (HolderKind.CHAIN,),
    "complexity": (HolderKind.COMPLEXITY,),
    "scope": (HolderKind.SCOPE,),
    "all": tuple(HolderKind),
}

routes = APIRouter(prefix="/api/v1/validate", tags=["validation"])


class ValidationRequest(BaseModel):
    """What to validate."""

    model_config = ConfigDict(extra="forbid")

    config_type: ConfigType


class FaultView(BaseModel):
    """What is wrong at one place."""

    kind: FindingKind
    severity: Severity
    holder_kind: HolderKind
    holder_id: UUID
    holder_name: str | None
    place: str
    target_kind: TargetKind
    target_id: UUID
    target_name: str | None
    reason: str

    @classmethod
    def of(cls, fault: Fault) -> "FaultView":
        """Show a fault."""
        return cls(
            kind=fault.spot.kind,
            severity=fault.severity,
            holder_kind=fault.holder_kind,
            holder_id=fault.spot.holder_id,
            holder_name=fault.holder_name,
            place=fault.place,
            target_kind=fault.spot.target_kind,
            target_id=fault.spot.target_id,
            target_name=fault.target_name,
            reason=fault.reason,
        )


class ValidationView(BaseModel):
    """What is wrong with the configuration."""

    config_type: ConfigType
    revision: int
    """The newest revision of the catalog that was heard when this was judged."""
    checked: int
    """How many references were looked at."""
    findings: list[FaultView]


@routes.post("")
async def validate(session: Reading, asked: ValidationRequest) -> ValidationView:
    """Judge all configuration of a type from scratch, by the rules that also open findings; nothing is changed."""
    validation = await validations.validate(session, _KINDS[asked.config_type])
    return ValidationView(
        config_type=asked.config_type,
        revision=validation.revision,
        checked=validation.checked,
        findings=[FaultView.of(fault) for fault in validation.faults],
    )
