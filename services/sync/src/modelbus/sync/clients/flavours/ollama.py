"""Ollama's `GET /api/tags`: what is on that machine's disk.

https://github.com/ollama/ollama/blob/main/docs/api.md#list-local-models
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, read_entries
from modelbus.sync.domain.modalities import words_of
from modelbus.sync.domain.names import is_embedding

_LATEST = ":latest"
_SEEING = frozenset({"clip", "mllama"})
_EMBEDDING = frozenset({"bert", "nomic-bert"})


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models; requests in OpenAI's protocol go below `/v1`, the listing is beside it."""
    root = endpoint.supplier.base_url.removesuffix("/v1")
    document = await endpoint.get_json("/api/tags", headers=endpoint.bearer(), below=root)
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read `{"models": [...]}`."""
    return read_entries([_without_latest(entry) for entry in entries_of(document, "models")], "name", _read_entry)


def _without_latest(entry: Any) -> Any:
    """`llama3` and `llama3:latest` are one model to Ollama, and offers of several suppliers meet by the shorter."""
    if isinstance(entry, dict) and isinstance(entry.get("name"), str):
        return {**entry, "name": entry["name"].removesuffix(_LATEST)}
    return entry


def _read_entry(name: str, entry: Entry) -> ListedModel:
    details = entry.get("details")
    return ListedModel(
        upstream_name=name,
        model_type=_type_of(name, details if isinstance(details, dict) else {}),
        context_window=count_of(details, "context_length"),
    )


def _type_of(name: str, details: Entry) -> str:
    families = {*words_of(details.get("families")), *words_of(details.get("family"))}
    if is_embedding(name) or families & _EMBEDDING:
        return "embedding"
    return "multimodal" if families & _SEEING else "language"
