"""report: what a set of demonstrations holds, in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlgen.demonstrations.episodes import Demonstrations

AT_BOUND = 1 - 1e-6
"""From here on a scaled action counts as at its bound."""
MOST_RUNS = 8
"""Of constant dimensions that are listed."""


def report(demos: Demonstrations) -> str:
    """Episodes, returns, ends, constant observation dimensions, and, after `fit`, actions at a bound."""
    lengths = [len(episode) for episode in demos.episodes]
    spread = (
        f"{lengths[0]} steps each" if len({*lengths}) == 1 else f"of {min(lengths)} to {max(lengths)} steps"
    )
    lines = [
        f"{demos.source} ({demos.env_id or 'environment unknown'})",
        f"episodes      {len(lengths)}, {spread}, {demos.n_steps} steps in all",
        f"return        {_returns(demos.returns)}",
    ]
    if demos.expert_return is not None:
        lines.append(f"expert        {demos.expert_return:.6g}, mean return of all that it played")
    ended = sum(episode.terminated for episode in demos.episodes)
    cut = sum(episode.truncated and not episode.terminated for episode in demos.episodes)
    return "\n".join(
        [
            *lines,
            f"ends          {ended} terminated, {cut} at a time limit or the end of the recording",
            f"observations  {demos.obs_size} features, {_constant(demos)}",
            f"actions       {_actions(demos)}",
        ]
    )


def _returns(returns: np.ndarray | None) -> str:
    if returns is None:
        return "unknown"
    return (
        f"{returns.mean():.6g} +- {returns.std():.4g} (mean, population sd), {returns.min():.6g} to "
        f"{returns.max():.6g}"
    )


def _constant(demos: Demonstrations) -> str:
    low = np.min([episode.obs.min(axis=0) for episode in demos.episodes], axis=0)
    high = np.max([episode.obs.max(axis=0) for episode in demos.episodes], axis=0)
    constant = np.flatnonzero(low == high).tolist()
    return f"{len(constant)} constant ({abbreviated(constant)})" if constant else "none constant"


def _actions(demos: Demonstrations) -> str:
    parts = [episode.actions for episode in demos.episodes if episode.actions is not None]
    if not parts:
        return "unknown"
    actions = np.concatenate(parts)
    if actions.ndim == 1:
        shares = np.bincount(actions - actions.min()) / len(actions)
        return "discrete, " + ", ".join(f"{share:.0%}" for share in shares[:10])
    if demos.action_size is None:
        return f"{actions.shape[1]} numbers"
    return f"{actions.shape[1]} numbers, {np.mean(np.abs(actions) >= AT_BOUND):.1%} of them at a bound"


def abbreviated(numbers: Sequence[int]) -> str:
    """Increasing numbers in runs, such as 3, 7-12; after `MOST_RUNS` of them, '...'."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    told = [f"{first}-{last}" if last > first else f"{first}" for first, last in runs[:MOST_RUNS]]
    return ", ".join([*told, "..."] if len(runs) > MOST_RUNS else told)
