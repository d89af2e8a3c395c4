"""What is common to all shapes of provider, and what each must say for itself."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from modelbus.simulator.answers import Answer, Ask, Kind, RefusedError, Why
from modelbus.simulator.listings import Listing
from modelbus.simulator.replies import Bounds


class Shape(ABC):
    """One provider's API: its paths, its JSON, its refusals."""

    name: ClassVar[str]
    prefix: ClassVar[str]
    routes: ClassVar[Mapping[str, tuple[str, Kind]]]
    default_names: ClassVar[tuple[str, ...]]
    request_id_header: ClassVar[str] = "x-request-id"
    is_listing_open: ClassVar[bool] = False

    def default_listing(self) -> Listing:
        """What the provider lists unless told otherwise."""
        return self.listing_of("default", self.default_names)

    def listing_of(self, name: str, model_names: Iterable[str]) -> Listing:
        """List models by their names alone."""
        return Listing.of(name, (self.listed(model) for model in model_names))

    @abstractmethod
    def listed(self, model: str) -> dict[str, Any]:
        """One item of the listing, for a model of which only the name is given."""

    @abstractmethod
    def answer(self, ask: Ask) -> Answer:
        """Answer a request whose key and model are known; raises RefusedError."""

    @abstractmethod
    def refusal(self, why: Why, about: str) -> Answer:
        """Say no in the provider's words."""

    @abstractmethod
    def failure(self, status: int) -> Answer:
        """Fail with this status in the provider's words."""


def required_list(ask: Ask, name: str, complaint: str) -> list[Any]:
    """A non-empty list of objects in the body; raises RefusedError with the complaint."""
    given = ask.body.get(name)
    if not (isinstance(given, list) and given and all(isinstance(item, dict) for item in given)):
        raise RefusedError(Why.REQUEST_WRONG, complaint)
    return given


def bounds_of(ask: Ask, *names: str) -> Bounds:
    """How long the reply may be: the first of the named parameters that is given; raises RefusedError."""
    for name in names:
        most = ask.body.get(name)
        if most is None:
            continue
        if type(most) is not int or most < 1:
            raise RefusedError(Why.REQUEST_WRONG, f"{name}: must be an integer of at least 1")
        return Bounds(most, ask.fault.reply_tokens)
    return Bounds(None, ask.fault.reply_tokens)


def is_streamed(ask: Ask) -> bool:
    """Whether the caller wants events; raises RefusedError when it says neither yes nor no."""
    stream = ask.body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise RefusedError(Why.REQUEST_WRONG, "stream: must be true or false")
    return stream is True
