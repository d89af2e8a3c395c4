"""Enrichment: what metadata files say of the models of a listing, for what the listing leaves out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from urllib.parse import urlsplit

from modelbus.contracts.records import CostPrices, SupplierRecord
from modelbus.contracts.sync import Background, ListedModel
from modelbus.sync.domain.metadata import Asked, Match, Shelf, provider_named
from modelbus.sync.domain.names import is_embedding

UNKNOWN = CostPrices()
_ANYBODYS = frozenset({"openai", "file"})
"""Flavours that say nothing of whose listing it is."""


def enrich(
    shelves: Sequence[Shelf], supplier: SupplierRecord, models: list[ListedModel]
) -> tuple[list[ListedModel], list[Background]]:
    """Answer the models, priced where their listing tells no price, and what is said of them beside it.

    `shelves` come in the order in which they are to be believed.
    """
    providers = providers_of(supplier)
    enriched: list[ListedModel] = []
    background: list[Background] = []
    for model in models:
        found = list(_matches(shelves, supplier, providers, model.upstream_name))
        priced, teller = _priced(supplier, model, found)
        enriched.append(priced)
        background += [_background(model, shelf, match, tells_cost=shelf is teller) for shelf, match in found]
        if model.model_type is None and is_embedding(model.upstream_name):
            background.append(Background(upstream_name=model.upstream_name, file=None, model_type="embedding"))
    return enriched, background


def reference_prices(
    shelves: Sequence[Shelf], supplier: SupplierRecord, names: Collection[str]
) -> dict[str, Mapping[str, Decimal]]:
    """Answer what the models cost by the first file that tells a price of theirs, to compare listed prices with."""
    providers = providers_of(supplier)
    prices: dict[str, Mapping[str, Decimal]] = {}
    for name in names if shelves else ():
        told = (match.prices for _, match in _matches(shelves, supplier, providers, name) if match.prices)
        if (found := next(told, None)) is not None:
            prices[name] = found
    return prices


def providers_of(supplier: SupplierRecord) -> frozenset[str]:
    """Answer what the supplier may be called in a file: by its name, namespace, flavour and host."""
    called = [supplier.name, supplier.namespace]
    host = (urlsplit(supplier.base_url).hostname or "").split(".")
    if len(host) > 1 and not host[-1].isdigit():
        called.append(host[-2])
    if supplier.flavour not in _ANYBODYS:
        called.append(supplier.flavour)
    return frozenset(provider_named(each) for each in called if each)


def match_names(shelves: Sequence[Shelf], supplier: SupplierRecord, name: str) -> list[tuple[str, Match]]:
    """Answer what each file says of the model that the supplier calls so."""
    found = _matches(shelves, supplier, providers_of(supplier), name)
    return [(shelf.name, match) for shelf, match in found]


def _matches(
    shelves: Sequence[Shelf], supplier: SupplierRecord, providers: frozenset[str], name: str
) -> Iterator[tuple[Shelf, Match]]:
    if not shelves:
        return
    public = f"{supplier.namespace}/{name}" if supplier.namespace else name
    asked = Asked(name, public, providers)
    for shelf in shelves:
        if (match := shelf.find(asked)) is not None:
            yield shelf, match


def _priced(
    supplier: SupplierRecord, model: ListedModel, found: Sequence[tuple[Shelf, Match]]
) -> tuple[ListedModel, Shelf | None]:
    """Fill in the price that a file tells of this very offer; what a server of one's own costs, no file knows."""
    told = [] if supplier.is_local else [each for each in found if each[1].is_own and each[1].prices]
    if not told:
        return model, None
    shelf, match = told[0]
    cost = CostPrices.model_validate(match.prices)
    if model.held is None and model.cost == UNKNOWN:
        return model.model_copy(update={"cost": cost}), shelf
    # While listed prices are held the ones before stay, and those may be from the file.
    return model, shelf if model.held is not None and model.cost == cost else None


def _background(model: ListedModel, shelf: Shelf, match: Match, *, tells_cost: bool) -> Background:
    facts = match.facts
    return Background(
        upstream_name=model.upstream_name,
        file=shelf.name,
        entry=match.title,
        is_exact=match.is_exact,
        tells_cost=tells_cost,
        display_name=facts.display_name,
        model_type=facts.model_type,
        context_window=facts.context_window,
        max_output_tokens=facts.max_output_tokens,
        modalities=facts.modalities,
        capabilities=None if facts.capabilities is None else list(facts.capabilities),
        knowledge_cutoff=facts.knowledge_cutoff,
        deprecated_at=facts.deprecated_at,
    )
