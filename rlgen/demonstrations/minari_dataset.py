"""Minari datasets: found by id or path and read with h5py alone; written and downloaded with the package.

    ROOT/mujoco/hopper/expert-v0/data/   main_data.hdf5 (a group an episode), metadata.json

ROOT is $MINARI_DATASETS_PATH, or ~/.minari/datasets. An episode that ends neither terminated nor truncated
was cut by the recording: it counts as truncated.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rlgen.demonstrations import arrays
from rlgen.demonstrations.container import Arrays
from rlgen.demonstrations.episodes import Demonstrations, Episode
from rlgen.demonstrations.formats import Contents, ends, env_arguments, split

DATA = "main_data.hdf5"
EXPERT = "rlgen_expert_return"
"""Our own entry in metadata.json."""


def root() -> Path:
    """Where Minari keeps datasets."""
    return Path(os.environ.get("MINARI_DATASETS_PATH") or Path.home() / ".minari" / "datasets")


def find(path: Path) -> Path | None:
    """The HDF5 file of a dataset's folder, or of its data/ folder, if there is one."""
    return next((file for file in (path / "data" / DATA, path / DATA) if file.is_file()), None)


def read_minari(file: Arrays, path: Path) -> Contents:
    """Read an open main_data.hdf5, and the metadata.json beside it if there is one.

    Raises:
        ValueError: Arrays that do not fit together, Dict observations, damaged metadata.
    """
    names = [name for name in file.names if name.startswith("episode_") and name[8:].isdecimal()]
    episodes = [_read_episode(file, name) for name in sorted(names, key=lambda name: int(name[8:]))]
    metadata = _read_metadata(path.with_name("metadata.json"))
    expert_return, spec = metadata.get(EXPERT), _env_spec(metadata)
    return Contents(
        tuple(episodes),
        spec["id"] if spec else None,
        None if expert_return is None else float(expert_return),
        _env_arguments(spec) if spec else None,
    )


def _read_episode(file: Arrays, name: str) -> Episode:
    def read(key: str) -> np.ndarray:
        return file.read(f"{name}/{key}")

    rewards = arrays.rewards(f"{name}/rewards", read("rewards"))
    lengths = np.array([len(rewards)])
    terminated = ends(f"{name}/terminations", read("terminations"), lengths)
    truncated = ends(f"{name}/truncations", read("truncations"), lengths)
    obs = arrays.observations(f"{name}/observations", read("observations"))
    acts = arrays.actions(f"{name}/actions", read("actions"))
    (episode,) = split(obs, acts, rewards, lengths, terminated, truncated | ~terminated)
    return episode


def _read_metadata(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        metadata = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"metadata.json cannot be read ({error}): get the dataset again") from error
    return metadata if isinstance(metadata, dict) else {}


def _env_spec(metadata: dict[str, Any]) -> dict[str, Any] | None:
    """What `env_spec`, json within json, says of an environment that it names."""
    try:
        spec = json.loads(metadata["env_spec"])
        return spec if isinstance(spec["id"], str) else None
    except (KeyError, TypeError, ValueError):
        return None


def _env_arguments(spec: dict[str, Any]) -> dict[str, Any]:
    """In what the recorded environment was not as registered, as arguments of `gymnasium.make`."""
    registered = gym.registry.get(spec["id"])
    usual, limit = (registered.kwargs, registered.max_episode_steps) if registered else ({}, None)
    given = env_arguments(json.dumps(spec.get("kwargs") or {}))
    found = {name: value for name, value in given.items() if usual.get(name, ...) != value}
    if limit and spec.get("max_episode_steps") not in (None, limit):
        found["max_episode_steps"] = spec["max_episode_steps"]
    return found


def download(dataset_id: str) -> None:
    """Download a dataset to where Minari keeps them.

    Raises:
        ValueError: No package minari, no such dataset, or no network.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _package().download_dataset(dataset_id)
    except ImportError as error:
        raise ValueError(f"cannot download ({error}): pip install 'minari[hf]'") from error
    except Exception as error:  # each client has exceptions of its own, and they change with versions
        raise ValueError(f"cannot download the Minari dataset {dataset_id!r}: {error}") from error


def check_minari_id(dataset_id: str) -> None:
    """Refuse an id under which `save_minari` could not write.

    Raises:
        ValueError: No package minari, or a bad or used id.
    """
    _package()
    try:
        import_module("minari.dataset.minari_dataset").parse_dataset_id(dataset_id)
    except (TypeError, ValueError) as error:  # TypeError: without a version
        raise ValueError(
            f"{dataset_id!r} is no id of a Minari dataset: give one such as mujoco/hopper/expert-v0"
        ) from error
    if (root() / dataset_id).exists():
        raise ValueError(
            f"cannot write the Minari dataset {dataset_id!r}: there is one in {root()}, give another name or "
            "version"
        )


def save_minari(
    dataset_id: str,
    demos: Demonstrations,
    seeds: Sequence[int] | None = None,
) -> Path:
    """Write demonstrations as a new Minari dataset; `load` reads the same numbers back.

    Args:
        dataset_id: Such as mujoco/hopper/expert-v0.
        demos: As recorded or loaded, before `fit`; with actions and rewards.
        seeds: Of each episode's reset, if known.

    Returns:
        The dataset's folder.

    Raises:
        ValueError: No package minari, a bad or used id, or demonstrations that Minari cannot hold.
    """
    check_minari_id(dataset_id)
    minari = _package()
    if (
        demos.action_size is not None
        or not demos.has_actions
        or demos.returns is None
        or demos.env_id is None
    ):
        raise ValueError(
            "Minari keeps actions in the environment's units, rewards and the environment: save before fit"
        )
    buffer = import_module("minari.data_collector.episode_buffer").EpisodeBuffer
    try:
        env = gym.make(demos.env_id, disable_env_checker=True, **(demos.env_kwargs or {}))
        dtype = env.observation_space.dtype
        buffers = [
            buffer(
                id=k,
                seed=None if seeds is None else int(seeds[k]),
                observations=episode.obs.astype(dtype).reshape(-1, *(env.observation_space.shape or ())),
                actions=episode.actions,
                rewards=episode.rewards,
                terminations=_at_end(episode, episode.terminated),
                truncations=_at_end(episode, episode.truncated),
            )
            for k, episode in enumerate(demos.episodes)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on author and licence, which are for datasets to be published
            dataset = minari.create_dataset_from_buffers(dataset_id, buffers, env=env, data_format="hdf5")
    except (OSError, ValueError, gym.error.Error) as error:
        raise ValueError(f"cannot write the Minari dataset {dataset_id!r}: {error}") from error
    env.close()
    if demos.expert_return is not None:
        dataset.storage.update_metadata({EXPERT: demos.expert_return})
    return root() / dataset_id


def _at_end(episode: Episode, value: bool) -> np.ndarray:
    flags = np.zeros(len(episode), bool)
    flags[-1] = value
    return flags


def _package() -> Any:
    try:
        return import_module("minari")
    except ImportError as error:
        raise ValueError("this needs the package minari: pip install 'minari[hdf5]'") from error
