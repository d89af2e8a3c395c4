"""The balancer holds what choosing needs beside the catalog: what was seen of sources and credentials, and chance."""

from random import Random
from time import monotonic

from modelbus.router.balance.choosing import Choice, Wanted, choose
from modelbus.router.balance.loads import Loads
from modelbus.router.balance.menu import Menu
from modelbus.router.balance.offers import Offer
from modelbus.router.balance.sifting import Wish
from modelbus.router.balance.standings import QuotaWait, Standings
from modelbus.router.balance.strategies import View
from modelbus.router.cache.records import AccessKey
from modelbus.router.cache.table import Table
from modelbus.router.domain.breakers import Breakers
from modelbus.router.naming.meanings import Meaning
from modelbus.router.naming.resolving import scope_of, unnamed

USUAL_LEVEL = "medium"
_MOST_TURNS = 10_000


class Balancer:
    """Chooses for one request after another."""

    def __init__(self, strategy: str, breakers: Breakers | None = None, quota_wait_s: QuotaWait | None = None) -> None:
        self._strategy = strategy
        self.breakers = Breakers() if breakers is None else breakers  # an empty one is false
        self.standings = Standings() if quota_wait_s is None else Standings(quota_wait_s)
        self.loads = Loads()
        self._chance = Random()  # noqa: S311 - it spreads load
        self._turns: dict[str, int] = {}
        self._menu: Menu | None = None

    def menu(self, table: Table) -> Menu:
        """Answer what the table offers."""
        menu = self._menu
        if menu is None or menu.table is not table:
            menu = self._menu = Menu(table)
            self.loads.forget_gone(table.sources.get)
            self.standings.forget_gone(table.credentials.get)
        return menu

    def find(self, table: Table, wish: Wish, caller: AccessKey) -> Wanted:
        """Find what the request asks for.

        Raises:
            ModelNotFoundError: nothing bears the name.
            ScopeNotPermittedError: the scope is none that the caller may name.
            MalformedRequestError: no model is named, and none is the default.
        """
        menu = self.menu(table)
        scope = None if wish.scope is None else scope_of(table, wish.scope, caller)
        if wish.model:
            return Wanted(menu, menu.meaning(wish.model, scope), scope)
        return Wanted(menu, unnamed(table, scope, wish.endpoint.types), scope)

    def choose(self, wanted: Wanted, wish: Wish, caller: AccessKey, level: str | None = None) -> Choice:
        """Choose who serves the request; `level` is its complexity, where that is asked for."""
        wanted = at_level(wanted, level)
        view = View(self.loads, self._chance, monotonic(), self._next_turn(wanted.meaning))
        return choose(wanted, wish, caller, self._strategy, view, self._why_resting)

    def explain(
        self, wanted: Wanted, wish: Wish, caller: AccessKey, seed: int | None, level: str | None = None
    ) -> Choice:
        """Choose without leaving a trace; the same seed chooses the same."""
        wanted = at_level(wanted, level)
        chance = self._chance if seed is None else Random(seed)  # noqa: S311 - the same
        view = View(self.loads, chance, monotonic(), self._turns.get(wanted.meaning.name, 0))
        return choose(wanted, wish, caller, self._strategy, view, self._why_resting)

    def _next_turn(self, meaning: Meaning) -> int:
        turn = self._turns.get(meaning.name, 0)
        if len(self._turns) >= _MOST_TURNS:
            self._turns.clear()
        self._turns[meaning.name] = turn + 1
        return turn

    def _why_resting(self, offer: Offer, now: float) -> str | None:
        if self.breakers.is_resting(offer.id, now):
            return "breaker_open"
        if not offer.credentials:
            return "no_usable_credential" if offer.supplier.requires_credential else None
        has_usable = False
        for credential in offer.credentials:
            if not self.standings.is_out(credential, now):
                return None
            has_usable |= not self.standings.is_refused(credential, now)
        return "credential_limit" if has_usable else "no_usable_credential"


def at_level(wanted: Wanted, level: str | None) -> Wanted:
    """Answer it with the steps of the level, if its steps depend on one."""
    if wanted.meaning.complexity is None:
        return wanted
    return Wanted(wanted.menu, wanted.menu.at_level(wanted.meaning, level or USUAL_LEVEL), wanted.scope)
