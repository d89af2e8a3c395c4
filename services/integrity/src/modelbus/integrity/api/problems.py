"""Which status each refusal gets."""

from collections.abc import Mapping

from modelbus.integrity.domain.errors import (
    CatalogAwayError,
    ChangedMeanwhileError,
    FindingNotFoundError,
    FindingResolvedError,
    HolderNotFoundError,
    IndexNotLoadedError,
    MalformedCursorError,
    MissingTargetsError,
    RemedyNotOfferedError,
    RepairedOtherwiseError,
    RepairForbiddenError,
    RepairRefusedError,
    SweepNotFoundError,
    TargetNotFoundError,
)

STATUSES: Mapping[type[Exception], int] = {
    TargetNotFoundError: 404,
    FindingNotFoundError: 404,
    HolderNotFoundError: 404,
    SweepNotFoundError: 404,
    RepairForbiddenError: 403,
    FindingResolvedError: 409,
    ChangedMeanwhileError: 409,
    RepairedOtherwiseError: 409,
    RepairRefusedError: 409,
    MalformedCursorError: 422,
    MissingTargetsError: 422,
    RemedyNotOfferedError: 422,
    IndexNotLoadedError: 503,
    CatalogAwayError: 503,
}
