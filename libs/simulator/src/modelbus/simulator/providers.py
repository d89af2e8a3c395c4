"""A provider as it stands: what it lists, whom it lets in, how it misbehaves, and what it was asked."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelbus.simulator import checks
from modelbus.simulator.answers import Kind
from modelbus.simulator.checks import BadInputError
from modelbus.simulator.exchanges import MOST_KEPT, Exchange
from modelbus.simulator.faults import HEALTHY, Fault, Rule
from modelbus.simulator.listings import RECORDINGS, Listing, recorded_listing
from modelbus.simulator.shape import Shape


@dataclass(slots=True)
class Behaviour:
    """A rule in force and how often it was applied."""

    rule: Rule
    applied: int = 0

    @property
    def is_expired(self) -> bool:
        """It was meant for so many times only."""
        return self.rule.times is not None and self.applied >= self.rule.times


class Provider:
    """One simulated provider; all of its state is here and in no other place."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.is_closing = False
        self.reset()

    def reset(self) -> None:
        """Be as at the start: default listing and keys, no faults, nothing remembered."""
        self.listing = self.shape.default_listing()
        self.keys = frozenset(f"sim-{self.name}-key-{number}" for number in (1, 2))
        self.behaviours: list[Behaviour] = []
        self.exchanges: deque[Exchange] = deque(maxlen=MOST_KEPT)
        self.counts: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """The provider's name, the first part of its paths."""
        return self.shape.name

    def serve_recording(self, date: str) -> None:
        """List what OpenRouter listed on that day, one of RECORDINGS; no other provider has recordings."""
        known = RECORDINGS if self.name == "openrouter" else ()
        if date not in known:
            raise BadInputError("recording", f"one of {', '.join(RECORDINGS)}, for openrouter only")
        self.listing = recorded_listing(date)

    def serve_models(self, items: Iterable[Any]) -> None:
        """List these items as they are, right or wrong."""
        self.listing = Listing.of("models", items)

    def serve_names(self, *names: str) -> None:
        """List models of these names, with everything else made up."""
        checks.TEXTS.require("names", list(names))
        self.listing = self.shape.listing_of("names", names)

    def accept_keys(self, *keys: str) -> None:
        """Accept these keys and no others; none at all is allowed."""
        if keys:
            checks.TEXTS.require("keys", list(keys))
        self.keys = frozenset(keys)

    def behave(self, *rules: Rule) -> None:
        """Put these rules in force in the place of all others; the first that matches is applied."""
        kinds = ("*", *dict.fromkeys(str(kind) for _, kind in self.shape.routes.values()))
        for position, rule in enumerate(rules):
            checks.one_of(*kinds).require(f"[{position}].path", rule.path)
        self.behaviours = [Behaviour(rule) for rule in rules]

    def misbehave(
        self,
        fault: Fault,
        *,
        path: str = "*",
        model: str = "*",
        key: str | None = None,
        times: int | None = None,
    ) -> None:
        """Put one rule in force in the place of all others."""
        self.behave(Rule(fault=fault, path=path, model=model, key=key, times=times))

    def fault_for(self, exchange: Exchange, *, is_prefilled: bool) -> Fault:
        """The fault of the first rule in force that matches; a refusal of prefill matches only where there is one."""
        for behaviour in self.behaviours:
            rule = behaviour.rule
            if behaviour.is_expired or (rule.fault.refuse_prefill and not is_prefilled):
                continue
            if rule.concerns(exchange.kind, exchange.model, exchange.key):
                behaviour.applied += 1
                return rule.fault
        return HEALTHY

    def begin_exchange(self, kind: Kind, method: str, path: str, headers: Mapping[str, str]) -> Exchange:
        """Remember that a request has come."""
        exchange = Exchange(method, path, kind, headers, key_of(headers))
        self.exchanges.append(exchange)
        self.counts[kind] += 1
        return exchange

    def forget_exchanges(self) -> None:
        """Remember nothing."""
        self.exchanges.clear()
        self.counts.clear()

    def to_json(self) -> dict[str, Any]:
        """Tell how the provider stands."""
        return {
            "prefix": self.shape.prefix,
            "listing": {"name": self.listing.name, "models": len(self.listing.items)},
            "keys": sorted(self.keys),
            "behaviours": [
                behaviour.rule.to_json() | {"applied": behaviour.applied, "is_expired": behaviour.is_expired}
                for behaviour in self.behaviours
            ],
            "requests": {"total": self.counts.total()} | self.counts,
        }


def key_of(headers: Mapping[str, str]) -> str | None:
    """The key a caller shows, in any of the three headers in use."""
    if key := headers.get("x-api-key") or headers.get("x-goog-api-key"):
        return key
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
