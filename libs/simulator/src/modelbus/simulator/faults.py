"""Everything that can go wrong with a provider, as one table, and the rules that say for whom it goes wrong."""

from dataclasses import dataclass, fields
from typing import Annotated, Any, Self, get_args, get_type_hints

from modelbus.simulator import checks
from modelbus.simulator.checks import BadInputError, Check

LONGEST_HANG_SECONDS = 120
_TIMES = checks.whole(1, 1_000_000)

Flag = Annotated[bool, checks.FLAG]
Milliseconds = Annotated[float, checks.number(0, LONGEST_HANG_SECONDS * 1000)]
Seconds = Annotated[float, checks.number(0, LONGEST_HANG_SECONDS)]
Tokens = Annotated[int, checks.whole(0, 100_000)]
Position = Annotated[int, checks.whole(1, 100_000)]
Bytes = Annotated[int, checks.whole(1, 4 * 1024**3)]
TokensPerSecond = Annotated[float, checks.number(0.01, 1_000_000)]
BytesPerSecond = Annotated[float, checks.number(1, 1_000_000_000)]
Status = Annotated[int, checks.whole(200, 599)]
Text = Annotated[str, checks.TEXT]
Headers = Annotated[dict[str, str], checks.HEADERS]
Content = Annotated[Any, checks.ANYTHING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is different about an answer; wishes combine, and of two endings the one higher in the table wins.

    A token is a word of the reply. Bodies without tokens (listings, embeddings) are cut and stalled halfway.
    """

    # Pace: the answer is right, and late. An answer that isn't streamed waits for all its tokens.
    latency_ms: Milliseconds = 0
    first_token_ms: Milliseconds = 0
    tokens_per_second: TokensPerSecond | None = None
    reply_tokens: Position | None = None

    # Connection: there is no answer.
    reset_before_headers: Flag = False
    accept_and_hang: Flag = False
    hang_after_headers: Flag = False
    hang_seconds: Seconds = LONGEST_HANG_SECONDS  # then the connection is closed

    # Another answer: in the provider's own shape where no body is given.
    huge_body_bytes: Bytes | None = None
    gzip_bomb_bytes: Bytes | None = None  # counted after inflating
    redirect_to: Text | None = None
    html: Flag = False
    context_length_exceeded: Flag = False
    content_filter: Flag = False
    refuse_prefill: Flag = False
    status: Status | None = None
    body: Content = None  # a text is sent as it is, anything else as JSON
    headers: Headers | None = None  # added to whatever is answered

    # Body: the right answer, damaged. On a stream the damage falls on the first token's event.
    empty_listing: Flag = False
    truncated_json: Flag = False
    invalid_json: Flag = False
    content_type: Text | None = None
    slow_body_bytes_per_second: BytesPerSecond | None = None
    cut_after_tokens: Tokens | None = None
    stall_after_tokens: Tokens | None = None
    stall_seconds: Seconds = 30

    # Stream: only streamed answers have these.
    error_after_tokens: Tokens | None = None
    malformed_chunk_at: Position | None = None
    missing_done: Flag = False
    missing_finish_reason: Flag = False  # null when not streamed

    def __post_init__(self) -> None:
        for name, (check, is_optional) in _WISHES.items():
            value = getattr(self, name)
            if value is not None or not is_optional:
                check.require(name, value)

    @classmethod
    def from_json(cls, raw: object, where: str) -> Self:
        """Read the table from JSON; `where` is the path of the object, for the refusal."""
        checks.OBJECT.require(where, raw)
        wishes: dict[str, Any] = dict(raw)  # type: ignore[call-overload]  # the check above knows
        inside = f"{where}."
        checks.refuse_strangers(wishes, tuple(_WISHES), inside)
        try:
            return cls(**wishes)
        except BadInputError as error:
            raise BadInputError(inside + error.field, error.should_be) from None

    def to_json(self) -> dict[str, Any]:
        """Tell only what is different from an answer without fault."""
        return {
            wish.name: getattr(self, wish.name) for wish in fields(self) if getattr(self, wish.name) != wish.default
        }


def _check_of(hint: object) -> tuple[Check, bool]:
    """The check that an annotation carries, and whether None is as good."""
    options = get_args(hint)
    is_optional = type(None) in options or Any in options
    for option in (hint, *options):
        for note in getattr(option, "__metadata__", ()):
            if isinstance(note, Check):
                return note, is_optional
    raise TypeError(f"{hint} carries no check")


_WISHES = {name: _check_of(hint) for name, hint in get_type_hints(Fault, include_extras=True).items()}
HEALTHY = Fault()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """For whom a fault is meant: a kind of path, a model, a key; `*` means any, and so does no key."""

    fault: Fault
    path: str = "*"
    model: str = "*"
    key: str | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        checks.TEXT.require("path", self.path)
        checks.TEXT.require("model", self.model)
        if self.key is not None:
            checks.TEXT.require("key", self.key)
        if self.times is not None:
            _TIMES.require("times", self.times)

    @classmethod
    def from_json(cls, raw: object, where: str) -> Self:
        """Read a rule from JSON; `where` is the path of the object, for the refusal."""
        checks.OBJECT.require(where, raw)
        words: dict[str, Any] = dict(raw)  # type: ignore[call-overload]  # the check above knows
        checks.refuse_strangers(words, ("path", "model", "key", "times", "fault"), f"{where}.")
        fault = Fault.from_json(words.pop("fault", None), f"{where}.fault")
        try:
            return cls(fault=fault, **words)
        except BadInputError as error:
            raise BadInputError(f"{where}.{error.field}", error.should_be) from None

    def concerns(self, path: str, model: str | None, key: str | None) -> bool:
        """Tell whether a request of this kind, for this model, with this key is meant."""
        return self.path in ("*", path) and self.model in ("*", model) and self.key in (None, key)

    def to_json(self) -> dict[str, Any]:
        """Tell the rule as it would be given."""
        rule: dict[str, Any] = {"path": self.path, "model": self.model}
        if self.key is not None:
            rule["key"] = self.key
        if self.times is not None:
            rule["times"] = self.times
        return rule | {"fault": self.fault.to_json()}
