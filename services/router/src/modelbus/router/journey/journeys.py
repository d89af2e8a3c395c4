"""A request's journey: attempt after attempt, over credentials, sources and chain steps, until one serves.

Attempts end where the caller has been given a first byte; no pair of source and credential is tried twice.
"""

import asyncio
from time import monotonic
from uuid import UUID

from modelbus.chassis.logs import logger
from modelbus.router.balance.balancer import Balancer
from modelbus.router.balance.choosing import Wanted, next_credential
from modelbus.router.balance.offers import Offer
from modelbus.router.balance.standings import Refused
from modelbus.router.cache.keyring import UnusableCredentialError
from modelbus.router.cache.records import Credential
from modelbus.router.domain.breakers import Trial
from modelbus.router.domain.errors import (
    AttemptFailedError,
    CredentialCooledError,
    CredentialRefusedError,
    CredentialTooSmallError,
    NoCapableSourceError,
    RateLimitedError,
    Refusal,
    TimedOutError,
    UntranslatableError,
)
from modelbus.router.domain.verdicts import REJECTED_S, Cause, Resends
from modelbus.router.journey.calls import Call, Calls
from modelbus.router.journey.course import Course
from modelbus.router.journey.failures import ComplaintError, Failure
from modelbus.router.journey.levels import Levels
from modelbus.router.journey.reply import JSON, Reply
from modelbus.router.journey.trip import FAILED, Attempt, Trip
from modelbus.router.upstream.client import Deadlines
from modelbus.router.wire.envelopes import Attempts
from modelbus.router.wire.estimates import prompt_tokens

MOST_ATTEMPTS = 16

log = logger(__name__)


class Journeys:
    """Carries requests to suppliers and back."""

    def __init__(
        self, calls: Calls, balancer: Balancer, deadlines: Deadlines, resends: Resends, levels: Levels
    ) -> None:
        self._calls = calls
        self._levels = levels
        self._balancer = balancer
        self._breakers = balancer.breakers
        self._deadlines = deadlines
        self._resends = resends
        self._standings = balancer.standings

    async def carry(self, trip: Trip) -> Reply:
        """Bring the request to whoever serves it first, and answer what came back.

        Raises:
            Refusal: nobody may, can or does serve it.
        """
        wanted = self._balancer.find(trip.table, trip.ask, trip.caller)
        level = await self._level(trip, wanted)
        trip.choice = self._balancer.choose(wanted, trip.ask, trip.caller, level)
        if trip.choice.refusal is not None:
            return _unserved(trip, trip.choice.refusal)
        course = self._course(trip)
        reply = await self._try_all(trip, trip.choice.offers, course) or course.end()
        reply.headers.append((b"x-modelbus-attempts", b"%d" % len(trip.attempts)))
        if level is not None:
            reply.headers.append((b"x-modelbus-level", level.encode()))
        if (variant := trip.variant) is not None:
            reply.headers.append((b"x-modelbus-variant", variant.encode()))
        return reply

    def _course(self, trip: Trip) -> Course:
        deadlines = self._deadlines.within(trip.wishes) if trip.wishes else self._deadlines
        is_resent = self._resends == Resends.ALL or (
            self._resends == Resends.TEXT and not trip.ask.endpoint.makes_media
        )
        return Course(deadlines, asyncio.get_running_loop().time() + deadlines.total_s, is_resent)

    async def _level(self, trip: Trip, wanted: Wanted) -> str | None:
        """Answer how complex the request is, where what serves it depends on that; a form is not read for it."""
        if wanted.meaning.complexity is None or trip.ask.form is not None:
            return None
        trip.ruling = await self._levels.rule(trip, wanted.meaning.complexity, self.carry)
        return trip.ruling.level

    async def _try_all(self, trip: Trip, offers: list[Offer], course: Course) -> Reply | None:
        for offer in offers:
            if not course.leads_to(offer.step):
                continue
            reply = await self._try_offer(trip, offer, course)
            if reply is not None:
                return reply
            if len(trip.attempts) >= MOST_ATTEMPTS or course.is_over(asyncio.get_running_loop().time()):
                break
        return None

    async def _try_offer(self, trip: Trip, offer: Offer, course: Course) -> Reply | None:
        """Try one source with one credential after another; None leaves the request to the next source."""
        if not offer.credentials and not offer.supplier.requires_credential:
            return await self._attempt(trip, offer, None, course)
        tried: set[UUID] = set()
        while credential := next_credential(offer, tried, self._standings, monotonic()):
            tried.add(credential.id)
            reply = await self._attempt(trip, offer, credential, course)
            if reply is not None:
                return reply
            if not course.failures[-1].is_credentials or len(trip.attempts) >= MOST_ATTEMPTS:
                return None
        if not tried:
            course.failures.append(self._nothing_usable(offer))
        return None

    def _nothing_usable(self, offer: Offer) -> Failure:
        now = monotonic()
        waits = [self._standings.out_for(one, now) for one in offer.credentials]
        if not all(self._standings.is_refused(one, now) for one in offer.credentials):
            return Failure.of_quota(offer.supplier.name, min(waits))
        return Failure(
            offer.supplier.name,
            "no usable credential",
            cause=Cause.RATE_LIMIT,
            is_credentials=True,
            retry_in_s=min(waits, default=None),
        )

    async def _attempt(self, trip: Trip, offer: Offer, credential: Credential | None, course: Course) -> Reply | None:
        try:
            call = self._calls.write(trip, offer, credential)
            allowance = self._calls.draw(trip, credential)
        except UntranslatableError as error:
            course.failures.append(Failure.of(offer.supplier.name, error))
            return None
        except UnusableCredentialError as error:
            log.error("credential can't be used", credential=str(credential and credential.id), error=str(error))  # noqa: TRY400 - the trace tells nothing more
            if credential is not None:
                self._standings.put_out(credential, monotonic() + REJECTED_S, monotonic())
            course.failures.append(Failure(offer.supplier.name, "a credential that can't be used", is_credentials=True))
            return None
        except RateLimitedError as error:
            course.failures.append(Failure.of_quota(offer.supplier.name, error.retry_after_s))
            return None
        if credential is not None:
            self._standings.note_use(credential)
        attempt = trip.begin_attempt(offer, credential, self._balancer.loads.begin(offer.id))
        attempt.allowance = allowance
        return await self._make(trip, call, attempt, course)

    async def _make(self, trip: Trip, call: Call, attempt: Attempt, course: Course) -> Reply | None:
        trial = attempt.trial = self._breakers.begin(attempt.offer.source.id, monotonic())

        def note(error: AttemptFailedError) -> Attempts:
            failure = Failure.of(attempt.offer.supplier.name, error, attempt.number, attempt.latency_ms)
            course.failures.append(failure)
            # A caller that is in a hurry must not take a source away from the others, and neither may its long chain.
            is_hurried = bool(trip.wishes) or asyncio.get_running_loop().time() >= course.until
            _tell(trial, error, is_hurried=is_hurried)
            return [failure.told() for failure in course.failures]

        try:
            reply = await self._calls.make(call, trip, attempt, course, note)
        except AttemptFailedError as error:
            attempt.end(FAILED, error)
            note(error)
            if isinstance(error, CredentialRefusedError):
                self._refused(attempt, error)
            return None
        if attempt.credential is not None:
            self._standings.note_served(attempt.credential, attempt.begun)
        return reply

    def _refused(self, attempt: Attempt, error: CredentialRefusedError) -> None:
        if isinstance(error, CredentialTooSmallError):
            return
        if attempt.credential is not None and attempt.status is not None:
            is_cooled = isinstance(error, CredentialCooledError)
            refused = Refused(attempt.credential, attempt.status, is_cooled, error.out_s)
            self._standings.refuse(refused, monotonic())


def _tell(trial: Trial, error: AttemptFailedError, *, is_hurried: bool) -> None:
    """Tell the breaker what a failure says of the source."""
    if isinstance(error, ComplaintError):
        trial.succeeded(monotonic())
    elif isinstance(error, CredentialRefusedError) or (isinstance(error, TimedOutError) and is_hurried):
        trial.learnt_nothing()
    else:
        trial.failed(monotonic(), error.what)


def _unserved(trip: Trip, refusal: Refusal) -> Reply:
    """Count in the place of suppliers that can't; nothing else is done without one."""
    if not (trip.ask.endpoint.is_counting and isinstance(refusal, NoCapableSourceError)):
        raise refusal
    counted = b'{"input_tokens":%d}' % prompt_tokens(trip.ask.fields)
    return Reply(200, counted, [(b"content-type", JSON), (b"x-modelbus-estimate", b"true")])
