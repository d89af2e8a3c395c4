"""Directories for servers that run as another user."""

import tempfile
from pathlib import Path


def public_temporary_directory(prefix: str = "modelbus-") -> Path:
    """Make a temporary directory that other users can enter; the caller removes it."""
    directory = Path(tempfile.mkdtemp(prefix=prefix))
    directory.chmod(0o755)
    return directory
