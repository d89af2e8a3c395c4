"""Conversations keep their level: which requests belong together, and what level they had, for a while."""

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec import Raw

from modelbus.router.domain.errors import MalformedRequestError

MOST = 50_000
"""Moments of conversations that are remembered; one takes about 250 bytes."""
KEPT_S = 3600.0
"""After its last request a conversation is forgotten."""

CONVERSATION = b"x-modelbus-conversation"
"""The header in which callers may name a conversation."""

_LONGEST_NAME = 256
_LONG = 32 * 1024
_DIGEST_BYTES = 16
_NAMING = "conversation"
"""The field of OpenAI's responses that says to which conversation a request belongs, by its id or an object with it."""
_HISTORIES = ("messages", "input")
_INSTRUCTIONS = frozenset(("system", "developer"))
_ASSISTANT = "assistant"
_NULL = b"null"


def conversation_of(headers: Mapping[bytes, bytes]) -> str:
    """Answer the name that the caller gives its conversation.

    Raises:
        MalformedRequestError: it is none that could be told apart from others.
    """
    name = headers[CONVERSATION].decode("latin-1")
    if not (0 < len(name) <= _LONGEST_NAME and name.isprintable()):
        header = CONVERSATION.decode()
        raise MalformedRequestError(f"{header} must be a name of 1 to {_LONGEST_NAME} printable characters", header)
    return name


class Thread(NamedTuple):
    """Where a request stands in its conversation."""

    now: bytes
    """What the next request will call `before`."""
    before: bytes | None
    """None where it is the first."""


class _Role(msgspec.Struct, gc=False):
    role: str = ""
    type: str = ""

    @property
    def is_answer(self) -> bool:
        """Tell whether a model said it: a message, or an item of OpenAI's responses that has no role."""
        return self.role == _ASSISTANT or self.type in {"function_call", "reasoning"}


_roles = msgspec.json.Decoder(list[_Role]).decode
_items = msgspec.json.Decoder(list[Raw]).decode


def thread_of(fields: Mapping[str, Raw], holder: bytes, name: str = "") -> Thread | None:
    """Answer where the request stands; None where it tells neither its conversation nor its history.

    `holder` is whose conversation it is. A conversation that has a name is known by it; any other by all that was said
    in it but the instructions, which often hold the time. The beginning alone would mix up all that begin alike.
    """
    digest = blake2b(holder, digest_size=_DIGEST_BYTES)
    if told := name.encode() or _told(fields):
        digest.update(b"\0name\0" + told)
        return Thread(digest.digest(), digest.digest())
    for field in _HISTORIES:
        if field in fields:
            try:
                return _thread(_items(fields[field]), _roles(fields[field]), digest)
            except msgspec.DecodeError:
                return None
    return None


def holder_of(caller_id: UUID, routing_id: UUID) -> bytes:
    """Answer whose conversations: of one caller, with one complexity routing."""
    return caller_id.bytes + routing_id.bytes


def _told(fields: Mapping[str, Raw]) -> bytes:
    told = bytes(fields[_NAMING]) if _NAMING in fields else _NULL
    return b"" if told == _NULL else told


def _thread(said: list[Raw], roles: list[_Role], digest: blake2b) -> Thread:
    answers = [at for at, role in enumerate(roles) if role.is_answer]
    # Several answers in a row are one: the request before ended where they begin.
    beginning = answers[-1] if answers else -1
    while beginning > 0 and roles[beginning - 1].is_answer:
        beginning -= 1
    before = None
    for at, (raw, role) in enumerate(zip(said, roles, strict=True)):
        if at == beginning:
            before = digest.copy().digest()
        if role.role not in _INSTRUCTIONS:
            digest.update(_said(memoryview(raw)))
    return Thread(digest.digest(), before)


def _said(message: memoryview) -> bytes:
    """Answer what tells a message from others; of one with images the ends and the length do."""
    if message.nbytes <= _LONG:
        return b"\0said\0" + bytes(message)
    ends = bytes(message[: _LONG // 2]) + bytes(message[-_LONG // 2 :])
    return b"\0said %d\0" % message.nbytes + ends


class Conversations:
    """Remembers the levels of conversations; the longest unused are forgotten first."""

    def __init__(self, most: int = MOST, kept_s: float = KEPT_S) -> None:
        self._most = most
        self._kept_s = kept_s
        self._levels: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def level_of(self, thread: Thread, now: float) -> str | None:
        """Answer the level that the conversation has had so far; None where that is not known any more."""
        level, until = self._levels.get(thread.before, (None, 0.0)) if thread.before else (None, 0.0)
        return level if until > now else None

    def keep(self, thread: Thread, level: str, now: float) -> None:
        """Remember the level for the requests that follow."""
        self._levels.pop(thread.now, None)
        self._levels[thread.now] = (level, now + self._kept_s)
        while len(self._levels) > self._most:
            self._levels.popitem(last=False)
