"""What a supplier once answered, packed to be kept, and answered again to its adapter without asking anybody."""

import zlib
from collections import deque
from collections.abc import Callable, Mapping

import httpx
import msgspec

from modelbus.contracts.records import SupplierRecord
from modelbus.sync.clients.answers import Answer
from modelbus.sync.clients.endpoint import Endpoint, Limits
from modelbus.sync.clients.entries import Fetched
from modelbus.sync.clients.flavours import Flavour
from modelbus.sync.domain.errors import EmptyListingError, UnusableAnswerError

_PAGES = msgspec.msgpack.Decoder(list[tuple[str, bytes]])
NO_LIMITS = Limits(max_bytes=0, connect_s=0, read_s=0, deadline_s=0, tries=1, first_pause_s=0)


def pack(answers: list[Answer], longest: int) -> bytes | None:
    """Pack the pages of a listing; None where there are none, or more than `longest` bytes of them once packed."""
    if not answers:
        return None
    squeeze = zlib.compressobj()
    packed = squeeze.compress(msgspec.msgpack.encode([(each.kind, each.body) for each in answers])) + squeeze.flush()
    return packed if len(packed) <= longest else None


def unpack(packed: bytes) -> list[Answer]:
    """Answer the pages as they came."""
    return [Answer(kind, body) for kind, body in _PAGES.decode(zlib.decompress(packed))]


class KeptEndpoint(Endpoint):
    """Answers what was kept, page after page, to whatever is asked."""

    def __init__(self, client: httpx.AsyncClient, supplier: SupplierRecord, answers: list[Answer]) -> None:
        super().__init__(client, supplier, None, NO_LIMITS)
        self._kept = deque(answers)

    async def _get(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str], check_type: Callable[[str], None]
    ) -> Answer:
        del url, headers, params
        if not self._kept:
            raise UnusableAnswerError("the adapter asks for more pages than came then")
        answer = self._kept.popleft()
        check_type(answer.kind)
        return answer


async def read_again(flavour: Flavour, supplier: SupplierRecord, answers: list[Answer]) -> tuple[Fetched, int | None]:
    """Have the adapter read what was answered; answer it, and how many models the supplier said there are.

    Raises:
        UnusableAnswerError: that is no listing.
    """
    async with httpx.AsyncClient(transport=_Nobody(), trust_env=False) as nobody:
        endpoint = KeptEndpoint(nobody, supplier, answers)
        try:
            return await flavour.list_models(endpoint), endpoint.declared
        except EmptyListingError:
            return Fetched([], []), endpoint.declared


class _Nobody(httpx.AsyncBaseTransport):
    """Is never asked."""
