"""Gemini's `GET /v1beta/models`, in pages: names below `models/`, limits of tokens, and what each model is asked by.

https://ai.google.dev/api/models
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, read_entries
from modelbus.sync.clients.pages import read_pages
from modelbus.sync.domain.errors import NotOfferedError
from modelbus.sync.domain.modalities import words_of
from modelbus.sync.domain.names import display_name

PAGE = "1000"
_PREFIX = "models/"
# What a model is asked by names its type; the listing has no word for what goes in.
_TYPES = {
    "generatecontent": "language",
    "embedcontent": "embedding",
    "embedtext": "embedding",
    "predict": "image",
    "predictlongrunning": "video",
    "bidigeneratecontent": "audio",
}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models; requests in OpenAI's protocol go below `/openai`, the listing is beside it."""
    root = endpoint.supplier.base_url.removesuffix("/openai")
    headers = endpoint.key_header("x-goog-api-key")

    async def ask(token: str | None) -> Any:
        params = {"pageSize": PAGE} if token is None else {"pageSize": PAGE, "pageToken": token}
        return await endpoint.get_json("/models", headers=headers, params=params, below=root)

    entries = await read_pages(ask, "models", lambda page: page.get("nextPageToken") or None)
    return await asyncio.to_thread(read_listing, entries)


def read_listing(document: Any) -> Fetched:
    """Read `{"models": [...]}`, or the entries of all pages."""
    return read_entries([_without_prefix(entry) for entry in entries_of(document, "models")], "name", _read_entry)


def _without_prefix(entry: Any) -> Any:
    if isinstance(entry, dict) and isinstance(entry.get("name"), str):
        return {**entry, "name": entry["name"].removeprefix(_PREFIX)}
    return entry


def _read_entry(name: str, entry: Entry) -> ListedModel:
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("displayName")),
        model_type=_type_of(entry.get("supportedGenerationMethods")),
        context_window=count_of(entry, "inputTokenLimit"),
        max_output_tokens=count_of(entry, "outputTokenLimit"),
    )


def _type_of(methods: Any) -> str:
    if methods is None:
        return "language"
    told = words_of(methods)
    for method, model_type in _TYPES.items():
        if method in told:
            return model_type
    raise NotOfferedError("it is asked by none of the methods that are known")
