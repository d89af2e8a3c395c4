"""Sifting: which offers are available, permitted and capable, and why each of the others is left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Raw

from modelbus.router.balance.loads import Loads
from modelbus.router.balance.menu import Menu, Stand
from modelbus.router.balance.needs import Needs
from modelbus.router.balance.offers import Offer
from modelbus.router.balance.scoring import beyond_caps
from modelbus.router.cache.records import AccessKey, Model, Source
from modelbus.router.cache.routing import Scope, Strategy
from modelbus.router.domain.errors import (
    MalformedRequestError,
    ModelNotPermittedError,
    ModelUnavailableError,
    NoCapableSourceError,
    Refusal,
    UnsupportedBySourceError,
)
from modelbus.router.naming.meanings import Meaning, Step
from modelbus.router.wire.endpoints import Endpoint

NOT_PERMITTED, OUTSIDE_SCOPE = "not_permitted", "outside_scope"


class Wish(Protocol):
    """What is read of a request in order to choose who serves it."""

    @property
    def model(self) -> str:
        """The name that it gives; empty where it gives none."""

    @property
    def scope(self) -> str | None:
        """The scope that it names."""

    @property
    def endpoint(self) -> Endpoint:
        """Where it was asked."""

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """What came before its body, by lower-case name."""

    @property
    def fields(self) -> Mapping[str, Raw]:
        """Its body."""

    @property
    def is_stream(self) -> bool:
        """Whether the answer is to come in pieces."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A step, or one source of it, that does not serve this request, and why."""

    step: Step
    model: Model | None
    source: Source | None
    reason: str


@dataclass(slots=True)
class Sieve:
    """Sifts the steps of one request."""

    menu: Menu
    meaning: Meaning
    needs: Needs
    endpoint: Endpoint
    caller: AccessKey
    scope: Scope | None
    strategy: Strategy | None
    loads: Loads
    left_out: list[LeftOut] = field(default_factory=list)
    stale: list[LeftOut] = field(default_factory=list)
    """Steps of which nothing is available."""
    _is_permitted: bool = False
    _incapable: list[str] = field(default_factory=list)
    _unspoken: int = 0
    """So many of these only because of the path."""
    _beyond_caps: list[str] = field(default_factory=list)
    _breaches: list[MalformedRequestError] = field(default_factory=list)

    def sift(self, step: Step) -> list[Offer]:
        """Answer the offers of a step that can serve."""
        stand = self.menu.stand(step)
        if reason := self._forbids(step, stand.model):
            self._leave_out(step, stand.model, None, reason)
            return []
        self._is_permitted = True
        self.left_out += [LeftOut(step, stand.model, source, reason) for source, reason in stand.absent]
        if stand.model is None or stand.why:
            self._note_stale(step, stand)
            return []
        if reason := self._unfit(stand.model, stand.offers[0]):
            self._leave_out(step, stand.model, None, reason)
            self._incapable.append(reason)
            return []
        if self.strategy is None and not self.needs.features:
            return self._spoken(stand)
        return [offer for offer in self._spoken(stand) if self._is_capable(offer)]

    def refusal(self) -> Refusal:
        """Say why nothing is left, once everything was sifted."""
        name = self.meaning.name
        if self.meaning.steps and not self._is_permitted:
            return ModelNotPermittedError(name)
        if self._breaches and len(self._breaches) == len(self._incapable):
            return self._breaches[0]
        if self._unspoken and self._unspoken == len(self._incapable):
            return UnsupportedBySourceError(name, "; ".join(dict.fromkeys(self._incapable)))
        if self._incapable:
            return NoCapableSourceError(name, "; ".join(dict.fromkeys(self._incapable)))
        reasons = [self._told(each) for each in self.stale]
        return ModelUnavailableError(
            name, "; ".join(dict.fromkeys([*reasons, *self._beyond_caps])) or "it has no steps"
        )

    def _forbids(self, step: Step, model: Model | None) -> str | None:
        if self.scope is not None and step.model_id not in self.menu.members(self.scope):
            return OUTSIDE_SCOPE
        if model is None:
            allowed = self.caller.model_ids
            return NOT_PERMITTED if allowed is not None and step.model_id not in allowed else None
        return None if self.caller.permits(model) else NOT_PERMITTED

    def _unfit(self, model: Model, offer: Offer) -> str | None:
        """Say why the model can't take this request, whoever supplies it."""
        if model.model_type not in self.endpoint.types:
            return f"{model.name} is of type {model.model_type}, which is not asked on this path"
        if model.context_window is not None and self.needs.exceed(model.context_window):
            return f"the prompt is too long for {model.name}, which takes {model.context_window} tokens"
        if offer.terms is not None and (breach := offer.terms.breach_of(self.needs.fields)):
            return self._refused_by(model, breach.param, breach.words)
        most = model.max_output_tokens
        if most is not None and (param := self.needs.beyond(most)):
            return self._refused_by(model, param, f"{param} must be at most {most}")
        return None

    def _refused_by(self, model: Model, param: str, words: str) -> str:
        self._breaches.append(MalformedRequestError(f"{words} for {model.name}", param))
        return words

    def _spoken(self, stand: Stand) -> list[Offer]:
        speeches = self.endpoint.speeches
        spoken = []
        for offer in stand.offers:
            if offer.protocol in speeches:
                spoken.append(offer)
            else:
                reason = (
                    f"no supplier of {offer.model.name} speaks the protocol of this path;"
                    " /v1/chat/completions and /v1/messages are translated for it"
                )
                self._leave_out(offer.step, offer.model, offer.source, "protocol")
                self._incapable.append(reason)
                self._unspoken += 1
        return spoken

    def _is_capable(self, offer: Offer) -> bool:
        if lacking := offer.lacks(self.needs.features):
            reason = "lacks " + ", ".join(sorted(lacking))
            self._leave_out(offer.step, offer.model, offer.source, reason)
            self._incapable.append(f"{offer.model.name} {reason}")
            return False
        if self.strategy and (reason_of_cap := beyond_caps(self.strategy, offer, self.loads.of(offer.id))):
            self._leave_out(offer.step, offer.model, offer.source, reason_of_cap)
            self._beyond_caps.append(f"{offer.model.name}: {reason_of_cap} of strategy {self.strategy.name!r}")
            return False
        return True

    def _note_stale(self, step: Step, stand: Stand) -> None:
        stale = LeftOut(step, stand.model, None, stand.why)
        self.stale.append(stale)
        if not stand.absent:
            self.left_out.append(stale)

    def _leave_out(self, step: Step, model: Model | None, source: Source | None, reason: str) -> None:
        self.left_out.append(LeftOut(step, model, source, reason))

    def _told(self, stale: LeftOut) -> str:
        if stale.step.model_id == self.meaning.id:
            return stale.reason
        return f"{stale.model.name}: {stale.reason}" if stale.model else "a step names a model that is gone"
