"""What the catalog has told about suppliers and their credentials, kept as it follows the feed."""

from uuid import UUID

from pydantic import ValidationError

from modelbus.chassis.feed import Applied
from modelbus.chassis.logs import logger
from modelbus.chassis.secrets import Vault, WrongMasterKeyError
from modelbus.contracts.records import CredentialRecord, Record, SupplierRecord
from modelbus.sync.clients.suppliers import OpenCredential
from modelbus.sync.domain.errors import FetchFailedError

KINDS = (SupplierRecord.kind, CredentialRecord.kind)

_DECISIVE = {
    "base_url",
    "protocol",
    "flavour",
    "listing_url",
    "namespace",
    "supplier_kind",
    "removal_after",
}

log = logger(__name__)


class Directory:
    """Suppliers and credentials by id."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._suppliers: dict[UUID, SupplierRecord] = {}
        self._credentials: dict[UUID, CredentialRecord] = {}
        self.is_loaded = False
        """True once the catalog was read, be it from the last-known-good file."""

    def follow(self, applied: Applied) -> None:
        """Take over what has changed in the catalog."""
        self.is_loaded = True
        _follow(self._suppliers, SupplierRecord, applied)
        _follow(self._credentials, CredentialRecord, applied)

    def suppliers(self) -> list[SupplierRecord]:
        """Answer every supplier."""
        return list(self._suppliers.values())

    def supplier(self, supplier_id: UUID) -> SupplierRecord | None:
        """Answer the supplier, if the catalog has it."""
        return self._suppliers.get(supplier_id)

    def name_of(self, supplier_id: UUID) -> str | None:
        """Answer the supplier's name, if the catalog has it."""
        supplier = self._suppliers.get(supplier_id)
        return None if supplier is None else supplier.name

    def public_name(self, supplier_id: UUID, upstream_name: str) -> str | None:
        """Answer the name under which the supplier's model is served; None if the catalog has no such supplier."""
        supplier = self._suppliers.get(supplier_id)
        if supplier is None:
            return None
        return f"{supplier.namespace}/{upstream_name}" if supplier.namespace else upstream_name

    def why_not_askable(self, supplier_id: UUID) -> str | None:
        """Answer why the supplier can't be asked for its models; None when it can."""
        supplier = self._suppliers.get(supplier_id)
        if supplier is None:
            return "the catalog has no such supplier"
        if not supplier.is_active:
            return "the supplier is disabled"
        if supplier.requires_credential and not self._usable(supplier_id):
            return "the supplier needs a credential and has no active one"
        return None

    def askable(self, supplier_id: UUID) -> tuple[SupplierRecord, list[OpenCredential]]:
        """Answer the supplier and its credentials, in the order in which they should be tried.

        Raises:
            FetchFailedError: it can't be asked.
        """
        reason = self.why_not_askable(supplier_id)
        if reason is not None:
            raise FetchFailedError(reason)
        usable = self._usable(supplier_id)
        opened = [credential for record in usable if (credential := self._open(record)) is not None]
        if usable and not opened:
            raise FetchFailedError("no credential of the supplier can be opened with the master keys")
        return self._suppliers[supplier_id], opened

    def mark(self, supplier_id: UUID) -> str:
        """Answer a text that stays the same while the supplier is asked, and its listing applied, in the same way."""
        supplier = self._suppliers.get(supplier_id)
        if supplier is None:
            return ""
        keys = sorted(f"{credential.id}:{credential.generation}" for credential in self._usable(supplier_id))
        return supplier.model_dump_json(include=_DECISIVE) + ",".join(keys)

    def _usable(self, supplier_id: UUID) -> list[CredentialRecord]:
        usable = [
            credential
            for credential in self._credentials.values()
            if credential.supplier_id == supplier_id and credential.is_active and credential.state != "dead"
        ]
        return sorted(usable, key=lambda each: (each.state == "cooling", each.priority, each.id))

    def _open(self, record: CredentialRecord) -> OpenCredential | None:
        try:
            return OpenCredential(record.name, self._vault.open(record.sealed), record.id, record.generation)
        except WrongMasterKeyError:
            log.error("a credential can't be opened", credential_id=str(record.id), name=record.name)  # noqa: TRY400
            return None


def _follow[R: Record](held: dict[UUID, R], record_type: type[R], applied: Applied) -> None:
    if applied.is_whole:
        held.clear()
    for record_id in applied.gone.get(record_type.kind, ()):
        held.pop(record_id, None)
    for record_id, body in applied.changed.get(record_type.kind, {}).items():
        try:
            held[record_id] = record_type.model_validate_json(body, extra="ignore")
        except ValidationError as error:
            log.error("a record can't be read", kind=record_type.kind, id=str(record_id), error=str(error))  # noqa: TRY400
            held.pop(record_id, None)
