"""How long a request may take: the operator's time limits, narrowed by the model's and by the caller's own."""

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType

import msgspec

from modelbus.router.cache.records import Model
from modelbus.router.domain.errors import MalformedRequestError
from modelbus.router.domain.time_limits import HEADER_PREFIX, LIMITS, PARAMETER_PREFIX

_BY_HEADER = {(HEADER_PREFIX + limit.replace("_", "-")).encode(): f"{limit}_s" for limit in LIMITS}
_BY_PARAMETER = {PARAMETER_PREFIX + limit: f"{limit}_s" for limit in LIMITS}
NO_WISHES: Mapping[str, float] = MappingProxyType({})


def wishes_of(headers: Mapping[bytes, bytes]) -> Mapping[str, float]:
    """Read what the caller says of its own patience, in seconds; it can only shorten what the operator grants.

    Raises:
        MalformedRequestError: a header holds no time.
    """
    if headers.keys().isdisjoint(_BY_HEADER):
        return NO_WISHES
    return {limit: _seconds(name, headers[name]) for name, limit in _BY_HEADER.items() if name in headers}


def limits_of(model: Model) -> Mapping[str, float]:
    """Read the time limits among a model's parameters; a default that is no time limits nothing."""
    if not model.parameters:
        return NO_WISHES
    return {
        _BY_PARAMETER[each.name]: limit
        for each in model.parameters
        if each.name in _BY_PARAMETER and (limit := _positive(bytes(each.default))) is not None
    }


def _positive(written: bytes) -> float | None:
    try:
        seconds = msgspec.json.decode(written, type=float)
    except msgspec.DecodeError:
        return None
    return seconds if seconds > 0 else None


def _seconds(header: bytes, value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not (isfinite(seconds) and seconds > 0):
        name = header.decode()
        raise MalformedRequestError(f"the header {name} must be a number of seconds above 0", name)
    return seconds
