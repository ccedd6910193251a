"""Data sets and folders of pictures as arrays: where they are looked for, the formats, the checks.

`loader` finds the files, `sources` says which a data set may come in, a module a format reads them (idx, npz,
cifar, matlab, amat, picture_folder), and `checks` says what is wrong with what was read. No torch.
"""

from benchmarks.images.data.loader import DYNAMIC, NAMES, labelled, load

__all__ = ["DYNAMIC", "NAMES", "labelled", "load"]
