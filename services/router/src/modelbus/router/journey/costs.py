"""What an attempt costs: tokens by kind, at what its source bills for each."""

from decimal import Decimal

from modelbus.router.cache.records import Prices
from modelbus.router.ledger.entries import Tokens

_MILLION = Decimal(1_000_000)


def cost_of(tokens: Tokens, prices: Prices) -> Decimal | None:
    """Answer the cost in USD; None where a price is not known, or where nobody counted.

    Caches cost like input, and reasoning like output, where they have no price of their own.
    """
    billed = (
        (tokens.input, prices.input),
        (tokens.cached_input, prices.input if prices.cached_input is None else prices.cached_input),
        (tokens.cache_write, prices.input if prices.cache_write is None else prices.cache_write),
        (tokens.output, prices.output),
        (tokens.reasoning, prices.output if prices.reasoning is None else prices.reasoning),
    )
    used = [(count, price) for count, price in billed if count]
    if not used and all(count is None for count, _ in billed):
        return None
    cost = prices.request or Decimal(0)
    for count, price in used:
        if price is None:
            return None
        cost += count * price / _MILLION
    return cost
