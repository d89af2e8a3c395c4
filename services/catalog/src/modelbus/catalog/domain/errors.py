"""What the catalog refuses, each with the code that programs read."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID


class Refusal(Exception):  # noqa: N818 - the root of refusals, never raised itself
    """The catalog does not do what was asked, and nothing was changed."""

    code = "refused"


class NotFoundError(Refusal):
    """There is no such thing, or it was deleted."""

    code = "not_found"

    def __init__(self, noun: str, key: UUID | str) -> None:
        super().__init__(f"there is no {noun} {str(key)!r}")


class AlreadyExistsError(Refusal):
    """Another thing has that name."""

    code = "already_exists"

    def __init__(self, noun: str, field: str, value: str) -> None:
        super().__init__(f"a {noun} with the {field} {value!r} exists already")
        self.errors = [{"field": field, "message": "must be unique"}]


class InvalidQueryError(Refusal):
    """A parameter of the query can't be read."""

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.errors = [{"field": f"query.{field}", "message": message}]


class ChangedMeanwhileError(Refusal):
    """The caller wants to change a version that is no longer the newest."""

    code = "changed_meanwhile"

    def __init__(self, kind: str, thing_id: UUID, version: int) -> None:
        super().__init__(f"If-Match: {kind} {str(thing_id)!r} is at version {version} by now; read it again")
        self.errors = [{"field": "If-Match", "message": f'must be "{version}", the ETag of the newest version'}]


class ConditionNotTakenError(Refusal):
    """A condition came with a request that has nothing to compare it with."""

    code = "condition_not_taken"

    def __init__(self) -> None:
        super().__init__("If-Match: this request is not about one thing that exists, so there is nothing to compare")
        self.errors = [{"field": "If-Match", "message": "must be left out here"}]


class DanglingReferenceError(Refusal):
    """The input refers to something that does not exist."""

    code = "dangling_reference"

    def __init__(self, field: str, noun: str, target: UUID | str) -> None:
        super().__init__(f"{field}: there is no {noun} {str(target)!r}")
        self.errors = [{"field": field, "message": f"must be the id of a {noun} that exists"}]


class WrongSourceError(Refusal):
    """A step names a source that serves another model."""

    code = "wrong_source"

    def __init__(self, field: str, source_id: UUID) -> None:
        super().__init__(f"{field}: source {str(source_id)!r} does not serve the step's model")
        self.errors = [{"field": field, "message": "must be a source of the step's model"}]


class WrongStepsError(Refusal):
    """A new order names other steps than the chain has."""

    code = "wrong_steps"

    def __init__(self, chain_id: UUID) -> None:
        super().__init__(f"step_ids: these are not exactly the steps of chain {str(chain_id)!r}")
        self.errors = [{"field": "step_ids", "message": "must hold the id of every step of the chain, each once"}]


class DefaultOutsideScopeError(Refusal):
    """A scope's default model is none of its models."""

    code = "default_outside_scope"

    def __init__(self, model_id: UUID) -> None:
        super().__init__(f"default_model_id: model {str(model_id)!r} is none of the scope's models")
        self.errors = [{"field": "default_model_id", "message": "must be one of model_ids"}]


class ExpiryPassedError(Refusal):
    """A key would have expired before it could be used."""

    code = "expiry_passed"

    def __init__(self) -> None:
        super().__init__("expires_at: this time has passed")
        self.errors = [{"field": "expires_at", "message": "must be in the future"}]


class RotationUnderWayError(Refusal):
    """An access key was rotated not long ago, and the key before opens still."""

    code = "rotation_under_way"

    def __init__(self, until: datetime) -> None:
        ends = f"{until:%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(f"grace_s: the key before opens until {ends}; rotate then, or with 0 to end both at once")
        self.errors = [{"field": "grace_s", "message": f"must be 0 until {ends}"}]


class UnknownFlavourError(Refusal):
    """Sync has no module that reads such listings."""

    code = "unknown_flavour"

    def __init__(self, word: str, known: Collection[str] | None) -> None:
        words = "words that sync knows, which can't be asked now" if known is None else ", ".join(sorted(known))
        wanted = f"one of {words}"
        super().__init__(f"flavour: {word!r} must be {wanted}")
        self.errors = [{"field": "flavour", "message": f"must be {wanted}"}]


class AddressRefusedError(Refusal):
    """A supplier would be called where none may be."""

    code = "address_refused"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: the host is {reason}")
        self.errors = [{"field": field, "message": f"must not lead to {reason}"}]


class SupplierNotSyncableError(Refusal):
    """The supplier can't be listed as it is."""

    code = "supplier_not_syncable"


class ListingNotFetchableError(Exception):
    """The listing that sync announced can't be read from it now; it is asked again later."""

    code = "listing_not_fetchable"


class HistoryTrimmedError(Refusal):
    """The feed no longer holds those changes, or never did; take a snapshot."""

    code = "history_trimmed"


class UnknownKindError(Refusal):
    """The feed holds no records of that kind."""

    code = "unknown_kind"

    def __init__(self, unknown: list[str], known: list[str]) -> None:
        super().__init__(f"kinds: {', '.join(unknown)} is not among {', '.join(known)}")
        self.errors = [{"field": "kinds", "message": f"must be among {', '.join(known)}"}]


class FileMalformedError(Refusal):
    """A file that is to be imported can't be read as what it says it is."""

    code = "file_malformed"

    def __init__(self, message: str) -> None:
        super().__init__(f"body: {message}")
        self.errors = [{"field": "body", "message": message}]


class EntryMalformedError(Refusal):
    """One entry of a file that is to be imported can't be meant so; the report names it."""

    code = "entry_malformed"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message = field, message
