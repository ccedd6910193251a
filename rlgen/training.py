"""What every training command shares: the environments, the algorithms, and the one description of both."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import DtypeObservation, RescaleAction
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize, sync_envs_normalization

import rlgen
from rlgen.episode_log import EpisodeLog
from rlgen.hyperparams import sb3_arguments
from rlgen.presets import OFF_POLICY
from rlgen.recorder import TransitionRecorder, check_spaces

ALGORITHMS = {
    "ppo": "stable_baselines3:PPO",
    "a2c": "stable_baselines3:A2C",
    "trpo": "sb3_contrib:TRPO",
    "sac": "stable_baselines3:SAC",
    "td3": "stable_baselines3:TD3",
    "ddpg": "stable_baselines3:DDPG",
    "tqc": "sb3_contrib:TQC",
    "crossq": "sb3_contrib:CrossQ",
    "dqn": "stable_baselines3:DQN",
}
EVAL_SEED = 50_000  # added to the seed for the evaluation environment; demonstrations start from 10_000 on


@dataclass(frozen=True)
class Setup:
    """How environments and model are built, fully resolved; plain data, it stands in config.json."""

    env: str
    """Gymnasium id."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of `gymnasium.make`."""
    algo: str = "ppo"
    """One of `ALGORITHMS`."""
    n_envs: int = 1
    """Environments in parallel."""
    seed: int = 0
    """Of everything; environment k gets seed + k."""
    device: str = "cpu"
    """Torch's device."""
    normalize_obs: bool = False
    """Running normalisation of what the policy sees (VecNormalize)."""
    normalize_reward: bool = False
    """Running normalisation of the environment's reward (VecNormalize)."""
    hyperparams: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the SB3 class. Besides: "lin_3e-4" is a learning rate or clip range that falls linearly
    to 0; `action_noise` is a standard deviation or null; `activation_fn` in policy_kwargs a name: "tanh"."""

    def to_dict(self) -> dict[str, Any]:
        """As json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Setup:
        """Inverse of `to_dict`."""
        return cls(**{f.name: data[f.name] for f in fields(cls) if f.name in data})

    def wrappers(self) -> list[str]:
        """Names of the wrappers round each environment and round all of them, innermost first."""
        names = [
            "RescaleAction(-1, 1) (Box actions)",
            "DtypeObservation(float32) (observations not of floats)",
        ]
        names += ["Monitor", "EpisodeLog", "TransitionRecorder"]
        return names + ["VecNormalize"] * (self.normalize_obs or self.normalize_reward)


# Environments


def check_env_id(env: str) -> None:
    """Refuse an id that is not registered, and register ours on the way.

    Raises:
        ValueError: with the nearest registered ids; or our ids are hidden by a module `envs` of the user's.
    """
    module, _, name = env.rpartition(":")
    if module and module != "envs":
        try:
            import_module(module)
        except (ImportError, TypeError, ValueError) as error:  # TypeError: a relative name
            raise ValueError(f"--env {env}: cannot import {module!r} ({error})") from error
    ours = name.startswith("rlgen/") or module == "envs"
    trouble = _register_ours()
    if ours and trouble:
        raise ValueError(trouble)
    if name in gym.registry:
        return
    close = get_close_matches(name, sorted(gym.registry), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else "see gymnasium.pprint_registry() for all ids"
    raise ValueError(f"unknown environment {name!r}: {hint}{f' ({trouble})' if trouble else ''}")


def qualified(env: str) -> str:
    """The id that `gymnasium.make` understands in any process: ours with the module that registers it."""
    return f"envs:{env}" if env.startswith("rlgen/") else env


def _register_ours() -> str:
    """Import our package `envs`; what is in the way, or nothing. One of the user's is not run."""
    ours, spec = Path(rlgen.__file__).parents[1] / "envs" / "__init__.py", find_spec("envs")
    if spec is None:
        return "the package envs that registers rlgen/... is not there: install rlgen again"
    place = Path(spec.origin or next(iter(spec.submodule_search_locations or ()), "?"))
    if place.resolve() != ours.resolve():
        place = place.parent if place.name == "__init__.py" else place
        _quiet_mujoco(ours.with_name("mujoco_log.py"))
        return f"{place} hides the package envs of rlgen: rename yours, or run from another folder"
    try:
        import_module("envs").quiet()  # MuJoCo would write MUJOCO_LOG.TXT into the working directory
    except ImportError as error:
        return f"the package envs that registers rlgen/... cannot be imported ({error}): install rlgen again"
    return ""


def _quiet_mujoco(script: Path) -> None:
    """What importing our `envs` does, where a package of the user's has its name."""
    spec = spec_from_file_location("rlgen_mujoco_log", script)
    if spec and spec.loader and script.exists():
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        module.quiet()


def make_env(setup: Setup) -> VecEnv:
    """The training environments: actions rescaled to [-1, 1], monitored, logged, recorded, normalised.

    Args:
        setup: what to build.

    Raises:
        ValueError: an unknown id, arguments that it does not take, spaces that are not supported.
        EnvironmentNaN: later, in `reset` and `step`.
    """
    check_env_id(setup.env)
    if setup.n_envs < 1:
        raise ValueError(f"n_envs is {setup.n_envs}: give at least 1")
    venv = DummyVecEnv([_thunk(setup, k) for k in range(setup.n_envs)])
    venv.seed(setup.seed)
    recorded = TransitionRecorder(venv)
    if not (setup.normalize_obs or setup.normalize_reward):
        return recorded
    return VecNormalize(
        recorded,
        norm_obs=setup.normalize_obs,
        norm_reward=setup.normalize_reward,
        gamma=setup.hyperparams.get("gamma", 0.99),
    )


def _thunk(setup: Setup, index: int) -> Callable[[], gym.Env]:
    name = qualified(setup.env)

    def build() -> gym.Env:
        try:
            env = gym.make(name, disable_env_checker=True, **setup.env_kwargs)
        except Exception as error:  # an environment's own, of any kind
            raise ValueError(f"cannot make {setup.env} with {dict(setup.env_kwargs)}: {error}") from error
        try:
            check_spaces(env.observation_space, env.action_space)
        except ValueError as error:
            raise ValueError(f"{setup.env}: {error}") from error
        if isinstance(env.action_space, spaces.Box):
            env = RescaleAction(env, -1, 1)  # type: ignore[arg-type]  # floats would warn
        if not np.issubdtype(env.observation_space.dtype, np.floating):
            env = DtypeObservation(env, np.float32)  # SB3 would store normalised ones rounded
        return EpisodeLog(Monitor(env), index, setup.n_envs)

    return build


def make_eval_env(setup: Setup, training_env: VecEnv) -> VecEnv:
    """One environment in the same wrappers, with the statistics of the training environment.

    Its reward is never normalised and its statistics never move; `sync_envs_normalization` renews them.
    """
    one = Setup.from_dict({**setup.to_dict(), "n_envs": 1, "seed": setup.seed + EVAL_SEED})
    venv = make_env(one)
    if isinstance(venv, VecNormalize):
        venv.training = venv.norm_reward = False
        sync_envs_normalization(training_env, venv)
    return venv


def freeze_statistics(venv: VecEnv, obs: np.ndarray, std_floor: float = 0.0) -> None:
    """Normalise observations by those given, for good.

    Args:
        venv: from `make_env` with normalize_obs.
        obs: (N, O) raw.
        std_floor: least standard deviation to divide by.
    """
    assert isinstance(venv, VecNormalize)
    shape = venv.observation_space.shape
    venv.obs_rms.mean = obs.mean(0, dtype=np.float64).reshape(shape)  # type: ignore[union-attr]
    venv.obs_rms.var = (np.maximum(obs.std(0, dtype=np.float64), std_floor) ** 2).reshape(shape)  # type: ignore[union-attr]
    venv.training = False


# Models


def algorithm_class(algo: str) -> type[BaseAlgorithm]:
    """The class of SB3 or sb3-contrib behind a name of `ALGORITHMS`.

    Raises:
        ValueError: there is no such algorithm.
    """
    if algo not in ALGORITHMS:
        raise ValueError(f"unknown algorithm {algo!r}: choose one of {', '.join(ALGORITHMS)}")
    module, _, name = ALGORITHMS[algo].partition(":")
    return getattr(import_module(module), name)


def make_model(setup: Setup, venv: VecEnv) -> BaseAlgorithm:
    """The SB3 algorithm on `venv`, silent.

    Raises:
        ValueError: an unknown algorithm or hyperparameter, or actions that the algorithm does not take.
    """
    algorithm = algorithm_class(setup.algo)
    _check_actions(setup, venv.action_space)
    parameters = inspect.signature(algorithm).parameters
    arguments = sb3_arguments(setup.algo, setup.hyperparams, parameters, venv.action_space)
    if venv.num_envs > 1 and "episode" in np.ravel(arguments.get("train_freq", 0)):
        raise ValueError(
            f"train_freq is {setup.hyperparams['train_freq']} with {venv.num_envs} environments: count "
            "steps, such as train_freq:1, or pass --n-envs 1"
        )
    try:
        return algorithm(env=venv, seed=setup.seed, device=setup.device, verbose=0, **arguments)
    except (TypeError, ValueError, AssertionError, MemoryError) as error:
        raise ValueError(f"{setup.algo} refuses {dict(setup.hyperparams)}: {error}") from error


def _check_actions(setup: Setup, space: spaces.Space) -> None:
    discrete = isinstance(space, spaces.Discrete)
    if setup.algo in OFF_POLICY and discrete != (setup.algo == "dqn"):
        able = "ppo, trpo, a2c or dqn" if discrete else "ppo, trpo, a2c, sac, td3, ddpg, tqc or crossq"
        raise ValueError(f"{setup.algo} does not take the actions of {setup.env}, {space}: use --algo {able}")


def replay_bytes(model: BaseAlgorithm) -> int:
    """Memory of the replay buffer once it is full, 0 on-policy; a checkpoint on disk takes up to as much.

    Three checkpoints stand on the disk at once while a new one is written, four where a finished run is made
    longer.
    """
    buffer = getattr(model, "replay_buffer", None)
    if buffer is None:
        return 0
    return sum(value.nbytes for value in vars(buffer).values() if isinstance(value, np.ndarray))
