"""What an attempt costs: tokens by kind, at what its source bills for each."""

from decimal import Decimal

from modelbus.router.cache.records import Prices
from modelbus.router.ledger.entries import Tokens

_MILLION = Decimal(1_000_000)
# Of Anthropic's price list: a write for five minutes costs 1.25 times the input, one for an hour twice the input.
_HOUR_BY_INPUT = Decimal(2)
_HOUR_BY_WRITE = Decimal("1.6")


def cost_of(tokens: Tokens, prices: Prices, *, is_served: bool = True) -> Decimal | None:
    """Answer the cost in USD; None where a price is not known, or where nobody counted what is billed by count.

    Caches cost like input, and reasoning like output, where they have no price of their own; what is written for an
    hour costs 1.6 times another write, or twice the input where writes have no price.
    """
    hour = tokens.cache_write_1h or 0
    billed = (
        (tokens.input, prices.input),
        (tokens.cached_input, prices.input if prices.cached_input is None else prices.cached_input),
        (_less(tokens.cache_write, hour), prices.input if prices.cache_write is None else prices.cache_write),
        (hour or None, _hour_price(prices) if hour else None),
        (tokens.output, prices.output),
        (tokens.reasoning, prices.output if prices.reasoning is None else prices.reasoning),
    )
    used = [(count, price) for count, price in billed if count]
    if prices.request is not None and prices.input is None and prices.output is None:
        return prices.request if is_served else None
    if not used and all(count is None for count, _ in billed):
        return None
    cost = prices.request or Decimal(0)
    for count, price in used:
        if price is None:
            return None
        cost += count * price / _MILLION
    return cost


def _less(written: int | None, hour: int) -> int | None:
    return None if written is None else written - hour


def _hour_price(prices: Prices) -> Decimal | None:
    if prices.cache_write is not None:
        return prices.cache_write * _HOUR_BY_WRITE
    return None if prices.input is None else prices.input * _HOUR_BY_INPUT
