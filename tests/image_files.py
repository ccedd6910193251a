"""Small data sets in every format that the benchmarks read, for their tests."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from benchmarks.images.data import load
from benchmarks.images.data.sources import SOURCES

Tables = dict[str, np.ndarray]

PUBLISHED = dict(SOURCES)
"""Before `shrink`."""

COUNTS = {
    "mnist": {"train": (4, 3, 3, 3, 3, 3, 3, 3, 3, 2), "test": 10 * (2,)},
    "fashion-mnist": {"train": 10 * (3,), "test": 10 * (2,)},
    "mnist-static": {"train": (12,), "valid": (4,), "test": (5,)},
    "cifar10": {"train": 10 * (3,), "test": 10 * (2,)},
    "cifar10-subset": {"train": 10 * (2,), "test": 10 * (1,)},
    "svhn": {"train": (2, 4, 3, 3, 3, 3, 3, 3, 3, 3), "test": 10 * (2,)},
}
"""So that full-sized files need not be written."""


def shrink(monkeypatch) -> None:
    """Let every data set have few images, and look into no folder of the system."""
    monkeypatch.setattr("benchmarks.images.__main__.RESULTS", Path("results"))  # not the repository's
    for name, counts in COUNTS.items():
        monkeypatch.setitem(SOURCES, name, replace(SOURCES[name], counts=counts, places=()))


def tables(name: str) -> Tables:
    """Random images and labels of the right numbers, as the npz has them."""
    generator, source, arrays = np.random.default_rng(len(name)), SOURCES[name], {}
    height, width, channels = source.shape
    for split, counts in COUNTS[name].items():
        shape = (sum(counts), height, width, channels) if channels > 1 else (sum(counts), height, width)
        arrays[f"{split}_images"] = generator.integers(0, 2 if source.binary else 256, shape, np.uint8)
        if source.classes:
            labels = np.repeat(np.arange(len(counts), dtype=np.uint8), counts)
            arrays[f"{split}_labels"] = generator.permutation(labels)
    return arrays


def npz(arrays: Tables) -> bytes:
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)  # type: ignore[arg-type]
    return data.getvalue()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


IDX = {
    "train-images-idx3-ubyte": "train_images",
    "train-labels-idx1-ubyte": "train_labels",
    "t10k-images-idx3-ubyte": "test_images",
    "t10k-labels-idx1-ubyte": "test_labels",
}


def rows(images: np.ndarray) -> np.ndarray:
    """(N, 32, 32, 3) -> (N, 3072), a colour after the other."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), 3072)


def python2(images: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch pickled as in the official files, by Python 2 with numpy 1."""
    raw = rows(images).tobytes()
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return (
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03U\x06labelsq\x04]q\x05("
        + numbers
        + b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85q\x09"
        + b"U\x01b\x87q\nRq\x0b(K\x01M"
        + struct.pack("<H", len(images))
        + b"M\x00\x0c\x86q\x0ccnumpy\ndtype\nq\rU\x02u1K\x00K\x01\x87Rq\x0e(K\x03U\x01|NNNJ\xff\xff\xff\xff"
        + b"J\xff\xff\xff\xffK\x00tb\x89T"
        + struct.pack("<I", len(raw))
        + raw
        + b"tbU\x09filenamesq\x10]q\x11(U\x05a.pngq\x12eu."
    )


def python3(images: np.ndarray, labels: np.ndarray, protocol: int = 4) -> bytes:
    return pickle.dumps({b"data": rows(images), b"labels": labels.tolist()}, protocol)


def batches(arrays: Tables, dump=python2) -> dict[str, bytes]:
    """The six files."""
    parts = np.array_split(np.arange(len(arrays["train_images"])), 5)
    train = {
        f"data_batch_{k + 1}": dump(arrays["train_images"][part], arrays["train_labels"][part])
        for k, part in enumerate(parts)
    }
    return {**train, "test_batch": dump(arrays["test_images"], arrays["test_labels"])}


def tar(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def mat(images: np.ndarray, labels: np.ndarray, compressed: bool = True) -> bytes:
    """A split of SVHN; the digit 0 is a 10."""
    data = io.BytesIO()
    y = np.where(labels == 0, 10, labels).astype(np.uint8)[:, None]
    scipy.io.savemat(data, {"X": images.transpose(1, 2, 3, 0), "y": y}, do_compression=compressed)
    return data.getvalue()


def amat(images: np.ndarray) -> bytes:
    lines = (" ".join(str(pixel) for pixel in image.reshape(-1)) for image in images)
    return ("\n".join(lines) + "\n").encode()


def png(shape: tuple[int, ...] = (8, 8, 3), value: int | None = None, seed: int = 0) -> bytes:
    data = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    Image.fromarray(pixels if value is None else np.full_like(pixels, value)).save(data, "PNG")
    return data.getvalue()


def files(name: str, form: str) -> dict[str, bytes]:
    """What a user has: contents by path below the data folder."""
    arrays = tables(name) if name != "folder" else {}
    if form == "npz":
        stem = {"mnist-static": "binarized_mnist", "cifar10-subset": "cifar10_small"}.get(name, name)
        return {f"{stem.replace('-', '_')}.npz": npz(arrays)}
    if form == "idx":
        return {file: idx(arrays[key]) for file, key in IDX.items()}
    if form == "idx.gz":
        return {f"{file}.gz": gzip.compress(idx(arrays[key])) for file, key in IDX.items()}
    if form == "pickles":
        return {f"cifar-10-batches-py/{file}": content for file, content in batches(arrays).items()}
    if form == "tar":
        return {"cifar-10-python.tar.gz": tar(batches(arrays))}
    if form == "mat":
        splits = ("train", "test")
        return {f"{s}_32x32.mat": mat(arrays[f"{s}_images"], arrays[f"{s}_labels"]) for s in splits}
    if form == "amat":
        return {f"binarized_mnist_{s}.amat": amat(arrays[f"{s}_images"]) for s in ("train", "valid", "test")}
    assert form == "png"
    return {f"{label}/{k}.png": png(seed=10 * len(label) + k) for label in ("cat", "zebra") for k in range(4)}


FORMS = (
    ("mnist", "npz"),
    ("mnist", "idx"),
    ("mnist", "idx.gz"),
    ("fashion-mnist", "idx.gz"),
    ("mnist-static", "npz"),
    ("mnist-static", "amat"),
    ("cifar10", "npz"),
    ("cifar10", "pickles"),
    ("cifar10", "tar"),
    ("cifar10-subset", "npz"),
    ("svhn", "mat"),
    ("folder", "png"),
)
"""Data sets and formats."""


def put(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write files, and return the folder."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def refused(name: str, folder: Path, message: str, remedy: str = "http|--data|--image-size") -> str:
    """What `load` says, in one line, having made no folder `unpickled`."""
    with pytest.raises(ValueError) as caught:
        load(name, folder)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 700, said
    assert re.search(message, said) and re.search(remedy, said), said
    assert not (folder / "unpickled").exists()
    return said


class Bomb:
    """Unpickled, it makes a folder."""

    def __init__(self, target: Path) -> None:
        self.target = str(target)

    def __reduce__(self):
        return os.mkdir, (self.target,)
