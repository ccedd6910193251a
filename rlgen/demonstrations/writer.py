"""save: demonstrations to our own npz, plain arrays that load without unpickling."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rlgen.demonstrations.episodes import Demonstrations
from rlgen.files import replace_file


def save(path: str | Path, demos: Demonstrations, extra: Mapping[str, np.ndarray] | None = None) -> None:
    """Write demonstrations as a whole or not at all; `load` reads the same numbers back.

    Args:
        path: It should end in .npz.
        demos: As recorded or loaded, before `fit`: files hold actions in the environment's own units.
        extra: More arrays, such as seeds (E,), or attempt_returns and attempt_lengths of all that was played.

    Raises:
        ValueError: Demonstrations after `fit`, or a path that cannot be written.
    """
    if demos.action_size is not None:
        raise ValueError("the actions are scaled for training: save demonstrations before fit")
    path = Path(path)
    arrays = {**as_arrays(demos), **(extra or {})}

    def write(partial: Path) -> None:
        with open(partial, "wb") as file:  # to a path numpy would add .npz
            np.savez_compressed(file, allow_pickle=False, **arrays)

    try:
        replace_file(path, write)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error}") from error


def as_arrays(demos: Demonstrations) -> dict[str, np.ndarray]:
    """The arrays of our npz, one episode after another (see `formats`)."""
    episodes = demos.episodes
    lengths = np.array([len(episode) for episode in episodes], dtype=np.int64)
    last = np.cumsum(lengths) - 1
    found: dict[str, np.ndarray] = {"obs": np.concatenate([episode.obs for episode in episodes])}
    for name, field in (("acts", "actions"), ("rews", "rewards")):
        parts = [getattr(episode, field) for episode in episodes]
        if parts[0] is not None:
            found[name] = np.concatenate(parts)
    for name in ("terminated", "truncated"):
        found[name] = np.zeros(lengths.sum(), bool)
        found[name][last] = [getattr(episode, name) for episode in episodes]
    found["episode_lengths"] = lengths
    if demos.env_id is not None:
        found["env_id"] = np.array(demos.env_id)
    if demos.env_kwargs is not None:
        found["env_kwargs"] = np.array(json.dumps(dict(demos.env_kwargs)))
    if demos.expert_return is not None:
        found["expert_return"] = np.array(demos.expert_return)
    return found
