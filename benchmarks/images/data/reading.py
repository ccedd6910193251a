"""What the readers of image files share: errors of one line that name the file, a look at its first bytes."""

from __future__ import annotations

import struct
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

Arrays = Mapping[str, np.ndarray]
"""By <split>_images and <split>_labels, as they stand in the files."""

UNREADABLE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    OverflowError,
    RuntimeError,
    MemoryError,
    SyntaxError,  # PIL, on a broken png
    tokenize.TokenError,  # numpy, on a broken header
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
    tarfile.TarError,
)
"""What numpy, zipfile, tarfile, zlib, struct and PIL raise on a file that is cut short or damaged."""


class Damaged(ValueError):
    """A file that is not what it should be; the message names it."""


@contextmanager
def told(path: Path, part: str = "") -> Iterator[None]:
    """Name the file, and the part of it, in what goes wrong inside.

    Raises:
        Damaged: in place of anything in `UNREADABLE`.
    """
    try:
        yield
    except Damaged:
        raise
    except UNREADABLE as error:
        where = f"{path} ({part})" if part else str(path)
        raise Damaged(f"{where}: {' '.join(str(error).split()) or type(error).__name__}") from error


def head(path: Path, n: int = 64) -> bytes:
    """The first bytes of a file."""
    with told(path), open(path, "rb") as file:
        return file.read(n)


def describe(start: bytes) -> str:
    """What a file seems to be, by its first bytes: 'is a pickle ...'."""
    kinds = {
        b"": "is empty",
        b"PK": "is a zip archive, such as an npz",
        b"\x1f\x8b": "is compressed by gzip",
        b"\x89HDF": "is an HDF5 file, such as MATLAB 7.3 writes",
        b"MATLAB": "is a MATLAB file",
        b"\x93NUMPY": "is a single array of numpy",
        b"\x89PNG": "is a png",
        b"\xff\xd8\xff": "is a jpg",
        b"version https://git-lfs": "is a pointer of Git LFS, not the file that it points to",
        b"<": "is a web page, such as a server's error",
        b"\x80": "is a pickle, which can run code when it is read",
    }
    for sign, kind in kinds.items():
        if (start.startswith(sign) and sign) or start == sign:
            return kind
    return "is of an unknown kind"
