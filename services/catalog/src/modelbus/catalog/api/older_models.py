"""Models as the tables of older systems had them, one row for each supplier that serves them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.api.views import View
from modelbus.catalog.domain.older_shapes import PRICE_FIELDS, Shape
from modelbus.catalog.domain.suppliers import SupplierKind
from modelbus.catalog.store import capabilities, suppliers
from modelbus.catalog.store.model_list import ListedModel

_SHAPES = {SupplierKind.DIRECT: Shape.MODEL_CONFIGS, SupplierKind.AGGREGATOR: Shape.AGGREGATOR_MODELS}


class OlderModelView(View):
    """A model of one supplier."""

    provider: str
    """The supplier's name."""
    model: str
    """The supplier's name of the model."""
    display_name: str
    description: str | None
    model_type: str
    tier: str
    capabilities: dict[str, bool]
    context_window: int | None
    max_output_tokens: int | None
    is_active: bool
    input_price: str | None = None
    """What consumers are charged, in USD; aggregators' models have no prices here."""
    output_price: str | None = None
    cached_input_price: str | None = None
    price_unit: str | None = None
    """Always `per_million`."""


@dataclass(frozen=True, slots=True)
class OlderNames:
    """What the rows name that models refer to by id."""

    kinds: Mapping[UUID, str]
    """Of suppliers."""
    capabilities: Mapping[UUID, str]

    @classmethod
    async def read(cls, session: AsyncSession) -> Self:
        """Read them all, as there are few."""
        return cls(
            {each.id: each.kind for each in await suppliers.every_supplier(session)},
            {each.id: each.name for each in await capabilities.every_capability(session)},
        )

    def rows_of(self, listed: ListedModel) -> dict[str, list[dict[str, Any]]]:
        """Answer the rows of each of the two tables that the model would have."""
        rows: dict[str, list[dict[str, Any]]] = {shape: [] for shape in _SHAPES.values()}
        for source in listed.sources:
            shape = _SHAPES[SupplierKind(self.kinds[source.supplier_id])]
            row = {"provider": source.supplier_name, "model": source.upstream_name, **self._of_model(listed)}
            rows[shape].append(row if shape == Shape.AGGREGATOR_MODELS else row | _prices(listed))
        return rows

    def _of_model(self, listed: ListedModel) -> dict[str, Any]:
        model = listed.model
        return {
            "display_name": model.display_name,
            "description": model.description,
            "model_type": model.model_type,
            "tier": model.tier,
            "capabilities": dict.fromkeys(sorted(self.capabilities[each] for each in model.capability_ids), True),
            "context_window": model.context_window,
            "max_output_tokens": model.max_output_tokens,
            "is_active": model.is_active,
        }


def _prices(listed: ListedModel) -> dict[str, Any]:
    charge = listed.standing.charge
    if charge is None:
        return {}
    told = {field: getattr(charge, unit) for field, unit in PRICE_FIELDS.items()}
    return {"price_unit": "per_million", **{field: None if it is None else str(it) for field, it in told.items()}}
