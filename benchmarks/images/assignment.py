"""The best one-to-one matching of rows to columns: it makes classes of codes that nobody named."""

from __future__ import annotations

import numpy as np


def best_assignment(gain: np.ndarray) -> np.ndarray:
    """Match each row of `gain` (R, C), R <= C, to a column of its own, so that the sum is largest.

    Kuhn's method in the form with shortest augmenting paths: O(R^2 C).

    Returns:
        (R,) int64 columns.

    Raises:
        ValueError: More rows than columns.

    References:
        Kuhn 1955; Jonker and Volgenant 1987.
    """
    n_rows, n_columns = gain.shape
    if n_rows > n_columns:
        raise ValueError(f"{n_rows} rows cannot have a column each of {n_columns}: pass the transpose")
    cost = gain.max() - gain.astype(np.float64)
    row_price, column_price = np.zeros(n_rows), np.zeros(n_columns)
    owner = np.full(n_columns, -1)
    for row in range(n_rows):
        _augment(row, cost, row_price, column_price, owner)
    columns = np.flatnonzero(owner >= 0)
    found = np.empty(n_rows, np.int64)
    found[owner[columns]] = columns
    return found


def _augment(
    row: int, cost: np.ndarray, row_price: np.ndarray, column_price: np.ndarray, owner: np.ndarray
) -> None:
    """Give `row` a column along the shortest alternating path, and update prices and owners."""
    n = len(owner)
    slack, before, done = np.full(n, np.inf), np.full(n, -1), np.zeros(n, bool)
    last, current, length = -1, row, 0.0
    while True:
        reduced = length + cost[current] - row_price[current] - column_price
        better = ~done & (reduced < slack)
        slack[better], before[better] = reduced[better], last
        last = int(np.where(done, np.inf, slack).argmin())
        length = slack[last]
        if owner[last] < 0:
            break
        done[last] = True
        current = int(owner[last])
    row_price[row] += length
    for column in np.flatnonzero(done):
        row_price[owner[column]] += length - slack[column]
        column_price[column] -= length - slack[column]
    while last >= 0:
        owner[last] = row if before[last] < 0 else owner[before[last]]
        last = int(before[last])
