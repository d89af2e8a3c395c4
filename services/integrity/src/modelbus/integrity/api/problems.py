"""Which status each refusal gets."""

from collections.abc import Mapping

from modelbus.integrity.domain.errors import (
    FindingNotFoundError,
    FindingResolvedError,
    HolderNotFoundError,
    IndexNotLoadedError,
    MalformedCursorError,
    TargetNotFoundError,
)

STATUSES: Mapping[type[Exception], int] = {
    TargetNotFoundError: 404,
    FindingNotFoundError: 404,
    HolderNotFoundError: 404,
    FindingResolvedError: 409,
    MalformedCursorError: 422,
    IndexNotLoadedError: 503,
}
