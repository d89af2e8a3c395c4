"""The NATS server with JetStream, on the loopback interface."""

import json
import socket
from pathlib import Path

from modelbus.launcher.binaries import nats_server
from modelbus.launcher.errors import CorruptStreamsError, DiskFullError, LaunchError, PortInUseError
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

    def __init__(self, directory: Path, port: int, *, log: Path | None = None) -> None:
        super().__init__("nats", log or directory / "nats.log")
        self.directory = directory
        self.port = port

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"nats://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        """Write the configuration."""
        self.directory.mkdir(parents=True, exist_ok=True)
        listen, store = json.dumps(f"{LOOPBACK}:{self.port}"), json.dumps(str(self.directory))
        self._configuration.write_text(CONFIGURATION.format(listen=listen, store=store))

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
        """Tell a taken port and a spoilt store from the rest."""
        said = self.said()
        if "address already in use" in said:
            return PortInUseError("nats", self.port)
        if "no space left" in said:
            return DiskFullError(self.directory)
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


def start_nats(directory: Path, port: int = 0) -> NatsServer:
    """Start a server and wait until it is ready; port 0 takes a free one, kept at a restart."""
    server = NatsServer(directory, port or free_port())
    server.prepare()
    server.start()
    wait_ready([server], within_s=10)
    return server
