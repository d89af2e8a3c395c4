"""Heroku's `GET /available-models`: a bare list under `model_id`, with the dates of each model's life.

https://devcenter.heroku.com/articles/heroku-inference-api-v1-available-models
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, entries_of, life_of, read_entries
from modelbus.sync.domain.modalities import words_of

_TYPES = {
    "text-to-text": "language",
    "text-to-image": "image",
    "text-to-embedding": "embedding",
    "text-to-score": "rerank",
}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models; requests in OpenAI's protocol go below `/v1`, the listing is beside it."""
    root = endpoint.supplier.base_url.removesuffix("/v1")
    document = await endpoint.get_json("/available-models", headers=endpoint.bearer(), below=root)
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read the bare list."""
    return read_entries(entries_of(document, "data"), "model_id", _read_entry)


def _read_entry(name: str, entry: Entry) -> ListedModel:
    told = words_of(entry.get("type"))
    return ListedModel(
        upstream_name=name,
        model_type=next((_TYPES[word] for word in told if word in _TYPES), "language"),
        life=life_of(entry, deprecated=["deprecation_date"], retires=["eol_date"], replacement=["replacement_model"]),
    )
