"""Suppliers are asked for their models: again after a pause where that may help, or with the next credential."""

import asyncio
import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import httpx
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential_jitter,
)

from modelbus.chassis.carrier import Carrier
from modelbus.contracts.records import SupplierRecord
from modelbus.sync.clients.answers import Answer, Delivery, RefusedKey
from modelbus.sync.clients.endpoint import Endpoint, Limits
from modelbus.sync.clients.entries import Fetched
from modelbus.sync.clients.flavours import Flavour
from modelbus.sync.clients.guard import GuardedTransport
from modelbus.sync.clients.replay import read_again
from modelbus.sync.domain.errors import (
    CredentialRefusedError,
    EmptyListingError,
    FetchFailedError,
    ListingUnchangedError,
    RateLimitedError,
    TransientError,
    UnusableAnswerError,
)
from modelbus.sync.domain.validators import Validators

LONGEST_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class OpenCredential:
    """A credential whose secret is open; only for the length of a run."""

    name: str
    secret: str
    id: UUID | None = None
    generation: int = 1

    def __repr__(self) -> str:
        return f"OpenCredential({self.name!r})"


@dataclass(frozen=True, slots=True)
class Answered:
    """A listing, and how many tries it took."""

    fetched: Fetched | None
    """None where it is the one that is known."""
    attempts: int


class Suppliers:
    """Asks any supplier, by its flavour."""

    def __init__(self, limits: Limits, flavours: Mapping[str, Flavour], tls: ssl.SSLContext) -> None:
        self._limits = limits
        self._flavours = flavours
        self._tls = tls

    async def fetch_listing(
        self,
        supplier: SupplierRecord,
        credentials: Sequence[OpenCredential],
        *,
        known: Validators | None = None,
        delivery: Delivery | None = None,
    ) -> Answered:
        """Ask for the models, within the limits.

        With `known`, only if the listing is another one by now. `delivery` shows what has come, also while it comes.

        Raises:
            FetchFailedError: it can't be had; says why.
        """
        flavour = self._flavour_of(supplier)
        delivery = delivery or Delivery()
        ring = _Ring(credentials, delivery.refused)
        retrying = self._retrying(len(credentials))
        attempts = 0
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                async for attempt in retrying:
                    attempts = attempt.retry_state.attempt_number
                    with attempt:
                        delivery.begin()
                        client = self._client(supplier)
                        asked = Endpoint(client, supplier, ring.secret, self._limits, known=known, delivery=delivery)
                        return Answered(await _ask(flavour, client, asked, ring), attempts)
        except ListingUnchangedError:
            return Answered(None, attempts)
        except TransientError as error:
            tries = "1 try" if attempts == 1 else f"{attempts} tries"
            raise FetchFailedError(f"{error}; gave up after {tries}", attempts=attempts) from error
        except UnusableAnswerError as error:
            raise FetchFailedError(str(error), attempts=attempts) from error
        except TimeoutError as error:
            reason = f"no listing within {self._limits.deadline_s:g} s"
            raise FetchFailedError(reason, attempts=attempts) from error
        raise AssertionError("retrying ends by an answer or an error")

    async def read_again(self, supplier: SupplierRecord, answers: list[Answer]) -> tuple[Fetched, int | None]:
        """Read what the supplier once answered as its listing would be read now; answer it and the declared count.

        Raises:
            FetchFailedError: that is no listing.
        """
        try:
            return await read_again(self._flavour_of(supplier), supplier, answers)
        except UnusableAnswerError as error:
            raise FetchFailedError(str(error)) from error

    def _flavour_of(self, supplier: SupplierRecord) -> Flavour:
        flavour = self._flavours.get(supplier.flavour)
        if flavour is None:
            raise FetchFailedError(f"no adapter reads listings of the flavour '{supplier.flavour}'")
        return flavour

    def _retrying(self, credentials: int) -> AsyncRetrying:
        back_off = wait_exponential_jitter(
            multiplier=self._limits.first_pause_s, max=LONGEST_PAUSE_S, jitter=self._limits.first_pause_s
        )

        def pause_s(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.pause_s if isinstance(error, TransientError) else None
            return back_off(state) if asked is None else asked

        return AsyncRetrying(
            retry=retry_if_exception_type(TransientError),
            wait=pause_s,
            # Turning to the next credential is no second try at the same thing.
            stop=stop_after_attempt(self._limits.tries + max(credentials - 1, 0))
            # A pause that the supplier asks for, but the deadline does not allow, ends the run at once.
            | stop_before_delay(self._limits.deadline_s),
            reraise=True,
        )

    def _client(self, supplier: SupplierRecord) -> httpx.AsyncClient:
        # A client of its own per request: connections are pooled by address, and two suppliers may share one.
        timeout = httpx.Timeout(self._limits.read_s, connect=self._limits.connect_s)
        carrier = Carrier(verify=self._tls)
        guarded = GuardedTransport(carrier, is_local=supplier.is_local)
        return httpx.AsyncClient(transport=guarded, timeout=timeout, follow_redirects=False, trust_env=False)


async def _ask(flavour: Flavour, client: httpx.AsyncClient, endpoint: Endpoint, ring: "_Ring") -> Fetched:
    try:
        async with client:
            return await flavour.list_models(endpoint)
    except EmptyListingError:
        return Fetched([], [])
    except CredentialRefusedError as error:
        ring.drop(error)
        raise
    except RateLimitedError as error:
        ring.pass_on(error)
        raise


class _Ring:
    """Whose turn it is: refused credentials are out, limited ones go behind the others."""

    def __init__(self, credentials: Sequence[OpenCredential], refused: list[RefusedKey]) -> None:
        self._turns = deque(credentials)
        self._refused = refused
        self._limited: set[str] = set()
        self._refusals: list[str] = []

    @property
    def secret(self) -> str | None:
        """Answer the secret whose turn it is; None where there is no credential at all."""
        return self._turns[0].secret if self._turns else None

    def drop(self, error: CredentialRefusedError) -> None:
        """Take the credential out; without another one that is the end."""
        if not self._turns:
            raise UnusableAnswerError(f"{error} to a request without credential") from error
        credential = self._turns.popleft()
        self._refusals.append(f"credential '{credential.name}': {error}")
        if credential.id is not None and error.status is not None:
            self._refused.append(RefusedKey(credential.id, credential.generation, error.status))
        if not self._turns:
            raise UnusableAnswerError("no credential is accepted: " + "; ".join(self._refusals)) from error
        error.pause_s = 0.0

    def pass_on(self, error: RateLimitedError) -> None:
        """Let the others have a turn at once; only when every one is limited there is a pause."""
        if self._turns:
            self._limited.add(self._turns[0].name)
            self._turns.rotate(-1)
        others_wait = self._turns and self._turns[0].name not in self._limited
        error.pause_s = 0.0 if others_wait else error.retry_after_s
        if not others_wait:
            self._limited.clear()
