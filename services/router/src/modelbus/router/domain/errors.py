"""What goes wrong: refusals, which the caller is told, and failed attempts, which another attempt may mend."""

from typing import ClassVar


class Refusal(Exception):  # noqa: N818 - the root of refusals, never raised itself
    """The caller gets no completion; `param` names the field of the request that is at fault, if one is."""

    code: ClassVar[str] = "refused"
    param: str | None = None
    retry_after_s: float | None = None
    """When the same request may be served, if that is known."""


class NotLoadedError(Refusal):
    """The router has never seen the catalog, not even an old copy."""

    code = "catalog_not_loaded"


class KeyRefusedError(Refusal):
    """The access key is missing, unknown, disabled or expired."""

    code = "invalid_api_key"


class MalformedRequestError(Refusal):
    """The request can't be read."""

    code = "invalid_request"

    def __init__(self, words: str, param: str | None = None) -> None:
        super().__init__(words)
        self.param = param


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


class UpstreamFailedError(Refusal):
    """Every attempt failed."""

    code = "upstream_failed"


class CredentialsExhaustedError(Refusal):
    """No credential of the suppliers in question is accepted now."""

    code = "upstream_credentials_exhausted"


class UpstreamLateError(Refusal):
    """Every attempt ran out of time."""

    code = "upstream_timeout"


class CallerGoneError(Exception):
    """The caller left; there is nobody to answer."""


class AttemptFailedError(Exception):
    """One call of a supplier came to nothing; `what` may be told to callers, `detail` is for the usage record."""

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


class TimedOutError(AttemptFailedError):
    """A deadline passed."""


class MalformedAnswerError(AttemptFailedError):
    """What came is no completion."""


class RefusedError(AttemptFailedError):
    """The supplier answered with a status that is no fault of the caller."""


class CredentialRefusedError(RefusedError):
    """The supplier does not accept the credential for now; it is left out for `out_s` seconds."""

    def __init__(self, what: str, out_s: float) -> None:
        super().__init__(what)
        self.out_s = out_s


class UntranslatableError(AttemptFailedError):
    """The request can't be said in the words that this supplier understands; `param` names what has no equal."""

    def __init__(self, param: str, why: str) -> None:
        super().__init__(f"{param} can't be asked of it: {why}")
        self.param = param
