"""Validation on demand, as administrators ask for it."""

from collections.abc import Mapping
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from modelbus.chassis.transactions import Reading
from modelbus.integrity.actions import validations
from modelbus.integrity.domain.findings import Fault, FindingKind, Severity
from modelbus.integrity.domain.references import HolderKind
from modelbus.integrity.domain.targets import TargetKind

type ConfigType = Literal["fallback", "split", "complexity", "strategy", "scope", "pricing", "access", "all"]

_KINDS: Mapping[ConfigType, tuple[HolderKind, ...]] = {
    "fallback": (HolderKind.CHAIN,),
    "split": (HolderKind.SPLIT,),
    "complexity": (HolderKind.COMPLEXITY,),
    "strategy": (HolderKind.STRATEGY,),
    "scope": (HolderKind.SCOPE,),
    "pricing": (HolderKind.PRICE, HolderKind.MODEL),
    "access": (HolderKind.CONSUMER, HolderKind.ACCESS_KEY, HolderKind.CREDENTIAL),
    "all": tuple(HolderKind),
}

routes = APIRouter(prefix="/api/v1/validate", tags=["validation"])
chain_routes = APIRouter(prefix="/api/v1/fallback-chains", tags=["validation"])


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
    where: str
    """Holder and place in one, readable: `chain 'prod-chat', step 2`."""
    target_kind: TargetKind
    target_id: UUID
    target_name: str | None
    reason: str
    evidence: dict[str, Any]

    @classmethod
    def of(cls, fault: Fault) -> "FaultView":
        """Show a fault."""
        return cls(
            kind=fault.kind,
            severity=fault.severity,
            holder_kind=fault.holder.kind,
            holder_id=fault.spot.holder_id,
            holder_name=fault.holder.name,
            place=fault.place,
            where=fault.where,
            target_kind=fault.spot.target_kind,
            target_id=fault.spot.target_id,
            target_name=fault.target_name,
            reason=fault.reason,
            evidence=dict(fault.evidence),
        )


class FaultsView(BaseModel):
    """What is wrong with a part of the configuration."""

    revision: int
    """The newest revision of the catalog that was heard when this was judged."""
    checked: int
    """How many references were looked at."""
    findings: list[FaultView]


class ValidationView(FaultsView):
    """What is wrong with the configuration of a type."""

    config_type: ConfigType


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


@chain_routes.get("/{chain_id}/validation")
async def validate_chain(session: Reading, chain_id: UUID) -> FaultsView:
    """Judge one chain from scratch."""
    validation = await validations.validate_chain(session, chain_id)
    return FaultsView(
        revision=validation.revision,
        checked=validation.checked,
        findings=[FaultView.of(fault) for fault in validation.faults],
    )
