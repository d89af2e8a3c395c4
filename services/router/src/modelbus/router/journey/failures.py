"""What the caller is told when nobody served: who was tried and what came of it, never with which credential."""

from dataclasses import dataclass
from typing import Any, Self

from modelbus.router.domain.errors import (
    AttemptFailedError,
    CredentialCooledError,
    CredentialRefusedError,
    CredentialsExhaustedError,
    CredentialTooSmallError,
    MalformedRequestError,
    QuotaReachedError,
    Refusal,
    TimedOutError,
    UntranslatableError,
    UpstreamFailedError,
    UpstreamLateError,
)
from modelbus.router.domain.verdicts import Cause
from modelbus.router.journey.reply import Reply


class ComplaintError(AttemptFailedError):
    """The supplier says that the request is at fault; `reply` tells the caller so, unless somebody else serves it."""

    def __init__(self, status: int, cause: Cause, reply: Reply) -> None:
        super().__init__(f"answered {status}", "the request is at fault" if cause is Cause.REQUEST else cause)
        self.cause = cause
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong on the way."""

    supplier: str
    what: str
    cause: Cause = Cause.OTHER
    is_credentials: bool = False
    is_quota: bool = False
    """A credential is fit, but has no room now within what its supplier allows."""
    may_have_run: bool = False
    wrong: UntranslatableError | None = None
    """What of the request could not be said to this supplier."""
    complaint: ComplaintError | None = None
    retry_in_s: float | None = None
    number: int | None = None
    """Of the attempt; None where nobody was called."""
    after_ms: int = 0

    @classmethod
    def of(cls, supplier: str, error: AttemptFailedError, number: int | None = None, after_ms: int = 0) -> Self:
        """Say it without the details, which are not the caller's."""
        complaint = error if isinstance(error, ComplaintError) else None
        return cls(
            supplier,
            error.what
            if complaint is None or complaint.cause is Cause.REQUEST
            else f"{error.what} ({complaint.cause})",
            cause=_cause(error),
            is_credentials=isinstance(error, CredentialRefusedError),
            is_quota=isinstance(error, CredentialTooSmallError),
            may_have_run=error.may_have_run,
            wrong=error if isinstance(error, UntranslatableError) else None,
            complaint=complaint,
            retry_in_s=error.out_s if isinstance(error, CredentialRefusedError) else None,
            number=number,
            after_ms=after_ms,
        )

    @classmethod
    def of_quota(cls, supplier: str, retry_in_s: float | None) -> Self:
        """Say that a credential, or all that are fit, has no room; without a time it never has for such a request."""
        return cls(
            supplier,
            "no room within the limits of a credential",
            cause=Cause.RATE_LIMIT,
            is_credentials=True,
            is_quota=True,
            retry_in_s=retry_in_s,
        )

    def told(self) -> dict[str, Any]:
        """Write it for programs."""
        return {"attempt": self.number, "supplier": self.supplier, "failure": self.what, "after_ms": self.after_ms}


def refusal_after(failures: list[Failure]) -> Refusal:
    """Sum up: the request, credentials or time if there was nothing else, a plain failure otherwise."""
    refusal = _refusal(failures)
    refusal.attempts = [failure.told() for failure in failures]
    return refusal


def _refusal(failures: list[Failure]) -> Refusal:
    told = "; ".join(f"{failure.supplier}: {failure.what}" for failure in failures)
    if wrong := [failure.wrong for failure in failures if failure.wrong]:
        if len(wrong) == len(failures):
            return MalformedRequestError(f"nobody can be asked this ({told})", wrong[0].param)
        failures = [failure for failure in failures if not failure.wrong]
    if all(failure.is_credentials for failure in failures):
        retry_after_s = min((failure.retry_in_s for failure in failures if failure.retry_in_s), default=None)
        if any(failure.is_quota for failure in failures):
            return QuotaReachedError(f"no credential has room now ({told})", retry_after_s)
        refusal = CredentialsExhaustedError(f"no credential is accepted now ({told})")
        refusal.retry_after_s = retry_after_s
        return refusal
    if all(failure.cause is Cause.TIMEOUT for failure in failures):
        return UpstreamLateError(f"no supplier answered in time ({told})")
    return UpstreamFailedError(f"every attempt failed ({told})")


def _cause(error: AttemptFailedError) -> Cause:
    match error:
        case ComplaintError():
            return error.cause
        case UntranslatableError():
            return Cause.UNABLE
        case CredentialCooledError() | CredentialTooSmallError():
            return Cause.RATE_LIMIT
        case TimedOutError():
            return Cause.TIMEOUT
    return Cause.OTHER
