"""Anthropic's `GET /v1/models`, in pages: sizes, capabilities, and the dates of each model's life.

https://docs.anthropic.com/en/api/models-list
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, life_of, read_entries
from modelbus.sync.clients.pages import read_pages
from modelbus.sync.domain.modalities import in_words
from modelbus.sync.domain.names import display_name

VERSION = "2023-06-01"
PAGE = "1000"
_ABILITIES = {
    "image_input": "vision",
    "pdf_input": "documents",
    "structured_outputs": "structured_output",
    "thinking": "reasoning",
}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models that the credential may use."""
    headers = {"anthropic-version": VERSION, **endpoint.key_header("x-api-key")}

    async def ask(after: str | None) -> Any:
        params = {"limit": PAGE} if after is None else {"limit": PAGE, "after_id": after}
        return await endpoint.get_json("/models", headers=headers, params=params)

    entries = await read_pages(ask, "data", _next_of)
    return await asyncio.to_thread(read_listing, entries)


def read_listing(document: Any) -> Fetched:
    """Read `{"data": [...]}`, or the entries of all pages."""
    return read_entries(entries_of(document, "data"), "id", _read_entry)


def _next_of(page: Entry) -> object:
    # Without `last_id` a page that says that there are more is refused, rather than taken for the last.
    return (page.get("last_id") or "") if page.get("has_more") is True else None


def _read_entry(name: str, entry: Entry) -> ListedModel:
    told = entry.get("capabilities")
    able = _supported(told) if isinstance(told, dict) else None
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("display_name")),
        model_type="multimodal" if able and "vision" in able else "language",
        context_window=count_of(entry, "max_input_tokens"),
        max_output_tokens=count_of(entry, "max_tokens"),
        # Every model that Anthropic lists calls tools; the listing has no word for it.
        capabilities=None if able is None else sorted(able | {"tools"}),
        life=life_of(entry, deprecated=["deprecated_at"], retires=["retires_at"], replacement=["replacement"]),
    )


def _supported(told: Entry) -> set[str]:
    """Read `{"thinking": {"supported": true}, ...}`."""
    words = (word for word, support in told.items() if isinstance(support, dict) and support.get("supported") is True)
    return in_words(words, _ABILITIES)
