"""OpenRouter's `GET /models`: sizes, modalities, and prices as decimal strings in USD per token.

https://openrouter.ai/docs/api-reference/list-available-models
"""

import asyncio
from typing import Any

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, life_of, read_entries
from modelbus.sync.domain.modalities import abilities_by, arrow, in_words, read_modalities, type_by, words_of
from modelbus.sync.domain.names import display_name
from modelbus.sync.domain.prices import per_million, per_piece, read_amount

PER_TOKEN = ("prompt", "completion", "input_cache_read", "input_cache_write", "internal_reasoning")
PER_PIECE = ("request", "image")
_ABILITIES = {
    "tools": "tools",
    "structured_outputs": "structured_output",
    "response_format": "json_mode",
    "reasoning": "reasoning",
    "include_reasoning": "reasoning",
    "web_search_options": "web_search",
}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models that OpenRouter passes on."""
    document = await endpoint.get_json("/models", headers=endpoint.bearer())
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read `{"data": [...]}`."""
    return read_entries(entries_of(document, "data"), "id", _read_entry)


def _read_entry(name: str, entry: Entry) -> ListedModel:
    taken, given = _modalities(entry.get("architecture"))
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("name")),
        model_type=type_by(taken, given),
        context_window=count_of(entry, "context_length") or count_of(entry.get("top_provider"), "context_length"),
        max_output_tokens=count_of(entry.get("top_provider"), "max_completion_tokens"),
        cost=_cost_of(entry.get("pricing")),
        modalities=arrow(taken, given),
        capabilities=_abilities_of(name, entry, taken, given),
        life=life_of(entry, retires=["expiration_date"]),
    )


def _cost_of(pricing: Any) -> CostPrices:
    if not isinstance(pricing, dict):
        return CostPrices()
    amounts = {key: read_amount(pricing.get(key)) for key in PER_TOKEN + PER_PIECE}
    if any(amount is not None and amount < 0 for amount in amounts.values()):
        return CostPrices(is_dynamic=True)
    prices = {key: per_million(amounts[key]) for key in PER_TOKEN}
    return CostPrices(
        input=prices["prompt"],
        output=prices["completion"],
        cached_input=prices["input_cache_read"],
        cache_write=prices["input_cache_write"],
        # Every model has "0" here but those that bill reasoning apart; the others bill it as output, not as a gift.
        reasoning=prices["internal_reasoning"] or None,
        request=per_piece(amounts["request"]),
        image=per_piece(amounts["image"]),
    )


def _abilities_of(name: str, entry: Entry, taken: list[str], given: list[str]) -> list[str] | None:
    """Answer nothing where the parameters are not listed: a model without them need not be without tools."""
    if not isinstance(entry.get("supported_parameters"), list):
        return None
    able = in_words(words_of(entry["supported_parameters"]), _ABILITIES) | abilities_by(taken, given)
    if name.endswith(":thinking"):
        able.add("reasoning")
    return sorted(able)


def _modalities(architecture: Any) -> tuple[list[str], list[str]]:
    """Answer what goes in and what comes out, from the lists or else from `text+image->text`; empty if not said."""
    if not isinstance(architecture, dict):
        return [], []
    taken, given = architecture.get("input_modalities"), architecture.get("output_modalities")
    if isinstance(taken, list) and isinstance(given, list):
        return read_modalities(taken), read_modalities(given)
    modality = architecture.get("modality")
    before, _, after = (modality if isinstance(modality, str) else "").partition("->")
    return read_modalities(before.split("+")), read_modalities(after.split("+"))
