"""Names in a listing: which can be a model's, and what they give away."""

import re

LONGEST_NAME = 200
LONGEST_TEXT = 500
# A whole word between separators: `text-embedding-3-small`, `nomic-embed-text`; not `embedded-llama`.
_EMBEDDING = re.compile(r"(?:^|[-_/.: ])embed(?:ding|dings)?(?:$|[-_/.: ])", re.IGNORECASE)


def why_unusable(name: object) -> str | None:
    """Answer why this can't be the name of a model; None when it can."""
    if name is None:
        return "it has no id"
    if not isinstance(name, str):
        return "its id is not a string"
    if not name.strip():
        return "its id is blank"
    if len(name) > LONGEST_NAME:
        return f"its id is longer than {LONGEST_NAME} characters"
    if not name.isprintable():
        return "its id holds control or invisible characters"
    return None


def display_name(given: object) -> str | None:
    """Answer the name to show, free of what can't be shown; None when nothing is left."""
    if not isinstance(given, str):
        return None
    return "".join(letter for letter in given if letter.isprintable()).strip()[:LONGEST_NAME] or None


def readable(given: object, longest: int = LONGEST_TEXT) -> str:
    """Answer any text from outside in one short line that can be stored and shown."""
    text = str(given)[: longest + 1]
    shown = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def is_embedding(name: str) -> bool:
    """Tell whether the name says that it is an embedding model; when in doubt it does not."""
    return _EMBEDDING.search(name) is not None
