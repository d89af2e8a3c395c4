"""What the world is told of each thing: the records of the feed, made from the domain's objects in one place."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from modelbus.catalog.actions.telling_routing import (
    chain_record,
    complexity_record,
    scope_record,
    split_record,
    strategy_record,
)
from modelbus.catalog.actions.telling_settings import settings
from modelbus.catalog.domain.access_keys import AccessKey
from modelbus.catalog.domain.capabilities import Capability
from modelbus.catalog.domain.categories import Category
from modelbus.catalog.domain.chains import Chain
from modelbus.catalog.domain.complexity import ComplexityRouting
from modelbus.catalog.domain.consumers import Consumer, Period
from modelbus.catalog.domain.credentials import Credential
from modelbus.catalog.domain.models import Model
from modelbus.catalog.domain.prices import Charge
from modelbus.catalog.domain.scopes import Scope
from modelbus.catalog.domain.sources import Source
from modelbus.catalog.domain.splits import Split
from modelbus.catalog.domain.strategies import Strategy
from modelbus.catalog.domain.suppliers import Supplier
from modelbus.catalog.domain.tags import Tag
from modelbus.contracts.access import AccessKeyRecord, BudgetRecord, ConsumerRecord
from modelbus.contracts.labels import CapabilityRecord, CategoryRecord, TagRecord
from modelbus.contracts.records import (
    CostPrices,
    CredentialRecord,
    ModelCapabilityRecord,
    ModelParameterRecord,
    ModelRecord,
    PriceRecord,
    Record,
    SourceRecord,
    SupplierRecord,
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
        description=supplier.description,
        website=supplier.website,
        docs_url=supplier.docs_url,
        logo_url=supplier.logo_url,
        category=supplier.category,
        listing_url=supplier.listing_url,
    )


def credential_record(credential: Credential) -> CredentialRecord:
    """Tell a credential, sealed."""
    return CredentialRecord(**{name: getattr(credential, name) for name in CredentialRecord.model_fields})


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
            ModelCapabilityRecord(capability_id=UUID(key), config=config)
            for key, config in settings(model.capabilities).items()
        ],
        parameters=[ModelParameterRecord.model_validate(parameter) for parameter in model.parameters],
        category_ids=model.category_ids,
        tag_ids=model.effective_tag_ids,
        modalities=model.modalities,
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
        features=source.features and settings(source.features),
        health=source.health,
        deprecated_at=source.deprecated_at,
        retires_at=source.retires_at,
        replacement=source.replacement,
        cost_origin=source.cost_origin,
    )


def price_record(charge: Charge) -> PriceRecord:
    """Tell what a model is charged now."""
    period = charge.period
    return PriceRecord(
        id=charge.id,
        model_id=charge.id,
        charge=CostPrices.model_validate(period.amounts.told()),
        valid_from=period.begins,
        valid_until=period.ends,
    )


def consumer_record(consumer: Consumer) -> ConsumerRecord:
    """Tell a consumer."""
    return ConsumerRecord(
        id=consumer.id,
        name=consumer.name,
        consumer_kind=consumer.kind,
        tier=consumer.tier,
        is_active=consumer.is_active,
        model_ids=consumer.model_ids,
        scope_ids=consumer.scope_ids,
        rpm_limit=consumer.rpm_limit,
        tpm_limit=consumer.tpm_limit,
        concurrency_limit=consumer.concurrency_limit,
        budgets=_budget_records(consumer.budgets),
        description=consumer.description,
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
        consumer_id=access_key.consumer_id,
        scope_ids=access_key.scope_ids,
        rpm_limit=access_key.rpm_limit,
        tpm_limit=access_key.tpm_limit,
        concurrency_limit=access_key.concurrency_limit,
        budgets=_budget_records(access_key.budgets),
        previous_key_hash=access_key.previous_key_hash,
        previous_expires_at=access_key.previous_expires_at,
    )


def _budget_records(budgets: dict[str, str]) -> list[BudgetRecord]:
    return [BudgetRecord(period=period, amount=Decimal(budgets[period])) for period in Period if period in budgets]


def capability_record(capability: Capability) -> CapabilityRecord:
    """Tell a capability."""
    return CapabilityRecord(
        id=capability.id,
        name=capability.name,
        display_name=capability.display_name,
        domain=capability.domain,
        input_types=capability.input_types,
        output_types=capability.output_types,
        description=capability.description,
    )


def category_record(category: Category) -> CategoryRecord:
    """Tell a category by its place in the tree."""
    return CategoryRecord(
        id=category.id,
        name=category.name,
        display_name=category.display_name,
        parent_id=category.parent_id,
        position=category.position,
        description=category.description,
    )


def tag_record(tag: Tag) -> TagRecord:
    """Tell a tag with its rule; which models have it, they tell themselves."""
    return TagRecord(
        id=tag.id,
        name=tag.name,
        display_name=tag.display_name,
        rule=tag.rule and settings(tag.rule),
        color=tag.color,
        position=tag.position,
        description=tag.description,
    )


TELL: dict[str, Callable[[Any], Record]] = {
    Supplier.KIND: supplier_record,
    Credential.KIND: credential_record,
    Model.KIND: model_record,
    Source.KIND: source_record,
    Chain.KIND: chain_record,
    Split.KIND: split_record,
    ComplexityRouting.KIND: complexity_record,
    Strategy.KIND: strategy_record,
    Scope.KIND: scope_record,
    Capability.KIND: capability_record,
    Category.KIND: category_record,
    Tag.KIND: tag_record,
    Consumer.KIND: consumer_record,
    AccessKey.KIND: access_key_record,
}
"""How each kind of thing is told; a kind that is not here stays in the catalog."""
