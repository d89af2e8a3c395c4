"""The `Idempotency-Key` of a request: its header, and how one is refused."""

HEADER = "idempotency-key"
REPLAYED = "idempotency-replayed"
LONGEST_KEY = 255


class IdempotencyKeyMalformedError(Exception):
    """The header holds nothing that can be a key."""

    code = "idempotency_key_malformed"

    def __init__(self) -> None:
        super().__init__(f"Idempotency-Key: must be 1 to {LONGEST_KEY} printable ASCII characters")
        self.errors = [{"field": "Idempotency-Key", "message": f"must be 1 to {LONGEST_KEY} printable characters"}]


class IdempotencyKeyReusedError(Exception):
    """The key was used for another request."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: this key was used for another request; take a new one")
        self.errors = [{"field": "Idempotency-Key", "message": "must be new for another path or body"}]


class IdempotencyAnswerLostError(Exception):
    """The request was done before, under a master key that is no more."""

    code = "idempotency_answer_lost"

    def __init__(self) -> None:
        super().__init__("Idempotency-Key: this was done before, but its answer can't be read any more; look it up")
        self.errors = [{"field": "Idempotency-Key", "message": "must be new"}]
