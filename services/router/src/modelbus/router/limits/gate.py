"""The gate that requests pass once it is known who calls and what is asked."""

from collections.abc import Mapping

from msgspec import Raw

from modelbus.router.cache.records import AccessKey, Consumer
from modelbus.router.cache.table import Table
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.registry import Registry


class Gate:
    """Knows the limits and budgets of every caller."""

    def __init__(self, registry: Registry, spending: Spending) -> None:
        self._registry = registry
        self._spending = spending

    def allowance_of(self, table: Table, caller: AccessKey) -> Allowance | None:
        """Answer what the caller may take of its own and its consumer's limits; None where nothing limits it."""
        return self._registry.allowance_of(_holders(table, caller))

    def enter(self, table: Table, caller: AccessKey, allowance: Allowance | None, fields: Mapping[str, Raw]) -> None:
        """Let the request in.

        Raises:
            BudgetExceededError: the caller, or its consumer, has spent all that it may.
            RateLimitedError: a limit is reached.
        """
        self._spending.demand(_holders(table, caller))
        if allowance is not None:
            allowance.enter_with(fields)

    def leave(self, allowance: Allowance | None, used: int, entry: RequestEntry | None) -> None:
        """Settle with a request that has ended."""
        if allowance is not None:
            allowance.settle(used)
        if entry is not None:
            self._spending.note(entry)


def _holders(table: Table, caller: AccessKey) -> tuple[AccessKey | Consumer, ...]:
    consumer = None if caller.consumer_id is None else table.consumers.get(caller.consumer_id)
    if consumer is None:
        return (caller,)
    return (consumer,) if caller.is_token else (caller, consumer)
