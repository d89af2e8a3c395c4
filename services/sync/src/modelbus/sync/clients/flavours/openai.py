"""OpenAI's `GET /models`, and that of the many servers that follow it more or less.

https://platform.openai.com/docs/api-reference/models/list
"""

import asyncio
from typing import Any

from modelbus.contracts.sync import ListedModel
from modelbus.sync.clients.costs import read_cost_without_unit
from modelbus.sync.clients.endpoint import Endpoint
from modelbus.sync.clients.entries import Entry, Fetched, count_of, entries_of, life_of, read_entries
from modelbus.sync.domain.errors import NotOfferedError
from modelbus.sync.domain.modalities import in_words
from modelbus.sync.domain.names import display_name

# OpenAI itself says nothing but names; these are the words of vLLM, Groq, Together and Mistral.
CONTEXT_FIELDS = ("context_window", "max_model_len", "context_length", "max_context_length")
OUTPUT_FIELDS = ("max_completion_tokens", "max_output_tokens")
DEPRECATED_FIELDS = ("deprecated_at", "deprecation", "deprecation_date")
RETIRES_FIELDS = ("retires_at", "shutdown_date", "eol_date")
REPLACEMENT_FIELDS = ("replacement", "deprecation_replacement_model", "replacement_model")
PRICE_FIELDS = {"input": ("input", "prompt"), "output": ("output", "completion"), "cached_input": ("cached_input",)}
_ABILITIES = {"function_calling": "tools", "vision": "vision", "reasoning": "reasoning"}


async def list_models(endpoint: Endpoint) -> Fetched:
    """List the models of one OpenAI-compatible endpoint."""
    document = await endpoint.get_json("/models", headers=endpoint.bearer())
    return await asyncio.to_thread(read_listing, document)


def read_listing(document: Any) -> Fetched:
    """Read `{"data": [...]}`, or the bare list that some servers answer."""
    return read_entries(entries_of(document, "data"), "id", _read_entry)


def _read_entry(name: str, entry: Entry) -> ListedModel:
    if entry.get("active") is False:
        raise NotOfferedError("it is listed as not active")
    cost, held = read_cost_without_unit(entry.get("pricing"), PRICE_FIELDS)
    return ListedModel(
        upstream_name=name,
        display_name=display_name(entry.get("display_name")) or display_name(entry.get("name")),
        context_window=count_of(entry, *CONTEXT_FIELDS),
        max_output_tokens=count_of(entry, *OUTPUT_FIELDS),
        cost=cost,
        held=held,
        capabilities=_abilities_of(entry.get("capabilities")),
        life=life_of(entry, deprecated=DEPRECATED_FIELDS, retires=RETIRES_FIELDS, replacement=REPLACEMENT_FIELDS),
    )


def _abilities_of(told: Any) -> list[str] | None:
    """Read Mistral's `{"function_calling": true, ...}`."""
    if not isinstance(told, dict):
        return None
    return sorted(in_words((word for word, has in told.items() if has is True), _ABILITIES))
