"""The NATS server with JetStream, on the loopback interface."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from modelbus.launcher.asking import ask
from modelbus.launcher.binaries import nats_server
from modelbus.launcher.errors import (
    CorruptStreamsError,
    DiskFullError,
    HomeNotWritableError,
    LaunchError,
    PortInUseError,
)
from modelbus.launcher.ports import LOOPBACK, free_port
from modelbus.launcher.program import Ailment, Program, wait_ready
from modelbus.launcher.room import has_room

CONFIGURATION = """\
# Written at every start; what is changed here is lost.
server_name: modelbus
listen: {listen}
max_payload: 8MB
jetstream {{
  store_dir: {store}
  max_memory_store: 64MB
  max_file_store: 4GB
}}
"""
GIVEN_UP = ("write error", "JetStream not enabled")
"""A stream that could not be written acknowledges nothing more; where the server is one of a cluster, none of them."""
CORRUPT = ("Can't start JetStream", "Stream metafile", "Missing stream metafile", "Missing consumer metafile")


class NatsServer(Program):
    """A NATS server whose configuration and streams live in one directory."""

    def __init__(
        self, directory: Path, port: int, *, log: Path | None = None, passwords: Mapping[str, str] | None = None
    ) -> None:
        """With `passwords`, by user, only these may enter: what each may do is in `users`, which must exist then."""
        super().__init__("nats", log or directory / "nats.log")
        self.directory = directory
        self.port = port
        self._passwords = passwords or {}
        self._monitor = 0

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def health_url(self) -> str:
        """Where the server tells how it is."""
        return f"http://{LOOPBACK}:{self._monitor}/healthz"

    @property
    def users(self) -> Path:
        """The file of users and permissions that the configuration includes."""
        return self.directory / "users.conf"

    def environment(self) -> Mapping[str, str] | None:
        """What the server sees; quoted, as it would read a password that begins with a digit as a number."""
        known = {f"MODELBUS_NATS_{user.upper()}_PASSWORD": f'"{each}"' for user, each in self._passwords.items()}
        return {**os.environ, **known}

    def prepare(self) -> None:
        """Write the configuration."""
        self.directory.mkdir(parents=True, exist_ok=True)
        listen, store = json.dumps(f"{LOOPBACK}:{self.port}"), json.dumps(str(self.directory))
        text = CONFIGURATION.format(listen=listen, store=store)
        if self._passwords:
            text += f"include {json.dumps(self.users.name)}\n"
        self._configuration.write_text(text)

    def command(self) -> list[str]:
        """Name the program and its configuration."""
        return [str(nats_server()), "-c", str(self._configuration), "-m", str(self._monitor)]

    def start(self) -> None:
        """Start the process; its health is on another port each time, as one that was free may be taken by now."""
        self._monitor = free_port()
        super().start()

    def is_ready(self) -> bool:
        """Say whether the server greets; it does so only once all streams are restored."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                return self.is_running and connection.recv(4) == b"INFO"
        except OSError:
            return False

    def ailment(self) -> Ailment | None:
        """Find a stream that the server could not write: it takes nothing more, room or not, until it is started."""
        try:
            health = json.loads(ask(self.health_url).partition("\r\n\r\n")[2])
        except ValueError:
            return None
        reason = health.get("error", "")
        if not any(sign in reason for sign in GIVEN_UP):
            return None
        return Ailment(f"it can't write: {reason}", is_curable=has_room(self.directory))

    def failure(self) -> LaunchError:
        """Tell a taken port, a full or read-only disk and a spoilt store from the rest."""
        said = self.said()
        if "address already in use" in said:
            return PortInUseError("nats", self.port)
        if "no space left" in said:
            return DiskFullError(self.directory)
        if "storage directory is not writable" in said:
            return HomeNotWritableError(self.directory / "jetstream", "NATS could not write there")
        return self.corruption() or super().failure()

    def corruption(self) -> LaunchError | None:
        """Find what the server has said of a spoilt store: it starts without the streams that it can't read."""
        for line in self.said().splitlines():
            if any(sign in line for sign in CORRUPT):
                return CorruptStreamsError(self.directory / "jetstream", line.split("] ")[-1].strip())
        return None

    @property
    def _configuration(self) -> Path:
        return self.directory / "nats.conf"


def start_nats(directory: Path, port: int = 0, *, passwords: Mapping[str, str] | None = None) -> NatsServer:
    """Start a server and wait until it is ready; port 0 takes a free one, kept at a restart."""
    server = NatsServer(directory, port or free_port(), passwords=passwords)
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)
    return server
