"""Train a Stable-Baselines3 agent with VIME's exploration bonus, or with one of its controls.

    python -m rlgen.train_vime --env rlgen/SparseHalfCheetahFar-v0 -n 5e5

What it leaves behind is listed in `rlgen.folder`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from math import prod
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rlgen import cli
from rlgen.presets import DEFAULTS, ON_POLICY, preset_for

if TYPE_CHECKING:
    from rlgen.relabel import LearnReward
    from rlgen.rewards import LearnedReward

BONUSES = ("expected", "realised", "rnd", "prediction-error", "random", "none")
SETTINGS = ("default", "paper")
PRESET = "preset"
arg = tyro.conf.arg


@dataclass(frozen=True)
class Config:
    """Train an SB3 agent with VIME's exploration bonus.

    Defaults come from the preset of the environment and algorithm, which is printed; a flag beats it.
    """

    env: Annotated[cli.MaybeText, cli.one(str, "ID", "none")] = None
    """Gymnasium id, or one of ours such as rlgen/SparseAnt-v0."""
    algo: Annotated[cli.MaybeText, cli.choice(tuple(DEFAULTS), "ppo")] = None
    """SB3 algorithm."""
    total_timesteps: Annotated[cli.MaybeWhole, cli.whole(PRESET), arg(aliases=["-n"])] = None
    """Environment steps, all environments together; 1e6 is understood."""
    n_envs: Annotated[cli.MaybeWhole, cli.whole(PRESET)] = None
    """Environments in parallel."""
    seed: Annotated[cli.MaybeWhole, cli.whole("0", least=0)] = None
    """Seed of everything."""
    eta: Annotated[cli.MaybeNumber, cli.number(PRESET)] = None
    """Weight of the bonus, relative to the environment's reward; 0 or more."""
    bonus: Annotated[cli.MaybeText, cli.choice(BONUSES, "expected")] = None
    """Information gain (expected, realised), a control, or none for plain SB3."""
    setting: Annotated[cli.MaybeText, cli.choice(SETTINGS, "default")] = None
    """default, or VIME as published (whose bonus is realised)."""
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
    log_folder: Annotated[Path, arg(aliases=["-f"], metavar="DIR")] = Path("logs")
    """Runs are kept in DIR/vime/ENV_K."""
    resume: Annotated[cli.MaybePath, cli.one(Path, "RUN", "none")] = None
    """Continue this run; all else comes from its config.json, and -n may lengthen it."""
    video: bool = False
    """Render an episode at the end."""


def main(config: Config) -> Path:
    """Train, and return the run's folder.

    Raises:
        ValueError: before training, for what the user can mend.
        EnvironmentNaN: while training.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    if config.track and not find_spec("wandb"):
        raise ValueError("--track needs the package wandb: pip install 'rlgen[track]'")
    from rlgen import curve, runs, session

    session.limit_threads()
    if config.resume:
        run = config.resume
        plan = session.resumed_plan(run, vars(config))
        checkpoint = runs.check_resume(run, config.env) if session.begun(run) else None
        model, learner = build(plan)
        runs.atomic_write(run / "config.json", json.dumps(plan, indent=1) + "\n")
    else:
        plan, checkpoint = new_plan(config), None
        model, learner = build(plan)
        run = runs.new_run(config.log_folder, "vime", plan["setup"]["env"])
        runs.write_config(run, plan)
    session.announce(run, plan, model, checkpoint)
    try:
        with session.tracking(config.track, run, plan):
            session.train(run, plan, model, learner, checkpoint, config.progress)
    finally:  # an early end has a curve too
        figure = curve.draw(run, session.title(plan))
    if config.video:
        from rlgen import enjoy

        enjoy.main(enjoy.Config(run, episodes=1, video=True))
    print(figure)
    return run


def new_plan(config: Config) -> dict[str, Any]:
    """What to run, fully resolved, as config.json holds it.

    Raises:
        ValueError: no environment, a negative eta, a setting that the bonus does not have.
    """
    if not config.env:
        raise ValueError("no environment: pass --env ID, such as rlgen/SparseAnt-v0, or --resume RUN")
    if config.eta is not None and config.eta < 0:
        raise ValueError(f"eta is {config.eta}: give 0 or more (--bonus none turns the bonus off)")
    algo, setting = config.algo or "ppo", config.setting or "default"
    name, preset = preset_for(config.env, algo)
    setup = {
        "env": config.env,
        "env_kwargs": config.env_kwargs or {},
        "algo": algo,
        "n_envs": config.n_envs or preset.n_envs,
        "seed": config.seed or 0,
        "device": config.device or ("cpu" if algo in ON_POLICY else "auto"),
        "normalize_obs": preset.normalize_obs,
        "normalize_reward": preset.normalize_reward,
        "hyperparams": {**preset.hyperparams, **(config.hyperparams or {})},
    }
    plan = {
        "command": "train_vime",
        "preset": name,
        "setup": setup,
        "total_timesteps": config.total_timesteps or preset.n_timesteps,
        "bonus": config.bonus or ("realised" if setting == "paper" else "expected"),
        "setting": setting,
        "bonus_settings": {} if setting == "paper" else dict(preset.bonus.settings),
        "eta": preset.bonus.eta if config.eta is None else config.eta,
        "stream": preset.bonus.stream,
        "episodic": preset.bonus.episodic,
        "refit_every": preset.bonus.refit_every,
        "eval_freq": 50_000 if config.eval_freq is None else config.eval_freq,
        "eval_episodes": config.eval_episodes or 5,
        "save_freq": 50_000 if config.save_freq is None else config.save_freq,
    }
    return json.loads(json.dumps(plan))  # tuples become lists, as they will when it is read back


def make_bonus(
    name: str, setting: str, obs_dim: int, action_dim: int, seed: int, **overrides: Any
) -> LearnedReward | None:
    """The learned reward behind `--bonus`.

    Args:
        name: One of `BONUSES`.
        setting: "default" or "paper"; the latter is VIME's own (expected, realised, random).
        obs_dim: Size O of an observation.
        action_dim: Size A of an action as `recorder.action_size` has it.
        seed: Of the bonus's own generator.
        **overrides: Fields of its settings.

    Returns:
        The bonus, or None for "none".

    Raises:
        ValueError: an unknown name, setting or override, or a control with the paper's setting.
    """
    from rlgen.rewards import RND, VIME, PredictionError, RandomBonus

    if name not in BONUSES:
        raise ValueError(f"unknown bonus {name!r}: {cli.nearest(name, BONUSES)}")
    if name == "none":
        return None
    if name in ("rnd", "prediction-error"):
        if setting != "default":
            raise ValueError(f"--setting {setting} is for VIME, not for --bonus {name}: take realised")
        control = RND if name == "rnd" else PredictionError
        return control(obs_dim, action_dim, seed=seed, **overrides)
    if name == "random":
        return RandomBonus(obs_dim, action_dim, setting=setting, seed=seed, **overrides)
    return VIME(obs_dim, action_dim, bonus=name, setting=setting, seed=seed, **overrides)


def build(plan: dict[str, Any]) -> tuple[Any, LearnReward | None]:
    """Model and learner of a plan, installed in each other; the plan takes in the choices that they make.

    Raises:
        ValueError: what the environment, SB3 or the bonus refuses.
    """
    from rlgen import recorder, training
    from rlgen.relabel import LearnReward

    setup = training.Setup.from_dict(plan["setup"])
    check_device(setup.device)
    plan["wrappers"] = setup.wrappers()
    venv = training.make_env(setup)
    model = training.make_model(setup, venv)
    sizes = prod(venv.observation_space.shape or ()), recorder.action_size(venv.action_space)
    bonus = make_bonus(plan["bonus"], plan["setting"], *sizes, setup.seed, **plan["bonus_settings"])
    if bonus is None:
        return model, None
    chosen = ("eta", "stream", "episodic", "refit_every")
    learner = LearnReward(bonus, **{name: plan[name] for name in chosen})
    learner.install(model)
    plan.update({name: getattr(learner, name) for name in chosen})
    return model, learner


def check_device(name: str) -> None:
    """Refuse a device that torch does not have, where SB3 would quietly take the CPU."""
    import torch

    if name == "auto":
        return
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        why = shorten(str(error).partition("\n")[0], 80)
        raise ValueError(f"--device {name} does not work ({why}): use cpu or auto") from error


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
