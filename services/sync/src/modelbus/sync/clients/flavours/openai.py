"""OpenAI's `GET /models`, and that of the many servers that follow it more or less.

https://platform.openai.com/docs/api-reference/models/list
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, read_entries
from modelbus.sync.domain.names import display_name, is_embedding

# OpenAI itself says nothing of sizes; these are the words of vLLM, Groq, Together and Mistral.
CONTEXT_FIELDS = ("context_window", "max_model_len", "context_length", "max_context_length")
OUTPUT_FIELDS = ("max_completion_tokens", "max_output_tokens")


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models of one OpenAI-compatible endpoint."""
    document = await endpoint.get_json("/models", headers=endpoint.bearer())
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read `{"data": [...]}`, or the bare list that some servers answer."""
    return read_entries(entries_of(document, "data"), "id", _read_entry)


def _read_entry(name: str, entry: Entry) -> ListedModel:
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("display_name")) or display_name(entry.get("name")),
        model_type="embedding" if is_embedding(name) else "language",
        context_window=count_of(entry, *CONTEXT_FIELDS),
        max_output_tokens=count_of(entry, *OUTPUT_FIELDS),
    )
