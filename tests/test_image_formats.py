"""Faults of single formats, npz, idx and MATLAB: each gives one line that names file and remedy."""

from __future__ import annotations

import gzip
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from tests import image_files as make
from tests.image_files import Bomb, refused

Change = Callable[[bytes], bytes]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make.shrink(monkeypatch)
    monkeypatch.delenv("RLGEN_DATA", raising=False)


# npz -------------------------------------------------------------------------------------------------------


def npy(array: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    return data.getvalue()


def with_member(content: bytes) -> bytes:
    """MNIST's npz with something else as its test images."""
    data = io.BytesIO()
    arrays = {f"{key}.npy": npy(value) for key, value in make.tables("mnist").items()}
    with zipfile.ZipFile(data, "w") as file:
        for member, inside in {**arrays, "test_images.npy": content}.items():
            file.writestr(member, inside)
    return data.getvalue()


MEMBERS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "text": (lambda target: b"1,2,3", "test_images.*: not an array"),
    "nothing": (lambda target: b"", "test_images"),
    "a pickle": (lambda target: pickle.dumps(Bomb(target)), "test_images.*: not an array"),
    "a pickle behind a header": (lambda target: npy(np.array([Bomb(target)], object)), "never unpickled"),
    "code in the header": (lambda target: npy(np.zeros(3)).replace(b"(3,)", b"f()"), "test_images"),
    "terabytes in the header": (
        lambda target: npy(np.zeros(3)).replace(b"(3,), }" + 11 * b" ", b"(9999999999999,)}"),
        "test_images",
    ),
    "a cut array": (lambda target: npy(np.zeros((20, 28, 28), np.uint8))[:-9], "test_images"),
}


@pytest.mark.parametrize("member", MEMBERS)
def test_a_strange_member_of_an_npz(member, tmp_path):
    build, message = MEMBERS[member]
    make.put(tmp_path, {"mnist.npz": with_member(build(tmp_path / "unpickled"))})
    refused("mnist", tmp_path, message, "http")


# idx -------------------------------------------------------------------------------------------------------

IDX: dict[str, tuple[Change, str]] = {
    "another type": (lambda data: b"\0\0\x0d" + data[3:], "holds values of type 0xd, where unsigned bytes"),
    "a wrong magic": (
        lambda data: b"\0\1" + data[2:],
        "begins with 00 00 08 01 or 00 00 08 03, not 00 01 08 01",
    ),
    "no axes": (lambda data: b"\0\0\x08\0" + data[4:], "not 00 00 08 00"),
    "a cut header": (lambda data: data[:6], "header of 1 axes is cut short"),
    "too short": (lambda data: data[:-1], "is cut short"),
    "too long": (lambda data: data + b"\0", "is longer than its header says"),
    "terabytes": (lambda data: b"\0\0\x08\x03" + b"\xff" * 12, "cut short or damaged"),
    "images": (lambda data: make.idx(make.tables("mnist")["test_images"]), r"is uint8 \(20, 28, 28\)"),
    "a gz that is cut": (lambda data: gzip.compress(data)[:-9], "ended before"),
    "a gz with a wrong sum": (lambda data: gzip.compress(data)[:-8] + bytes(8), "CRC"),
    "a gz with rubbish behind": (lambda data: gzip.compress(data) + b"rubbish", "gzip|longer"),
    "a gz of text": (lambda data: gzip.compress(b"hello, world"), "holds something else"),
    "a gz of a gz": (lambda data: gzip.compress(gzip.compress(data)), "holds something else"),
}


@pytest.mark.parametrize("fault", IDX)
def test_a_wrong_idx_file(fault, tmp_path):
    change, message = IDX[fault]
    contents = make.files("mnist", "idx")
    name = "t10k-labels-idx1-ubyte"
    make.put(tmp_path, contents | {name: change(contents[name])})
    refused("mnist", tmp_path, message, "http")


# MATLAB ----------------------------------------------------------------------------------------------------


def saved(**arrays) -> bytes:
    data = io.BytesIO()
    scipy.io.savemat(data, arrays)
    return data.getvalue()


def header(kind: bytes = b"MATLAB 5.0 MAT-file") -> bytes:
    return kind.ljust(124) + b"\x00\x01IM"


X = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 20), np.uint8)
Y = np.repeat(np.arange(1, 11, dtype=np.uint8), 2)[:, None]
MAT: dict[str, tuple[Callable[[], bytes], str]] = {
    "no X": (lambda: saved(images=X, y=Y), "no X and y in it, but images, y"),
    "no y": (lambda: saved(X=X), "no X and y in it, but X"),
    "nothing": (lambda: header(), "no X and y in it, but no array"),
    "X of three axes": (lambda: saved(X=X[0], y=Y), r"X has shape \(32, 3, 20\)"),
    "images first": (lambda: saved(X=X.transpose(3, 0, 1, 2), y=Y), "test_images has shape"),
    "X of doubles": (lambda: saved(X=X.astype(float), y=Y), "test_images is float64"),
    "halves as labels": (lambda: saved(X=X, y=Y / 2), "test_labels is float64"),
    "a struct": (lambda: saved(X=X, y={"label": Y}), "are not arrays of numbers"),
    "text": (lambda: saved(X=X, y="labels"), "are not arrays of numbers"),
    "labels of 11": (lambda: saved(X=X, y=Y + np.uint8(1)), "test_labels are from 0 to 11"),
    "a label less": (lambda: saved(X=X, y=Y[1:]), r"test_labels is uint8 \(19,\)"),
    "MATLAB 4": (lambda: struct.pack("<5I", 0, 2, 2, 0, 2) + b"X\0" + bytes(200), "where a MATLAB 5 file"),
    "MATLAB 7.3": (lambda: header(b"MATLAB 7.3 MAT-file") + bytes(400), "save it with -v7"),
    "a long element": (lambda: header() + struct.pack("<II", 14, 2**31), "damaged or cut short"),
    "a cut tag": (lambda: header() + b"\x0e\0\0", "damaged or cut short"),
    "an empty array": (lambda: header() + struct.pack("<II", 14, 0), "damaged or cut short"),
    "not compressed": (lambda: header() + struct.pack("<II", 15, 8) + b"\xff" * 8, "damaged or cut short"),
    "half compressed": (lambda: cut_stream(), "damaged or cut short"),
}


def cut_stream() -> bytes:
    stream = zlib.compress(struct.pack("<II", 14, 800) + bytes(800))[:-5]
    return header() + struct.pack("<II", 15, len(stream)) + stream


@pytest.mark.parametrize("fault", MAT)
def test_a_wrong_matlab_file(fault, tmp_path):
    build, message = MAT[fault]
    make.put(tmp_path, make.files("svhn", "mat") | {"test_32x32.mat": build()})
    refused("svhn", tmp_path, message, "http")
