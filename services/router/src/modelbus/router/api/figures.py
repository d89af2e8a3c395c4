"""What the router shows of its traffic at /metrics."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from uuid import UUID

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from modelbus.chassis.metrics import Read, Spread, counter, counters, gauge, gauges
from modelbus.router.balance.reporting import Reporter
from modelbus.router.domain.breakers import CLOSED, HALF_OPEN, OPEN, Breakers
from modelbus.router.journey.shadows import Shadows
from modelbus.router.ledger.ledger import Ledger

type Name = Callable[[UUID], str]
"""Answers what a supplier is called; its id where that is not known."""


def of_traffic(ledger: Ledger, name: Name) -> Read:
    """Show requests and attempts."""
    tally = ledger.tally

    def read() -> Iterable[Metric]:
        yield counters(
            "modelbus_requests",
            "Requests of callers that ended.",
            ["outcome", "status", "stream"],
            {(outcome, str(status), _yes(kind)): n for (outcome, status, kind), n in tally.requests.items()},
        )
        yield _spreads("modelbus_request_seconds", "To the last byte.", "stream", _named(tally.request_seconds, _yes))
        yield counter("modelbus_failovers", "Requests that took more than one attempt.", tally.failovers)
        yield counter("modelbus_cached_requests", "Requests answered from the cache.", tally.cached)
        labels = ["supplier", "outcome"]
        attempts = {(name(key), outcome): float(n) for (key, outcome), n in tally.attempts.items()}
        yield counters("modelbus_attempts", "Calls of suppliers that ended.", labels, attempts)
        yield _spreads("modelbus_attempt_seconds", "To the last byte.", "supplier", _named(tally.attempt_seconds, name))
        first = _named(tally.first_token_seconds, name)
        yield _spreads("modelbus_first_token_seconds", "To the first token of a stream.", "supplier", first)
        tokens = {(name(key), kind): float(n) for (key, kind), n in tally.tokens.items()}
        yield counters("modelbus_tokens", "Tokens that passed.", ["supplier", "kind"], tokens)
        cost = {(name(key),): float(amount) for key, amount in tally.cost.items()}
        yield counters("modelbus_cost_usd", "What suppliers bill, where it is known.", ["supplier"], cost)
        yield counter("modelbus_charge_usd", "What consumers are charged, where it is known.", float(tally.charge))

    return read


def of_shadows(ledger: Ledger, shadows: Shadows) -> Read:
    """Show the copies of requests that went to shadows, and those that did not."""

    def read() -> Iterable[Metric]:
        ended = {(outcome,): float(n) for outcome, n in ledger.tally.shadows.items()}
        dropped = {(reason,): float(n) for reason, n in shadows.dropped.items()}
        return (
            counters("modelbus_shadow_requests", "Copies to shadows of splits that ended.", ["outcome"], ended),
            counters("modelbus_shadows_dropped", "Copies to shadows that were not sent.", ["reason"], dropped),
            gauge("modelbus_shadows_under_way", "Copies to shadows under way.", shadows.under_way),
        )

    return read


def of_standing(ledger: Ledger, breakers: Breakers, reporter: Reporter) -> Read:
    """Show how the breakers stand, what is told of credentials, and the usage that has yet to reach the disk."""

    def read() -> Iterable[Metric]:
        states = Counter(each.state for each in breakers.states(monotonic()))
        stands = {(state,): float(states[state]) for state in (CLOSED, HALF_OPEN, OPEN)}
        return (
            gauges("modelbus_breakers", "Sources that failed lately, by their breakers.", ["state"], stands),
            counters(
                "modelbus_credential_reports",
                "Refusals of credentials that were told to others, and those of others that were believed.",
                ["way"],
                {("told",): float(reporter.told), ("believed",): float(reporter.believed)},
            ),
            gauge("modelbus_usage_unwritten", "Entries of usage that are not on disk yet.", ledger.unwritten),
            counter("modelbus_usage_lost", "Entries of usage that no disk took.", ledger.lost),
            counter("modelbus_usage_dropped_bytes", "Usage that went from a full spool unheard.", ledger.dropped_bytes),
        )

    return read


def _spreads(family: str, words: str, label: str, spreads: Mapping[str, Spread]) -> Metric:
    shown = HistogramMetricFamily(family, words, labels=[label])
    for value, spread in spreads.items():
        spread.add_to(shown, [value])
    return shown


def _named[K](spreads: Mapping[K, Spread], name: Callable[[K], str]) -> dict[str, Spread]:
    return {name(key): spread for key, spread in spreads.items()}


def _yes(kind: bool) -> str:  # noqa: FBT001 - a key's own value
    return "true" if kind else "false"
