"""What the world is told of each thing: the records of the feed, made from the domain's objects in one place."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from modelbus.catalog.domain.access_keys import AccessKey
from modelbus.catalog.domain.chains import Chain
from modelbus.catalog.domain.complexity import ComplexityRouting
from modelbus.catalog.domain.credentials import Credential
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.sources import Source
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.contracts.access import AccessKeyRecord
from modelbus.contracts.records import (
    CostPrices,
    CredentialRecord,
    ModelCapabilityRecord,
    ModelParameterRecord,
    ModelRecord,
    Record,
    SourceRecord,
    SupplierRecord,
)
from modelbus.contracts.routing import (
    ChainRecord,
    ChainStepRecord,
    ComplexityLevelRecord,
    ComplexityRecord,
    ScopeRecord,
)


def supplier_record(supplier: Supplier) -> SupplierRecord:
    """Tell a supplier."""
    return SupplierRecord(
        id=supplier.id,
        name=supplier.name,
        display_name=supplier.display_name,
        supplier_kind=supplier.kind,
        base_url=supplier.base_url,
        protocol=supplier.protocol,
        flavour=supplier.flavour,
        namespace=supplier.namespace,
        is_active=supplier.is_active,
        requires_credential=supplier.requires_credential,
        is_local=supplier.is_local,
        removal_after=supplier.removal_after,
        sync_interval_s=supplier.sync_interval_s,
    )


def credential_record(credential: Credential) -> CredentialRecord:
    """Tell a credential, sealed."""
    return CredentialRecord(
        id=credential.id,
        supplier_id=credential.supplier_id,
        name=credential.name,
        sealed=credential.sealed,
        is_active=credential.is_active,
        priority=credential.priority,
        state=credential.state,
    )


def model_record(model: Model) -> ModelRecord:
    """Tell a model."""
    return ModelRecord(
        id=model.id,
        name=model.name,
        aliases=model.aliases,
        display_name=model.display_name,
        model_type=model.model_type,
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        is_active=model.is_active,
        is_available=model.is_available,
        reason=model.reason,
        custom_name=model.custom_name,
        description=model.description,
        sub_type=model.sub_type,
        knowledge_cutoff=model.knowledge_cutoff,
        lifecycle=model.lifecycle,
        deprecated_at=model.deprecated_at,
        retires_at=model.retires_at,
        replacement_model_id=model.replacement_model_id,
        tier=model.tier,
        is_featured=model.is_featured,
        is_default=model.is_default,
        capabilities=[
            ModelCapabilityRecord(capability_id=UUID(key), config=config) for key, config in model.capabilities.items()
        ],
        parameters=[ModelParameterRecord.model_validate(parameter) for parameter in model.parameters],
        category_ids=model.category_ids,
        tag_ids=model.effective_tag_ids,
    )


def source_record(source: Source) -> SourceRecord:
    """Tell a source."""
    return SourceRecord(
        id=source.id,
        model_id=source.model_id,
        supplier_id=source.supplier_id,
        upstream_name=source.upstream_name,
        is_available=source.is_available,
        reason=source.reason,
        priority=source.priority,
        weight=source.weight,
        cost=CostPrices.model_validate(source.cost),
        protocol=source.protocol,
        features=source.features,
        health=source.health,
    )


def chain_record(chain: Chain) -> ChainRecord:
    """Tell a chain with its steps in order."""
    steps = [
        ChainStepRecord(id=step.id, model_id=step.target.model_id, source_id=step.target.source_id)
        for step in chain.steps
    ]
    return ChainRecord(id=chain.id, name=chain.name, is_active=chain.is_active, steps=steps)


def complexity_record(routing: ComplexityRouting) -> ComplexityRecord:
    """Tell a complexity routing, the easiest level first."""
    levels = [ComplexityLevelRecord(level=served.level, model_ids=list(served.model_ids)) for served in routing.levels]
    return ComplexityRecord(id=routing.id, name=routing.name, is_active=routing.is_active, levels=levels)


def scope_record(scope: Scope) -> ScopeRecord:
    """Tell a scope."""
    return ScopeRecord(
        id=scope.id,
        name=scope.name,
        is_active=scope.is_active,
        model_ids=scope.model_ids,
        default_model_id=scope.default_model_id,
    )


def access_key_record(access_key: AccessKey) -> AccessKeyRecord:
    """Tell an access key by its hash."""
    return AccessKeyRecord(
        id=access_key.id,
        name=access_key.name,
        key_hash=access_key.key_hash,
        is_active=access_key.is_active,
        expires_at=access_key.expires_at,
        model_ids=access_key.model_ids,
    )


TELL: dict[str, Callable[[Any], Record]] = {
    Supplier.KIND: supplier_record,
    Credential.KIND: credential_record,
    Model.KIND: model_record,
    Source.KIND: source_record,
    Chain.KIND: chain_record,
    ComplexityRouting.KIND: complexity_record,
    Scope.KIND: scope_record,
    AccessKey.KIND: access_key_record,
}
"""How each kind of thing is told; a kind that is not here stays in the catalog."""
