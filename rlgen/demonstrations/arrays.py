"""Checks of single arrays as they are read: dtype, shape, finite values. Each array is looked at once."""

from __future__ import annotations

import numpy as np


def observations(name: str, array: np.ndarray) -> np.ndarray:
    """(N, ...) numbers -> (N, O) float32.

    Raises:
        ValueError: Another dtype or shape, NaN or infinity.
    """
    if array.ndim < 2 or 0 in array.shape[1:]:
        raise ValueError(f"{name} has shape {array.shape}: give (N, O), a row an observation")
    return _finite(name, array.reshape(len(array), -1))


def actions(name: str, array: np.ndarray) -> np.ndarray:
    """Real numbers -> (N, A) float32; whole numbers (N,) or (N, 1), of a Discrete -> (N,) int64.

    Raises:
        ValueError: Another dtype or shape, NaN or infinity.
    """
    if array.dtype.kind in "iu" and (array.ndim == 1 or array.shape[1:] == (1,)):
        return array.reshape(-1).astype(np.int64)
    if array.ndim < 2 or 0 in array.shape[1:] or array.dtype.kind in "iu":
        raise ValueError(
            f"{name} is {array.dtype} of shape {array.shape}: give real numbers (N, A), or whole ones (N,)"
        )
    return _finite(name, array.reshape(len(array), -1))


def rewards(name: str, array: np.ndarray) -> np.ndarray:
    """Numbers (N,) or (N, 1) -> (N,) float32.

    Raises:
        ValueError: Another dtype or shape, NaN or infinity.
    """
    return _finite(name, _vector(name, array))


def flags(name: str, array: np.ndarray) -> np.ndarray:
    """Booleans, or numbers 0 and 1, (N,) or (N, 1) -> (N,) bool.

    Raises:
        ValueError: Other values, or another shape.
    """
    array = _vector(name, array)
    if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} is {array.dtype} and more than 0 and 1: give booleans")
    return array.astype(bool)


def counts(name: str, array: np.ndarray) -> np.ndarray:
    """Whole numbers (E,) -> int64.

    Raises:
        ValueError: Another dtype or shape.
    """
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}: give whole numbers (E,)")
    return array.astype(np.int64)


def text(name: str, array: np.ndarray) -> str:
    """A single string.

    Raises:
        ValueError: Anything else.
    """
    if array.dtype.kind != "U" or array.size != 1 or not array.item().strip():
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}: give a single string")
    return array.item()


def _vector(name: str, array: np.ndarray) -> np.ndarray:
    if array.ndim != 1 and array.shape[1:] != (1,):
        raise ValueError(f"{name} has shape {array.shape}: give (N,), a number a step")
    return array.reshape(-1)


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {array.dtype}: save it as float32")
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(array).all():
        row = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))[0]
        raise ValueError(f"{name} holds NaN or infinity in row {row}: record the demonstrations again")
    return array
