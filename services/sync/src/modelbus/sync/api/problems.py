"""Which status each refusal of sync is answered with."""

from modelbus.sync.domain import errors

STATUSES: dict[type[Exception], int] = {
    errors.RunNotFoundError: 404,
    errors.SupplierNotFoundError: 404,
    errors.ListingNotKeptError: 404,
    errors.RawListingNotKeptError: 404,
    errors.IgnoreRuleNotFoundError: 404,
    errors.IgnoreRuleExistsError: 409,
    errors.NotCancellableError: 409,
    errors.NotReplayableError: 409,
    errors.ListingOutdatedError: 409,
    errors.NothingHeldError: 409,
    errors.NotQuarantinedError: 409,
    errors.ReviewOutdatedError: 409,
    errors.TokenProbeNotFoundError: 404,
    errors.NotProbedError: 409,
    errors.BudgetSpentError: 409,
    errors.DanglingReferenceError: 422,
    errors.CatalogNotLoadedError: 503,
}
