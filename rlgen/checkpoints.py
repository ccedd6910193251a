"""Everything that a run needs to go on bit for bit, saved between `train()` and the next rollout.

    step_N/state.pt         parameters, optimisers, counters, episodes so far, statistics, the learned reward
           generators.pt    all random generators; put back last
           replay.npz       the filled part of the replay buffer (off-policy)
           manifest.json    step, sizes and hashes: written last

Nothing here is unpickled: torch loads with `weights_only=True`, numpy with `allow_pickle=False`.
"""

from __future__ import annotations

import random
import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import StateDependentNoiseDistribution
from stable_baselines3.common.vec_env import VecNormalize, unwrap_vec_normalize, unwrap_vec_wrapper
from torch import Tensor

from rlgen.folder import read_manifest, seal
from rlgen.recorder import TransitionRecorder
from rlgen.relabel import LearnReward

COUNTERS = (
    "num_timesteps",
    "_total_timesteps",
    "_current_progress_remaining",
    "_n_updates",
    "_episode_num",
    "_n_calls",  # DQN
    "exploration_rate",  # DQN
)
EPISODE = ("_last_obs", "_last_original_obs", "_last_episode_starts")
STATISTICS = ("obs_rms", "ret_rms")


def save(folder: Path, model: BaseAlgorithm, learner: LearnReward | None = None) -> None:
    """Write a checkpoint, complete in itself, or nothing: it gets its name when all of it is on the disk."""
    temporary = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    state = {**_model_state(model), **_environment_state(model)}
    state["learner"] = None if learner is None else learner.state_dict()
    torch.save(state, temporary / "state.pt")
    torch.save(pack(generators(model)), temporary / "generators.pt")
    arrays = _replay_arrays(model)
    if arrays:
        filled = _filled(model)
        parts: dict[str, Any] = {name: array[:filled] for name, array in arrays.items()}
        place = [model.replay_buffer.pos, model.replay_buffer.full]  # type: ignore[attr-defined]
        np.savez(temporary / "replay.npz", place=place, **parts)
    seal(temporary, folder, step=model.num_timesteps, algorithm=type(model).__name__)


def check_algorithm(folder: Path, manifest: Mapping[str, Any], model: BaseAlgorithm) -> None:
    """Refuse a checkpoint of another algorithm.

    Raises:
        ValueError: it is.
    """
    if manifest["algorithm"] != type(model).__name__:
        raise ValueError(f"{folder} is of {manifest['algorithm']}, not of {type(model).__name__}")


def restore(folder: Path, model: BaseAlgorithm, learner: LearnReward | None = None) -> None:
    """Bring a freshly built model, its environments and its learner to where the checkpoint was taken.

    Raises:
        ValueError: the checkpoint is damaged, or of another algorithm or setting; or an environment does not
            come back bit for bit.
    """
    manifest = read_manifest(folder)
    check_algorithm(folder, manifest, model)
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)
    if (state["learner"] is None) != (learner is None):
        had = "without" if learner else "with"
        raise ValueError(f"{folder} was saved {had} a learned reward: resume it {had} one")
    if learner is not None:
        learner.install(model)
        learner.load_state_dict(state["learner"])
    restore_model(state, model)
    _restore_environments(state, model)
    _restore_replay(folder, model)
    restore_generators(folder, model)


def restore_generators(folder: Path, model: BaseAlgorithm) -> None:
    """Put all random generators back: after everything else, which may draw from them."""
    state = torch.load(folder / "generators.pt", map_location="cpu", weights_only=True)
    set_generators(unpack(state), model)


def restore_model(state: dict[str, Any], model: BaseAlgorithm) -> None:
    """Parameters, optimisers, what `set_parameters` leaves out, counters, and the log row in the making."""
    model.set_parameters(state["parameters"], exact_match=True)
    with torch.no_grad():
        for name, value in state["variables"].items():
            getattr(model, name).copy_(value)  # in place: the optimiser holds it
    for name, value in unpack(state["counters"]).items():
        setattr(model, name, value)
    size = model._stats_window_size
    model.ep_info_buffer = deque(unpack(state["ep_info"]), maxlen=size)
    model.ep_success_buffer = deque(unpack(state["ep_success"]), maxlen=size)
    if hasattr(model, "_logger"):
        model.logger.name_to_value.update(state["logged"]["value"])
        model.logger.name_to_count.update(state["logged"]["count"])
        model.logger.name_to_excluded.update(state["logged"]["excluded"])


def restore_statistics(state: dict[str, Any], venv: VecNormalize) -> None:
    """The running statistics of VecNormalize."""
    for name, values in unpack(state["statistics"]).items():
        statistics = getattr(venv, name)
        statistics.mean, statistics.var, statistics.count = values


def _model_state(model: BaseAlgorithm) -> dict[str, Any]:
    names = model._get_torch_save_params()[1]
    logged: dict[str, Any] = {"value": {}, "count": {}, "excluded": {}}
    if hasattr(model, "_logger"):
        logger = model.logger
        numbers = {k: v for k, v in logger.name_to_value.items() if isinstance(v, int | float | np.number)}
        logged["value"] = {key: getattr(value, "item", lambda v=value: v)() for key, value in numbers.items()}
        logged["count"] = {key: logger.name_to_count[key] for key in numbers if key in logger.name_to_count}
        logged["excluded"] = {key: logger.name_to_excluded.get(key) for key in numbers}
    return {
        "parameters": model.get_parameters(),
        "variables": {name: getattr(model, name).detach() for name in names},
        "counters": pack({name: getattr(model, name) for name in COUNTERS if hasattr(model, name)}),
        "ep_info": pack(list(model.ep_info_buffer or ())),
        "ep_success": pack(list(model.ep_success_buffer or ())),
        "logged": logged,
    }


def _environment_state(model: BaseAlgorithm) -> dict[str, Any]:
    venv = model.get_env()
    assert venv is not None
    state = {
        "episodes": pack(venv.env_method("episode_log")),
        "last": pack({name: getattr(model, name) for name in EPISODE}),
        "statistics": {},
    }
    normalize = unwrap_vec_normalize(venv)
    if normalize is not None:
        found = {name: getattr(normalize, name) for name in STATISTICS if hasattr(normalize, name)}
        state["statistics"] = pack({name: [rms.mean, rms.var, rms.count] for name, rms in found.items()})
        state["returns"] = pack(normalize.returns)
    return state


def _restore_environments(state: dict[str, Any], model: BaseAlgorithm) -> None:
    venv = model.get_env()
    assert venv is not None
    logs = unpack(state["episodes"])
    if len(logs) != venv.num_envs:
        raise ValueError(f"the checkpoint has {len(logs)} environments, the run {venv.num_envs}: use as many")
    for index, log in enumerate(logs):
        venv.env_method("replay", log, indices=[index])
    for name, value in unpack(state["last"]).items():
        setattr(model, name, value)
    if logs[0]["obs"] is None:
        return
    raw = np.stack([log["obs"] for log in logs]).astype(venv.observation_space.dtype)
    recorder = unwrap_vec_wrapper(venv, TransitionRecorder)
    if isinstance(recorder, TransitionRecorder):
        recorder.set_obs(raw)
    normalize = unwrap_vec_normalize(venv)
    if normalize is not None:
        restore_statistics(state, normalize)
        normalize.returns, normalize.old_obs = unpack(state["returns"]), raw


# The replay buffer


def _replay_arrays(model: BaseAlgorithm) -> dict[str, np.ndarray]:
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return {}
    return {
        name: array
        for name, array in vars(buffer).items()
        if isinstance(array, np.ndarray) and len(array) == buffer.buffer_size
    }


def _filled(model: BaseAlgorithm) -> int:
    """Rows in use; the next observation of a memory-saving buffer lies one row further."""
    buffer = model.replay_buffer  # type: ignore[attr-defined]
    return buffer.buffer_size if buffer.full else min(buffer.pos + 1, buffer.buffer_size)


def _restore_replay(folder: Path, model: BaseAlgorithm) -> None:
    arrays = _replay_arrays(model)
    if not arrays:
        return
    buffer = model.replay_buffer  # type: ignore[attr-defined]
    with np.load(folder / "replay.npz", allow_pickle=False) as saved:
        pos, full = (int(number) for number in saved["place"])
        for name, array in arrays.items():
            rows = saved[name]
            if len(rows) > len(array):
                raise ValueError(f"{folder} holds {len(rows)} transitions, buffer_size is {len(array)}")
            array[: len(rows)] = rows
    buffer.pos, buffer.full = pos, bool(full)


# Random generators


def generators(model: BaseAlgorithm) -> dict[str, Any]:
    """States of the generators that SB3 and the environments draw from, besides those of the environments."""
    state = {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=False),
        "torch": torch.get_rng_state(),
        "action_space": model.action_space.np_random.bit_generator.state,
        "cuda": torch.cuda.get_rng_state(model.device) if model.device.type == "cuda" else None,
        "exploration": None,
    }
    noise = _exploration(model)
    if noise is not None:
        state["exploration"] = (noise.exploration_mat.detach(), noise.exploration_matrices.detach())
    return state


def set_generators(state: dict[str, Any], model: BaseAlgorithm) -> None:
    """Inverse of `generators`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.set_rng_state(torch.as_tensor(state["torch"]))
    model.action_space.np_random.bit_generator.state = state["action_space"]
    if state["cuda"] is not None and model.device.type == "cuda":
        torch.cuda.set_rng_state(torch.as_tensor(state["cuda"]), model.device)
    noise = _exploration(model)
    if noise is not None:
        mats = [torch.as_tensor(mat, device=model.device) for mat in state["exploration"]]
        noise.exploration_mat, noise.exploration_matrices = mats


def _exploration(model: BaseAlgorithm) -> StateDependentNoiseDistribution | None:
    """The noise of gSDE, which SB3 draws just before a rollout starts."""
    noise = getattr(getattr(model, "actor", model.policy), "action_dist", None)
    return noise if isinstance(noise, StateDependentNoiseDistribution) else None


# Plain data: what torch loads with weights_only=True


def pack(value: Any) -> Any:
    """Numpy arrays and numbers to tensors, inside dicts, lists and tuples."""
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(pack(item) for item in value)
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray | np.generic) else value


def unpack(value: Any) -> Any:
    """Tensors to numpy arrays, those without dimensions to numpy numbers."""
    if isinstance(value, dict):
        return {key: unpack(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(unpack(item) for item in value)
    return value.numpy()[()] if isinstance(value, Tensor) else value
