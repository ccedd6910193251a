"""The data sets: what each holds, which files it may come in, and where those can be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.images.data import amat, cifar, idx, matlab, npz
from benchmarks.images.data.reading import Arrays


@dataclass(frozen=True)
class Layout:
    """Files that hold a data set together."""

    files: tuple[str, ...]
    read: Callable[[Sequence[Path], Sequence[str]], Arrays]
    folders: tuple[str, ...] = ("",)
    """Where they may be, below the data folder; a data set's own folder before the data folder itself."""
    suffixes: tuple[str, ...] = ("",)
    """What may follow each name."""
    spelling: tuple[str, str] = ("", "")
    """A part of each name, and what may stand in its place."""

    def find(self, root: Path) -> list[Path] | None:
        """The files, all in one folder, if they are all there."""
        for folder in self.folders:
            found = self._found(root / folder)
            if None not in found:
                return [path for path in found if path is not None]
        return None

    def lacks(self, root: Path) -> str:
        """What is missing where only some of the files are; nothing where none is."""
        for folder in self.folders:
            found = self._found(root / folder)
            missing = [name for name, path in zip(self.files, found, strict=True) if path is None]
            if 0 < len(missing) < len(self.files):
                return f"{', '.join(missing)} missing in {root / folder}"
        return ""

    def _found(self, folder: Path) -> list[Path | None]:
        def first(name: str) -> Path | None:
            spellings = {name: None, name.replace(*self.spelling): None}  # a set that keeps the order
            paths = (folder / (spelt + suffix) for spelt in spellings for suffix in self.suffixes)
            return next((path for path in paths if path.is_file()), None)

        return [first(name) for name in self.files]

    def __str__(self) -> str:
        either = "".join(f"[{suffix}]" for suffix in self.suffixes if suffix)
        names = " + ".join(name + either for name in self.files)
        known, other = self.spelling
        below = ", ".join(f"{folder}/" for folder in self.folders if folder)
        notes = [f"or {other} for {known}"] * bool(known) + [f"there or in {below}"] * bool(below)
        return f"{names} ({'; '.join(notes)})" if notes else names


@dataclass(frozen=True)
class Source:
    """A data set."""

    shape: tuple[int, int, int]
    """(H, W, C) of an image."""
    counts: Mapping[str, tuple[int, ...]]
    """Images of each class by split; of all together where there are no labels."""
    classes: tuple[str, ...]
    """Names; none where there are no labels."""
    layouts: tuple[Layout, ...]
    origin: str
    """Where the files can be had."""
    binary: bool = False
    """Pixels are 0 and 1 in the files, 0 and 255 once read."""
    places: tuple[str, ...] = ()
    """Folders of the system that are looked into last."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the files that hold one each."""
        kinds = ("images", "labels") if self.classes else ("images",)
        return tuple(f"{split}_{kind}" for split in self.counts for kind in kinds)


def idx_layout(*folders: str) -> Layout:
    """The four files of MNIST and its like."""
    kinds = ("images-idx3", "labels-idx1")
    names = tuple(f"{split}-{kind}-ubyte" for split in ("train", "t10k") for kind in kinds)
    return Layout(names, idx.read, (*folders, ""), ("", ".gz"), ("-idx", ".idx"))


DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MAT_FILES = ("train_32x32.mat", "test_32x32.mat")
AMAT_FILES = tuple(f"binarized_mnist_{split}.amat" for split in ("train", "valid", "test"))
CIFAR_HOME = "cifar-10-python.tar.gz from https://www.cs.toronto.edu/~kriz/cifar.html"

SOURCES: dict[str, Source] = {
    "mnist": Source(
        shape=(28, 28, 1),
        counts={
            "train": (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
            "test": (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
        },
        classes=DIGITS,
        layouts=(Layout(("mnist.npz",), npz.read), idx_layout("mnist", "MNIST/raw")),
        origin="the four idx.gz files from https://ossci-datasets.s3.amazonaws.com/mnist/ (home page "
        "http://yann.lecun.com/exdb/mnist/)",
    ),
    "mnist-static": Source(
        shape=(28, 28, 1),
        counts={"train": (50_000,), "valid": (10_000,), "test": (10_000,)},
        classes=(),
        layouts=(
            Layout(("binarized_mnist.npz",), npz.read),
            Layout(AMAT_FILES, amat.read, ("binarized_mnist", "")),
        ),
        origin="the three .amat files from https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        binary=True,
    ),
    "fashion-mnist": Source(
        shape=(28, 28, 1),
        counts={"train": 10 * (6000,), "test": 10 * (1000,)},
        classes=CLOTHES,
        layouts=(
            Layout(("fashion_mnist.npz",), npz.read),
            Layout(("fashion-mnist.npz",), npz.read),
            idx_layout("fashion-mnist", "fashion_mnist", "FashionMNIST/raw"),
        ),
        origin="the four idx.gz files from https://github.com/zalandoresearch/fashion-mnist, or on Debian and"
        " Ubuntu apt install dataset-fashion-mnist",
        places=("/usr/share/datasets/fashion-mnist",),
    ),
    "cifar10": Source(
        shape=(32, 32, 3),
        counts={"train": 10 * (5000,), "test": 10 * (1000,)},
        classes=OBJECTS,
        layouts=(
            Layout(("cifar10.npz",), npz.read),
            Layout(cifar.FILES, cifar.read, ("cifar-10-batches-py", "")),
            Layout(("cifar-10-python.tar.gz",), cifar.read_tar),
        ),
        origin=CIFAR_HOME,
    ),
    "cifar10-subset": Source(
        shape=(32, 32, 3),
        counts={"train": 10 * (1000,), "test": 10 * (200,)},
        classes=OBJECTS,
        layouts=(Layout(("cifar10_small.npz",), npz.read),),
        origin=f"{CIFAR_HOME}: the subset is taken from the full set",
    ),
    "svhn": Source(
        shape=(32, 32, 3),
        counts={
            "train": (4948, 13861, 10585, 8497, 7458, 6882, 5727, 5595, 5045, 4659),
            "test": (1744, 5099, 4149, 2882, 2523, 2384, 1977, 2019, 1660, 1595),
        },
        classes=DIGITS,
        layouts=(Layout(("svhn.npz",), npz.read), Layout(MAT_FILES, matlab.read_svhn, ("svhn", "SVHN", ""))),
        origin="train_32x32.mat and test_32x32.mat from http://ufldl.stanford.edu/housenumbers/",
    ),
}
