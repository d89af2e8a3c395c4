"""The NATS server with JetStream, on the loopback interface."""

import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from modelbus.launcher.binaries import nats_server
from modelbus.launcher.errors import (
    CorruptStreamsError,
    DiskFullError,
    HomeNotWritableError,
    LaunchError,
    PortInUseError,
)
from modelbus.launcher.ports import LOOPBACK, free_port
from modelbus.launcher.program import Program, wait_ready

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

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{LOOPBACK}:{self.port}"

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
        return [str(nats_server()), "-c", str(self._configuration)]

    def is_ready(self) -> bool:
        """Say whether the server greets; it does so only once all streams are restored."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                return self.is_running and connection.recv(4) == b"INFO"
        except OSError:
            return False

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
