"""How paths and inputs name models: by id, or by public name, which may hold slashes."""

import re
from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from fastapi import Path
from pydantic import AfterValidator, Field

from modelbus.catalog.api.references import each_once
from modelbus.catalog.api.roles import ROLES
from modelbus.catalog.api.views import Name

_OF_A_MODEL = re.compile(r"^/api/v1/models/\{\w+:path\}(/.+)$")
_PARAMETER = re.compile(r"\{\w+(?::\w+)?\}")


def key_of(model: str) -> UUID | str:
    """Answer the id that a path names, or else the public name."""
    try:
        return UUID(model)
    except ValueError:
        return model


def reserved_endings(paths: Iterable[str]) -> list[str]:
    """Answer how paths that lead to something of a model end, `{...}` for whatever stands there."""
    return sorted({found[1] for path in paths if (found := _OF_A_MODEL.match(path))})


RESERVED_ENDINGS = reserved_endings(ROLES)
"""Every path has a row in the table of roles, so none can be forgotten here."""
_RESERVED = re.compile(
    ".*(?:" + "|".join("[^/]+".join(map(re.escape, _PARAMETER.split(each))) for each in RESERVED_ENDINGS) + ")"
)


def leads_elsewhere(name: str) -> bool:
    """Tell whether a model of this name could not be reached by it: its path would lead to something else."""
    return isinstance(key_of(name), UUID) or _RESERVED.fullmatch(name) is not None


def _can_be_shown(name: str) -> str:
    if leads_elsewhere(name):
        raise ValueError(f"must not be a UUID, nor end in {', '.join(RESERVED_ENDINGS)}")
    if not {"", ".", ".."}.isdisjoint(name.split("/")):
        raise ValueError("must not have empty parts, '.' or '..' between slashes: clients leave those out of a path")
    return name


ModelName = Annotated[
    Name,
    Field(pattern=r"^[^\s?#%]+$", description="No white space, `?`, `#` or `%`."),
    AfterValidator(_can_be_shown),
]
Aliases = Annotated[list[ModelName], Field(max_length=50), AfterValidator(each_once)]
Model = Annotated[str, Path(max_length=300, description="Its id or its public name, slashes and all.")]
