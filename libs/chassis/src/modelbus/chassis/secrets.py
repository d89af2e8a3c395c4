"""Secrets at rest: sealed with the first master key, opened with any of them, so that keys can be rotated."""

import base64
import hashlib
import os

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

SALT_BYTES = 16
# 32 MiB and a tenth of a second or so for each guess: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
_SCRYPT = {"n": 2**15, "r": 8, "p": 3, "maxmem": 64 * 1024 * 1024}


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
            self._keys = [Fernet(key) for key in keys]
            self._fernet = MultiFernet(self._keys)
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
        """Encrypt anew under the first key, keeping the original time stamp.

        Raises:
            WrongMasterKeyError: no key fits, or the text was changed.
        """
        try:
            return self._fernet.rotate(sealed.encode()).decode("ascii")
        except InvalidToken as error:
            raise WrongMasterKeyError("no master key opens this secret") from error

    def is_newest(self, sealed: str) -> bool:
        """Tell whether the first key opens it, so that the others are not needed for it."""
        try:
            self._keys[0].decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True


def new_salt() -> str:
    """Answer chance for `vault_of`, as text."""
    return base64.urlsafe_b64encode(os.urandom(SALT_BYTES)).decode("ascii")


def vault_of(passphrase: str, salt: str) -> Vault:
    """Make a vault of a passphrase by scrypt; this takes a moment, and is meant to."""
    key = hashlib.scrypt(passphrase.encode(), salt=salt.encode(), dklen=32, **_SCRYPT)
    return Vault(base64.urlsafe_b64encode(key).decode("ascii"))
