"""Faults side by side: each case has a model, suppliers and sources of its own, so that none learns from another."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from modelbus.contracts.records import CredentialRecord, SourceRecord, SupplierRecord
from modelbus.contracts.usage import RequestRecord
from modelbus.simulator import Fault, Rule, Simulator
from modelbus.simulator.providers import Provider
from router.routers import KEY, PROMPT, RunningRouter
from router.seeding import Seed


@dataclass(frozen=True, slots=True)
class Case:
    """What each supplier of the model does, in turn, and what the caller asks."""

    name: str
    faults: tuple[Fault | None, ...]
    """Of the first supplier, the second ...; None serves as it should."""
    stream: bool = False
    times: int | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the caller got, and what is told of it."""

    answer: httpx.Response
    events: list[Any]
    """Of a stream; `[DONE]` as it is."""
    sources: list[SourceRecord]

    @property
    def served_by(self) -> int | None:
        """Which of the sources served, from 1."""
        served = self.answer.headers.get("x-modelbus-source")
        return next((place for place, each in enumerate(self.sources, 1) if str(each.id) == served), None)

    @property
    def error(self) -> dict[str, Any]:
        """The error of the answer, or the one that ends the stream."""
        content = self.events[-1] if self.events else self.answer.json()
        found: dict[str, Any] = content["error"]
        return found


class Cases:
    """A catalog with all of them."""

    def __init__(self, simulator: Simulator, *cases: Case) -> None:
        self.seed = Seed()
        self.seed.key(KEY)
        self.cases = cases
        self._sources: dict[str, list[SourceRecord]] = {}
        providers = (simulator.openai, simulator.openrouter)
        rules: dict[str, list[Rule]] = {provider.name: [] for provider in providers}
        for case in cases:
            model = self.seed.model(case.name)
            self._sources[case.name] = []
            for place, fault in enumerate(case.faults, 1):
                supplier = self._supplier(simulator, providers[(place - 1) % 2], f"{case.name}-at-{place}")
                source = self.seed.source(model, supplier, f"{case.name}-{place}", priority=place)
                self._sources[case.name].append(source)
                if fault is not None:
                    rule = Rule(fault=fault, model=source.upstream_name, times=case.times)
                    rules[providers[(place - 1) % 2].name].append(rule)
        names = [source.upstream_name for sources in self._sources.values() for source in sources]
        for provider in providers:
            provider.serve_names(*names)
            provider.behave(*rules[provider.name])

    def _supplier(self, simulator: Simulator, provider: Provider, name: str) -> SupplierRecord:
        supplier = self.seed.supplier(name, simulator.base_url(provider))
        self._credential(supplier, provider)
        return supplier

    def _credential(self, supplier: SupplierRecord, provider: Provider) -> CredentialRecord:
        return self.seed.credential(supplier, f"sim-{provider.name}-key-1")

    async def ask(self, router: RunningRouter, case: Case) -> Outcome:
        """Ask for the model of the case."""
        asked = PROMPT | {"model": case.name, "stream": case.stream} | case.fields
        answer = await router.http.post("/v1/chat/completions", json=asked)
        return Outcome(answer, events_of(answer.text) if case.stream else [], self._sources[case.name])


def events_of(text: str) -> list[Any]:
    """Read the events of a stream."""
    payloads = [event.removeprefix("data: ") for event in text.split("\n\n") if event.startswith("data: ")]
    return [payload if payload == "[DONE]" else json.loads(payload) for payload in payloads]


def lines_of(requests: Iterable[RequestRecord], name: str) -> list[tuple[str, int | None]]:
    """Answer outcome and status of each attempt for the model."""
    return [
        (each.outcome, each.status) for request in requests if request.asked_for == name for each in request.attempts
    ]
