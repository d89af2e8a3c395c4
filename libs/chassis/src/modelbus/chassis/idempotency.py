"""Idempotency keys: a POST that is repeated with the same `Idempotency-Key` is done once and answered alike.

The claim, the change and the answer commit together, so no crash can leave one without the others. Two equal
requests at the same time meet at the unique row: the later waits for the earlier. Refused requests leave nothing, so
that they can be repaired and tried again under the same key.
Follows https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

import hashlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from fastapi.routing import APIRoute
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from modelbus.chassis.idempotency_key import (
    HEADER,
    LONGEST_KEY,
    REPLAYED,
    IdempotencyAnswerLostError,
    IdempotencyKeyMalformedError,
    IdempotencyKeyReusedError,
)
from modelbus.chassis.secrets import Vault, WrongMasterKeyError

KEPT_FOR = timedelta(hours=24)
KEPT_HEADERS = ("content-type", "etag", "location")


class _Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: str


class ReplayedAnswer(Exception):  # noqa: N818 - no error: it carries the first answer past the endpoint
    """The request was done before."""

    def __init__(self, answer: _Answer) -> None:
        super().__init__("answered before")
        headers = {**answer.headers, REPLAYED: "true"}
        self.response = Response(answer.body.encode(), answer.status, headers=headers)


@dataclass(frozen=True, slots=True)
class _Claim:
    caller: str
    key: str
    digest: str


class Idempotency:
    """The keys of one service, kept with their answers; sealed, as one may hold a secret that is shown once."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self.rows = sa.Table(
            "idempotency_keys",
            metadata,
            sa.Column("caller", sa.Text, primary_key=True),
            sa.Column("key", sa.Text, primary_key=True),
            sa.Column("digest", sa.Text, nullable=False),
            sa.Column("answer", sa.Text),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        )
        sa.Index("ix_idempotency_keys_created_at", self.rows.c.created_at)

    async def claim(self, session: AsyncSession, claim: _Claim, vault: Vault) -> None:
        """Take the key for this transaction.

        Raises:
            ReplayedAnswer: the same request was done before.
            IdempotencyKeyReusedError: another was.
            IdempotencyAnswerLostError: one of the two was, and nobody can tell any more which.
        """
        # Sealed too: the body may hold a password, and a bare digest of one is quickly guessed.
        taken = insert(self.rows).values(
            caller=claim.caller, key=claim.key, digest=vault.seal(claim.digest), created_at=datetime.now(UTC)
        )
        if (await session.execute(taken.on_conflict_do_nothing().returning(self.rows.c.key))).one_or_none():
            return
        row = (await session.execute(sa.select(self.rows).where(*self._is(claim)))).one()
        try:
            digest, answer = vault.open(row.digest), vault.open(row.answer)
        except WrongMasterKeyError as error:
            raise IdempotencyAnswerLostError from error
        if digest != claim.digest:
            raise IdempotencyKeyReusedError
        raise ReplayedAnswer(msgspec.json.decode(answer, type=_Answer))

    async def keep(self, session: AsyncSession, claim: _Claim, response: Response, vault: Vault) -> None:
        """Keep the answer with the key, in the transaction that made it."""
        answer = _Answer(
            status=response.status_code,
            headers={name: response.headers[name] for name in KEPT_HEADERS if name in response.headers},
            body=bytes(response.body).decode(),
        )
        sealed = vault.seal(msgspec.json.encode(answer).decode())
        await session.execute(sa.update(self.rows).where(*self._is(claim)).values(answer=sealed))

    async def forget(self, session: AsyncSession, *, before: datetime) -> None:
        """Delete the keys that were used before that time."""
        await session.execute(sa.delete(self.rows).where(self.rows.c.created_at < before))

    def _is(self, claim: _Claim) -> tuple[sa.ColumnElement[bool], ...]:
        return self.rows.c.caller == claim.caller, self.rows.c.key == claim.key


class OnceRoute(APIRoute):
    """A route whose POST takes an `Idempotency-Key`; needs `app.state.idempotency` and `app.state.vault`.

    The endpoint's `Transaction` claims the key as its first statement. FastAPI ends function-scoped dependencies
    only after the route's handler has answered, so the answer is at hand while the transaction is still open.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Answer the handler of the route, with the claim around it."""
        answer = super().get_route_handler()

        async def answer_once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if request.method != "POST" or key is None:
                return await answer(request)
            claim = request.state.claim = await _claim_of(request, key)
            try:
                response = await answer(request)
            except ReplayedAnswer as replayed:
                return replayed.response
            session: AsyncSession | None = getattr(request.state, "session", None)
            if session is not None:
                idempotency: Idempotency = request.app.state.idempotency
                await idempotency.keep(session, claim, response, request.app.state.vault)
            return response

        return answer_once


async def claim_for(request: Request, session: AsyncSession) -> None:
    """Claim the request's key, if it has one, as the first statement of its transaction."""
    request.state.session = session
    claim: _Claim | None = getattr(request.state, "claim", None)
    if claim is not None:
        idempotency: Idempotency = request.app.state.idempotency
        await idempotency.claim(session, claim, request.app.state.vault)


async def _claim_of(request: Request, key: str) -> _Claim:
    if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise IdempotencyKeyMalformedError
    hashed = hashlib.sha256(f"{request.url.path}?{request.url.query}\n".encode())
    hashed.update(await request.body())
    caller = request.state.caller
    return _Claim(caller=str(caller.id or caller.name), key=key, digest=hashed.hexdigest())
