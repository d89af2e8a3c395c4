"""Probes that cost tokens: only where an administrator wants them, the smallest there are, within a budget a day."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

PROMPT = "ping"
PROMPT_TOKENS = 32
"""More than any tokeniser makes of the prompt and what a supplier puts around it."""
REASONING_TOKENS = 16
"""The least that models take which think before they speak; no probe is answered by more."""
_REASONING = re.compile(r"(?:^|/)(?:o\d|gpt-5)", re.IGNORECASE)
_PER = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class TokenProbe:
    """How one supplier is asked for a token, and what that has taken today."""

    supplier_id: UUID
    upstream_name: str
    """The model to ask."""
    interval_s: int
    daily_calls: int
    daily_cost: Decimal | None
    """USD a day; None lets the count alone limit it."""
    is_reasoning: bool | None
    """Whether the model thinks before it speaks; None tells it by the name."""
    due_at: datetime
    day: date
    """The day in UTC that `calls` and `cost` are of."""
    calls: int = 0
    cost: Decimal = Decimal(0)

    def on(self, day: date) -> "TokenProbe":
        """Begin a new day's budget, if it is one."""
        return self if day <= self.day else replace(self, day=day, calls=0, cost=Decimal(0))

    def why_not(self, price: "Price | None") -> str | None:
        """Answer why it may not ask now; None when it may."""
        if self.calls >= self.daily_calls:
            return f"the {self.daily_calls} calls of today are made"
        if self.daily_cost is None:
            return None
        if price is None:
            return "nobody knows what the model costs, so the daily_cost can't be kept"
        if self.cost + price.of(PROMPT_TOKENS, REASONING_TOKENS) > self.daily_cost:
            return f"another call could cost more than is left of today's {self.daily_cost} USD"
        return None

    def spend(self, price: "Price | None") -> "TokenProbe":
        """Count one call at the most that it can cost."""
        most = Decimal(0) if price is None else price.of(PROMPT_TOKENS, REASONING_TOKENS)
        return replace(self, calls=self.calls + 1, cost=self.cost + most)

    @property
    def thinks(self) -> bool:
        """Tell whether the model is taken for one that thinks before it speaks."""
        return bool(_REASONING.search(self.upstream_name)) if self.is_reasoning is None else self.is_reasoning


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs; USD per million tokens."""

    input: Decimal
    output: Decimal

    def of(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Answer what a call costs."""
        return (self.input * input_tokens + self.output * output_tokens) / _PER


def smallest_chat(model: str, *, thinks: bool) -> Mapping[str, Any]:
    """Write the smallest request in OpenAI's words.

    Its reasoning models refuse `max_tokens` and every temperature; most servers that follow it know nothing else.
    https://platform.openai.com/docs/api-reference/chat/create
    """
    limit = {"max_completion_tokens": REASONING_TOKENS} if thinks else {"max_tokens": 1}
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **limit}


def smallest_message(model: str) -> Mapping[str, Any]:
    """Write the smallest request in Anthropic's words; its models do not think unless they are asked to.

    https://docs.anthropic.com/en/api/messages
    """
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1}
