"""A request's journey: attempt after attempt, over credentials, sources and chain steps, until one serves.

Attempts end where the caller has been given a first byte; no pair of source and credential is tried twice.
"""

import asyncio
from dataclasses import dataclass
from random import Random
from time import monotonic
from uuid import UUID

from modelbus.chassis.logs import logger
from modelbus.router.balance.choosing import Offer, next_credential, offers_for
from modelbus.router.balance.standings import Standings
from modelbus.router.cache.keyring import Keyring, UnusableCredentialError
from modelbus.router.cache.records import Credential
from modelbus.router.domain.errors import (
    AttemptFailedError,
    CredentialRefusedError,
    MalformedAnswerError,
    MalformedRequestError,
    UntranslatableError,
)
from modelbus.router.domain.verdicts import REJECTED_S, Verdict, judge
from modelbus.router.journey.complaint import complaint_of
from modelbus.router.journey.failures import Failure, refusal_after
from modelbus.router.journey.reply import JSON, Headers, Reply
from modelbus.router.journey.stream import RelayedStream
from modelbus.router.journey.trip import FAILED, OK, Attempt, Trip
from modelbus.router.upstream.client import Answer, Client, Target
from modelbus.router.wire.endpoints import Speech
from modelbus.router.wire.envelopes import ANTHROPIC
from modelbus.router.wire.estimates import prompt_tokens
from modelbus.router.wire.versions import USUAL_VERSION

MOST_ATTEMPTS = 16

log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request and the first token may take, and how long an answer that is no stream may be."""

    total_s: float
    first_token_s: float
    answer_bytes: int


class Journeys:
    """Carries requests to suppliers and back."""

    def __init__(self, client: Client, keyring: Keyring, limits: Limits) -> None:
        self._client = client
        self._keyring = keyring
        self._limits = limits
        self._standings = Standings()
        self._chance = Random()  # noqa: S311 - it spreads load

    async def carry(self, trip: Trip) -> Reply:
        """Bring the request to whoever serves it first, and answer what came back.

        Raises:
            Refusal: nobody may, can or does serve it.
        """
        until = asyncio.get_running_loop().time() + self._limits.total_s
        failures: list[Failure] = []
        offers = offers_for(trip.table, trip.ask.model, trip.caller, self._chance)
        able = [offer for offer in offers if offer.protocol in trip.ask.endpoint.speeches]
        if not able:
            return _unserved(trip)
        for offer in able:
            reply = await self._try_offer(trip, offer, until, failures)
            if reply is not None:
                return reply
            if len(trip.attempts) >= MOST_ATTEMPTS or asyncio.get_running_loop().time() >= until:
                break
        raise refusal_after(failures)

    async def _try_offer(self, trip: Trip, offer: Offer, until: float, failures: list[Failure]) -> Reply | None:
        """Try one source with one credential after another; None leaves the request to the next source."""
        if not offer.credentials and not offer.supplier.requires_credential:
            return await self._attempt(trip, offer, None, until, failures)
        tried: set[UUID] = set()
        while credential := next_credential(offer, tried, self._standings, monotonic()):
            tried.add(credential.id)
            reply = await self._attempt(trip, offer, credential, until, failures)
            if reply is not None:
                return reply
            if not failures[-1].is_credentials or len(trip.attempts) >= MOST_ATTEMPTS:
                return None
        if not tried:
            failures.append(self._nothing_usable(offer))
        return None

    def _nothing_usable(self, offer: Offer) -> Failure:
        waits = [self._standings.out_for(one, monotonic()) for one in offer.credentials]
        return Failure(
            offer.supplier.name, "no usable credential", is_credentials=True, retry_in_s=min(waits, default=None)
        )

    async def _attempt(
        self, trip: Trip, offer: Offer, credential: Credential | None, until: float, failures: list[Failure]
    ) -> Reply | None:
        speech = trip.ask.endpoint.speeches[offer.protocol]
        try:
            body = _said(trip, speech, offer.source.upstream_name)
            target = self._target(trip, speech, offer, credential)
        except UntranslatableError as error:
            failures.append(Failure.of(offer.supplier.name, error))
            return None
        except UnusableCredentialError as error:
            log.error("credential can't be used", credential=str(credential and credential.id), error=str(error))  # noqa: TRY400 - the trace tells nothing more
            self._put_out(credential, REJECTED_S)
            failures.append(Failure(offer.supplier.name, "a credential that can't be used", is_credentials=True))
            return None
        attempt = trip.begin_attempt(offer, credential)
        try:
            return await self._call(trip, attempt, target, body, until)
        except AttemptFailedError as error:
            attempt.end(FAILED, error)
            failures.append(Failure.of(offer.supplier.name, error))
            if isinstance(error, CredentialRefusedError):
                self._put_out(credential, error.out_s)
            return None

    async def _call(self, trip: Trip, attempt: Attempt, target: Target, body: bytes, until: float) -> Reply:
        ask, protocol = trip.ask, attempt.offer.protocol
        speech = ask.endpoint.speeches[protocol]
        first_token_by = min(asyncio.get_running_loop().time() + self._limits.first_token_s, until)
        answer = await self._client.post(target, body, until=until)
        attempt.status = answer.status
        is_relayed = False
        try:
            _demand_plain(answer)
            match judge(answer.status):
                case Verdict.SERVED if ask.is_stream and speech.events:
                    events = speech.events(ask.shows_usage)
                    stream = RelayedStream(
                        answer, attempt, events, ask=ask, stream_type=speech.stream_type, until=until
                    )
                    await stream.begin(first_token_by)
                    is_relayed = True
                    return Reply(answer.status, stream, _headers(answer, trip, attempt))
                case Verdict.SERVED:
                    whole, attempt.tokens = speech.read(await answer.read(self._limits.answer_bytes))
                    attempt.end(OK)
                    return Reply(answer.status, whole, _headers(answer, trip, attempt))
                case verdict:
                    complaint = await complaint_of(answer, verdict, ask.endpoint.protocol, protocol)
                    attempt.end(FAILED, f"{answer.status}: the request is at fault")
                    return Reply(answer.status, complaint, _headers(answer, trip, attempt, content_type=JSON))
        finally:
            if not is_relayed:
                answer.close()

    def _target(self, trip: Trip, speech: Speech, offer: Offer, credential: Credential | None) -> Target:
        """Say where to send: nothing of the caller's headers goes there but the version of its protocol."""
        headers = {"Content-Type": trip.ask.content_type}
        if speech.protocol == ANTHROPIC:
            headers |= {"anthropic-version": USUAL_VERSION, **trip.ask.versions}
        if credential is not None:
            self._standings.note_use(credential)
            secret = self._keyring.open(credential)
            if speech.protocol == ANTHROPIC:
                headers["x-api-key"] = secret
            else:
                headers["Authorization"] = f"Bearer {secret}"
        return Target(offer.supplier.base_url + speech.path, headers, offer.supplier.is_local)

    def _put_out(self, credential: Credential | None, out_s: float) -> None:
        if credential is not None:
            now = monotonic()
            self._standings.put_out(credential, now + out_s, now)


def _said(trip: Trip, speech: Speech, upstream_name: str) -> bytes:
    if speech.write is None:
        return trip.ask.body_for(upstream_name)
    return speech.write(trip.ask.fields, upstream_name)


def _unserved(trip: Trip) -> Reply:
    """Count in the place of suppliers that can't; nothing else is done without one."""
    if not trip.ask.endpoint.is_counting:
        words = f"no supplier of {trip.ask.model!r} speaks the protocol of this path"
        raise MalformedRequestError(words, "model")
    counted = b'{"input_tokens":%d}' % prompt_tokens(trip.ask.fields)
    return Reply(200, counted, [(b"content-type", JSON), (b"x-modelbus-estimate", b"true")])


def _demand_plain(answer: Answer) -> None:
    # Nothing encoded was asked for; whatever it would inflate to is none of ours.
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise MalformedAnswerError("answered in an encoding that was not asked for")


def _headers(answer: Answer, trip: Trip, attempt: Attempt, content_type: bytes | None = None) -> Headers:
    """Say who served; of the supplier's own headers only these two go on."""
    headers: Headers = [
        (b"content-type", content_type or _ascii(answer.headers.get("content-type")) or JSON),
        (b"x-modelbus-source", str(attempt.offer.source.id).encode()),
        (b"x-modelbus-attempts", b"%d" % len(trip.attempts)),
    ]
    if retry_after := _ascii(answer.headers.get("retry-after")):
        headers.append((b"retry-after", retry_after))
    return headers


def _ascii(value: str | None) -> bytes | None:
    return value.encode() if value and value.isascii() and value.isprintable() else None
