"""What sync refuses, and why a listing could not be had."""

from uuid import UUID


class Refusal(Exception):  # noqa: N818 - the root of refusals, never raised itself
    """Sync does not do what was asked, and nothing was changed."""

    code = "refused"


class RunNotFoundError(Refusal):
    """There is no run of that id."""

    code = "not_found"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"there is no run '{run_id}'")


class ListingNotKeptError(Refusal):
    """The run has no listing: it never got one, or newer ones have taken its place."""

    code = "listing_not_kept"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"the listing of run '{run_id}' is not kept")


class SupplierNotFoundError(Refusal):
    """The catalog has no such supplier."""

    code = "not_found"

    def __init__(self, supplier_id: UUID) -> None:
        super().__init__(f"there is no supplier '{supplier_id}'")


class RawListingNotKeptError(Refusal):
    """Nothing is kept of what the supplier answered."""

    code = "raw_listing_not_kept"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"what the supplier answered to run '{run_id}' is not kept")


class NotReplayableError(Refusal):
    """What is kept can't be read as a listing now."""

    code = "not_replayable"

    def __init__(self, run_id: UUID, reason: str) -> None:
        super().__init__(f"run '{run_id}' can't be replayed: {reason}")


class NotCancellableError(Refusal):
    """The run has ended, or is in other hands."""

    code = "not_cancellable"

    def __init__(self, run_id: UUID, status: str) -> None:
        super().__init__(f"run '{run_id}' is {status}; only one that is requested or fetching can be cancelled")


class IgnoreRuleNotFoundError(Refusal):
    """There is no ignore rule of that id."""

    code = "not_found"

    def __init__(self, rule_id: UUID) -> None:
        super().__init__(f"there is no ignore rule '{rule_id}'")


class IgnoreRuleExistsError(Refusal):
    """The pattern is ignored already."""

    code = "ignore_rule_exists"

    def __init__(self, pattern: str) -> None:
        super().__init__(f"the pattern '{pattern}' is ignored already")
        self.errors = [{"field": "pattern", "message": "must not be that of another rule for the same suppliers"}]


class ListingOutdatedError(Refusal):
    """Another listing of the supplier has been applied since, or this one never was."""

    code = "listing_outdated"

    def __init__(self, run_id: UUID, newest: UUID | None) -> None:
        instead = "none was" if newest is None else f"that is the one of run '{newest}'"
        super().__init__(f"run '{run_id}' is not the one whose listing was applied last; {instead}")


class NothingHeldError(Refusal):
    """There is no price to take."""

    code = "nothing_held"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"the listing of run '{run_id}' holds no such prices for review")


class NotQuarantinedError(Refusal):
    """There is nothing to decide about the run's listing."""

    code = "not_quarantined"

    def __init__(self, run_id: UUID, status: str) -> None:
        super().__init__(f"the listing of run '{run_id}' is not in quarantine; the run is {status}")


class ReviewOutdatedError(Refusal):
    """The catalog got another listing of the supplier since this one was compared with the last."""

    code = "review_outdated"

    def __init__(self, run_id: UUID) -> None:
        super().__init__(f"the catalog got another listing of the supplier since run '{run_id}' was judged; discard it")


class DanglingReferenceError(Refusal):
    """The input refers to a supplier that the catalog does not have."""

    code = "dangling_reference"

    def __init__(self, field: str, noun: str, target: UUID) -> None:
        super().__init__(f"{field}: there is no {noun} '{target}'")
        self.errors = [{"field": field, "message": f"must be the id of a {noun} that exists"}]


class CatalogNotLoadedError(Refusal):
    """The suppliers are not known yet, because the catalog could not be read since the start, nor ever before."""

    code = "catalog_not_loaded"

    def __init__(self) -> None:
        super().__init__("the catalog was never loaded, so its suppliers are not known; try again")


class NotProbedError(Refusal):
    """Nobody looks at the supplier: it is disabled, unknown, has no credential, or probes are switched off."""

    code = "not_probed"

    def __init__(self, supplier_id: UUID) -> None:
        super().__init__(
            f"supplier '{supplier_id}' is not looked at: it is unknown, disabled, lacks a credential that it needs, "
            "or MODELBUS_PROBE_INTERVAL_S is 0"
        )


class TokenProbeNotFoundError(Refusal):
    """The supplier is not asked for tokens."""

    code = "not_found"

    def __init__(self, supplier_id: UUID) -> None:
        super().__init__(f"supplier '{supplier_id}' has no token probe")


class BudgetSpentError(Refusal):
    """A token probe would go over what it may take a day."""

    code = "probe_budget_spent"

    def __init__(self, supplier_id: UUID, reason: str) -> None:
        super().__init__(f"supplier '{supplier_id}' is not asked for a token: {reason}")


class LeaseLostError(Exception):
    """Another worker has taken the run up since; whatever this one found counts no more."""


class FetchFailedError(Exception):
    """There is no listing to be had; the text is the run's reason, readable by an administrator."""

    def __init__(self, reason: str, *, attempts: int = 0) -> None:
        super().__init__(reason)
        self.attempts = attempts
        """Requests that the supplier got."""


class UnusableAnswerError(Exception):
    """The supplier answered something that is no listing; asking again would not help."""


class EmptyListingError(UnusableAnswerError):
    """The supplier answered a listing without a single entry."""

    def __init__(self) -> None:
        super().__init__("the listing is empty")


class ListingUnchangedError(Exception):
    """The listing is the one that is known; there is nothing to read."""


class NotOfferedError(Exception):
    """An entry of a listing is no model that can be called; the text says why it is left out."""


class AddressRefusedError(UnusableAnswerError):
    """The supplier's name leads to an address that it may not have."""


class TransientError(Exception):
    """Asking again may help."""

    pause_s: float | None = None
    """Seconds to wait before; None leaves it to the back-off."""


class SupplierAwayError(TransientError):
    """No answer, half an answer, or a 5xx."""


class RateLimitedError(TransientError):
    """The supplier answered 429."""

    def __init__(self, retry_after_s: float | None) -> None:
        asked = "" if retry_after_s is None else f" and asked to wait {retry_after_s:g} s"
        super().__init__(f"answered 429 (too many requests){asked}")
        self.retry_after_s = retry_after_s


class CredentialRefusedError(TransientError):
    """The supplier does not accept this credential; another one may do."""

    status: int | None = None
    """What it answered; None where the credential can't even be sent."""
