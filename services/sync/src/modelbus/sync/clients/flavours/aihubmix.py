"""AiHubMix's `GET /api/v1/models`: lists as texts with commas, and prices as JSON numbers in USD per million tokens.

https://docs.aihubmix.com/en/api/Models-API
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.costs import read_cost
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, read_entries
from modelbus.sync.domain.modalities import abilities_by, arrow, in_words, read_modalities, type_by, words_of
from modelbus.sync.domain.names import display_name
from modelbus.sync.domain.prices import Unit

PRICE_FIELDS = {
    "input": ("input",),
    "output": ("output",),
    "cached_input": ("cache_read",),
    "cache_write": ("cache_write",),
}
_ABILITIES = {
    "tools": "tools",
    "function_calling": "tools",
    "structured_outputs": "structured_output",
    "thinking": "reasoning",
    "web": "web_search",
}
_GIVEN = {
    "llm": "text",
    "image_generation": "image",
    "video": "video",
    "tts": "audio",
    "stt": "text",
    "embedding": "embedding",
    "rerank": "rerank",
}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models that AiHubMix passes on; requests go below `/v1`, the listing is beside it."""
    root = endpoint.supplier.base_url.removesuffix("/v1").removesuffix("/api")
    document = await endpoint.get_json("/api/v1/models", headers=endpoint.bearer(), below=root)
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read `{"data": [...]}`."""
    return read_entries(entries_of(document, "data"), "model_id", _read_entry)


def _read_entry(name: str, entry: Entry) -> ListedModel:
    taken = read_modalities(entry.get("input_modalities"))
    given = read_modalities(sorted(in_words(words_of(entry.get("types")), _GIVEN)))
    features = words_of(entry.get("features"))
    able = in_words(features, _ABILITIES) | abilities_by(taken, given)
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("model_name")),
        model_type=type_by(taken, given),
        # Zero is written where it is not known.
        context_window=count_of(entry, "context_length"),
        max_output_tokens=count_of(entry, "max_output"),
        cost=read_cost(entry.get("pricing"), PRICE_FIELDS, Unit.PER_MILLION),
        modalities=arrow(taken, given),
        # An empty text is written where nobody has looked.
        capabilities=sorted(able) if features else None,
    )
