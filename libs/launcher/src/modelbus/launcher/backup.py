"""Backup: the whole configuration of what runs, into a file and back, through the catalog's REST API."""

from pathlib import Path

import httpx

from modelbus.launcher.endpoints import read_endpoints
from modelbus.launcher.errors import BackupFailedError
from modelbus.launcher.files import replacing
from modelbus.launcher.home import Home

TIMEOUT_S = 600.0
"""A large catalog takes its time, and the answer to a restore comes when all of it is done."""


def backup(home: Home, file: Path) -> None:
    """Write the configuration to a new file; its secrets stay under the master key.

    Raises:
        BackupFailedError: nothing runs, or the catalog refuses, or the file is there already or can't be written.
    """
    if file.exists():
        raise BackupFailedError(f"{file} is there already, and no backup is overwritten")
    with catalog_of(home) as catalog:
        try:
            with catalog.stream("GET", "/api/v1/export", params={"secrets": "master"}) as answer:
                refuse_refusal(answer)
                # Nobody else's to read: it holds sealed secrets.
                with replacing(file) as written:
                    for chunk in answer.iter_bytes():
                        written.write(chunk)
        except OSError as error:
            raise BackupFailedError(f"{file} can't be written: {error.strerror}") from error
        except httpx.HTTPError as error:
            raise BackupFailedError(f"the catalog does not answer: {error!r}") from error
    print(f"{file} holds the whole configuration. Keep {home.secrets} too: it has the master key.")


def restore(home: Home, file: Path, *, replace: bool) -> None:
    """Put the file in place of the configuration of what runs.

    Raises:
        BackupFailedError: nothing runs, or the catalog refuses; then nothing was changed.
    """
    with catalog_of(home) as catalog:
        try:
            with file.open("rb") as document:
                answer = catalog.post("/api/v1/restore", content=document, params={"replace": str(replace).lower()})
        except OSError as error:
            raise BackupFailedError(f"{file} can't be read: {error.strerror}") from error
        except httpx.HTTPError as error:
            raise BackupFailedError(f"the catalog does not answer: {error!r}") from error
        refuse_refusal(answer)
    print(f"The configuration is what {file} says.")


def catalog_of(home: Home) -> httpx.Client:
    """Answer a client of the catalog that runs from the home, with the administrator's token."""
    found = read_endpoints(home)
    if found is None:
        raise BackupFailedError(f"Modelbus does not run from {home.path}; start it first")
    headers = {"Authorization": f"Bearer {found['admin_token']}"}
    return httpx.Client(base_url=found["catalog"], headers=headers, timeout=TIMEOUT_S, trust_env=False)


def refuse_refusal(answer: httpx.Response) -> None:
    """Raise what the catalog refused, in its words."""
    if answer.is_error:
        answer.read()
        raise BackupFailedError(str(answer.json().get("detail", answer.text)))
