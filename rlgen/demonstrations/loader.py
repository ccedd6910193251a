"""load: a file or a Minari dataset, whatever its format, as demonstrations."""

from __future__ import annotations

import warnings
from pathlib import Path

import gymnasium as gym

from rlgen.demonstrations import minari_dataset
from rlgen.demonstrations.container import opened
from rlgen.demonstrations.episodes import Demonstrations
from rlgen.demonstrations.formats import Contents, read_flat
from rlgen.demonstrations.spaces import plays_no_more, same_env, same_task, where


def load(
    path_or_id: str | Path,
    *,
    env_id: str | None = None,
    time_limit: int | None = None,
    download: bool = False,
) -> Demonstrations:
    """Read demonstrations; the format is told by the content. Nothing is unpickled.

    Args:
        path_or_id: One of `formats`, a Minari dataset's folder, its data/ or main_data.hdf5, or a Minari id.
        env_id: Gymnasium id, where the file does not name one; a file that does must agree, but for the
            version: whether that fits, `fit` sees by the sizes.
        time_limit: Steps after which an episode was cut short, where that is not the environment's own: some
            formats do not tell such an end from a true one.
        download: Let Minari download a dataset that is not at hand.

    Returns:
        Episodes with raw float32 observations and actions in the environment's own units: `fit` comes next.

    Raises:
        ValueError: No such file or dataset, an unknown format, a damaged file, values or sizes that cannot
            be, no or another environment.
    """
    path = _locate(str(path_or_id), download)
    try:
        contents = _read(path, env_id, time_limit)
        widths = {episode.obs.shape[1] for episode in contents.episodes}
        kinds = {None if e.actions is None else e.actions.shape[1:] for e in contents.episodes}
        if len(widths) > 1 or len(kinds) > 1:
            raise ValueError(
                "episodes differ in the size of observations or actions: keep one environment a file"
            )
        found = contents.env_id
        if found and env_id is None and plays_no_more(found):
            raise ValueError(
                f"demonstrations of {found}, which gymnasium plays no more: {_fitting(contents)}"
            )
        env_id = _environment(found, env_id)
        if found and not same_env(found, env_id):
            warnings.warn(f"demonstrations of {found} are taken for {env_id}", stacklevel=2)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Demonstrations(
        contents.episodes, env_id, contents.expert_return, str(path_or_id), contents.env_kwargs
    )


def _locate(path_or_id: str, download: bool) -> Path:
    """The file to read."""
    path = Path(path_or_id).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        found = minari_dataset.find(path)
        if found is None and (path / "dataset_info.json").is_file():
            raise ValueError(
                f"{path}: a folder of Hugging Face datasets, as imitation's serialize.save writes: read it "
                "there and write an npz, as demos/README.md describes"
            )
        if found is None:
            raise ValueError(
                f"{path}: a folder without a Minari dataset in HDF5: give a file, or such a folder"
            )
        return found
    if path.suffix in (".npz", ".hdf5", ".h5") or path.is_absolute():
        raise ValueError(f"{path}: no such file")
    folder = minari_dataset.root() / path_or_id
    if download and minari_dataset.find(folder) is None:
        minari_dataset.download(path_or_id)
    found = minari_dataset.find(folder)
    if found is None:
        raise ValueError(
            f"{path_or_id}: neither a file nor a Minari dataset in {minari_dataset.root()}: pass --download "
            "to get it from Minari's server"
        )
    return found


def _read(path: Path, env_id: str | None, time_limit: int | None) -> Contents:
    with opened(path) as file:
        if any(name.startswith("episode_") and name[8:].isdecimal() for name in file.names):
            return minari_dataset.read_minari(file, path)
        spec = gym.registry.get((env_id or "").rpartition(":")[2])
        return read_flat(file, time_limit or (spec.max_episode_steps if spec else None))


def _fitting(contents: Contents) -> str:
    """Which version observations and actions of these sizes fit."""
    first = contents.episodes[0]
    width = first.actions.shape[1] if first.actions is not None and first.actions.ndim == 2 else 0
    return where(first.obs.shape[1], width, contents.env_id or "")


def _environment(found: str | None, asked: str | None) -> str:
    """The environment of a file that may name one, asked for by a user who may name one."""
    if found and asked and not same_task(found, asked):
        raise ValueError(f"demonstrations of {found}, not of {asked}: pass --env {found}, or leave it out")
    if asked:
        return asked
    if not found:
        raise ValueError("the file names no environment: pass --env ID, such as Hopper-v5")
    module = found.rpartition(":")[0]
    if module not in ("", "envs"):
        raise ValueError(
            f"its environment {found} is in a module to import: pass --env {found} if you trust that"
        )
    return found
