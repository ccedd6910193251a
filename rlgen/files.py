"""Files that are replaced as a whole: a crash leaves the old one or the new one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder that can be written to, if it is not there.

    Raises:
        OSError: It cannot be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written to")


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` write a file, with the ending of `path`, that then takes its place; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        write(partial)
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def atomic_write(path: Path, data: str | bytes) -> None:
    """Replace a file by text or bytes."""
    replace_file(path, lambda partial: partial.write_bytes(data.encode() if isinstance(data, str) else data))


def write_json(path: Path, value: object) -> None:
    """Replace a file by a value as json."""
    atomic_write(path, json.dumps(value, indent=1) + "\n")
