"""MATLAB 5 files (.mat of before 7.3), as SVHN is given."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.images.data.reading import UNREADABLE, Arrays, describe, head, told


def read_svhn(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """A file a split: X (32, 32, 3, N) and y (N, 1), whose 10 means the digit 0.

    Raises:
        Damaged: Another kind of file, a damaged one, or one without X and y.
    """
    splits = [key.removesuffix("_images") for key in keys if key.endswith("_images")]
    arrays = {}
    for split, path in zip(splits, paths, strict=True):
        found = _read(path)
        with told(path):
            if not all(isinstance(part, np.ndarray) and part.dtype.kind in "biuf" for part in found.values()):
                raise ValueError("X and y are not arrays of numbers")
            x, y = found["X"], found["y"].reshape(-1)
            if x.ndim != 4:
                raise ValueError(f"X has shape {x.shape}, where (32, 32, 3, N) is expected")
            if y.dtype.kind == "f" and (y == np.rint(y)).all():
                y = y.astype(np.int64)
        arrays[f"{split}_images"] = np.ascontiguousarray(x.transpose(3, 0, 1, 2))
        arrays[f"{split}_labels"] = np.where(y == 10, y.dtype.type(0), y)
    return arrays


def _read(path: Path) -> Arrays:
    """X and y.

    Raises:
        Damaged: Another kind of file, a damaged one, or one without them.
    """
    import scipy.io  # takes long, and other formats need it not
    from scipy.io.matlab import MatReadError

    start = head(path, 128)
    with told(path):
        if len(start) < 128 or not start.startswith(b"MATLAB 5"):
            advice = ": save it with -v7" if start.startswith((b"MATLAB 7.3", b"\x89HDF")) else ""
            raise ValueError(f"{describe(start)}, where a MATLAB 5 file is expected{advice}")
        try:
            found = scipy.io.loadmat(path, variable_names=("X", "y"))
            names = [name for name, *_ in scipy.io.whosmat(path)]
        except (*UNREADABLE, MatReadError) as error:
            raise ValueError(f"is damaged or cut short ({error})") from error
        if not {"X", "y"} <= found.keys():
            raise ValueError(f"no X and y in it, but {', '.join(names) or 'no array'}")
    return {name: found[name] for name in ("X", "y")}
