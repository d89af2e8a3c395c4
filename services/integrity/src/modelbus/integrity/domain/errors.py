"""Refusals, each with the code that programs may rely on."""


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
