"""Quotas are what suppliers allow each credential per minute, measured like the limits of callers."""

from collections.abc import Mapping

from msgspec import Raw

from modelbus.router.cache.records import Credential
from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.registry import Registry


class Quotas:
    """Knows which credentials have room; those without limits cost no more than a look at them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def wait_s(self, credential: Credential, now: float) -> float:
        """Answer in how many seconds there is room for a request and a token; 0 where there is."""
        if credential.rpm_limit is credential.tpm_limit is None:
            return 0.0
        return self._registry.wait_s(credential, now)

    def draw(self, credential: Credential, fields: Mapping[str, Raw]) -> Allowance | None:
        """Take what the request needs of the credential's quota; None where nothing limits it.

        Raises:
            RateLimitedError: there is not enough room; nothing was taken.
        """
        if credential.rpm_limit is credential.tpm_limit is None:
            return None
        allowance = self._registry.allowance_of((credential,))
        if allowance is not None:
            allowance.enter_with(fields)
        return allowance
