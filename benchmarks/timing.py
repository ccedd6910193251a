"""Times of things that take turns, so that a slow minute of the machine hits all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def check_rounds(rounds: int) -> None:
    """Refuse fewer rounds than a median wants.

    Raises:
        ValueError: fewer than five.
    """
    if rounds < 5:
        raise ValueError(f"rounds is {rounds}: a median wants at least five")


def spread(ratios: np.ndarray) -> tuple[float, dict[str, float]]:
    """The median of the rounds' ratios (R,), and what a record holds of the others."""
    facts = {"rounds": len(ratios), "least": float(ratios.min()), "most": float(ratios.max())}
    return float(np.median(ratios)), facts


def take_turns(sides: Sequence[Callable[[], float]], rounds: int) -> np.ndarray:
    """Seconds (R, S) of each side's rounds: they take turns, every other time from the last to the first."""
    seconds = np.empty((rounds, len(sides)))
    for k in range(rounds):
        order = range(len(sides))
        for i in order if k % 2 == 0 else reversed(order):
            seconds[k, i] = sides[i]()
    return seconds
