"""What goes wrong: refusals, which the caller is told, and failed attempts, which another attempt may mend."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Refusal(Exception):  # noqa: N818 - the root of refusals, never raised itself
    """The caller gets no completion; `param` names the field of the request that is at fault, if one is."""

    code: ClassVar[str] = "refused"
    param: str | None = None
    retry_after_s: float | None = None
    """When the same request may be served, if that is known."""
    is_final: bool = False
    """Official clients are told not to try again by themselves."""
    attempts: Sequence[Mapping[str, Any]] = ()
    """What was tried before, and what came of it."""


class NotLoadedError(Refusal):
    """The router has never seen the catalog, not even an old copy."""

    code = "catalog_not_loaded"


class KeyRefusedError(Refusal):
    """The access key is missing, unknown, disabled or expired."""

    code = "invalid_api_key"


class IssuerAwayError(Refusal):
    """A token can't be verified, since its issuer's keys are not known."""

    code = "issuer_unavailable"


class MalformedRequestError(Refusal):
    """The request can't be read."""

    code = "invalid_request"

    def __init__(self, words: str, param: str | None = None) -> None:
        super().__init__(words)
        self.param = param


class IdempotencyKeyMalformedError(Refusal):
    """The header holds nothing that can be a key."""

    code = "idempotency_key_malformed"


class IdempotencyKeyReusedError(Refusal):
    """The key stands for another request."""

    code = "idempotency_key_reused"


class BodyTooLargeError(Refusal):
    """The body is longer than allowed."""

    code = "body_too_large"


class BodyTooSlowError(Refusal):
    """The body did not arrive in time."""

    code = "body_too_slow"


class UnknownPathError(Refusal):
    """There is no such path."""

    code = "unknown_url"


class WrongMethodError(Refusal):
    """The path does not know the method."""

    code = "method_not_allowed"


class ModelNotFoundError(Refusal):
    """Neither model nor chain has that name."""

    code = "model_not_found"
    param = "model"

    def __init__(self, asked_for: str) -> None:
        super().__init__(f"the model {asked_for!r} does not exist")


class ModelNotPermittedError(Refusal):
    """The access key is not allowed to call it."""

    code = "model_not_permitted"
    param = "model"

    def __init__(self, asked_for: str) -> None:
        super().__init__(f"this access key may not call {asked_for!r}")


class ModelUnavailableError(Refusal):
    """It is known, but nothing serves it now."""

    code = "model_unavailable"
    param = "model"

    def __init__(self, asked_for: str, reason: str) -> None:
        super().__init__(f"{asked_for!r} is not available: {reason}")


class ScopeNotPermittedError(Refusal):
    """The scope that the caller names is none that it may name."""

    code = "scope_not_permitted"

    def __init__(self, scope: str) -> None:
        super().__init__(f"the scope {scope!r} does not exist, is not active, or is not for this access key")


class NoCapableSourceError(Refusal):
    """What is available can't do what the request needs."""

    code = "no_capable_source"

    def __init__(self, asked_for: str, reason: str, param: str | None = "model") -> None:
        super().__init__(f"nothing of {asked_for!r} can serve this request: {reason}")
        self.param = param


class UnsupportedBySourceError(NoCapableSourceError):
    """Whoever offers the model speaks a protocol into which requests on this path are not translated."""

    code = "unsupported_by_source"


class UpstreamFailedError(Refusal):
    """Every attempt failed."""

    code = "upstream_failed"


class CredentialsExhaustedError(Refusal):
    """No credential of the suppliers in question is accepted now."""

    code = "upstream_credentials_exhausted"


class UpstreamLateError(Refusal):
    """Every attempt ran out of time."""

    code = "upstream_timeout"


class RateLimitedError(Refusal):
    """The caller has used up what it may use per minute, or at once; without a time it is never served as it is."""

    code = "rate_limit_exceeded"

    def __init__(self, words: str, retry_after_s: float | None) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s
        self.is_final = retry_after_s is None


class QuotaReachedError(RateLimitedError):
    """The credentials of the suppliers in question have no room now within what is allowed them per minute."""

    code = "upstream_rate_limit_exceeded"


class BudgetExceededError(Refusal):
    """The caller has spent what it may spend."""

    code = "budget_exceeded"
    is_final = True

    def __init__(self, words: str, retry_after_s: float | None) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


class CallerGoneError(Exception):
    """The caller left; there is nobody to answer."""


class AttemptFailedError(Exception):
    """One call of a supplier came to nothing; `what` may be told to callers, `detail` is for the usage record."""

    may_have_run: ClassVar[bool] = False
    """The supplier may have done the work, and may bill it."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what, detail)
        self.what = what
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.what}: {self.detail}" if self.detail else self.what


class UnreachableError(AttemptFailedError):
    """No connection could be made."""


class LostError(AttemptFailedError):
    """The connection, or the stream on it, ended early."""

    may_have_run = True


class TimedOutError(AttemptFailedError):
    """A deadline passed."""

    may_have_run = True


class NoConnectionError(TimedOutError):
    """No connection could be made, or came free, in time; nothing was sent."""

    may_have_run = False


class MalformedAnswerError(AttemptFailedError):
    """What came is no completion."""

    may_have_run = True


class RefusedError(AttemptFailedError):
    """The supplier answered with a status that is no fault of the caller."""


class CredentialRefusedError(RefusedError):
    """The supplier does not accept the credential for now; it is left out for `out_s` seconds."""

    def __init__(self, what: str, out_s: float) -> None:
        super().__init__(what)
        self.out_s = out_s


class CredentialCooledError(CredentialRefusedError):
    """The supplier accepts the credential, but has had enough of it for now."""


class CredentialTooSmallError(CredentialRefusedError):
    """The request is larger than all that the supplier allows the credential; it is as good as before for others."""

    def __init__(self, what: str) -> None:
        super().__init__(what, 0.0)


class UntranslatableError(AttemptFailedError):
    """The request can't be said in the words that this supplier understands; `param` names what has no equal."""

    def __init__(self, param: str, why: str) -> None:
        super().__init__(f"{param} can't be asked of it: {why}")
        self.param = param
