"""What the caller is told when nobody served: who was tried and what came of it, never with which credential."""

from dataclasses import dataclass
from typing import Self

from modelbus.router.domain.errors import (
    AttemptFailedError,
    CredentialRefusedError,
    CredentialsExhaustedError,
    MalformedRequestError,
    Refusal,
    TimedOutError,
    UntranslatableError,
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
    wrong: UntranslatableError | None = None
    """What of the request could not be said to this supplier."""
    retry_in_s: float | None = None

    @classmethod
    def of(cls, supplier: str, error: AttemptFailedError) -> Self:
        """Say it without the details, which are not the caller's."""
        return cls(
            supplier,
            error.what,
            is_credentials=isinstance(error, CredentialRefusedError),
            is_late=isinstance(error, TimedOutError),
            wrong=error if isinstance(error, UntranslatableError) else None,
            retry_in_s=error.out_s if isinstance(error, CredentialRefusedError) else None,
        )


def refusal_after(failures: list[Failure]) -> Refusal:
    """Sum up: the request, credentials or time if there was nothing else, a plain failure otherwise."""
    told = "; ".join(f"{failure.supplier}: {failure.what}" for failure in failures)
    if wrong := [failure.wrong for failure in failures if failure.wrong]:
        if len(wrong) == len(failures):
            return MalformedRequestError(f"nobody can be asked this ({told})", wrong[0].param)
        failures = [failure for failure in failures if not failure.wrong]
    if all(failure.is_credentials for failure in failures):
        refusal = CredentialsExhaustedError(f"no credential is accepted now ({told})")
        refusal.retry_after_s = min((failure.retry_in_s for failure in failures if failure.retry_in_s), default=None)
        return refusal
    if all(failure.is_late for failure in failures):
        return UpstreamLateError(f"no supplier answered in time ({told})")
    return UpstreamFailedError(f"every attempt failed ({told})")
