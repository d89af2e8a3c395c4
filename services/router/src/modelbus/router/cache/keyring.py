"""Opening credentials: when first used, and remembered in memory only."""

from functools import lru_cache

from modelbus.chassis.secrets import Vault, WrongMasterKeyError
from modelbus.router.cache.records import Credential

_REMEMBERED = 4096


class UnusableCredentialError(Exception):
    """The credential can't be opened with our master keys, or holds what no HTTP header can carry."""


class Keyring:
    """Opens sealed credentials."""

    def __init__(self, vault: Vault) -> None:
        # Opening costs tens of microseconds, and a request should not pay that.
        self._open = lru_cache(_REMEMBERED)(vault.open)

    def open(self, credential: Credential) -> str:
        """Answer the API key in clear.

        Raises:
            UnusableCredentialError: there is none that can be used.
        """
        try:
            secret = self._open(credential.sealed)
        except WrongMasterKeyError as error:
            raise UnusableCredentialError("no master key opens it") from error
        if not (secret.isascii() and secret.isprintable()):
            raise UnusableCredentialError("it holds characters that no header can carry")
        return secret
