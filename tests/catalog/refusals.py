"""What a refusal says."""

import httpx


def fields_of(answer: httpx.Response) -> list[str]:
    """Answer the paths of the fields that were refused."""
    return [error["field"] for error in answer.json()["errors"]]
