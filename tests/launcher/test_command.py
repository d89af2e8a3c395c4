"""The command as a person calls it: one sentence and an exit code for what can go wrong, never a traceback."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from modelbus.launcher.lock import Lock
from modelbus.launcher.progress import Progress


def launch(directory: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelbus.launcher", *arguments],
        cwd=directory,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_port_in_use_ends_the_start_with_code_13(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = launch(tmp_path, "up", MODELBUS_CATALOG_PORT=port)

    assert ended.returncode == 13
    assert ended.stderr.startswith(f"Port {port} for catalog")
    assert len(ended.stderr.splitlines()) == 1


def test_a_second_start_says_that_it_runs_already_with_code_12(tmp_path: Path) -> None:
    (tmp_path / ".modelbus").mkdir()
    lock = Lock(tmp_path / ".modelbus" / "lock")
    lock.take(Progress())

    ended = launch(tmp_path, "up")

    lock.release()
    assert ended.returncode == 12
    assert f"process {os.getpid()}" in ended.stderr


def test_a_home_that_cannot_be_made_ends_the_start_with_code_11(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = launch(tmp_path, "up", MODELBUS_HOME="file/home")

    assert ended.returncode == 11
    assert "MODELBUS_HOME" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_bad_setting_ends_the_start_with_code_2(tmp_path: Path) -> None:
    ended = launch(tmp_path, "up", MODELBUS_ROUTER_PORT="many")

    assert (ended.returncode, "MODELBUS_ROUTER_PORT" in ended.stderr) == (2, True)


def test_nothing_running_is_status_3_and_nothing_to_forget_is_fine(tmp_path: Path) -> None:
    assert launch(tmp_path, "status").returncode == 3
    assert launch(tmp_path, "reset").returncode == 0
    assert list(tmp_path.iterdir()) == []
