"""The memo answers what was answered before, and lets everything else go its way to suppliers."""

from functools import partial

from modelbus.router.journey.journeys import Journeys
from modelbus.router.journey.reply import Reply
from modelbus.router.journey.trip import Trip
from modelbus.router.memo.answers import Answers
from modelbus.router.memo.questions import question_of
from modelbus.router.memo.repeats import Claim, Repeats


class Memo:
    """Carries requests as journeys do, but those that need none."""

    def __init__(self, journeys: Journeys, answers: Answers, repeats: Repeats) -> None:
        self._journeys = journeys
        self._answers = answers
        self._repeats = repeats

    async def carry(self, trip: Trip, claim: Claim | None) -> Reply:
        """Answer the request; under a claim the same request is carried once.

        Raises:
            Refusal: nobody may, can or does serve it, or the claim's key stands for another request.
        """
        if claim is None or trip.ask.is_stream:
            return await self._carry(trip)
        reply, is_repeated = await self._repeats.once(claim, partial(self._carry, trip))
        trip.is_cached = trip.is_cached or is_repeated
        return reply

    async def _carry(self, trip: Trip) -> Reply:
        question = question_of(trip.table, trip.caller, trip.ask)
        if question is None:
            return await self._journeys.carry(trip)
        kept = self._answers.find(question, trip.table)
        if kept is not None:
            trip.is_cached = True
            return kept
        reply = await self._journeys.carry(trip)
        self._answers.keep(question, trip, reply)
        return reply
