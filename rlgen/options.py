"""What every training command takes on its command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from rlgen import cli
from rlgen.presets import DEFAULTS, ON_POLICY, Preset

PRESET = "preset"
arg = tyro.conf.arg


@dataclass(frozen=True)
class Options:
    """Flags of a training command; None leaves a choice to the preset."""

    env: Annotated[cli.MaybeText, cli.one(str, "ID", "none")] = None
    """Gymnasium id, or one of ours such as rlgen/SparseAnt-v0."""
    algo: Annotated[cli.MaybeText, cli.choice(tuple(DEFAULTS), "ppo")] = None
    """SB3 algorithm."""
    total_timesteps: Annotated[cli.MaybeWhole, cli.whole(PRESET), arg(aliases=["-n"])] = None
    """Environment steps, all environments together; 1e6 is understood."""
    n_envs: Annotated[cli.MaybeWhole, cli.whole(PRESET)] = None
    """Environments in parallel."""
    seed: Annotated[cli.MaybeWhole, cli.seed("0")] = None
    """Seed of everything."""
    device: Annotated[cli.MaybeText, cli.one(str, "NAME", "by-algorithm")] = None
    """Torch's device for the policy; cpu on-policy, else auto."""
    eval_freq: Annotated[cli.MaybeWhole, cli.whole("50000", least=0)] = None
    """Environment steps between evaluations; 0 for none."""
    eval_episodes: Annotated[cli.MaybeWhole, cli.whole("5")] = None
    """Episodes of an evaluation."""
    save_freq: Annotated[cli.MaybeWhole, cli.whole("50000", least=0)] = None
    """Environment steps between checkpoints; 0 for the last alone."""
    env_kwargs: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Arguments of the environment."""
    hyperparams: Annotated[cli.MaybePairs, cli.PAIRS, arg(aliases=["-params"])] = None
    """Arguments of the SB3 algorithm, such as gamma:0.99 learning_rate:lin_3e-4."""
    track: bool = False
    """Log to Weights & Biases too."""
    progress: Annotated[bool, arg(aliases=["-P"])] = False
    """A progress bar, on a terminal."""
    log_folder: Annotated[cli.MaybePath, cli.one(Path, "DIR", "logs"), arg(aliases=["-f"])] = None
    """Runs are kept in a folder of DIR for each command, as ENV_K."""
    resume: Annotated[cli.MaybePath, cli.one(Path, "RUN", "none")] = None
    """Continue this run; all else comes from its config.json, and -n may lengthen it."""
    video: bool = False
    """Render an episode at the end."""


def shared_plan(options: Options, preset: Preset, name: str) -> dict[str, Any]:
    """What these flags and a preset say together, for config.json.

    Args:
        options: The command's flags.
        preset: Of the environment and the algorithm.
        name: Under which the preset is printed.

    Returns:
        Keys preset, setup (fields of `training.Setup`), total_timesteps, eval_freq, eval_episodes, save_freq.

    Raises:
        ValueError: more environments than steps.
    """
    algo = options.algo or "ppo"
    n_envs, steps = options.n_envs or preset.n_envs, options.total_timesteps or preset.n_timesteps
    if n_envs > steps:
        raise ValueError(
            f"--n-envs {n_envs:,}: more than the {steps:,} steps that they share; give fewer, or a larger -n"
        )
    setup = {
        "env": options.env,
        "env_kwargs": options.env_kwargs or {},
        "algo": algo,
        "n_envs": n_envs,
        "seed": options.seed or 0,
        "device": options.device or ("cpu" if algo in ON_POLICY else "auto"),
        "normalize_obs": preset.normalize_obs,
        "normalize_reward": preset.normalize_reward,
        "hyperparams": merged(preset.hyperparams, options.hyperparams or {}),
    }
    return {
        "preset": name,
        "setup": setup,
        "total_timesteps": steps,
        "eval_freq": 50_000 if options.eval_freq is None else options.eval_freq,
        "eval_episodes": options.eval_episodes or 5,
        "save_freq": 50_000 if options.save_freq is None else options.save_freq,
    }


def merged(preset: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
    """Hyperparameters of a preset and of flags, which win; of a dict such as policy_kwargs key by key."""
    both = {
        name: {**preset[name], **value}
        for name, value in flags.items()
        if isinstance(value, Mapping) and isinstance(preset.get(name), Mapping)
    }
    return {**preset, **flags, **both}
