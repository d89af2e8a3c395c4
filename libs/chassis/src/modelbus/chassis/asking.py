"""`python -m modelbus.chassis.asking [PATH]`: is what runs in this container ready? For images that have no curl."""

import http.client
import os
import sys

READY = "/health/ready"
PATIENCE_S = 2


def ask(port: int, path: str) -> tuple[int, str]:
    """Answer the status and the body that a path on this machine gives.

    Raises:
        OSError: nobody answers.
        http.client.HTTPException: what answers is no HTTP server.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(4096).decode(errors="replace")
    finally:
        connection.close()


def main() -> int:
    """Answer 0 where it is ready, else 1 with what it says is missing."""
    path = sys.argv[1] if len(sys.argv) > 1 else READY
    try:
        status, said = ask(int(os.environ.get("MODELBUS_PORT", "8000")), path)
    except (OSError, http.client.HTTPException) as error:
        status, said = 0, f"no answer: {error}"
    print(said)  # noqa: T201 - what `docker inspect` shows
    return 0 if status == http.client.OK else 1


if __name__ == "__main__":
    sys.exit(main())
