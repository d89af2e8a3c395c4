"""Users at services that know none: the catalog is asked who shows a token, as the catalog itself would let them in."""

import hashlib
from collections import OrderedDict
from time import monotonic
from uuid import UUID

import httpx
import msgspec

from modelbus.chassis.auth import Admission, Means, NobodyVouchesError
from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.carrier import Carrier
from modelbus.chassis.logs import logger
from modelbus.chassis.tracing import tell_next

ME = "/api/v1/auth/me"
HELD_S = 2.0
"""So long an answer is used again; the catalog uses its own for another second."""
MOST_HELD = 1000
PATIENCE_S = 2.0
MOST_AT_ONCE = 8
_MARK_OF_API_TOKENS = "mbt-"
_DOTS_OF_SIGNED_TOKENS = 2

log = logger(__name__)


class _Me(msgspec.Struct):
    name: str
    role: Role
    means: Means
    id: UUID | None = None


class Vouching:
    """Asks the catalog about tokens, and uses its answers again for `HELD_S` seconds."""

    def __init__(self, catalog_url: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=catalog_url,
            transport=Carrier(limits=httpx.Limits(max_connections=MOST_AT_ONCE)),
            timeout=PATIENCE_S,
            trust_env=False,
            event_hooks={"request": [tell_next]},
        )
        self._held: OrderedDict[bytes, tuple[float, Admission | None]] = OrderedDict()

    async def admit(self, bearer: str) -> Admission | None:
        """Answer whom the token lets in; None where the catalog knows nobody who has it.

        Raises:
            NobodyVouchesError: the catalog does not say.
        """
        if not _may_be_of_a_user(bearer):
            return None
        digest, now = hashlib.sha256(bearer.encode()).digest(), monotonic()
        until, held = self._held.get(digest, (now, None))
        if now < until:
            return held
        admission = await self._ask(bearer)
        self._held.pop(digest, None)
        # Counted from before the question: an answer that was long on its way is old when it comes.
        self._held[digest] = (now + HELD_S, admission)
        if len(self._held) > MOST_HELD:
            self._held.popitem(last=False)
        return admission

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, bearer: str) -> Admission | None:
        try:
            answer = await self._http.get(ME, headers={"Authorization": f"Bearer {bearer}"})
            if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                return None
            me = msgspec.json.decode(answer.raise_for_status().content, type=_Me)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            log.warning("the catalog does not say who shows a token", error=repr(error))
            raise NobodyVouchesError from error
        caller = Caller(me.name, me.role, me.id)
        return Admission(caller, me.means) if caller.is_person else None


def _may_be_of_a_user(bearer: str) -> bool:
    """Tell API tokens and signed tokens from all else, which the catalog need not see: access keys, guesses."""
    is_signed = bearer.count(".") == _DOTS_OF_SIGNED_TOKENS
    return bearer.isascii() and bearer.isprintable() and (is_signed or bearer.startswith(_MARK_OF_API_TOKENS))
