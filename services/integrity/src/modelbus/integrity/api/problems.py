"""Which status each refusal gets."""

from collections.abc import Mapping

from modelbus.integrity.domain.errors import IndexNotLoadedError, MalformedCursorError, TargetNotFoundError

STATUSES: Mapping[type[Exception], int] = {
    TargetNotFoundError: 404,
    MalformedCursorError: 422,
    IndexNotLoadedError: 503,
}
