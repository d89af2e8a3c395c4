"""Money: recorded usage objects, split into kinds of tokens, and what these cost."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelbus.router.cache.records import Prices
from modelbus.router.journey.costs import cost_of
from modelbus.router.ledger.entries import Tokens
from modelbus.router.wire.chat_events import ChatEvents
from modelbus.router.wire.completions import read_completion
from modelbus.router.wire.endpoints import read_object
from modelbus.router.wire.messages import MessageEvents
from modelbus.router.wire.other_events import TypedEvents
from modelbus.router.wire.usage import tokens_of

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "samples" / "usage.json").read_bytes())


def prices(input_: str, output: str, cached_input: str | None = None, cache_write: str | None = None) -> Prices:
    cached, written = (Decimal(price) if price else None for price in (cached_input, cache_write))
    return Prices(Decimal(input_), Decimal(output), cached, written)


# As the suppliers published them when the objects were recorded, in USD per million tokens.
PUBLISHED = {
    "claude-sonnet-4": prices("3", "15", "0.3", "3.75"),
    "claude-sonnet-5": prices("2", "10", "0.2", "2.5"),
    "claude-haiku-4-5": prices("1", "5", "0.1", "1.25"),
    "gpt-5-mini": prices("0.25", "2", "0.025"),
    "gpt-5-2025": prices("1.25", "10", "0.125"),
    "gpt-5.6-sol": prices("5", "30", "0.5"),
    "gemini-2.0-flash": prices("0.1", "0.4", "0.025"),
    "gemini-2.5-pro": prices("1.25", "10", "0.125"),
    "gemini-2.5-flash": prices("0.3", "2.5", "0.03"),
    "gemini-3-flash": prices("0.5", "3", "0.05"),
    "gemini-3.5-flash": prices("1.5", "9"),
    "gpt-oss-120b": prices("0.039", "0.18"),
    "gpt-4o-audio-preview": prices("2.5", "10"),
    "deepseek-v4-flash": prices("0.14", "0.28", "0.0028"),
    "text-embedding-3-small": prices("0.02", "0"),
}


def tokens_in(recorded: dict[str, Any]) -> Tokens:
    return tokens_of(msgspec.json.encode(recorded["usage"]))


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: str(recorded["model"]))
def test_a_recorded_usage_object_is_split_into_disjoint_kinds(recorded: dict[str, Any]) -> None:
    tokens, read = tokens_in(recorded), recorded["read"]

    whole_input = (tokens.input or 0) + (tokens.cached_input or 0) + (tokens.cache_write or 0)
    assert whole_input == read.get("input_tokens", 0)
    assert (tokens.output or 0) + (tokens.reasoning or 0) == read.get("output_tokens", 0)
    assert (tokens.cache_write or 0) == read.get("cache_write_tokens", 0)
    # Where the reference does not know the name, the object itself tells.
    assert (tokens.cached_input or 0) == read.get("cache_read_tokens", recorded["usage"].get("num_cached_tokens", 0))
    assert (tokens.reasoning or 0) == read.get("output_reasoning_tokens", 0)


# What is dearer beyond 200,000 tokens is not modelled: listings do not tell it.
LONG_CONTEXT = [("claude-sonnet-4-5-20250929", 401_468)]
PRICED = [recorded for recorded in RECORDED if "input_price" in recorded]
COMPUTED = [
    recorded for recorded in PRICED if (recorded["model"], recorded["read"]["input_tokens"]) not in LONG_CONTEXT
]


def published_for(model: str) -> Prices:
    [found] = [published for name, published in PUBLISHED.items() if model.startswith(name)]
    return found


@pytest.mark.parametrize("recorded", COMPUTED, ids=lambda recorded: str(recorded["model"]))
def test_a_recorded_usage_object_costs_what_was_computed_for_it(recorded: dict[str, Any]) -> None:
    cost = cost_of(tokens_in(recorded), published_for(recorded["model"]))

    assert cost == Decimal(recorded["input_price"]) + Decimal(recorded["output_price"])


def test_all_recorded_objects_with_prices_but_those_named_are_checked() -> None:
    assert len(PRICED) == 39
    assert len(COMPUTED) == len(PRICED) - len(LONG_CONTEXT)


def test_recorded_objects_are_marked_where_suppliers_bill_apart() -> None:
    marked = {(recorded["model"], kind) for recorded in RECORDED for kind in tokens_in(recorded).billed_apart}

    assert marked == {
        ("claude-sonnet-4-5-20250929", "web_search"),
        ("claude-sonnet-4-6", "web_search"),
        ("gpt-4o-audio-preview-2024-12-17", "audio"),
    }


@pytest.mark.parametrize(
    ("usage", "marks"),
    [
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4}}, ["audio"]),
        ({"prompt_tokens": 9, "completion_tokens_details": {"audio_tokens": 4, "reasoning_tokens": 1}}, ["audio"]),
        ({"input_tokens": 9, "input_token_details": {"audio_tokens": 9, "text_tokens": 0}}, ["audio"]),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"image_tokens": 4}}, []),
        ({"prompt_tokens": 9, "completion_tokens_details": {"image_tokens": 4}}, ["image"]),
        ({"input_tokens": 9, "input_tokens_details": {"image_tokens": 9}}, ["image"]),
        ({"input_tokens": 9, "output_tokens_details": {"image_tokens": 9, "audio_tokens": 1}}, ["audio", "image"]),
        ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}]}, ["audio"]),
        ({"promptTokenCount": 9, "promptTokensDetails": [{"modality": "IMAGE", "tokenCount": 4}]}, []),
        ({"promptTokenCount": 9, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 4}]}, ["image"]),
        ({"input_tokens": 9, "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1}}, ["web_search"]),
        ({"input_tokens": 9, "service_tier": "priority"}, ["service_tier"]),
        ({"input_tokens": 9, "service_tier": "batch", "inference_geo": "us"}, ["service_tier", "inference_geo"]),
        ({"promptTokenCount": 9, "serviceTier": "flex"}, ["service_tier"]),
        ({"input_tokens": 9, "speed": "fast"}, ["speed"]),
        ({"input_tokens": 9, "service_tier": "standard", "inference_geo": "global", "speed": "standard"}, []),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 0}, "completion_tokens_details": None}, []),
        ({"input_tokens": 9, "server_tool_use": [], "service_tier": None, "speed": 7, "promptTokensDetails": 1}, []),
        ({"promptTokenCount": 9, "promptTokensDetails": [None, {"modality": "AUDIO"}]}, []),
    ],
)
def test_what_is_billed_apart_from_text_is_marked(usage: dict[str, Any], marks: list[str]) -> None:
    assert list(tokens_of(msgspec.json.encode(usage)).billed_apart) == marks


@pytest.mark.parametrize("tier", ["flex", "priority", "default", None])
def test_the_tier_that_is_told_beside_the_usage_is_marked(tier: str | None) -> None:
    usage = {"prompt_tokens": 3, "input_tokens": 3}
    ended = {"choices": [{"finish_reason": "stop"}], "usage": usage, "service_tier": tier}
    chat, typed = ChatEvents(shows_usage=True), TypedEvents()
    for events, body in ((chat, ended), (typed, {"type": "response.completed", "response": ended})):
        events.take(b"data: " + msgspec.json.encode(body) + b"\n\n")

    told = [reading(msgspec.json.encode(ended)).tokens for reading in (read_completion, read_object)]

    marks = ("service_tier",) if tier in {"flex", "priority"} else ()
    assert [each.billed_apart for each in (*told, chat.tokens, typed.tokens)] == [marks] * 4


HOUR = {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 900}


@pytest.mark.parametrize(
    ("usage", "hour"),
    [
        ({"input_tokens": 1, "cache_creation_input_tokens": 1000, "cache_creation": HOUR}, 900),
        ({"input_tokens": 1, "cache_creation_input_tokens": 500, "cache_creation": HOUR}, 500),
        ({"input_tokens": 1, "cache_creation_input_tokens": 1000, "cache_creation": None}, None),
        ({"input_tokens": 1, "cache_creation_input_tokens": 0, "cache_creation": HOUR}, None),
        (
            {
                "inputTokens": 1,
                "cacheWriteInputTokens": 1000,
                "cacheDetails": [{"inputTokens": 900, "ttl": "1h"}, {"inputTokens": 100, "ttl": "5m"}],
            },
            900,
        ),
        ({"inputTokens": 1, "cacheWriteInputTokens": 1000, "cacheDetails": [1]}, None),
    ],
)
def test_what_is_written_to_a_cache_for_an_hour_is_told_apart(usage: dict[str, Any], hour: int | None) -> None:
    tokens = tokens_of(msgspec.json.encode(usage))

    assert tokens.cache_write_1h == hour
    assert tokens.input == 1


def test_a_streamed_message_keeps_what_its_beginning_told_of_caches_and_tiers() -> None:
    usage = {"input_tokens": 1, "cache_creation_input_tokens": 1000, "cache_creation": HOUR, "service_tier": "priority"}
    ended = {"output_tokens": 5, "server_tool_use": {"web_search_requests": 1}}
    events = MessageEvents()
    for body in (
        {"type": "message_start", "message": {"usage": usage}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": ended},
    ):
        events.take(b"data: " + msgspec.json.encode(body) + b"\n\n")

    assert events.tokens == Tokens(
        input=1, cache_write=1000, cache_write_1h=900, output=5, billed_apart=("service_tier", "web_search")
    )


@pytest.mark.parametrize(
    ("tokens", "billed", "cost"),
    [
        (Tokens(), prices("1", "1"), None),
        (Tokens(input=0, output=0), Prices(), Decimal(0)),
        (Tokens(input=1_000_000), Prices(), None),
        (Tokens(input=1_000_000, output=0), Prices(input=Decimal(2)), Decimal(2)),
        (Tokens(input=0, cached_input=1_000_000), prices("2", "1"), Decimal(2)),
        (Tokens(input=0, cache_write=1_000_000), prices("2", "1", "0.5", "3"), Decimal(3)),
        (Tokens(cache_write=1_000_000, cache_write_1h=1_000_000), prices("3", "1", "0.3", "3.75"), Decimal(6)),
        (Tokens(cache_write=1_000_000, cache_write_1h=500_000), prices("3", "1", "0.3", "3.75"), Decimal("4.875")),
        (Tokens(cache_write=1_000_000, cache_write_1h=1_000_000), prices("3", "1"), Decimal(6)),
        (Tokens(cache_write=1_000_000, cache_write_1h=1_000_000), Prices(), None),
        (Tokens(reasoning=1_000_000), Prices(output=Decimal(2), reasoning=Decimal(5)), Decimal(5)),
        (Tokens(input=1_000_000), Prices(input=Decimal(0), request=Decimal("0.5")), Decimal("0.5")),
    ],
)
def test_a_price_that_is_not_known_makes_the_cost_unknown(tokens: Tokens, billed: Prices, cost: Decimal | None) -> None:
    assert cost_of(tokens, billed) == cost


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        # xAI, reasoning beside the completion; then as OpenAI has it, within.
        ((10_120, 1_499, 2_809, 14_428), (1_499, 2_809)),
        ((32, 9, 117, 158), (9, 117)),
        ((10, 100, 60, 110), (40, 60)),
        # Gemini's OpenAI path: only the sum tells of thoughts.
        ((10, 5, None, 45), (5, 30)),
        ((10, 5, 0, 45), (5, 30)),
        ((10, 5, None, None), (5, None)),
        # A sum that no reading explains changes nothing.
        ((10, 50, 20, 100), (30, 20)),
        ((10, 50, None, 5), (50, None)),
    ],
)
def test_reasoning_that_is_told_beside_the_completion_is_billed(
    told: tuple[int | None, ...], expected: tuple[int, int | None]
) -> None:
    prompt, completion, reasoning, total = told
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}

    tokens = tokens_of(msgspec.json.encode(usage))

    assert (tokens.input, tokens.output, tokens.reasoning) == (prompt, *expected)


@pytest.mark.parametrize(
    ("tokens", "served", "unserved"),
    [(Tokens(), Decimal("0.04"), None), (Tokens(input=9, output=9), Decimal("0.04"), None)],
)
def test_a_price_per_request_alone_is_billed_for_what_is_served_whoever_counted(
    tokens: Tokens, served: Decimal, unserved: Decimal | None
) -> None:
    billed = Prices(request=Decimal("0.04"))

    assert cost_of(tokens, billed) == served
    assert cost_of(tokens, billed, is_served=False) == unserved


@pytest.mark.parametrize(
    "usage", [b"null", b"[]", b"{", b"1", b'{"prompt_tokens":-1}', b'{"prompt_tokens":true}', b"{}"]
)
def test_what_can_not_be_read_counts_as_not_told(usage: bytes) -> None:
    assert tokens_of(usage) == Tokens()
