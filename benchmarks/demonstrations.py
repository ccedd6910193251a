"""Where the benchmarks find demonstrations of Ant-v5."""

from __future__ import annotations

import os
from pathlib import Path


def ant_demonstrations(given: Path | None) -> Path:
    """The file that was given, or RLGEN_DATA/demos/Ant-ho.npz; absolute.

    Raises:
        ValueError: it is not there.
    """
    if given is None and "RLGEN_DATA" not in os.environ:
        raise ValueError("no demonstrations: pass --demos FILE, of Ant-v5, or set RLGEN_DATA")
    file = given or Path(os.environ["RLGEN_DATA"]) / "demos" / "Ant-ho.npz"
    if not file.is_file():
        raise ValueError(f"{file}: no such file: pass --demos FILE, of Ant-v5")
    return file.resolve()
