"""What is refused to who goes back in history, or brings a whole configuration back."""

from collections.abc import Sequence
from typing import Any

from modelbus.catalog.domain.documents import Reference
from modelbus.catalog.domain.errors import Refusal
from modelbus.catalog.domain.routing_errors import NAMED


class RollbackRefersToDeletedError(Refusal):
    """An earlier version names things that are no more."""

    code = "rollback_refers_to_deleted"

    def __init__(self, number: int, broken: Sequence[tuple[Reference, str | None, str]]) -> None:
        named = "; ".join(f"{each.kind} {name or str(each.id)!r}, which {why}" for each, name, why in broken[:NAMED])
        more = f"; and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
        super().__init__(f"version {number} refers to {named}{more}; nothing was changed")
        self.findings: list[dict[str, Any]] = [
            {"field": each.field, "kind": each.kind, "id": str(each.id), "name": name, "message": why}
            for each, name, why in broken
        ]


class RollbackToDeletionError(Refusal):
    """The version is the one in which the thing was deleted."""

    code = "rollback_to_deletion"

    def __init__(self, number: int) -> None:
        super().__init__(f"version: {number} is the deletion, and holds nothing to go back to; name an earlier one")
        self.errors = [{"field": "version", "message": "must be a version in which the thing was there"}]


class VersionUnreadableError(Refusal):
    """A version was kept in a shape that is understood no more."""

    code = "version_unreadable"

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(f"version: {number} was kept in a shape that is understood no more: {reason}")
        self.errors = [{"field": "version", "message": "must be one whose fields are still what they were"}]


class ExportMalformedError(Refusal):
    """A document that is to be restored is damaged, or something in it can't be meant so."""

    code = "export_malformed"

    def __init__(self, message: str) -> None:
        super().__init__(f"body: {message}; nothing was changed")
        self.errors = [{"field": "body", "message": message}]


class ExportTooNewError(Refusal):
    """A document that is to be restored was written by a newer release."""

    code = "export_too_new"

    def __init__(self, version: int, known: int) -> None:
        super().__init__(f"version: this release reads documents up to version {known}, and this is version {version}")
        self.errors = [{"field": "body", "message": f"must be of version {known} at most"}]


class PassphraseNeededError(Refusal):
    """Secrets leave the catalog sealed by something; the caller has to say by what."""

    code = "passphrase_needed"

    def __init__(self, message: str) -> None:
        super().__init__(f"X-Modelbus-Passphrase: {message}")
        self.errors = [{"field": "X-Modelbus-Passphrase", "message": message}]


class WrongPassphraseError(Refusal):
    """The secrets of a document are sealed with another passphrase."""

    code = "wrong_passphrase"

    def __init__(self) -> None:
        super().__init__("X-Modelbus-Passphrase: this is not the passphrase that the document was written with")
        self.errors = [
            {"field": "X-Modelbus-Passphrase", "message": "must be the one that the document was written with"}
        ]


class SecretNotOpenedError(Refusal):
    """A secret is sealed under a master key that is not among ours."""

    code = "secret_not_opened"


class NotEmptyError(Refusal):
    """Something is configured here, and would be taken away."""

    code = "not_empty"

    def __init__(self) -> None:
        super().__init__("something is configured here; repeat it with ?replace=true to have all of that taken away")


class RestoreLocksOutError(Refusal):
    """The document holds nobody who could administer, and the catalog does."""

    code = "restore_locks_out"

    def __init__(self) -> None:
        super().__init__("the document has no active user with the role admin, and would leave nobody to administer")
