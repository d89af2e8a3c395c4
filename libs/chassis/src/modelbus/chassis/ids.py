"""Ids are UUIDv7 (RFC 9562): unique without asking anyone, and sortable by the time they were made."""

import os
import time
from datetime import datetime
from hashlib import blake2b
from uuid import UUID

_MILLISECONDS = (1 << 48) - 1
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_CHANCE = (0xFFF << 64) | ((1 << 62) - 1)
_CHANCE_BYTES = 10
_AT_ONCE = 256

_chances: dict[int, list[int]] = {}
"""Random numbers that nobody has had, by process: one that goes on as two must not have them twice.

Asking the system for each lets other threads take their turn, which can make a request wait for milliseconds. Whoever
pops one has it alone, in whatever thread.
"""


def new_id() -> UUID:
    """Make a UUIDv7: 48 bits of Unix milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000 & _MILLISECONDS
    try:
        chance = _chances[os.getpid()].pop()
    except (KeyError, IndexError):
        chance, *_chances[os.getpid()] = _draw()
    return UUID(int=milliseconds << 80 | _VERSION_AND_VARIANT | chance)


def id_of(name: str, moment: datetime) -> UUID:
    """Make the UUIDv7 of what has a name and began at that moment: the same, whoever makes it and however often."""
    milliseconds = int(moment.timestamp() * 1000) & _MILLISECONDS
    digest = int.from_bytes(blake2b(name.encode(), digest_size=_CHANCE_BYTES).digest()) & _CHANCE
    return UUID(int=milliseconds << 80 | _VERSION_AND_VARIANT | digest)


def _draw() -> list[int]:
    drawn = os.urandom(_CHANCE_BYTES * _AT_ONCE)
    return [int.from_bytes(drawn[at : at + _CHANCE_BYTES]) & _CHANCE for at in range(0, len(drawn), _CHANCE_BYTES)]
