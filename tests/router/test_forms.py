"""Forms with files: only the name of the model is read and changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelbus.router.domain.errors import MalformedRequestError
from modelbus.router.wire.forms import read_form

TYPE = "multipart/form-data; boundary=XX"


def form(*parts: tuple[str, bytes]) -> bytes:
    written = b"".join(
        b"--XX\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (name.encode(), content)
        for name, content in parts
    )
    return written + b"--XX--\r\n"


@given(sound=st.binary(max_size=100), name=st.text(min_size=1, max_size=10), is_first=st.booleans())
def test_everything_but_the_model_goes_on_byte_for_byte(sound: bytes, name: str, *, is_first: bool) -> None:
    file = ('name="file"; filename="a;name=model.wav"', sound.replace(b"--XX", b""))
    parts = [('name="model"', b"mine"), file]

    read = read_form(form(*(parts if is_first else reversed(parts))), TYPE)

    changed = [('name="model"', name.encode()), file]
    assert read.model == "mine"
    assert read.for_model(name) == form(*(changed if is_first else reversed(changed)))


@pytest.mark.parametrize(
    ("written", "is_stream"), [(b"true", True), (b"false", False), (b"True", True), (b"t" * 99, False), (b"", False)]
)
def test_a_stream_is_asked_for_by_a_field(written: bytes, *, is_stream: bool) -> None:
    assert read_form(form(('name="model"', b"m"), ('name="stream"', written)), TYPE).is_stream is is_stream


def test_a_boundary_in_quotes_and_a_preamble_are_taken() -> None:
    body = b"hello\r\n" + form(("name=model", b"m")).replace(b"--XX", b"--X X")

    read = read_form(body, 'Multipart/Form-Data; charset=utf-8; boundary="X X"')

    assert (read.model, read.content_type) == ("m", 'multipart/form-data; boundary="X X"')


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        (b"{}", "application/json", "multipart/form-data"),
        (b"{}", "multipart/form-data", "multipart/form-data"),
        (b"{}", 'multipart/form-data; boundary="a\r\nb"', "multipart/form-data"),
        (b"", TYPE, "begin"),
        (b"--XX", TYPE, "last boundary"),
        (form(('name="model"', b"m"))[:-10], TYPE, "last boundary"),
        (form(('name="file"', b"m")), TYPE, "provide a model"),
        (form(('filename="model"', b"m")), TYPE, "provide a model"),
        (form(('name="model"', b"\xff")), TYPE, "UTF-8"),
        (form(('name="model"', b"m"), *[("name=x", b"")] * 1_000), TYPE, "at most 1000 parts"),
    ],
)
def test_what_is_no_form_with_a_model_is_refused(body: bytes, content_type: str, words: str) -> None:
    with pytest.raises(MalformedRequestError, match=words):
        read_form(body, content_type)
