"""Image data sets as they are read from every format."""

from __future__ import annotations

import gzip
import os
import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.io
from PIL import Image

from benchmarks.images.data import NAMES, labelled, load, pickles, picture_folder
from benchmarks.images.data.sources import SOURCES
from tests import image_files as make

REAL = os.environ.get("RLGEN_DATA")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make.shrink(monkeypatch)
    monkeypatch.delenv("RLGEN_DATA", raising=False)


@pytest.mark.parametrize(("name", "form"), [pair for pair in make.FORMS if pair[1] != "png"])
@pytest.mark.parametrize("below", ["", "data"])
def test_every_format_gives_what_was_written(name, form, below, tmp_path):
    folder = make.put(tmp_path / below, make.files(name, form))
    data, wanted = load(name, tmp_path), make.tables(name)
    height, width, channels = SOURCES[name].shape
    assert data.name == name and data.shape == (channels, height, width)
    assert len(data.classes) == (10 if name != "mnist-static" else 0)
    assert all(folder in file.parents for file in data.files)
    for split in SOURCES[name].counts:
        part = getattr(data, split)
        expected = wanted[f"{split}_images"].reshape(-1, height, width, channels)
        np.testing.assert_array_equal(part.images, expected * 255 if name == "mnist-static" else expected)
        assert part.images.dtype == np.uint8 and part.images.flags.writeable and len(part) == len(expected)
        if name == "mnist-static":
            assert part.labels is None
        else:
            np.testing.assert_array_equal(part.labels, wanted[f"{split}_labels"])
            assert part.labels.dtype == np.int64
    assert (data.valid is None) == (name != "mnist-static")


@pytest.mark.parametrize(("name", "forms"), [("mnist", ("npz", "idx")), ("cifar10", ("npz", "tar"))])
def test_formats_agree(name, forms, tmp_path):
    one, two = (load(name, make.put(tmp_path / form, make.files(name, form))) for form in forms)
    np.testing.assert_array_equal(one.train.images, two.train.images)
    np.testing.assert_array_equal(one.test.labels, two.test.labels)


def test_the_environment_names_the_folder_and_the_argument_wins(tmp_path, monkeypatch):
    make.put(tmp_path / "one", make.files("mnist", "npz"))
    make.put(tmp_path / "two", make.files("mnist", "npz"))
    monkeypatch.setenv("RLGEN_DATA", str(tmp_path / "one"))
    assert load("mnist").files == (tmp_path / "one" / "mnist.npz",)
    assert load("mnist", tmp_path / "two").files == (tmp_path / "two" / "mnist.npz",)


@pytest.mark.parametrize("place", ["", "MNIST/raw/", "mnist/"])
@pytest.mark.parametrize("mark", ["-", "."])
def test_the_places_and_spellings_of_idx_files(place, mark, tmp_path):
    files = make.files("mnist", "idx").items()
    load(
        "mnist",
        make.put(tmp_path, {place + name.replace("-idx", f"{mark}idx"): data for name, data in files}),
    )


def test_a_data_sets_own_folder_comes_before_files_of_the_same_name(tmp_path):
    make.put(tmp_path, make.files("fashion-mnist", "idx.gz"))
    make.put(tmp_path / "mnist", make.files("mnist", "idx.gz"))
    assert load("mnist", tmp_path).files[0].parent.name == "mnist"
    assert load("fashion-mnist", tmp_path).files[0].parent == tmp_path


def test_an_idx_file_is_known_by_its_content_not_its_name(tmp_path):
    files = make.files("mnist", "idx")
    load("mnist", make.put(tmp_path / "unpacked", {f"{name}.gz": data for name, data in files.items()}))
    load("mnist", make.put(tmp_path / "packed", {name: gzip.compress(data) for name, data in files.items()}))


def test_the_names_in_files_of_keras(tmp_path):
    arrays = make.tables("mnist")
    names = {"images": "x", "labels": "y"}
    keras = {f"{names[key.split('_')[1]]}_{key.split('_')[0]}": value for key, value in arrays.items()}
    data = load("mnist", make.put(tmp_path, {"mnist.npz": make.npz(keras)}))
    np.testing.assert_array_equal(data.test.labels, arrays["test_labels"])


def test_a_folder_of_the_system_is_looked_into_last(tmp_path, monkeypatch):
    system = make.put(tmp_path / "system", make.files("fashion-mnist", "idx.gz"))
    source = replace(SOURCES["fashion-mnist"], places=(str(system), str(tmp_path / "none")))
    monkeypatch.setitem(SOURCES, "fashion-mnist", source)
    (tmp_path / "mine").mkdir()
    assert load("fashion-mnist").files[0].parent == system
    assert load("fashion-mnist", tmp_path / "mine").files[0].parent == system


def test_the_subset_is_taken_from_the_full_set(tmp_path):
    arrays = make.tables("cifar10")
    data = load("cifar10-subset", make.put(tmp_path, make.files("cifar10", "tar")))
    labels = arrays["train_labels"]
    first = np.sort([row for k in range(10) for row in np.flatnonzero(labels == k)[:2]])
    assert data.name == "cifar10-subset" and len(data.train) == 20 and len(data.test) == 10
    np.testing.assert_array_equal(data.train.images, arrays["train_images"][first])
    np.testing.assert_array_equal(data.train.labels, labels[first])


def test_the_counts_that_are_published():
    totals = {name: tuple(sum(c) for c in source.counts.values()) for name, source in make.PUBLISHED.items()}
    assert totals == {
        "mnist": (60_000, 10_000),
        "mnist-static": (50_000, 10_000, 10_000),
        "fashion-mnist": (60_000, 10_000),
        "cifar10": (50_000, 10_000),
        "cifar10-subset": (10_000, 2_000),
        "svhn": (73_257, 26_032),
    }
    assert set(NAMES) == {*totals, "mnist-dynamic", "folder"}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_python_3(protocol, tmp_path):
    arrays = make.tables("cifar10")
    made = make.batches(arrays, lambda images, labels: make.python3(images, labels, protocol))
    data = load("cifar10", make.put(tmp_path, made))
    np.testing.assert_array_equal(data.train.images, arrays["train_images"])
    np.testing.assert_array_equal(data.test.labels, arrays["test_labels"])


def test_the_reader_of_pickles_agrees_with_python():
    """On containers, numbers, text, shared parts and arrays of any order, without calling anything."""
    shared = [1, -5, 70_000, None, True, False]
    thing = {"a": shared, b"b": (shared, (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)), 7: {"x": "grün"}}
    arrays = [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.ones(3, ">i2")]
    for protocol in (2, 3, 4, 5):
        found = pickles.loads(pickle.dumps(thing, protocol))
        assert found == thing and found["a"] is found[b"b"][0]
        for array, read in zip(arrays, pickles.loads(pickle.dumps(arrays, protocol)), strict=True):
            np.testing.assert_array_equal(read.value, array)
            assert read.value.dtype == array.dtype


def test_the_official_form_is_one_that_python_reads_alike():
    arrays = make.tables("cifar10")
    batch = make.python2(arrays["test_images"], arrays["test_labels"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, on its old name numpy.core
        python = pickle.loads(batch, encoding="latin1")
    ours = pickles.loads(batch)
    np.testing.assert_array_equal(ours["data"].value, python["data"])
    assert ours["labels"] == python["labels"] and ours["filenames"] == python["filenames"]


def test_svhn_labels_of_doubles_and_ten_for_zero(tmp_path):
    arrays = make.tables("svhn")
    make.put(tmp_path, make.files("svhn", "mat"))
    y = np.where(arrays["test_labels"] == 0, 10, arrays["test_labels"]).astype(float)[:, None]
    scipy.io.savemat(tmp_path / "test_32x32.mat", {"X": arrays["test_images"].transpose(1, 2, 3, 0), "y": y})
    np.testing.assert_array_equal(load("svhn", tmp_path).test.labels, arrays["test_labels"])


def test_a_folder_with_labels_is_split_by_seed(tmp_path):
    contents = {f"{label}/{k}.png": make.png(value=k) for label in ("cat", "zebra") for k in range(20)}
    one, two = (load("folder", make.put(tmp_path / "pets", contents)) for _ in range(2))
    assert one.name == "folder-pets" and one.classes == ("cat", "zebra") and one.shape == (3, 8, 8)
    assert len(one.train) == 36 and len(one.test) == 4
    np.testing.assert_array_equal(one.test.images, two.test.images)
    assert one.train.labels is not None and one.test.labels is not None
    levels = np.concatenate([one.train.images[:, 0, 0, 0], one.test.images[:, 0, 0, 0]])
    labels = np.concatenate([one.train.labels, one.test.labels])
    assert sorted(zip(labels, levels, strict=True)) == [(label, k) for label in (0, 1) for k in range(20)]
    assert 2 < one.train.labels[:10].sum() < 8  # not class by class


def test_a_folder_with_splits_and_one_without_labels(tmp_path):
    grey = {f"{split}/{k}.PNG": make.png((9, 9), k) for split in ("train", "test") for k in range(3)}
    data = load(
        "folder", make.put(tmp_path / "a", {**grey, "train/.hidden.png": b"x", "train/notes.txt": b"x"})
    )
    assert data.shape == (1, 9, 9) and len(data.train) == len(data.test) == 3
    assert data.train.labels is None and data.classes == ()


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_a_folder_for_validation_is_for_testing(name, tmp_path):
    contents = {
        f"{split}/{label}/{k}.png": make.png() for split in ("train", name) for label in "ab" for k in "12"
    }
    data = load("folder", make.put(tmp_path, contents))
    assert data.classes == ("a", "b") and len(data.train) == len(data.test) == 4


def test_a_lone_sub_folder_is_no_label(tmp_path):
    """As of faces, which many tools want in a sub-folder."""
    data = load("folder", make.put(tmp_path, {f"all/{k}.png": make.png() for k in range(20)}))
    assert data.train.labels is None and data.classes == () and len(data.test) == 2


def test_grey_pictures_beside_coloured_ones_and_jpg(tmp_path):
    make.put(tmp_path, {"a.png": make.png((8, 8), 200), "b.png": make.png(), "c.png": make.png((8, 8), 7)})
    Image.new("RGB", (8, 8), (0, 0, 255)).save(tmp_path / "d.jpeg", quality=100)
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "e.png")
    Image.new("P", (8, 8)).save(tmp_path / "f.png")
    found = picture_folder.read(tmp_path, None)
    assert found.images.shape == (6, 8, 8, 3)
    assert (found.images[0] == 200).all() and (found.images[2] == 7).all() and (found.images[4] == 255).all()
    np.testing.assert_allclose(found.images[3, 4, 4], (0, 0, 255), atol=4)


def test_a_turned_photograph_is_turned_back(tmp_path):
    image = Image.new("L", (8, 8))
    image.putpixel((0, 0), 255)
    exif = image.getexif()
    exif[0x0112] = 3  # upside down
    image.save(tmp_path / "a.png", exif=exif)
    assert picture_folder.read(tmp_path, None).images[0, 7, 7, 0] == 255


@pytest.mark.parametrize(("side", "size"), [(8, 4), (9, 4), (7, 5), (6, 6), (5, 1)])
def test_resizing_by_area(side, size):
    """Against the integral of the piecewise constant image, summed on a grid that both sizes divide."""
    image = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    fine = image.repeat(size, 0).repeat(size, 1).astype(float)
    oracle = fine.reshape(size, side, size, side, 3).mean((1, 3))
    np.testing.assert_allclose(picture_folder.resize(image, size), oracle, atol=0.5 + 1e-9)


def test_pictures_are_cut_to_the_centre_and_resized(tmp_path):
    image = np.zeros((4, 10, 3), np.uint8)
    image[:, 3:7] = 90
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image.swapaxes(0, 1)).save(tmp_path / "b.png")
    found = load("folder", tmp_path, size=2)
    assert (found.train.images == 90).all() and found.train.images.shape == (1, 2, 2, 3)
    assert (found.test.images == 90).all()


def test_labelled_examples_are_balanced_and_drawn_by_seed():
    labels = make.tables("mnist")["train_labels"].repeat(5)
    rows = labelled(labels, 4, seed=3)
    assert len(set(rows)) == 40 and rows.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(labels[rows]), 10 * [4])
    np.testing.assert_array_equal(rows, labelled(labels, 4, seed=3))
    assert set(rows) != set(labelled(labels, 4, seed=4))


@pytest.mark.parametrize("per_class", [0, -1, 11])
def test_too_many_or_no_labels_are_refused(per_class):
    labels = make.tables("mnist")["train_labels"].repeat(5)
    with pytest.raises(ValueError, match="class 9 has 10 examples: pass --labels-per-class from 1"):
        labelled(labels, per_class, seed=0)


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="set RLGEN_DATA to a folder of full data sets")
@pytest.mark.parametrize("name", make.PUBLISHED)
def test_the_true_files(name, monkeypatch):
    monkeypatch.undo()
    try:
        data = load(name, REAL)
    except ValueError as error:
        if not str(error).startswith(f"no {name} in"):
            raise
        pytest.skip(f"no {name} there")
    assert len(data.train) == sum(SOURCES[name].counts["train"])
