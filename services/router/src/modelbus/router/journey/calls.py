"""One call of a supplier: what is sent, and what its answer comes to."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from modelbus.router.balance.offers import NO_DEFAULTS, Offer
from modelbus.router.cache.keyring import Keyring
from modelbus.router.cache.records import Credential
from modelbus.router.domain.errors import MalformedAnswerError
from modelbus.router.domain.verdicts import Verdict, judge
from modelbus.router.journey.complaint import complaint_of
from modelbus.router.journey.course import Course
from modelbus.router.journey.failures import ComplaintError
from modelbus.router.journey.patience import limits_of
from modelbus.router.journey.reply import JSON, Headers, Reply
from modelbus.router.journey.stream import Broken, RelayedStream
from modelbus.router.journey.trip import OK, Attempt, Trip
from modelbus.router.limits.allowance import Allowance
from modelbus.router.limits.quotas import Quotas
from modelbus.router.upstream.client import Answer, Client, Target
from modelbus.router.wire.endpoints import Speech
from modelbus.router.wire.envelopes import ANTHROPIC
from modelbus.router.wire.estimates import whole_tokens
from modelbus.router.wire.versions import USUAL_VERSION


class Call(NamedTuple):
    """All that is sent."""

    speech: Speech
    target: Target
    body: bytes


@dataclass(frozen=True, slots=True)
class Calls:
    """Writes calls and makes them."""

    client: Client
    keyring: Keyring
    answer_bytes: int
    """The longest answer that is no stream, and the longest event of one."""
    quotas: Quotas

    def write(self, trip: Trip, offer: Offer, credential: Credential | None) -> Call:
        """Say the request as this source is to hear it; nothing of the caller's headers goes there but its version.

        Raises:
            UntranslatableError: it can't be said in the words of this supplier.
            UnusableCredentialError: no key opens the credential.
        """
        speech = trip.ask.endpoint.speeches[offer.protocol]
        headers = {"Content-Type": trip.ask.content_type}
        if speech.protocol == ANTHROPIC:
            headers |= {"anthropic-version": USUAL_VERSION, **trip.ask.versions}
        body = _said(trip, speech, offer)
        if credential is not None:
            secret = self.keyring.open(credential)
            if speech.protocol == ANTHROPIC:
                headers["x-api-key"] = secret
            else:
                headers["Authorization"] = f"Bearer {secret}"
        return Call(speech, Target(offer.supplier.base_url + speech.path, headers, offer.supplier.is_local), body)

    def draw(self, trip: Trip, credential: Credential | None) -> Allowance | None:
        """Take what the request needs of what the supplier allows the credential; None where nothing limits it.

        Raises:
            RateLimitedError: there is no room for it.
        """
        return None if credential is None else self.quotas.draw(credential, trip.ask.fields)

    async def make(self, call: Call, trip: Trip, attempt: Attempt, course: Course, broken: Broken) -> Reply:
        """Send it, and answer once the caller can be told something.

        Raises:
            AttemptFailedError: it came to nothing; ComplaintError where the supplier says that the request is at fault.
        """
        deadlines = course.deadlines
        if narrower := limits_of(attempt.offer.model):
            deadlines = deadlines.within(narrower)
        begun = asyncio.get_running_loop().time()
        until = min(course.until, begun + deadlines.total_s)
        answer = await self.client.post(call.target, call.body, until=until, deadlines=deadlines)
        attempt.status = answer.status
        is_relayed = False
        try:
            _demand_plain(answer)
            verdict = judge(answer.status)
            if verdict is not Verdict.SERVED:
                raise await _complaint(call, trip, attempt, answer, verdict)
            if trip.ask.is_stream and call.speech.events:
                events = call.speech.events(trip.ask.shows_usage)
                events.largest_event = self.answer_bytes
                stream = RelayedStream(answer, attempt, events, ask=trip.ask, until=until, broken=broken)
                by = min(begun + deadlines.first_token_s, until)
                await stream.begin(by, call.speech.stream_type, len(call.body))
                is_relayed = True
                return Reply(answer.status, stream, _headers(answer, attempt))
            told = call.speech.read(await answer.read(self.answer_bytes))
            attempt.tokens, attempt.end_reason = told.tokens, told.end_reason
            if trip.ask.endpoint.says_words:
                attempt.tokens = whole_tokens(told.tokens, trip.ask.fields, told.body)
            attempt.end(OK)
            return Reply(answer.status, told.body, _headers(answer, attempt))
        finally:
            if not is_relayed:
                answer.close()


async def _complaint(call: Call, trip: Trip, attempt: Attempt, answer: Answer, verdict: Verdict) -> ComplaintError:
    told, cause = await complaint_of(answer, verdict, trip.ask.endpoint.protocol, call.speech.protocol)
    return ComplaintError(answer.status, cause, Reply(answer.status, told, _headers(answer, attempt, JSON)))


def _said(trip: Trip, speech: Speech, offer: Offer) -> bytes:
    ask, name = trip.ask, offer.source.upstream_name
    defaults = NO_DEFAULTS if ask.endpoint.is_counting else offer.defaults_for(ask.fields)
    return ask.body_for(name, defaults) if speech.write is None else speech.write({**ask.fields, **defaults}, name)


def _demand_plain(answer: Answer) -> None:
    # Nothing encoded was asked for; whatever it would inflate to is none of ours.
    if answer.headers.get("content-encoding", "identity") != "identity":
        raise MalformedAnswerError("answered in an encoding that was not asked for")


def _headers(answer: Answer, attempt: Attempt, content_type: bytes | None = None) -> Headers:
    """Say who served; of the supplier's own headers only these two go on."""
    headers: Headers = [
        (b"content-type", content_type or _ascii(answer.headers.get("content-type")) or JSON),
        (b"x-modelbus-source", str(attempt.offer.source.id).encode()),
    ]
    if retry_after := _ascii(answer.headers.get("retry-after")):
        headers.append((b"retry-after", retry_after))
    return headers


def _ascii(value: str | None) -> bytes | None:
    return value.encode() if value and value.isascii() and value.isprintable() else None
