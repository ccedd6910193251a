"""Files of named arrays, npz and HDF5, read without ever unpickling."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    RuntimeError,
    MemoryError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy, zipfile and h5py raise on a file that is cut short, damaged, or not what it seems."""


class Arrays(NamedTuple):
    """An open file."""

    names: frozenset[str]
    """Of its arrays; of its arrays and groups at the top, in HDF5."""
    read: Callable[[str], np.ndarray]
    """Read one of them, once: a second time costs as much as the first."""


@contextmanager
def opened(path: Path) -> Iterator[Arrays]:
    """Open a file by its content, whatever its name.

    Raises:
        ValueError: Not an npz or HDF5 file, or a damaged one; from `read` too.
    """
    with _told("the file"), open(path, "rb") as file:
        head = file.read(8)
    if head.startswith(b"PK"):
        with _told("the file"):
            archive = zipfile.ZipFile(path)
            archive.close()
        _check_members(archive.namelist())
        with _told("the file"):
            npz = np.load(path, allow_pickle=False)
        with npz:
            yield Arrays(frozenset(npz.files), lambda name: _read_npz(npz, name))
    elif head == b"\x89HDF\r\n\x1a\n":
        with _told("the file"):
            hdf5 = h5py.File(path, "r")
        with hdf5:
            yield Arrays(frozenset(hdf5), lambda name: _read_hdf5(hdf5, name))
    else:
        raise ValueError(_what(head))


def _read_npz(npz: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    with _told(name), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, on headers that Python 2 wrote
        array = npz[name]
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} is not an array: write the file with numpy.savez_compressed")
    return array


def _read_hdf5(file: h5py.File, name: str) -> np.ndarray:
    with _told(name):
        item = file[name]
        if isinstance(item, h5py.Group):
            raise ValueError("a group of arrays, not one: flatten Dict observations first")
        array = np.asarray(item[()]) if isinstance(item, h5py.Dataset) else np.empty(0, object)
    if array.dtype.hasobject:
        raise ValueError(f"{name} holds objects, such as rows of mixed lengths: save plain numbers")
    return array


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Turn what reading may raise into one line."""
    try:
        yield
    except PermissionError as error:
        raise ValueError(f"{name} cannot be read: no permission for it ({error})") from error
    except UNREADABLE as error:
        raise ValueError(
            f"{name} cannot be read ({str(error) or type(error).__name__}): it is missing, cut short or "
            "damaged, or it holds Python objects, which are never unpickled here; write it again"
        ) from error


def _check_members(names: list[str]) -> None:
    """Refuse a zip that is not an npz, and say what it looks like."""
    if "policy.pth" in names:
        raise ValueError("an SB3 model, not demonstrations: record from it with python -m demos.record")
    if not any(name.endswith(".npy") for name in names):
        raise ValueError("a zip archive without arrays: write demonstrations with numpy.savez_compressed")


def _what(head: bytes) -> str:
    if not head:
        return "the file is empty: copy or record it again"
    if head[0] == 0x80 and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return (
            "a pickle, which can run code when it is read: convert it where you trust it, to an npz of arrays"
        )
    if head.startswith(b"\x93NUMPY"):
        return "a single array, demonstrations are several: save them with numpy.savez_compressed"
    return "neither an npz nor an HDF5 file: give one of these, or the id of a Minari dataset"
