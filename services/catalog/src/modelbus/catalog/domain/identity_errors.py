"""What is refused to who signs in, and to who administers users."""

from modelbus.catalog.domain.errors import Refusal


class SignInRefusedError(Refusal):
    """Name and password do not fit, or the user is disabled; which of them is not told."""

    code = "sign_in_refused"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - read only

    def __init__(self) -> None:
        super().__init__("the name or the password is wrong, or the user may not sign in")


class TooManyAttemptsError(Refusal):
    """Signing in failed too often, for this account or from this address."""

    code = "too_many_attempts"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many attempts to sign in; try again in {retry_after_s} s")
        self.headers = {"Retry-After": str(retry_after_s)}


class SigningInBusyError(Refusal):
    """More passwords wait to be compared than the catalog takes."""

    code = "signing_in_busy"
    headers = {"Retry-After": "1"}  # noqa: RUF012 - read only

    def __init__(self) -> None:
        super().__init__("too many are signing in right now; try again")


class SessionOverError(Refusal):
    """The refresh token opens no session any more."""

    code = "session_over"
    headers = {"WWW-Authenticate": "Bearer"}  # noqa: RUF012 - read only

    def __init__(self) -> None:
        super().__init__("this session is over; sign in again")


class IssuerOffError(Refusal):
    """The settings name no OpenID Connect issuer."""

    code = "issuer_off"

    def __init__(self) -> None:
        super().__init__("signing in through an issuer is not configured here")


class IssuerRefusedError(Refusal):
    """What came back from the issuer proves nobody's identity."""

    code = "issuer_refused"


class IssuerMisbehavedError(Refusal):
    """The issuer answers, but not as OpenID Connect says."""

    code = "issuer_misbehaved"


class RoleAboveOwnError(Refusal):
    """Somebody gives a role that is above their own."""

    code = "role_above_own"

    def __init__(self, role: str, own: str) -> None:
        super().__init__(f"role: {role!r} is above your own role, '{own}'")
        self.errors = [{"field": "role", "message": f"must not be above {own}"}]


class LastAdminError(Refusal):
    """Nobody would be left to administer users."""

    code = "last_admin"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} is the last active user with the role 'admin'; give it to somebody else first")


class IssuersUserError(Refusal):
    """The issuer decides on this, not the catalog."""

    code = "issuers_user"

    def __init__(self, field: str) -> None:
        super().__init__(f"{field}: this user signs in through the issuer, which decides on it")
        self.errors = [{"field": field, "message": "must be changed at the issuer"}]


class UserNameRefusedError(Refusal):
    """Nobody can be called so."""

    code = "user_name_refused"

    def __init__(self, message: str) -> None:
        super().__init__(f"name: {message}")
        self.errors = [{"field": "name", "message": message}]


class PasswordRefusedError(Refusal):
    """The password is guessed too easily, or too long."""

    code = "password_refused"

    def __init__(self, message: str) -> None:
        super().__init__(f"password: {message}")
        self.errors = [{"field": "password", "message": message}]


class WrongPasswordError(Refusal):
    """Somebody who changes their own password does not know the present one."""

    code = "wrong_password"

    def __init__(self) -> None:
        super().__init__("current_password: this is not your present password")
        self.errors = [{"field": "current_password", "message": "must be your present password"}]


class SignInNeededError(Refusal):
    """Only who has signed in may do this; a token could otherwise outlive its own end."""

    code = "sign_in_needed"

    def __init__(self) -> None:
        super().__init__("an API token can't make others; sign in for that")


class KeyInUseError(Refusal):
    """The newest signing key can't be withdrawn, as nothing would be left to sign with."""

    code = "key_in_use"

    def __init__(self) -> None:
        super().__init__("this key signs the sessions now; make a new one first")
