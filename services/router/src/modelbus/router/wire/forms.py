"""Forms with files (RFC 7578), of which nothing is read or changed but the name of the model.

Everything else, the files above all, goes on byte for byte.
"""

import re
from dataclasses import dataclass

from modelbus.router.domain.errors import MalformedRequestError

# RFC 2046, section 5.1.1, with the quotes that a parameter of these characters needs.
_BOUNDARY = re.compile(
    r"""multipart/form-data\s*;.*?boundary=(?:"([0-9A-Za-z'()+_,\-./:=? ]{1,70})"|([\w\-.'+]{1,70}))""", re.IGNORECASE
)
_FIELD = re.compile(rb'\r\ncontent-disposition:\s*form-data\s*;[^\r\n]*?\bname="?([^"\r\n;]*)"?', re.IGNORECASE)
_LONGEST_FLAG = 16
_MOST_PARTS = 1_000


@dataclass(frozen=True, slots=True)
class Form:
    """A form with a model in it."""

    model: str
    is_stream: bool
    content_type: str
    before: bytes
    """Everything before the name of the model."""
    after: bytes

    def for_model(self, name: str) -> bytes:
        """Write the form with another name of the model."""
        return self.before + name.encode() + self.after


def read_form(body: bytes, content_type: str) -> Form:
    """Find the model in a form.

    Raises:
        MalformedRequestError: it is no form, or names no model.
    """
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise MalformedRequestError("the body must be multipart/form-data with a boundary")
    boundary = found[1] or found[2]
    fields = _fields(body, b"--" + boundary.encode())
    if "model" not in fields:
        raise MalformedRequestError("you must provide a model", "model")
    begin, end = fields["model"]
    try:
        model = body[begin:end].decode()
    except UnicodeDecodeError as error:
        raise MalformedRequestError("model must be UTF-8", "model") from error
    at, until = fields.get("stream", (0, 0))
    is_stream = until - at < _LONGEST_FLAG and body[at:until].strip().lower() == b"true"
    sent_type = f'multipart/form-data; boundary="{boundary}"'
    return Form(model, is_stream, sent_type, body[:begin], body[end:])


def _fields(body: bytes, delimiter: bytes) -> dict[str, tuple[int, int]]:
    """Answer where the content of each field begins and ends."""
    fields: dict[str, tuple[int, int]] = {}
    # Each part is looked at, and they may be as short as five bytes.
    if body.count(delimiter) > _MOST_PARTS:
        raise MalformedRequestError(f"the form may have at most {_MOST_PARTS} parts")
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    if not body.startswith(delimiter, at):
        raise MalformedRequestError("the form does not begin with its boundary")
    while True:
        begin = at + len(delimiter)
        if body.startswith(b"--", begin):
            return fields
        end = body.find(b"\r\n" + delimiter, begin)
        head_end = body.find(b"\r\n\r\n", begin, end)
        if end < 0 or head_end < 0:
            raise MalformedRequestError("the form ends before its last boundary")
        if named := _FIELD.search(body, begin, head_end):
            fields.setdefault(named[1].decode(errors="replace"), (head_end + 4, end))
        at = end + 2
