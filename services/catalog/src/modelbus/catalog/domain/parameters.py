"""Parameters of requests to a model: typed values, checked when they are written so that the router need not doubt."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelbus.catalog.domain.model_errors import WrongParametersError
from modelbus.catalog.domain.models import ParameterType

MOST_PARAMETERS = 100
MOST_CHOICES = 100
LONGEST_VALUE = 10_000
"""Characters, of a value's JSON too."""
DEEPEST_VALUE = 20
GREATEST_WHOLE = 2**53
"""Whole numbers beyond it are not the same to every reader of JSON (RFC 8259, section 6)."""
NUMERIC = (ParameterType.INT, ParameterType.FLOAT)
OF_THE_REQUEST = frozenset({"model", "messages", "input", "prompt", "stream"})
"""Fields that are the request itself, and no parameters of it."""

_MEANINGS = {
    ParameterType.INT: f"a whole number from -{GREATEST_WHOLE} to {GREATEST_WHOLE}",
    ParameterType.FLOAT: "a number",
    ParameterType.BOOL: "true or false",
    ParameterType.STRING: f"text of at most {LONGEST_VALUE} characters, without NUL",
    ParameterType.JSON: f"JSON of at most {LONGEST_VALUE} characters and {DEEPEST_VALUE} levels, without NUL",
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, as in `contracts.records.ModelParameterRecord`."""

    name: str
    parameter_type: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: list[Any] | None = None


def refuse_wrong_parameters(parameters: Sequence[Parameter], *, at: str = "parameters.{}.") -> None:
    """Check every value against its parameter's type, bounds and choices.

    `at` leads from the input to the fields of the parameter with that number.

    Raises:
        WrongParametersError: with every field that is wrong.
    """
    errors = [
        {"field": at.format(number) + field, "message": message}
        for number, parameter in enumerate(parameters)
        for field, message in flaws_of(parameter)
    ]
    named: set[str] = set()
    for number, parameter in enumerate(parameters):
        if parameter.name in named:
            errors.append({"field": at.format(number) + "name", "message": "must be there only once"})
        named.add(parameter.name)
    if len(parameters) > MOST_PARAMETERS:
        errors.append({"field": "parameters", "message": f"must be at most {MOST_PARAMETERS}"})
    if errors:
        raise WrongParametersError(errors)


def flaws_of(parameter: Parameter) -> Iterator[tuple[str, str]]:
    """Tell what is wrong with a parameter: each field, and what it must be."""
    if parameter.name in OF_THE_REQUEST:
        yield "name", f"must be none of {', '.join(sorted(OF_THE_REQUEST))}: those are the request itself"
    yield from _flaws_of_bounds(parameter)
    for position, choice in enumerate(parameter.choices or ()):
        if flaw := _flaw_of(parameter, choice):
            yield f"choices.{position}", flaw
        elif any(_is_same(choice, other) for other in (parameter.choices or ())[:position]):
            yield f"choices.{position}", "must be there only once"
    if parameter.default is None:
        return
    if flaw := _flaw_of(parameter, parameter.default):
        yield "default", flaw
    elif parameter.choices is not None and not any(_is_same(parameter.default, each) for each in parameter.choices):
        yield "default", "must be one of the choices"


def is_of(parameter_type: str, value: Any) -> bool:
    """Tell whether a value is one of the type."""
    match parameter_type:
        case ParameterType.INT:
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= GREATEST_WHOLE
        case ParameterType.FLOAT:
            return _is_number(value)
        case ParameterType.BOOL:
            return isinstance(value, bool)
        case ParameterType.STRING:
            return isinstance(value, str) and len(value) <= LONGEST_VALUE and _is_storable(value)
        case _:
            return _is_storable(value) and len(json.dumps(value)) <= LONGEST_VALUE


def _flaws_of_bounds(parameter: Parameter) -> Iterator[tuple[str, str]]:
    bounds = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    for field, bound in bounds.items():
        if bound is None:
            continue
        if parameter.parameter_type not in NUMERIC:
            yield field, f"must be left out: a {parameter.parameter_type} has no bounds"
        elif parameter.parameter_type == ParameterType.INT and not (
            bound.is_integer() and is_of(ParameterType.INT, int(bound))
        ):
            yield field, f"must be {_MEANINGS[ParameterType.INT]}"
    if parameter.minimum is not None and parameter.maximum is not None and parameter.minimum > parameter.maximum:
        yield "maximum", "must not be below the minimum"


def _flaw_of(parameter: Parameter, value: Any) -> str | None:
    if not is_of(parameter.parameter_type, value):
        return f"must be {_MEANINGS[ParameterType(parameter.parameter_type)]}"
    if parameter.parameter_type not in NUMERIC:
        return None
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must not be below the minimum {parameter.minimum:g}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must not be above the maximum {parameter.maximum:g}"
    return None


def _is_same(one: Any, other: Any) -> bool:
    # Python takes true for 1; JSON does not.
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _is_storable(value)


def _is_storable(value: Any, depth: int = 0) -> bool:
    """Tell whether PostgreSQL and every reader of JSON can hold the value."""
    inner: list[Any] = []
    match value:
        case str():
            is_fine = "\0" not in value and not any("\ud800" <= character <= "\udfff" for character in value)
        case bool() | None:
            is_fine = True
        case int():
            is_fine = abs(value) <= GREATEST_WHOLE
        case float():
            is_fine = math.isfinite(value)
        case list():
            is_fine, inner = depth < DEEPEST_VALUE, value
        case dict():
            is_fine, inner = depth < DEEPEST_VALUE, [*value.keys(), *value.values()]
        case _:
            is_fine = False
    return is_fine and all(_is_storable(each, depth + 1) for each in inner)
