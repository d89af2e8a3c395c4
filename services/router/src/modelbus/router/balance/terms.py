"""A model's terms: what is added to requests that do not say it, and what they may not say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw

from modelbus.router.cache.records import NULL, Parameter
from modelbus.router.domain.time_limits import PARAMETER_PREFIX
from modelbus.router.wire.estimates import ANSWER_LIMITS

# These are the router's business; a default for them would change what the request is.
_OURS = frozenset({"model", "stream", "stream_options", "messages", "input", "prompt"})
_ONE_MEANING = frozenset(ANSWER_LIMITS)


@dataclass(frozen=True, slots=True)
class Breach:
    """A field that asks for more than the model's parameters allow."""

    param: str
    words: str


class Terms:
    """The parameters of one model, ready to be applied."""

    def __init__(self, parameters: tuple[Parameter, ...]) -> None:
        ours = [each for each in parameters if each.name not in _OURS and not each.name.startswith(PARAMETER_PREFIX)]
        self._defaults = {each.name: each.default for each in ours if bytes(each.default) != bytes(NULL)}
        self._bounded = tuple(
            each for each in ours if each.choices or each.minimum is not None or each.maximum is not None
        )

    def defaults_for(self, fields: Mapping[str, Raw]) -> dict[str, Raw]:
        """Answer what is added to a request: the defaults of what it does not say, in whatever words."""
        said = fields.keys() | (_ONE_MEANING if not _ONE_MEANING.isdisjoint(fields) else frozenset())
        return {name: value for name, value in self._defaults.items() if name not in said}

    def breach_of(self, fields: Mapping[str, Raw]) -> Breach | None:
        """Answer the first field that is outside its bounds; a null is as good as nothing."""
        for parameter in self._bounded:
            for name in _ONE_MEANING & fields.keys() if parameter.name in _ONE_MEANING else (parameter.name,):
                if name in fields and (words := _breach(parameter, msgspec.json.decode(fields[name]))):
                    return Breach(name, f"{name} must be {words}")
        return None


def terms_of(parameters: tuple[Parameter, ...]) -> Terms | None:
    """Answer the terms; None where there are none, as with most models."""
    return Terms(parameters) if parameters else None


def _breach(parameter: Parameter, value: Any) -> str | None:
    if value is None:
        return None
    if parameter.choices and value not in parameter.choices:
        return "one of " + ", ".join(msgspec.json.encode(each).decode() for each in parameter.choices)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None  # The type is the supplier's to check.
    bounds: tuple[tuple[float | None, Callable[[float, float], bool], str], ...] = (
        (parameter.minimum, float.__lt__, "at least"),
        (parameter.maximum, float.__gt__, "at most"),
    )
    for bound, is_outside, words in bounds:
        if bound is not None and is_outside(float(value), float(bound)):
            return f"{words} {bound:g}"
    return None
