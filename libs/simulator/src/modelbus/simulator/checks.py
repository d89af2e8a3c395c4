"""What callers ask of the simulator is checked here; a refusal names the field and what would be right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})
_LONGEST_TEXT = 4096


class BadInputError(ValueError):
    """A field does not hold what it should."""

    def __init__(self, field: str, should_be: str) -> None:
        super().__init__(f"{field} should be {should_be}")
        self.field = field
        self.should_be = should_be


@dataclass(frozen=True, slots=True)
class Check:
    """A condition on one value, with the words for it."""

    says: str
    passes: Callable[[Any], bool]

    def require(self, field: str, value: object) -> None:
        """Raise BadInputError unless the value passes."""
        if not self.passes(value):
            raise BadInputError(field, self.says)


def whole(low: int, high: int) -> Check:
    """Accept an int within both bounds; true and false are no numbers here."""
    return Check(f"a whole number from {low} to {high}", lambda value: type(value) is int and low <= value <= high)


def number(low: float, high: float) -> Check:
    """Accept an int or a float within both bounds."""
    return Check(f"a number from {low} to {high}", lambda value: type(value) in (int, float) and low <= value <= high)


def one_of(*choices: str) -> Check:
    """Accept one of the given words."""
    return Check("one of " + ", ".join(choices), lambda value: isinstance(value, str) and value in choices)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _is_header(name: object, value: object) -> bool:
    if not (isinstance(name, str) and isinstance(value, str)):
        return False
    is_name = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return is_name and name.lower() not in _FRAMING and value.isprintable()


FLAG = Check("true or false", lambda value: isinstance(value, bool))
TEXT = Check("a printable text of 1 to 4096 characters", _is_text)
ANYTHING = Check("any JSON", lambda _: True)
OBJECT = Check("an object", lambda value: isinstance(value, dict))
LIST = Check("a list", lambda value: isinstance(value, list))
HEADERS = Check(
    "an object of header names and texts, without the headers that frame the message",
    lambda value: isinstance(value, dict) and all(_is_header(*pair) for pair in value.items()),
)
TEXTS = Check(
    "a list of 1 to 10000 different texts",
    lambda value: (
        isinstance(value, list)
        and 0 < len(value) <= 10_000  # noqa: PLR2004 - the number stands in the words above
        and all(_is_text(item) for item in value)
        and len(set(value)) == len(value)
    ),
)


def refuse_strangers(raw: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    """Raise BadInputError for the first name that nobody knows: a typing error must not pass for a wish."""
    for name in raw:
        if name not in known:
            raise BadInputError(f"{where}{name}", "one of " + ", ".join(known))
