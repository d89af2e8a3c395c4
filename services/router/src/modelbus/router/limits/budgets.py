"""Budgets: who has spent what the catalog grants for a period is refused until the period is over."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from modelbus.router.domain.errors import BudgetExceededError
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.limits.periods import TOTAL, ends_in_s
from modelbus.router.limits.purses import Purses


class Budget(Protocol):
    """What may be spent in each period."""

    @property
    def period(self) -> str:
        """`day`, `week`, `month` or `total`."""

    @property
    def amount(self) -> Decimal:
        """USD."""


class Payer(Protocol):
    """An access key or a consumer."""

    @property
    def id(self) -> UUID:
        """Its id."""

    @property
    def budgets(self) -> Iterable[Budget]:
        """What it may spend."""


class Spending:
    """Sums up what all routers have told, and what this one has not told yet."""

    def __init__(self) -> None:
        self.told = Purses()
        """By the stream of usage."""
        self._untold = Purses()

    def note(self, entry: RequestEntry) -> None:
        """Count a request of this router at once, until it comes back by the stream."""
        self._add(self._untold, (entry.access_key_id, entry.consumer_id), entry.started_at, entry.charge)

    def note_waiting(self, purses: Purses) -> None:
        """Count what earlier processes have not told, until it comes by the stream."""
        self._untold.take(purses)

    def hear(self, payers: tuple[UUID | None, ...], at: datetime, charge: Decimal | None, *, is_noted: bool) -> None:
        """Count a request that the stream tells of; `is_noted` says that it was noted before."""
        self._add(self.told, payers, at, charge)
        if is_noted and charge:
            self._add(self._untold, payers, at, -charge)

    def demand(self, payers: Iterable[Payer]) -> None:
        """Let pass who has something left to spend.

        Raises:
            BudgetExceededError: one of them has not.
        """
        for payer in payers:
            for budget in payer.budgets:
                self._demand(payer, budget)

    def spent(self, payer_id: UUID, period: str, now: datetime) -> Decimal:
        """Answer what was spent in the period so far, in USD."""
        today = now.date()
        return self.told.spent(payer_id, period, today) + self._untold.spent(payer_id, period, today)

    def _demand(self, payer: Payer, budget: Budget) -> None:
        now = datetime.now(UTC)
        if self.spent(payer.id, budget.period, now) < budget.amount:
            return
        whose = "in all" if budget.period == TOTAL else f"per {budget.period}"
        raise BudgetExceededError(
            f"the budget of {budget.amount:f} USD {whose} is spent", ends_in_s(budget.period, now)
        )

    @staticmethod
    def _add(purses: Purses, payers: tuple[UUID | None, ...], at: datetime, charge: Decimal | None) -> None:
        if charge:
            for payer_id in payers:
                if payer_id is not None:
                    purses.spend(payer_id, at, charge)
