"""load: a data set or a folder of pictures, as arrays. Nothing is downloaded, and nothing is unpickled.

    data = load("mnist", Path("data"))      # or from RLGEN_DATA: the folder itself, or its data/
    data.train.images                       # (60000, 28, 28, 1) uint8
    labelled(data.train.labels, 10, seed=0) # rows of 10 examples a class

What a data set holds, and in which files it may come, stands in `sources`; each format has its reader.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.images.data import picture_folder
from benchmarks.images.data.checks import check
from benchmarks.images.data.dataset import ImageData, Split
from benchmarks.images.data.reading import Damaged
from benchmarks.images.data.sources import SOURCES, Layout, Source
from rlgen.cli import check_known

DYNAMIC = "mnist-dynamic"
NAMES = (*SOURCES, DYNAMIC, "folder")
HELD_OUT = 10
"""One picture of so many is for testing, where a folder has no train/ and test/."""
TESTS = ("test", "val", "valid", "validation")
"""Names of the sub-folder of pictures for testing, beside train/."""


def load(name: str, folder: str | Path | None = None, *, size: int | None = None) -> ImageData:
    """Read a data set.

    Args:
        name: One of `NAMES`.
        folder: Holds its files, or a data/ that does; RLGEN_DATA unless given. For `folder` the pictures.
        size: Height and width in pixels to which the pictures of a folder are resized.

    Raises:
        ValueError: An unknown name, or files that are missing, damaged or not of this data set. The message
            names every file that was looked for and where it can be had.
    """
    check_known("data", name, NAMES)
    if name == DYNAMIC:
        return _dynamic(load("mnist", folder, size=size))
    roots = _roots(folder, name)
    if name == "folder":
        return _load_folder(roots[0], size)
    source = SOURCES[name]
    if size not in (None, source.shape[0]):
        raise ValueError(f"{name} has images of {source.shape[0]} pixels, not {size}: leave --image-size out")
    with _reachable(roots[0]):
        found = _find(source, roots)
        whole = found is None and name == "cifar10-subset" and _find(SOURCES["cifar10"], roots)
        missing = "" if found or whole else _missing(name, roots)
    if missing:
        raise ValueError(missing)
    if found is None:
        return _subset(load("cifar10", folder))
    layout, files = found
    try:
        return check(name, layout.read(files, source.keys), tuple(files))
    except Damaged as error:
        raise ValueError(f"{error}; get {source.origin}") from error


def labelled(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Choose so many examples of each class at random, class by class.

    Args:
        labels: (N,) whole numbers.
        per_class: Examples of each.
        seed: Of the choice.

    Returns:
        (K per_class,) int64 rows.

    Raises:
        ValueError: A class has fewer.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if per_class < 1 or per_class > counts.min():
        fewest = f"class {classes[counts.argmin()]} has {counts.min()} examples"
        raise ValueError(
            f"{per_class} labels a class cannot be had, {fewest}: pass --labels-per-class from 1 to that"
        )
    generator = np.random.default_rng(seed)
    rows = [generator.choice(np.flatnonzero(labels == k), per_class, replace=False) for k in classes]
    return np.concatenate(rows)


@contextmanager
def _reachable(root: Path) -> Iterator[None]:
    """Tell what the system refuses: no permission, or a name that cannot be."""
    try:
        yield
    except OSError as error:
        raise ValueError(
            f"{root} cannot be read ({error.strerror}): pass --data-dir DIR or set RLGEN_DATA to a folder "
            "that can"
        ) from error


def _roots(folder: str | Path | None, name: str) -> list[Path]:
    """The folders to look into, in order."""
    given = folder if folder is not None else os.environ.get("RLGEN_DATA") or None
    places = [
        Path(place) for place in (SOURCES[name].places if name in SOURCES else ()) if Path(place).is_dir()
    ]
    if given is None:
        if places:
            return places
        raise ValueError(
            f"no folder to read {name} from: pass --data-dir DIR or set RLGEN_DATA{_wanted(name)}"
        )
    root = Path(given).expanduser()
    with _reachable(root):
        there = root.is_dir()
    if not there:
        why = "not a folder" if root.exists() else "no such folder"
        raise ValueError(
            f"{root}: {why}: pass --data-dir DIR or set RLGEN_DATA to one that is there{_wanted(name)}"
        )
    return [root, root / "data", *places]


def _find(source: Source, roots: list[Path]) -> tuple[Layout, list[Path]] | None:
    """The first files that are all there, and how to read them."""
    for root in roots:
        for layout in source.layouts:
            if files := layout.find(root):
                return layout, files
    return None


def _wanted(name: str) -> str:
    """The files of a data set and where they can be had; nothing of a folder of pictures."""
    if name not in SOURCES:
        return ""
    source = SOURCES[name]
    return f"; the files are {'; or '.join(map(str, source.layouts))}; get {source.origin}"


def _missing(name: str, roots: list[Path]) -> str:
    """What of a data set is not there, and what is."""
    partly = [lack for root in roots for layout in SOURCES[name].layouts if (lack := layout.lacks(root))]
    others = [other for other in SOURCES if _find(SOURCES[other], roots)]
    return (
        f"no {name} in {', '.join(map(str, roots))}{''.join('; ' + lack for lack in partly[:1])}"
        f"{_wanted(name)}"
        f"{'; what is there: --data ' + ', '.join(others) if others else ''}"
    )


def _subset(full: ImageData) -> ImageData:
    """The first examples of each class of the full set, in its order."""
    parts = {}
    for split, counts in SOURCES["cifar10-subset"].counts.items():
        whole: Split = getattr(full, split)
        assert whole.labels is not None
        rows = np.sort(np.concatenate([np.flatnonzero(whole.labels == k)[:n] for k, n in enumerate(counts)]))
        parts[split] = Split(whole.images[rows], whole.labels[rows])
    return ImageData("cifar10-subset", parts["train"], parts["test"], None, full.classes, full.files)


def _dynamic(mnist: ImageData) -> ImageData:
    """Binary digits: of testing drawn once, always the same; those of training are to be drawn each epoch."""
    draws = np.random.default_rng(0).random(mnist.test.images.shape, np.float32)
    images = np.where(draws < mnist.test.images / np.float32(255), np.uint8(255), np.uint8(0))
    test = Split(images, mnist.test.labels)
    return replace(mnist, name=DYNAMIC, test=test, binary=True, drawn_anew=True)


def _load_folder(root: Path, size: int | None) -> ImageData:
    """A folder's train/ and test/ if it has both, else a tenth of its pictures to test; shuffled by seed 0.

    By name they would come class by class, and what looks at the first few would see one class.
    """
    name, files = f"folder-{root.resolve().name}", (root,)
    with _reachable(root):
        tests = [root / other for other in TESTS if (root / other).is_dir()]
        split = bool(tests) and (root / "train").is_dir()
    if split:
        train, test = (picture_folder.read(part, size) for part in (root / "train", tests[0]))
        if train.images.shape[1:] != test.images.shape[1:] or train.classes != test.classes:
            kinds = (f"{part.images.shape[1:]} {', '.join(part.classes)[:60]}" for part in (train, test))
            raise ValueError(
                f"{root}: train and {tests[0].name} differ ({'; '.join(kinds)}): give both the same size, "
                "colours and sub-folders"
            )
        splits = [_rows(part, _shuffled(len(part.images))) for part in (train, test)]
        return ImageData(name, splits[0], splits[1], None, train.classes, files)
    found = picture_folder.read(root, size)
    n = len(found.images)
    if n < 2:
        raise ValueError(f"{root}: one picture in it: give 2 or more")
    order, held = _shuffled(n), max(n // HELD_OUT, 1)
    train, test = _rows(found, order[held:]), _rows(found, order[:held])
    return ImageData(name, train, test, None, found.classes, files)


def _shuffled(n: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(n)


def _rows(found: picture_folder.Pictures, rows: np.ndarray) -> Split:
    return Split(found.images[rows], None if found.labels is None else found.labels[rows])
