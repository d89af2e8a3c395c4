"""The NATS of the composition is ended by its health check where only a new start helps, and started by Compose."""

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest
from nats.errors import TimeoutError as NatsTimeoutError

from deployment.composition import ROOT, services
from faults.disks import small_disk
from launcher.waiting import wait_until
from modelbus.launcher.nats import NatsServer, start_nats
from running import free_port

NC = f"""#!{sys.executable} -IS
import socket, sys
with socket.create_connection((sys.argv[-2], int(sys.argv[-1])), 2) as connection:
    connection.sendall(sys.stdin.buffer.read())
    while heard := connection.recv(65536):
        sys.stdout.buffer.write(heard)
"""
"""As far as it is used; the image has another."""
LARGE = b"x" * 8192


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "nc").write_text(NC)
    (programs / "nc").chmod(0o755)
    return programs


def look(server: NatsServer, programs: Path) -> subprocess.CompletedProcess[str]:
    """Do what the engine does every two seconds."""
    monitor = str(urlsplit(server.health_url).port)
    return subprocess.run(
        ["/bin/sh", ROOT / "deploy/nats/health.sh", monitor, server.directory, str(server.pid)],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_it_ends_a_server_that_gave_a_stream_up_once_there_is_room(programs: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "store", "32m") as disk:
        server = start_nats(disk.path, free_port())
        client = await nats.connect(server.url)
        context = client.jetstream(timeout=0.5)
        await context.add_stream(name="KEPT", subjects=["kept"])
        assert look(server, programs).returncode == 0
        disk.fill()
        with pytest.raises(NatsTimeoutError):
            await context.publish("kept", LARGE)
        await client.close()

        full = look(server, programs)
        assert (full.returncode, server.is_running) == (1, True)
        assert "no space left on device" in full.stdout
        disk.free()
        assert look(server, programs).returncode == 1
        wait_until(lambda: not server.is_running)

        assert [path.name for path in disk.path.glob("*.probe")] == []
        server.restart()
        well = look(server, programs)
        assert (well.returncode, well.stdout) == (0, '{"status":"ok"}')
        server.stop()


@pytest.mark.parametrize("name", ["nats", "nats-2", "nats-3"])
def test_the_composition_asks_for_it_and_starts_what_has_ended(name: str) -> None:
    service = services()[name]
    *run, monitor, store, process = service["healthcheck"]["test"]

    assert run == ["CMD", "sh", "/etc/modelbus/health.sh"]
    assert f'http: "0.0.0.0:{monitor}"' in (ROOT / "deploy/nats/nats.conf").read_text()
    assert [volume.partition(":")[2] for volume in service["volumes"]] == [store]
    assert process == "1"
    assert service["restart"] == "unless-stopped"
