"""Arrays in an npz, never unpickled."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.images.data.reading import Arrays, Damaged, describe, head, told

KERAS = {
    "train_images": "x_train",
    "train_labels": "y_train",
    "test_images": "x_test",
    "test_labels": "y_test",
}
"""Our names of arrays, and those in the files of Keras."""


def read(paths: Sequence[Path], keys: Sequence[str]) -> Arrays:
    """The arrays `keys` of the one file; Keras's names are understood.

    Raises:
        Damaged: Not an npz, a damaged one, one without these arrays, or with Python objects in them.
    """
    (path,) = paths
    if not zipfile.is_zipfile(path):
        cut = " that was cut short" if head(path).startswith(b"PK") else ""
        raise Damaged(f"{path} {describe(head(path))}{cut}, where an npz is expected")
    with told(path), np.load(path, allow_pickle=False) as file:
        names = {
            key: KERAS[key] if key not in file.files and KERAS.get(key) in file.files else key for key in keys
        }
        missing = [name for name in names.values() if name not in file.files]
        if missing:
            found = ", ".join(file.files[:8]) or "no array"
            raise ValueError(f"no array {', '.join(missing)} in it, but {found}")
        return {key: _read(path, file, name) for key, name in names.items()}


def _read(path: Path, file: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    with told(path, name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, on headers that Python 2 wrote
        try:
            array = file[name]
        except ValueError as error:
            if "pickle" in str(error):  # numpy would advise to unpickle it
                raise ValueError("holds Python objects, which are never unpickled") from error
            raise
        if not isinstance(array, np.ndarray):
            raise ValueError("not an array")
    return array
