"""OpenRouter's `GET /models`: sizes, modalities, and prices as decimal strings in USD per token.

https://openrouter.ai/docs/api-reference/list-available-models
"""

import asyncio
from collections.abc import Set as AbstractSet
from typing import Any

from modelbus.contracts.records import CostPrices
from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, read_entries
from modelbus.sync.domain.names import display_name
from modelbus.sync.domain.prices import per_million, per_piece, read_amount

PER_TOKEN = ("prompt", "completion", "input_cache_read", "input_cache_write", "internal_reasoning")
PER_PIECE = ("request", "image")
# What comes out names the model, if only one kind of thing does.
_TYPES = {
    "embedding": "embedding",
    "embeddings": "embedding",
    "image": "image",
    "audio": "audio",
    "video": "video",
    "rerank": "rerank",
}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models that OpenRouter passes on."""
    document = await endpoint.get_json("/models", headers=endpoint.bearer())
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read `{"data": [...]}`."""
    return read_entries(entries_of(document, "data"), "id", _read_entry)


def _read_entry(name: str, entry: Entry) -> ListedModel:
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("name")),
        model_type=_type_of(entry.get("architecture")),
        context_window=count_of(entry, "context_length") or count_of(entry.get("top_provider"), "context_length"),
        max_output_tokens=count_of(entry.get("top_provider"), "max_completion_tokens"),
        cost=_cost_of(entry.get("pricing")),
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


def _type_of(architecture: Any) -> str:
    given, answered = _modalities(architecture)
    if len(answered) == 1 and (only := next(iter(answered))) in _TYPES:
        return _TYPES[only]
    if answered <= {"text"}:
        if given <= {"text"}:
            return "language"
        if given == {"audio"}:
            return "audio"
    return "multimodal"


def _modalities(architecture: Any) -> tuple[AbstractSet[str], AbstractSet[str]]:
    """Answer what goes in and what comes out, from the lists or else from `text+image->text`; empty if not said."""
    if not isinstance(architecture, dict):
        return set(), set()
    given, answered = architecture.get("input_modalities"), architecture.get("output_modalities")
    if isinstance(given, list) and isinstance(answered, list):
        return {each for each in given if isinstance(each, str)}, {each for each in answered if isinstance(each, str)}
    modality = architecture.get("modality")
    before, _, after = (modality if isinstance(modality, str) else "").partition("->")
    return set(filter(None, before.split("+"))), set(filter(None, after.split("+")))
