"""A container engine's API, as far as Testcontainers asks it; what it starts are programs of this machine."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol


class Server(Protocol):
    """What an image is here."""

    def restart(self) -> None: ...

    def kill(self) -> None: ...


@dataclass
class Contained:
    """A container."""

    wanted: dict[str, Any]
    server: Server
    ports: dict[str, Any]
    is_running: bool = False

    def start(self) -> None:
        self.server.restart()
        self.is_running = True

    def kill(self) -> None:
        self.server.kill()
        self.is_running = False


type Run = Callable[[dict[str, Any]], tuple[Server, int]]
"""Makes the server that a container's description asks for; answers it and its port on this machine."""


@dataclass
class Engine:
    """What it was asked for."""

    runs: dict[str, Run]
    """By image."""
    url: str = ""
    containers: dict[str, Contained] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Answer a request of the API, of any version."""
        told: Any = None
        match method, *path.partition("?")[0].removeprefix("/").split("/"):
            case "GET", "_ping":
                told = "OK"
            case "GET", "version":
                told = {"ApiVersion": "1.44"}
            case "GET", "images", image, "json":
                told = {"Id": image}
            case "POST", "containers", "create":
                told = {"Id": self._create(body)}
            case "GET", "containers", id_, "json":
                told = self._show(id_)
            case "POST", "containers", id_, "start":
                self.containers[id_].start()
            case "POST", "containers", id_, "kill":
                self.containers[id_].kill()
            case "DELETE", "containers", id_:
                self.containers[id_].kill()
                self.removed.append(id_)
            case _:
                return 501, {"message": f"{method} {path}"}
        return (204 if told is None else 200), told

    def _create(self, wanted: dict[str, Any]) -> str:
        server, port = self.runs[wanted["Image"]](wanted)
        [inside] = wanted["ExposedPorts"]
        id_ = f"{len(self.containers):064x}"
        self.containers[id_] = Contained(wanted, server, {inside: [{"HostIp": "0.0.0.0", "HostPort": str(port)}]})
        return id_

    def _show(self, id_: str) -> dict[str, Any]:
        one = self.containers[id_]
        state = "running" if one.is_running else "exited"
        return {"Id": id_, "State": {"Status": state}, "NetworkSettings": {"Ports": one.ports}, "Config": {}}


@contextmanager
def answering(**runs: Run) -> Iterator[Engine]:
    """Answer on a socket."""
    engine = Engine({image.replace("_", ":", 1).replace("_", "-"): run for image, run in runs.items()})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            status, told = engine.answer(self.command, re.sub(r"^/v[\d.]+", "", self.path), body)
            said = b"" if told is None else told.encode() if isinstance(told, str) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - names of the base class

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        engine.url = f"tcp://127.0.0.1:{server.server_port}"
        yield engine
        server.shutdown()
        thread.join()
