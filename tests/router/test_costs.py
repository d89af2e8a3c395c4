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
from modelbus.router.wire.usage import tokens_of

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "samples" / "usage.json").read_bytes())
LONG_CONTEXT = 200_000


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


PRICED = [
    (recorded, published)
    for recorded in RECORDED
    for name, published in PUBLISHED.items()
    if "input_price" in recorded
    and recorded["model"].startswith(name)
    and not recorded["model"].endswith("-image")
    and recorded["read"]["input_tokens"] <= LONG_CONTEXT
]


@pytest.mark.parametrize(("recorded", "published"), PRICED, ids=lambda each: str(getattr(each, "get", str)("model")))
def test_a_recorded_usage_object_costs_what_was_computed_for_it(recorded: dict[str, Any], published: Prices) -> None:
    cost = cost_of(tokens_in(recorded), published)

    assert cost == Decimal(recorded["input_price"]) + Decimal(recorded["output_price"])


def test_most_of_the_recorded_objects_with_prices_are_checked() -> None:
    assert len(PRICED) >= 30


@pytest.mark.parametrize(
    ("tokens", "billed", "cost"),
    [
        (Tokens(), prices("1", "1"), None),
        (Tokens(input=0, output=0), Prices(), Decimal(0)),
        (Tokens(input=1_000_000), Prices(), None),
        (Tokens(input=1_000_000, output=0), Prices(input=Decimal(2)), Decimal(2)),
        (Tokens(input=0, cached_input=1_000_000), prices("2", "1"), Decimal(2)),
        (Tokens(input=0, cache_write=1_000_000), prices("2", "1", "0.5", "3"), Decimal(3)),
        (Tokens(reasoning=1_000_000), Prices(output=Decimal(2), reasoning=Decimal(5)), Decimal(5)),
        (Tokens(input=1_000_000), Prices(input=Decimal(0), request=Decimal("0.5")), Decimal("0.5")),
    ],
)
def test_a_price_that_is_not_known_makes_the_cost_unknown(tokens: Tokens, billed: Prices, cost: Decimal | None) -> None:
    assert cost_of(tokens, billed) == cost


@pytest.mark.parametrize(
    "usage", [b"null", b"[]", b"{", b"1", b'{"prompt_tokens":-1}', b'{"prompt_tokens":true}', b"{}"]
)
def test_what_can_not_be_read_counts_as_not_told(usage: bytes) -> None:
    assert tokens_of(usage) == Tokens()
