"""Shadows are sent copies of requests that were served; nobody waits for what they answer, and nothing comes of it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from random import Random
from time import monotonic

from msgspec.structs import replace

from modelbus.chassis import last_resort
from modelbus.chassis.ids import new_id
from modelbus.chassis.logs import logger
from modelbus.router.balance.balancer import Balancer
from modelbus.router.balance.choosing import Wanted, next_credential
from modelbus.router.balance.menu import Menu
from modelbus.router.cache.keyring import UnusableCredentialError
from modelbus.router.cache.routing import Shadow, Split
from modelbus.router.cache.table import Table
from modelbus.router.domain.errors import AttemptFailedError, RateLimitedError, UntranslatableError
from modelbus.router.journey.calls import Call, Calls
from modelbus.router.journey.course import Course
from modelbus.router.journey.reply import Reply
from modelbus.router.journey.trip import CUT, FAILED, Attempt, Trip
from modelbus.router.ledger.entries import RequestEntry
from modelbus.router.naming.meanings import of_shadow
from modelbus.router.upstream.client import Deadlines

LARGEST_BYTES = 1024 * 1024
"""Of a prompt that is copied, and of an answer to it; with how many there are at once, this bounds the memory."""
BUSY, TOO_LARGE, UNABLE = "busy", "too_large", "unable"
_LEFT = 499
_PERCENT = 100

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class ShadowLimits:
    """How much copies may take."""

    most: int
    """At once; what comes beyond that is not copied."""
    deadlines: Deadlines


class Shadows:
    """Sends copies, each in a task of its own, over connections of their own.

    Nothing that a copy meets is told to breakers, loads or the standings of credentials: what the router does with
    requests that somebody waits for must not depend on an experiment. It only heeds what is known there already.
    """

    def __init__(
        self, calls: Calls, balancer: Balancer, limits: ShadowLimits, record: Callable[[RequestEntry], None]
    ) -> None:
        self._calls = calls
        self._balancer = balancer
        self._limits = limits
        self._record = record
        self._chance = Random()  # noqa: S311 - it takes samples
        self._menu: Menu | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self.dropped: Counter[str] = Counter()
        """Copies that were not sent, by the reason."""

    @property
    def under_way(self) -> int:
        """Answer how many copies are under way."""
        return len(self._under_way)

    def follow(self, trip: Trip, status: int) -> None:
        """Copy a request of a split whose answer has gone out, to as many of its shadows as their percents say."""
        split = trip.choice.meaning.split if trip.choice is not None else None
        if split is None or not split.shadows or status != HTTPStatus.OK or self._is_closed:
            return
        if trip.ask.form is not None or trip.ask.endpoint.is_counting:
            return
        for shadow in split.shadows:
            if self._chance.random() * _PERCENT < shadow.percent:
                self._begin(trip, split, shadow)

    async def close(self) -> None:
        """Cancel what is under way, and wait until it has ended; nothing is copied from now on."""
        self._is_closed = True
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _begin(self, trip: Trip, split: Split, shadow: Shadow) -> None:
        if len(self._under_way) >= self._limits.most:
            self.dropped[BUSY] += 1
        elif sum(memoryview(each).nbytes for each in trip.ask.fields.values()) > LARGEST_BYTES:
            self.dropped[TOO_LARGE] += 1
        else:
            task = asyncio.create_task(self._send(_copy(trip), split, shadow))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _send(self, copy: Trip, split: Split, shadow: Shadow) -> None:
        await last_resort.attempt(self._carry(copy, split, shadow), partial(_own_up, copy))

    async def _carry(self, copy: Trip, split: Split, shadow: Shadow) -> None:
        planned = self._plan(copy, split, shadow)
        if planned is None:
            self.dropped[UNABLE] += 1
            return
        call, attempt = planned
        status = _LEFT
        try:
            status = await self._make(copy, call, attempt)
        finally:
            self._record(copy.entry(status))

    def _plan(self, copy: Trip, split: Split, shadow: Shadow) -> tuple[Call, Attempt] | None:
        """Choose one source and credential, and leave no trace of it; None where nothing may be asked right now."""
        wanted = Wanted(self._menu_of(copy.table), of_shadow(split, shadow), None)
        copy.choice = choice = self._balancer.explain(wanted, copy.ask, copy.caller, None)
        offer = next((each for each in choice.offers if each.id not in choice.resting), None)
        if offer is None:
            return None
        credential = next_credential(offer, (), self._balancer.standings, monotonic())
        try:
            call = self._calls.write(copy, offer, credential)
            allowance = self._calls.draw(copy, credential)
        except (UntranslatableError, UnusableCredentialError, RateLimitedError):
            return None
        attempt = copy.begin_attempt(offer, credential)
        attempt.allowance = allowance
        return call, attempt

    def _menu_of(self, table: Table) -> Menu:
        # The balancer's own is of the newest table, and must not be made anew for an older one.
        if self._menu is None or self._menu.table is not table:
            self._menu = Menu(table)
        return self._menu

    async def _make(self, copy: Trip, call: Call, attempt: Attempt) -> int:
        deadlines = self._limits.deadlines
        course = Course(deadlines, asyncio.get_running_loop().time() + deadlines.total_s, is_resent=False)
        try:
            async with asyncio.timeout_at(course.until):
                reply = await self._calls.make(call, copy, attempt, course, lambda _error: [])
                await _throw_away(reply)
        except AttemptFailedError as error:
            attempt.end(FAILED, error)
            return HTTPStatus.BAD_GATEWAY
        except TimeoutError:
            has_begun = attempt.first_token_ms is not None
            attempt.end(CUT if has_begun else FAILED, "took longer than shadows may")
            return HTTPStatus.OK if has_begun else HTTPStatus.GATEWAY_TIMEOUT
        return reply.status


def _copy(trip: Trip) -> Trip:
    """Make the request anew; the operator wants it, so what the caller may call does not matter."""
    caller = replace(trip.caller, model_ids=None, tiers=None)
    now = datetime.now(UTC)
    return Trip(trip.ask, caller, trip.table, new_id(), now, monotonic(), shadowed_request_id=trip.id)


async def _throw_away(reply: Reply) -> None:
    if isinstance(reply.body, bytes):
        return
    try:
        async for _ in reply.body:
            pass
    finally:
        reply.body.close()


async def _own_up(copy: Trip, error: Exception) -> None:
    log.error("a copy of a request failed", request_id=str(copy.shadowed_request_id), exc_info=error)
