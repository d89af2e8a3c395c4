"""Secrets at rest: sealed with the first master key, opened with any of them, so that keys can be rotated."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class WrongMasterKeyError(Exception):
    """None of the master keys opens the sealed secret."""

    code = "wrong_master_key"


class MasterKeysMalformedError(ValueError):
    """The setting holds something that is no Fernet key."""


class Vault:
    """Seals and opens secrets with MultiFernet (AES-128-CBC with HMAC-SHA-256)."""

    def __init__(self, master_keys: str) -> None:
        keys = [key.strip() for key in master_keys.split(",") if key.strip()]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise MasterKeysMalformedError(
                "MODELBUS_MASTER_KEYS must hold Fernet keys (32 bytes, URL-safe base64), with commas between"
            ) from error

    def seal(self, secret: str) -> str:
        """Encrypt the secret under the first key."""
        return self._fernet.encrypt(secret.encode()).decode("ascii")

    def open(self, sealed: str) -> str:
        """Decrypt the secret.

        Raises:
            WrongMasterKeyError: no key fits, or the text was changed.
        """
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise WrongMasterKeyError("no master key opens this secret") from error

    def reseal(self, sealed: str) -> str:
        """Encrypt anew under the first key, keeping the original time stamp."""
        return self._fernet.rotate(sealed.encode()).decode("ascii")
