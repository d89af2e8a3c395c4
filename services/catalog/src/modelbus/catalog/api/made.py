"""What FastAPI makes of a request by the fields of a class: on the loop, where a class itself is called in a thread."""

import inspect
from typing import Any

from fastapi import Depends


def made(kind: type[Any]) -> Any:
    """Answer the dependency that makes such a thing of the parameters which its fields name."""

    async def make(**fields: Any) -> Any:
        return kind(**fields)

    make.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
    return Depends(make)
