"""The gate that requests pass once it is known who calls and what is asked."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelbus.router.cache.records import AccessKey, Consumer
from modelbus.router.cache.table import Table
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.budgets import Spending
from modelbus.router.limits.registry import Registry
from modelbus.router.wire.estimates import prompt_tokens

_ANSWER = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_read_count = msgspec.json.Decoder(int).decode


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
        if allowance is None:
            return
        if allowance.counts_tokens:
            allowance.enter(prompt_tokens(fields), _longest_answer(fields))
        else:
            allowance.enter(0, 0)

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


def _longest_answer(fields: Mapping[str, Raw]) -> int:
    """Answer how many tokens the caller allows the answer to have; what can't be read is the supplier's to refuse."""
    for name in _ANSWER:
        if name in fields:
            try:
                return max(_read_count(fields[name]), 0)
            except msgspec.DecodeError:
                return 0
    return 0
