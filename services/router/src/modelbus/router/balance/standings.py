"""What this router has itself learnt of credentials; it stands beside the table, and survives its replacement."""

from uuid import UUID

from modelbus.router.cache.records import Credential

_PRUNED_FROM = 1000


class Standings:
    """Which credentials are out for a while, and which was used how long ago."""

    def __init__(self) -> None:
        # By id and secret: a credential that gets a new secret is a new chance.
        self._out_until: dict[tuple[UUID, str], float] = {}
        self._uses = 0
        self._last_use: dict[UUID, int] = {}

    def put_out(self, credential: Credential, until: float, now: float) -> None:
        """Leave the credential alone until then."""
        if len(self._out_until) >= _PRUNED_FROM:
            self._out_until = {key: end for key, end in self._out_until.items() if end > now}
        self._out_until[credential.id, credential.sealed] = until

    def is_out(self, credential: Credential, now: float) -> bool:
        """Tell whether it is to be left alone."""
        return bool(self._out_until) and self._out_until.get((credential.id, credential.sealed), now) > now

    def out_for(self, credential: Credential, now: float) -> float:
        """Answer for how many seconds it is to be left alone."""
        return max(self._out_until.get((credential.id, credential.sealed), now) - now, 0)

    def note_use(self, credential: Credential) -> None:
        """Remember that it was used just now."""
        self._uses += 1
        self._last_use[credential.id] = self._uses

    def last_use(self, credential: Credential) -> int:
        """Answer a number that is the greater the later it was used; 0 for never."""
        return self._last_use.get(credential.id, 0)
