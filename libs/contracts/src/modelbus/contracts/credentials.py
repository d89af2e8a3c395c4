"""What is seen of credentials by those who call suppliers with them."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from modelbus.contracts.event import Event


class CredentialReport(Event):
    """A supplier did not serve a call because of the credential that it was shown; each observer speaks for itself."""

    credential_id: UUID
    supplier_id: UUID
    generation: int
    """Of the credential that was shown, as its record tells it; this says nothing of any other."""
    status: int
    """What the supplier answered."""
    at: datetime
    """When it answered."""
    until: datetime
    """How long the observer leaves the credential alone; others may come back to it sooner."""
    observer: str
    """Who called: `sync`, or a router by its id."""

    def about(self) -> UUID:
        """Answer the credential's id."""
        return self.credential_id


class CredentialRejected(CredentialReport):
    """A supplier did not accept a credential: 401, 402 or 403."""

    type: ClassVar[str] = "credential.rejected"


class CredentialCooled(CredentialReport):
    """A supplier had enough of a credential for now: 429."""

    type: ClassVar[str] = "credential.cooled"
