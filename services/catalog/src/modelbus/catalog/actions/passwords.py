"""Passwords are kept as argon2id hashes; comparing one takes memory and time on purpose, so few are at once."""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from modelbus.catalog.domain.identity_errors import SigningInBusyError
from modelbus.catalog.domain.users import normal

AT_ONCE = 2
"""Each takes 32 MiB; more at once would be no faster on as many processors."""
MOST_WAITING = 32
TIME_COST, MEMORY_KIB, LANES = 3, 32 * 1024, 1
"""Above what OWASP asks of argon2id; about 60 ms."""


class Passwords:
    """Hashes and compares passwords, off the event loop."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=LANES)
        # Threads of its own: a request that is cancelled does not stop a comparison that has begun, and a
        # semaphore would let the next one in beside it.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Answer what is kept of a password.

        Raises:
            SigningInBusyError: too many wait.
        """
        return await self._in_thread(lambda: self._hasher.hash(normal(password)))

    async def fits(self, password_hash: str | None, password: str) -> bool:
        """Tell whether it is the password; where there is none, take as long to say no.

        Raises:
            SigningInBusyError: too many wait.
        """

        def compare() -> bool:
            kept = password_hash
            if kept is None:
                kept = self._decoy = self._decoy or self._hasher.hash(secrets.token_urlsafe())
            try:
                self._hasher.verify(kept, normal(password))
            except (VerificationError, InvalidHashError):
                return False
            return password_hash is not None

        return await self._in_thread(compare)

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether it was hashed at another cost than new ones are."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread[T](self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise SigningInBusyError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
