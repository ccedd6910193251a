"""Record demonstrations from a run of ours, or from an agent that SB3 saved.

    python -m demos.record logs/vime/Hopper-v5_1 --out hopper.npz -n 25 --full-only
    python -m demos.record sac.zip --algo sac --env Ant-v5 --vecnormalize norm.pkl --trust --out ant.npz

Actions are stored as executed, in the environment's own units. The file says what all that was played earned,
the episodes that --full-only left out included.
"""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rlgen import cli
from rlgen.presets import DEFAULTS

if TYPE_CHECKING:
    import gymnasium as gym

    from rlgen.enjoy import Played

MOST_TRIES = 10
"""Episodes tried for each that is to be kept, before giving up."""
arg = tyro.conf.arg


@dataclass(frozen=True)
class Config:
    """Record demonstrations from a run folder or an SB3 model."""

    agent: tyro.conf.Positional[Annotated[Path, arg(metavar="RUN_OR_MODEL.zip")]]
    """A run's folder, or a zip that SB3's `model.save` wrote."""
    out: Annotated[cli.MaybePath, cli.one(Path, "FILE.npz", "none")] = None
    """Write an npz."""
    minari: Annotated[cli.MaybeText, cli.one(str, "ID", "none")] = None
    """Write a Minari dataset, such as mujoco/hopper/expert-v0."""
    episodes: Annotated[int, cli.whole("10"), arg(aliases=["-n"])] = 10
    """Episodes to keep."""
    full_only: bool = False
    """Keep only episodes that reach the time limit."""
    min_return: Annotated[cli.MaybeNumber, cli.number("none")] = None
    """Keep only episodes that earn at least as much."""
    seed: Annotated[int, cli.seed("10000")] = 10_000
    """Episode k starts from seed + k."""
    stochastic: bool = False
    """Sample actions instead of taking the most likely one."""
    env: Annotated[cli.MaybeText, cli.one(str, "ID", "by-run")] = None
    """Gymnasium id; a zip does not name it."""
    env_kwargs: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Arguments of a zip's environment."""
    algo: Annotated[cli.MaybeText, cli.choice(tuple(DEFAULTS), "by-run")] = None
    """Algorithm of a zip."""
    vecnormalize: Annotated[cli.MaybePath, cli.one(Path, "FILE.pkl", "none")] = None
    """Statistics beside a zip: vecnormalize.pkl of rl-zoo3."""
    trust: bool = False
    """Unpickle the zip and the statistics: they can run code of whoever wrote them."""


def main(config: Config) -> None:
    """Play, write, and print the report and where the demonstrations are.

    Raises:
        ValueError: for what the user can mend.
    """
    if config.out is None and config.minari is None:
        raise ValueError("nowhere to write: pass --out FILE.npz or --minari ID, or both")
    if config.out:
        cli.check_output("--out", config.out, ".npz")
    import numpy as np

    from rlgen import enjoy
    from rlgen.demonstrations import check_minari_id, native_spaces, report, save, save_minari

    if config.minari:
        check_minari_id(config.minari)
    env, kwargs, model, venv = load_run(config) if config.agent.is_dir() else load_zip(config)
    model.set_random_seed(config.seed)
    tried = play(config, model, venv)
    kept = [episode for episode in tried if wanted(config, episode)]
    returns = np.array([episode.rewards.sum(dtype=np.float64) for episode in tried])
    demos = enjoy.as_demonstrations(env, kwargs, venv, kept)
    demos = replace(demos, expert_return=float(np.mean(returns)))
    spaces = native_spaces(venv)
    venv.close()
    seeds = [episode.seed for episode in kept]
    lengths = np.array([len(episode.rewards) for episode in tried])
    if config.out:
        extra = {"seeds": np.array(seeds), "attempt_returns": returns, "attempt_lengths": lengths}
        save(config.out, demos, extra)
    where = save_minari(config.minari, demos, seeds) if config.minari else None
    print(report(demos.fit(*spaces, env, kwargs.get("max_episode_steps"))))
    for path in (config.out, where):
        if path:
            print(path)


def play(config: Config, model: Any, venv: Any) -> Sequence[Played]:
    """All episodes tried until enough are kept.

    Raises:
        ValueError: too few are as they are wanted.
    """
    from rlgen import enjoy

    tried: list[Played] = []
    n_kept = 0
    while n_kept < config.episodes:
        if len(tried) == MOST_TRIES * config.episodes:
            raise ValueError(
                f"{n_kept} of {len(tried)} episodes are kept: leave --full-only out, or lower --min-return"
            )
        tried.append(enjoy.play(model, venv, config.seed + len(tried), not config.stochastic))
        n_kept += wanted(config, tried[-1])
    return tried


def wanted(config: Config, episode: Played) -> bool:
    """Whether an episode that was played is kept."""
    whole = not (config.full_only and episode.terminated)
    return whole and (config.min_return is None or episode.rewards.sum() >= config.min_return)


def load_run(config: Config) -> tuple[str, Mapping[str, Any], Any, Any]:
    """Environment id and arguments, model and environment of a run of ours; nothing is unpickled."""
    from rlgen import runs

    for name in ("env", "env_kwargs", "algo", "vecnormalize"):
        if getattr(config, name):
            flag = name.replace("_", "-")
            raise ValueError(f"{config.agent} is a run folder and knows its own {flag}: leave --{flag} out")
    setup = runs.read_setup(config.agent)
    return setup.env, setup.env_kwargs, *runs.load(config.agent)


def load_zip(config: Config) -> tuple[str, Mapping[str, Any], Any, Any]:
    """Environment id and arguments, model and environment of an agent that SB3 saved.

    Raises:
        ValueError: no --trust, no --env or --algo, or files that do not fit them.
    """
    if not config.agent.is_file():
        raise ValueError(f"{config.agent}: neither a run folder nor a zip of SB3")
    if not config.trust:
        raise ValueError(
            f"{config.agent}: SB3's own files hold pickles, and unpickling can run code of whoever wrote "
            "them: pass --trust if you trust where it comes from"
        )
    if not config.env or not config.algo:
        raise ValueError(f"{config.agent} does not say what it is: pass --env ID and --algo NAME")
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    from rlgen.recorder import TransitionRecorder

    model = _unpickle(config)
    env = _matching_env(config, model)
    venv = TransitionRecorder(DummyVecEnv([lambda: env]))
    kwargs = config.env_kwargs or {}
    if config.vecnormalize is None:
        return config.env, kwargs, model, venv
    try:
        with gym_as_gymnasium():
            normalized = VecNormalize.load(str(config.vecnormalize), venv)
    except UNPICKLED as error:
        raise ValueError(f"cannot read --vecnormalize {config.vecnormalize}: {error}") from error
    normalized.training = normalized.norm_reward = False
    return config.env, kwargs, model, normalized


UNPICKLED = (
    OSError,
    EOFError,
    ImportError,
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    AssertionError,
    RuntimeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)
"""What reading pickles of other versions, or a file that is none, raises."""


def _unpickle(config: Config) -> Any:
    """The model of a zip."""
    from rlgen.training import algorithm_class

    # What playing does not need, and what other versions of Python cannot read or would fill the memory.
    replaced = {"lr_schedule": None, "learning_rate": 0.0, "clip_range": 0.0, "buffer_size": 1}
    try:
        with gym_as_gymnasium():
            return algorithm_class(config.algo or "").load(
                config.agent, device="cpu", custom_objects=replaced
            )
    except UNPICKLED as error:
        raise ValueError(f"cannot load {config.agent} as {config.algo}: {error}") from error


@contextmanager
def gym_as_gymnasium() -> Iterator[None]:
    """Let pickles that name gym, the former gymnasium, find its classes, if gym is not installed."""
    if find_spec("gym"):
        yield
        return
    ours = [name for name in sys.modules if name.partition(".")[0] == "gymnasium"]
    sys.modules.update({name.replace("gymnasium", "gym", 1): sys.modules[name] for name in ours})
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "gym"]:
            del sys.modules[name]


def _matching_env(config: Config, model: Any) -> gym.Env:
    """The environment of a zip, in the units that the model speaks.

    Raises:
        ValueError: it has other spaces than the model.
    """
    import numpy as np
    from gymnasium import spaces

    env = make_env(config)
    ours, theirs = env.action_space, model.action_space
    if isinstance(ours, spaces.Box) and theirs != ours:
        env = make_env(config, rescaled=theirs == spaces.Box(-1, 1, ours.shape, np.float32))
    if env.observation_space.shape != model.observation_space.shape or env.action_space != theirs:
        raise ValueError(
            f"{config.env} has {env.observation_space.shape} observations and actions {env.action_space}, "
            f"the model {model.observation_space.shape} and {theirs}: pass the --env it was trained in"
        )
    return env


def make_env(config: Config, rescaled: bool = False) -> gym.Env:
    """The environment of a zip.

    Args:
        config: with `env` and `env_kwargs`.
        rescaled: Whether the model speaks [-1, 1] in place of the environment's own units.
    """
    import gymnasium as gym
    from gymnasium.wrappers import RescaleAction
    from stable_baselines3.common.monitor import Monitor

    from rlgen import training

    assert config.env is not None
    training.check_env_id(config.env)
    kwargs = config.env_kwargs or {}
    try:
        env = gym.make(training.qualified(config.env), disable_env_checker=True, **kwargs)
    except (TypeError, ImportError, gym.error.Error) as error:
        raise ValueError(f"cannot make {config.env} with {kwargs}: {error}") from error
    return Monitor(RescaleAction(env, -1, 1) if rescaled else env)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
