"""Where the benchmarks find demonstrations."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def find_folder(given: Path | None, files: Iterable[str]) -> Path:
    """The folder that was given, or RLGEN_DATA/demos.

    Raises:
        ValueError: files are not there.
    """
    folder = given or _default("DIR")
    if missing := [file for file in files if not (folder / file).is_file()]:
        raise ValueError(
            f"{folder} does not hold {', '.join(missing)}: pass --demos DIR, or set RLGEN_DATA to the folder "
            "above"
        )
    return folder


def ant_demonstrations(given: Path | None) -> Path:
    """The file that was given, or RLGEN_DATA/demos/Ant-ho.npz; absolute.

    Raises:
        ValueError: it is not there.
    """
    file = given or _default("FILE, of Ant-v5") / "Ant-ho.npz"
    if not file.is_file():
        raise ValueError(f"{file}: no such file: pass --demos FILE, of Ant-v5")
    return file.resolve()


def _default(wanted: str) -> Path:
    if "RLGEN_DATA" not in os.environ:
        raise ValueError(f"no demonstrations: pass --demos {wanted}, or set RLGEN_DATA")
    return Path(os.environ["RLGEN_DATA"]) / "demos"
