"""Older shapes beside the new in answers, for readers that are still to be moved: `?compat=legacy`."""

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field, field_validator

from modelbus.catalog.api.views import View

Compat = Annotated[
    Literal["legacy"] | None, Query(description="`legacy` adds the shape of older systems beside the new one.")
]
PROTOCOLS = {"openai": "openai-compatible", "anthropic": "anthropic-native"}


def _is_absent(value: object) -> bool:
    return value is None


def beside(description: str) -> Any:
    """Answer the field of a view that is there only where an older shape was asked for."""
    return Field(default=None, exclude_if=_is_absent, description=f"{description} Only with `?compat=legacy`.")


class OlderStepView(View):
    """A step of a chain by names."""

    vendor: str | None
    """The supplier's name."""
    model: str
    """The supplier's name of the model."""
    protocol: str | None
    """`openai-compatible` or `anthropic-native`."""
    features: dict[str, bool] | None

    @field_validator("protocol")
    @classmethod
    def _older_word(cls, protocol: str | None) -> str | None:
        return PROTOCOLS.get(protocol, protocol) if protocol else None
