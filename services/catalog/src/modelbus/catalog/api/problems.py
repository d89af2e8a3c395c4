"""Which refusal is which status."""

from modelbus.catalog.domain import errors

STATUSES: dict[type[Exception], int] = {
    errors.NotFoundError: 404,
    errors.AlreadyExistsError: 409,
    errors.SupplierNotSyncableError: 409,
    errors.HistoryTrimmedError: 410,
    errors.ChangedMeanwhileError: 412,
    errors.ConditionNotTakenError: 400,
    errors.DanglingReferenceError: 422,
    errors.WrongSourceError: 422,
    errors.WrongStepsError: 422,
    errors.DefaultOutsideScopeError: 422,
    errors.ExpiryPassedError: 422,
    errors.UnknownKindError: 422,
    errors.InvalidQueryError: 422,
}
