"""A catalog's feed as a process of its own: away until there is a snapshot in its file, and of an epoch of its own."""

import json
import sys
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

FILE = Path(sys.argv[-1])


class _Told(msgspec.Struct):
    epoch: str
    revision: int


class LateFeed(BaseHTTPRequestHandler):
    """Answers with the file, whatever the kinds that are asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        asked = urlsplit(self.path)
        if not FILE.exists():
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE)
        elif asked.path.endswith("/snapshot"):
            self._answer(HTTPStatus.OK, snapshot()[0])
        elif parse_qs(asked.query).get("epoch") == [snapshot()[1]["epoch"]]:
            self._answer(HTTPStatus.OK, json.dumps(snapshot()[1] | {"changes": []}).encode())
        else:
            self._answer(HTTPStatus.GONE)

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@cache
def snapshot() -> tuple[bytes, dict[str, object]]:
    """Read the file once; answer it, and where its records stand."""
    body = FILE.read_bytes()
    told = msgspec.json.decode(body, type=_Told)
    return body, msgspec.structs.asdict(told)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), LateFeed).serve_forever()
