"""What the caller is told when nobody served: who was tried and what came of it, never with which credential."""

from dataclasses import dataclass
from typing import Self

from modelbus.router.domain.errors import (
    AttemptFailedError,
    CredentialRefusedError,
    CredentialsExhaustedError,
    Refusal,
    TimedOutError,
    UpstreamFailedError,
    UpstreamLateError,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong on the way."""

    supplier: str
    what: str
    is_credentials: bool = False
    is_late: bool = False

    @classmethod
    def of(cls, supplier: str, error: AttemptFailedError) -> Self:
        """Say it without the details, which are not the caller's."""
        is_credentials = isinstance(error, CredentialRefusedError)
        return cls(supplier, error.what, is_credentials, isinstance(error, TimedOutError))


def refusal_after(failures: list[Failure]) -> Refusal:
    """Sum up: credentials or time if there was nothing else, a plain failure otherwise."""
    told = "; ".join(f"{failure.supplier}: {failure.what}" for failure in failures)
    if all(failure.is_credentials for failure in failures):
        return CredentialsExhaustedError(f"no credential is accepted now ({told})")
    if all(failure.is_late for failure in failures):
        return UpstreamLateError(f"no supplier answered in time ({told})")
    return UpstreamFailedError(f"every attempt failed ({told})")
