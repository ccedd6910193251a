"""Damaged, wrong and missing image files of any format: each gives one line that names file and remedy."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from benchmarks.images.__main__ import Options, main
from benchmarks.images.data import NAMES, load
from benchmarks.images.data.sources import SOURCES
from rlgen import cli
from tests import image_files as make
from tests.image_files import refused

Change = Callable[[bytes], bytes]
Files = dict[str, bytes]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make.shrink(monkeypatch)
    monkeypatch.delenv("RLGEN_DATA", raising=False)


# Any file --------------------------------------------------------------------------------------------------

DAMAGE: dict[str, Change] = {
    "empty": lambda data: b"",
    "half of it": lambda data: data[: len(data) // 2],
    "the last bytes gone": lambda data: data[:-20],
    "its head overwritten": lambda data: b"\xff" * 40 + data[40:],
    "a web page": lambda data: b"<!DOCTYPE html><html><title>404 Not Found</title></html>",
    "a pointer of Git LFS": lambda data: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    ),
    "text": lambda data: b"hello, world\n" * 20,
    "zeros": lambda data: bytes(len(data)),
    "an npz of something else": lambda data: make.npz({"x": np.zeros(3)}),
    "a pickle": lambda data: pickle.dumps({"train_images": [1, 2, 3]}),
}
SAID = {
    "empty": "is empty|cannot identify|no array",
    "a web page": "is a web page|cannot identify",
    "a pointer of Git LFS": "pointer of Git LFS|cannot identify",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(("name", "form"), make.FORMS)
def test_a_damaged_file(name, form, damage, tmp_path, monkeypatch, capsys):
    """The command says it in one line with status 2, and has begun nothing."""
    contents = make.files(name, form)
    victim = sorted(contents)[-1]
    contents[victim] = DAMAGE[damage](contents[victim])
    make.put(tmp_path / "data", contents)
    monkeypatch.chdir(tmp_path)
    argv = ["--model", "vae", "--data", name, "--data-dir", str(tmp_path / "data")]
    assert cli.run(main, Options, argv) == 2
    out, said = capsys.readouterr()
    assert out == "" and said.startswith("error: ") and said.count("\n") == 1 and len(said) < 700
    assert re.search(SAID.get(damage, "."), said) and [path.name for path in tmp_path.iterdir()] == ["data"]
    assert str(tmp_path) in said and (victim in said or "beside it" in said)
    assert "http" in said or name == "folder"


@pytest.mark.parametrize(
    ("name", "form"), [pair for pair in make.FORMS if pair[1] in ("idx", "idx.gz", "mat")]
)
def test_a_missing_file(name, form, tmp_path):
    contents = make.files(name, form)
    victim = sorted(contents)[-1]
    del contents[victim]
    said = refused(name, make.put(tmp_path, contents), f"no {name} in ", "http")
    assert f"{victim.removesuffix('.gz')} missing in {tmp_path}" in said


@pytest.mark.parametrize("name", SOURCES)
def test_what_was_looked_for_is_told(name, tmp_path):
    said = refused(name, tmp_path, f"no {name} in .*the files are .*; get .*https?://")
    for layout in SOURCES[name].layouts:
        assert all(file in said for file in layout.files)
    make.put(tmp_path / "data", make.files("mnist", "npz"))
    if name != "mnist":
        assert "what is there: --data mnist" in refused(name, tmp_path, "")


def test_no_folder_and_no_such_data(tmp_path):
    for name in NAMES:
        with pytest.raises(
            ValueError, match="no folder to read .*: pass --data-dir DIR or set RLGEN_DATA"
        ) as e:
            load(name)
        layouts = SOURCES[name].layouts if name in SOURCES else ()
        assert all(file in str(e.value) for layout in layouts for file in layout.files)
    refused("mnist", tmp_path / "gone", "gone: no such folder: pass --data-dir .* mnist.npz; or .* http")
    for name in ("mnist", "folder"):
        with pytest.raises(ValueError, match=r"cannot be read \(File name too long\): pass --data-dir"):
            load(name, tmp_path / ("x" * 300))
    refused("mnits", tmp_path, "unknown data 'mnits': did you mean 'mnist'", ".")
    with pytest.raises(ValueError, match="mnist has images of 28 pixels, not 64: leave --image-size out"):
        load("mnist", tmp_path, size=64)


# Arrays ----------------------------------------------------------------------------------------------------


def objects(array: np.ndarray) -> np.ndarray:
    return array.astype(object)


def poke(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.int64)
        array.flat[0] = value
        return array

    return change


FAULTS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "images of objects": ("images", objects, "holds Python objects, which are never unpickled"),
    "labels of objects": ("labels", objects, "holds Python objects, which are never unpickled"),
    "images as floats": ("images", lambda a: a / np.float32(255), "is float32, where uint8"),
    "images as int64": ("images", lambda a: a.astype(np.int64), "is int64, where uint8"),
    "images as text": ("images", lambda a: a.astype("U3"), "is <U3, where uint8"),
    "one image less": ("images", lambda a: a[:-1], "has shape .*, that of .* is"),
    "no image": ("images", lambda a: a[:0], "has shape .*, that of .* is"),
    "rows of pixels": ("images", lambda a: a.reshape(len(a), -1), "has shape .*, that of .* is"),
    "channels first": ("images", lambda a: np.moveaxis(a[..., None], 3, 1), "has shape .*, that of .* is"),
    "smaller images": ("images", lambda a: a[:, :20, :20], "has shape .*, that of .* is"),
    "two channels": ("images", lambda a: np.stack([a, a], -1), "has shape .*, that of .* is"),
    "a single number": ("images", lambda a: np.array(3, np.uint8), r"has shape \(\), that of"),
    "all black": ("images", np.zeros_like, "are from 0 to 0, those of"),
    "binarized": ("images", lambda a: a // 128, "are from 0 to 1, those of .* 0 to 255"),
    "a label too large": ("labels", poke(10), "are from 0 to 10, those of .* 0 to 9"),
    "a negative label": ("labels", poke(-1), "are from -1 to 9, those of .* 0 to 9"),
    "one label less": ("labels", lambda a: a[:-1], r"is uint8 \(\d+,\), where \d+ whole numbers"),
    "one label more": (
        "labels",
        lambda a: np.append(a, a[:1]),
        r"is uint8 \(\d+,\), where \d+ whole numbers",
    ),
    "labels one hot": ("labels", lambda a: np.eye(10, dtype=np.uint8)[a], r"is uint8 \(\d+, 10\)"),
    "labels as floats": ("labels", lambda a: a.astype(float), "is float64"),
    "labels as text": ("labels", lambda a: a.astype("U3"), "is <U3"),
    "another label": (
        "labels",
        lambda a: np.where(np.arange(len(a)) == np.argmax(a == 3), 4, a),
        "of .* are 3, in",
    ),
}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_fault_in_an_array(name, fault, split, tmp_path):
    kind, change, message = FAULTS[fault]
    arrays, key = make.tables(name), f"{split}_{kind}"
    arrays[key] = change(arrays[key])
    said = refused(name, make.put(tmp_path, {f"{name}.npz": make.npz(arrays)}), message, "http")
    assert key in said and f"{name}.npz" in said


@pytest.mark.parametrize("key", ["train_images", "train_labels", "test_images", "test_labels"])
def test_an_array_is_missing(key, tmp_path):
    arrays = make.tables("mnist")
    arrays["spare"] = arrays.pop(key)
    refused(
        "mnist", make.put(tmp_path, {"mnist.npz": make.npz(arrays)}), f"no array {key} in it, but .*spare"
    )


def test_static_mnist_is_binary(tmp_path):
    arrays = make.tables("mnist-static")
    arrays["valid_images"] = arrays["valid_images"] * np.uint8(255)
    make.put(tmp_path, {"binarized_mnist.npz": make.npz(arrays)})
    refused(
        "mnist-static", tmp_path, "pixels of valid_images are from 0 to 255, those of mnist-static 0 to 1"
    )


def test_the_files_of_another_data_set(tmp_path):
    """MNIST's and Fashion-MNIST's have the same names."""
    make.put(tmp_path, make.files("fashion-mnist", "idx"))
    refused("mnist", tmp_path, "3 of train_labels are 0, in mnist 4 are: they are those of fashion-mnist")


# Folders ---------------------------------------------------------------------------------------------------


def picture(mode: str, size: tuple[int, int] = (8, 8)) -> bytes:
    data = io.BytesIO()
    Image.new(mode, size).save(data, "PNG")
    return data.getvalue()


FOLDERS: dict[str, tuple[Files, int | None, str]] = {
    "empty": ({}, None, "no png or jpg in it, nor in its sub-folders: pass --data-dir"),
    "other files": ({"a.txt": b"x", "b.gif": b"GIF89a", ".c.png": b"x"}, None, "no png or jpg in it"),
    "an empty label": ({"a/a.png": make.png(), "b/note.txt": b""}, None, "b: no png or jpg in it, while"),
    "pictures beside labels": (
        {"a.png": make.png(), "b/b.png": make.png()},
        None,
        "a.png lies beside sub-fold",
    ),
    "two sizes": (
        {"a.png": make.png(), "b.png": make.png((9, 9, 3))},
        None,
        "9 x 9, a.png 8 x 8: pass --image",
    ),
    "not square": ({"a.png": make.png((8, 9, 3))}, None, "8 x 9, not square: pass --image-size"),
    "too small": ({"a.png": make.png()}, 16, "a.png: is 8 x 8, smaller than 16 x 16: pass --image-size 8"),
    "no size": ({"a.png": make.png()}, 0, "--image-size"),
    "16 bits": ({"a.png": picture("I;16")}, None, "a.png: is of mode I;16: save it with 8 bits a colour"),
    "a cut png": ({"a.png": make.png((40, 40, 3))[:900]}, None, "a.png: .*[Tt]runcated"),
    "a pickle": ({"a.png": pickle.dumps(1)}, None, "a.png: cannot identify image file"),
    "a text": ({"a.jpg": b"hello"}, None, "a.jpg: cannot identify image file"),
    "a bomb": ({"a.png": picture("1", (20_000, 20_000))}, 8, "a.png: is too large"),
    "one picture": ({"a.png": make.png()}, None, "one picture in it: give 2 or more"),
    "splits of two sizes": (
        {"train/a.png": make.png(), "test/a.png": make.png((9, 9, 3))},
        None,
        r"train and test differ \(\(8, 8, 3\) ; \(9, 9, 3\) \): give both the same size",
    ),
    "labels inside a lone train": (
        {"train/a/a.png": make.png(), "train/b/a.png": make.png()},
        None,
        "no png or jpg in it, .*: pass --data-dir .*/train$",
    ),
    "splits of two labellings": (
        {"train/a/a.png": make.png(), "train/b/a.png": make.png(), "test/a/a.png": make.png()},
        None,
        "train and test differ .* a, b; .* a",
    ),
}


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_wrong_folder(fault, tmp_path):
    contents, size, message = FOLDERS[fault]
    with pytest.raises(ValueError) as caught:
        load("folder", make.put(tmp_path, contents), size=size)
    said = str(caught.value)
    assert re.search(message, said) and "\n" not in said and str(tmp_path) in said, said


# Chance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "form"), make.FORMS)
def test_bytes_changed_by_chance_never_end_in_another_error(name, form, tmp_path):
    """Each either goes unnoticed, as a pixel would, or gives one line."""
    contents, generator = make.files(name, form), np.random.default_rng(0)
    for victim in sorted(contents)[-2:]:
        for k in range(12):
            data = bytearray(contents[victim])
            span = len(data) if k % 2 else min(len(data), 300)  # heads matter most
            for at in generator.integers(0, span, 3):
                data[at] = generator.integers(0, 256)
            make.put(tmp_path, contents | {victim: bytes(data)})
            try:
                load(name, tmp_path)
            except ValueError as error:
                assert "\n" not in str(error) and str(tmp_path) in str(error)
