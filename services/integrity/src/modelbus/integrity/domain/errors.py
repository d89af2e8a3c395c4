"""Refusals, each with the code that programs may rely on."""

from typing import ClassVar


class IndexNotLoadedError(Exception):
    """The index was never loaded, so nothing true can be said yet."""

    code = "index_not_loaded"


class TargetNotFoundError(Exception):
    """No model or source goes by that id or name."""

    code = "target_not_found"


class MalformedCursorError(Exception):
    """The cursor was not made by this list."""

    code = "malformed_cursor"


class UnnumberedEventError(Exception):
    """An event of the catalog bears no revision, so its place in the order is unknown."""

    code = "unnumbered_event"


class FeedUnusableError(ConnectionError):
    """The catalog answered something that is no feed; it is asked again, like one that is away."""

    code = "feed_unusable"


class FindingNotFoundError(Exception):
    """No finding has that id."""

    code = "finding_not_found"


class FindingResolvedError(Exception):
    """The finding is closed."""

    code = "finding_resolved"


class HolderNotFoundError(Exception):
    """Nothing in the configuration has that id."""

    code = "holder_not_found"


class MissingTargetsError(Exception):
    """Fields name what does not exist."""

    code = "missing_targets"

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__("; ".join(f"{each['field']}: {each['message']}" for each in errors[:5]))
        self.errors = errors


class SweepNotFoundError(Exception):
    """No sweep has that id."""

    code = "sweep_not_found"


class ChangedMeanwhileError(Exception):
    """The configuration is not as the finding says any more."""

    code = "changed_meanwhile"


class RemedyNotOfferedError(Exception):
    """Nothing of that kind would mend the finding."""

    code = "remedy_not_offered"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.errors = [{"field": field, "message": message}]


class RepairedOtherwiseError(Exception):
    """The finding was repaired by another remedy."""

    code = "repaired_otherwise"


class CatalogAwayError(Exception):
    """The catalog does not answer, so nothing was changed that we know of."""

    code = "catalog_unavailable"
    headers: ClassVar = {"Retry-After": "1"}


class RepairRefusedError(Exception):
    """The catalog refused the change."""

    code = "repair_refused"


class RepairForbiddenError(Exception):
    """The caller's token is not good for this change in the catalog."""

    code = "repair_forbidden"
