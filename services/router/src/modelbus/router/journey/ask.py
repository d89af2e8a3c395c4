"""What the caller asks for, of which only what routing needs is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from msgspec import Raw

from modelbus.router.domain.errors import MalformedRequestError
from modelbus.router.wire.endpoints import CHAT, Endpoint
from modelbus.router.wire.forms import Form, read_form

LONGEST_NAME = 512

_read_object = msgspec.json.Decoder(dict[str, Raw]).decode
_read_text = msgspec.json.Decoder(str).decode
_TRUE, _FALSE, _NULL = b"true", b"false", b"null"
_BLANK = b" \t\r\n"
_NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})
_NO_VERSIONS: Mapping[str, str] = MappingProxyType({})
_LONG_BYTES = 4 * 1024 * 1024
_MOST_NESTED, _MOST_VALUES = 1_000_000, 4_000_000
"""A long body that is made of little else takes twenty times its length in memory; texts and pictures that any model
takes are far below."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for a completion; fields that routing does not know travel byte for byte."""

    model: str
    """Empty where the caller names none."""
    fields: dict[str, Raw]
    is_stream: bool
    shows_usage: bool
    """The caller of a stream asked for the event with the usage."""
    endpoint: Endpoint = CHAT
    form: Form | None = None
    """What came in the place of JSON."""
    versions: Mapping[str, str] = _NO_VERSIONS
    """Which version of its protocol the caller speaks, as headers."""
    scope: str | None = None
    """The scope that the caller names."""
    conversation: str = ""
    """The name that the caller gives the conversation; empty where it gives none."""
    headers: Mapping[bytes, bytes] = _NO_HEADERS
    """What came before the body, by lower-case name; nothing of it goes to suppliers."""

    @property
    def content_type(self) -> str:
        """What the body is for suppliers."""
        return self.form.content_type if self.form else "application/json"

    def body_for(self, upstream_name: str, defaults: Mapping[str, Raw]) -> bytes:
        """Write the request as the supplier is to see it; what the caller did not say is as the defaults do."""
        if self.form:
            return self.form.for_model(upstream_name)
        return msgspec.json.encode({**self.fields, **defaults, "model": Raw(msgspec.json.encode(upstream_name))})


def read_ask(body: bytes, endpoint: Endpoint = CHAT, headers: Mapping[bytes, bytes] = _NO_HEADERS) -> Ask:
    """Read the request that came to an endpoint.

    Raises:
        MalformedRequestError: it is not JSON, or a field that routing needs is missing or of a wrong type.
    """
    fields = _object(body)
    model = _model(fields)
    if endpoint.has_messages:
        _demand_messages(fields)
    is_stream = _flag(fields, "stream") or endpoint.is_always_streamed
    shows_usage = False
    if is_stream and endpoint.has_stream_options:
        options = _options(fields)
        shows_usage = _flag(options, "include_usage", within="stream_options.")
        # Usage is recorded of every stream; the event is withheld from callers who did not ask for it.
        fields["stream_options"] = Raw(msgspec.json.encode(options | {"include_usage": Raw(_TRUE)}))
    return Ask(model, fields, is_stream, shows_usage, endpoint, headers=headers)


def read_form_ask(
    body: bytes, content_type: str, endpoint: Endpoint, headers: Mapping[bytes, bytes] = _NO_HEADERS
) -> Ask:
    """Read a request that comes as a form.

    Raises:
        MalformedRequestError: it is no form, or names no model.
    """
    form = read_form(body, content_type)
    return Ask(_name(form.model), {}, form.is_stream, shows_usage=False, endpoint=endpoint, form=form, headers=headers)


def _object(body: bytes) -> dict[str, Raw]:
    if len(body) > _LONG_BYTES:
        nested = body.count(b"[") + body.count(b"{")
        if nested > _MOST_NESTED or nested + body.count(b",") > _MOST_VALUES:
            raise MalformedRequestError(
                f"the body may hold at most {_MOST_NESTED} lists and objects and {_MOST_VALUES} values in all"
            )
    try:
        if not body.isascii():
            body.decode()
        return _read_object(body)
    except msgspec.ValidationError as error:
        raise MalformedRequestError("the body must be a JSON object") from error
    except msgspec.DecodeError as error:
        raise MalformedRequestError(f"the body is not JSON: {error}") from error
    except UnicodeDecodeError as error:
        raise MalformedRequestError(f"the body is not UTF-8: {error.reason} (byte {error.start})") from error
    except RecursionError as error:
        raise MalformedRequestError("the body is nested too deep") from error


def _model(fields: dict[str, Raw]) -> str:
    if "model" not in fields:
        return ""
    try:
        model = _read_text(fields["model"])
    except msgspec.DecodeError as error:
        raise MalformedRequestError("model must be a string", "model") from error
    return _name(model)


def _name(model: str) -> str:
    if not model or len(model) > LONGEST_NAME or not model.isprintable():
        raise MalformedRequestError(f"model must be a name of 1 to {LONGEST_NAME} printable characters", "model")
    return model


def _demand_messages(fields: dict[str, Raw]) -> None:
    if "messages" not in fields:
        raise MalformedRequestError("you must provide messages", "messages")
    # Long prompts are common: looking at the ends is enough, and the supplier reads the rest.
    raw = bytes(fields["messages"])
    if not raw.startswith(b"["):
        raise MalformedRequestError("messages must be a list", "messages")
    if not raw[1:-1].strip(_BLANK):
        raise MalformedRequestError("messages must not be empty", "messages")


def _flag(fields: dict[str, Raw], name: str, within: str = "") -> bool:
    value = bytes(fields[name]) if name in fields else _FALSE
    if value not in (_TRUE, _FALSE, _NULL):
        raise MalformedRequestError(f"{within}{name} must be true or false", within + name)
    return value == _TRUE


def _options(fields: dict[str, Raw]) -> dict[str, Raw]:
    raw = fields.get("stream_options")
    if raw is None or bytes(raw) == _NULL:
        return {}
    if not bytes(raw).startswith(b"{"):
        raise MalformedRequestError("stream_options must be an object", "stream_options")
    return _object(bytes(raw))
