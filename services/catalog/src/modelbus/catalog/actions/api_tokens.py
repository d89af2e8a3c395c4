"""What can be done with API tokens."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from modelbus.catalog.actions.users import refuse_above_own
from modelbus.catalog.actions.versions import expect, keep
from modelbus.catalog.domain.api_tokens import MARK, SHOWN, ApiToken
from modelbus.catalog.domain.errors import ExpiryPassedError, NotFoundError
from modelbus.catalog.domain.identity_errors import SignInNeededError
from modelbus.catalog.domain.things import stamp
from modelbus.catalog.domain.tokens import hash_of, mint
from modelbus.catalog.store import api_tokens
from modelbus.chassis.auth import Admission, Means
from modelbus.chassis.callers import Caller, Role
from modelbus.chassis.ids import new_id


async def create_api_token(session: AsyncSession, by: Admission, fields: dict[str, Any]) -> tuple[ApiToken, str]:
    """Add an API token of the caller; answer it with the token itself, which nobody can read again.

    Raises:
        SignInNeededError: the caller came in by a token.
        RoleAboveOwnError: the role is above the caller's.
        ExpiryPassedError: it would have expired already.
    """
    if by.means not in (Means.STATIC, Means.SESSION):
        raise SignInNeededError
    refuse_above_own(by.caller, fields["role"])
    now = datetime.now(UTC)
    if fields["expires_at"] is not None and fields["expires_at"] <= now:
        raise ExpiryPassedError
    plain = mint(MARK)
    token = ApiToken(
        **fields,
        id=new_id(),
        user_id=by.caller.id,
        prefix=plain[:SHOWN],
        hash=hash_of(plain),
        last_used_at=None,
        created_at=now,
        updated_at=now,
        deleted_at=None,
    )
    await api_tokens.insert_api_token(session, token)
    await keep(session, None, token)
    return token, plain


async def delete_api_token(session: AsyncSession, token_id: UUID) -> None:
    """Withdraw an API token of the caller's own, or as an admin of anybody's.

    Raises:
        NotFoundError: there is none that the caller may see.
    """
    caller: Caller = session.info["caller"]
    token = await api_tokens.lock_api_token(session, token_id)
    is_own = caller.id is not None and token.user_id == caller.id
    if not is_own and not caller.may(Role.ADMIN):
        raise NotFoundError("API token", token_id)
    expect(session, token)
    await api_tokens.save_api_token(session, stamp(replace(token, deleted_at=datetime.now(UTC))))
    await keep(session, token, None)
