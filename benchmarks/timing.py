"""Times of things that take turns, so that a slow minute of the machine hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def take_turns(sides: Sequence[Callable[[], float]], rounds: int) -> np.ndarray:
    """Seconds (R, S) of each side's rounds: they take turns, every other time from the last to the first."""
    seconds = np.empty((rounds, len(sides)))
    for k in range(rounds):
        order = range(len(sides))
        for i in order if k % 2 == 0 else reversed(order):
            seconds[k, i] = sides[i]()
    return seconds
