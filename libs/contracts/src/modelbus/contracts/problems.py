"""Problem documents (RFC 9457), the body of every refusal of an administrative API."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class FieldError(BaseModel):
    """What is wrong with one field of the input."""

    model_config = ConfigDict(frozen=True)

    field: str
    """Dotted path, for instance `steps.0.model_id`."""
    message: str
    """What would be right."""


class Problem(BaseModel):
    """A refusal: `code` is for programs and never changes, `detail` is for people."""

    model_config = ConfigDict(frozen=True)

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
    findings: list[dict[str, Any]] = []
