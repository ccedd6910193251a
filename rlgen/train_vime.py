"""Train a Stable-Baselines3 agent with VIME's exploration bonus, or with one of its controls.

    python -m rlgen.train_vime --env rlgen/SparseHalfCheetahFar-v0 -n 5e5

What it leaves behind is listed in `rlgen.folder`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from rlgen import cli
from rlgen.options import PRESET, Options, shared_plan
from rlgen.presets import preset_for

if TYPE_CHECKING:
    from rlgen.relabel import LearnReward
    from rlgen.rewards import LearnedReward

BONUSES = ("expected", "realised", "rnd", "prediction-error", "random", "none")
SETTINGS = ("default", "paper")
# relabel.STREAMS, without the seconds that its import takes
STREAMS = ("auto", "one", "separate", "non-episodic")


@dataclass(frozen=True)
class Config(Options):
    """Train an SB3 agent with VIME's exploration bonus.

    Defaults come from the preset of the environment and algorithm, whose name is printed; a flag beats it.
    """

    eta: Annotated[cli.MaybeNumber, cli.number(PRESET)] = None
    """Weight of the bonus, relative to the environment's reward; 0 or more."""
    bonus: Annotated[cli.MaybeText, cli.choice(BONUSES, "expected")] = None
    """Information gain (expected, realised), a control, or none for plain SB3."""
    setting: Annotated[cli.MaybeText, cli.choice(SETTINGS, "default")] = None
    """default, or VIME's model and bonus as published (realised); eta and stream are the default's."""
    stream: Annotated[cli.MaybeText, cli.choice(STREAMS, "auto")] = None
    """How the bonus reaches the policy: added to the reward (one), or by a value function of its own, whose
    return ends with the episode (separate) or not (non-episodic); auto is separate on-policy, else one."""
    reward_params: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Settings of the bonus, such as hidden:[128] prior_sigma:0.1."""


def main(config: Config) -> Path:
    """Train, and return the run's folder.

    Raises:
        ValueError: before training, for what the user can mend.
        EnvironmentNaN: while training.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    from rlgen import enjoy, session

    command = session.Command("vime", build, flags=planned_flags)
    run = session.launch(config, command, lambda: new_plan(config))
    if config.video:
        enjoy.main(enjoy.Config(run, episodes=1, video=True))
    print(run / "reward_curve.png")
    return run


def new_plan(config: Config) -> dict[str, Any]:
    """What to run, fully resolved, as config.json holds it.

    Raises:
        ValueError: no environment, a negative eta, a flag of the bonus where there is none.
    """
    if not config.env:
        raise ValueError("no environment: pass --env ID, such as rlgen/SparseAnt-v0, or --resume RUN")
    if config.eta is not None and config.eta < 0:
        raise ValueError(f"eta is {config.eta}: give 0 or more (--bonus none turns the bonus off)")
    own = ("eta", "setting", "stream", "reward_params")
    idle = {f"--{name.replace('_', '-')}": getattr(config, name) is not None for name in own}
    if config.bonus == "none" and any(idle.values()):
        flags = ", ".join(flag for flag, given in idle.items() if given)
        raise ValueError(f"--bonus none is plain SB3, without a bonus: leave {flags} out")
    for key in config.reward_params or {}:
        if key in ("name", "bonus", "setting", "seed", "obs_dim", "action_dim"):
            raise ValueError(f"{key} is no setting of the bonus: see --bonus, --setting and --seed")
    algo, setting = config.algo or "ppo", config.setting or "default"
    name, preset = preset_for(config.env, algo)
    plan = {
        "command": "train_vime",
        **shared_plan(config, preset, name),
        "bonus": config.bonus or ("realised" if setting == "paper" else "expected"),
        "setting": setting,
        "eta": config.eta,
        "stream": config.stream or "auto",
        "reward_params": config.reward_params or {},
    }
    return json.loads(json.dumps(plan))  # tuples become lists, as they will when it is read back


def planned_flags(config: Config, plan: dict[str, Any]) -> dict[str, Any]:
    """The flags in the terms of a plan, with which those of a resumed run are compared."""
    return {**vars(config), "stream": None if config.stream == "auto" else config.stream}


def make_bonus(
    name: str, setting: str, obs_dim: int, action_dim: int, seed: int, **overrides: Any
) -> LearnedReward | None:
    """The learned reward behind `--bonus`.

    Args:
        name: One of `BONUSES`.
        setting: "default" or "paper"; the latter is VIME's own (expected, realised, random).
        obs_dim: Size O of an observation.
        action_dim: Size A of an action as `recorder.flat_sizes` has it.
        seed: Of the bonus's own generator.
        **overrides: Fields of its settings.

    Returns:
        The bonus, or None for "none".

    Raises:
        ValueError: an unknown name, setting or override, or a control with the paper's setting.
    """
    from rlgen.rewards import RND, VIME, PredictionError, RandomBonus

    cli.check_known("bonus", name, BONUSES)
    if name == "none":
        return None
    if name in ("rnd", "prediction-error"):
        if setting != "default":
            raise ValueError(f"--setting {setting} is for VIME, not for --bonus {name}: take realised")
        control = RND if name == "rnd" else PredictionError
        return control(obs_dim, action_dim, seed=seed, **overrides)
    if name == "random":
        own = "realised" if setting == "paper" else "expected"
        return RandomBonus(obs_dim, action_dim, bonus=own, setting=setting, seed=seed, **overrides)
    return VIME(obs_dim, action_dim, bonus=name, setting=setting, seed=seed, **overrides)


def build(plan: dict[str, Any]) -> tuple[Any, LearnReward | None]:
    """Model and learner of a plan, installed in each other; the plan takes in the choices that they make.

    Raises:
        ValueError: what the environment, SB3 or the bonus refuses.
    """
    from rlgen import recorder, session, training
    from rlgen.relabel import LearnReward

    setup = training.Setup.from_dict(plan["setup"])
    session.check_device(setup.device)
    plan["wrappers"] = setup.wrappers()
    venv = training.make_env(setup)
    model = training.make_model(setup, venv)
    sizes, params = recorder.flat_sizes(venv), plan.get("reward_params", {})
    bonus = make_bonus(plan["bonus"], plan["setting"], *sizes, setup.seed, **params)
    if bonus is None:
        return model, None
    chosen = ("eta", "stream", "refit_every")
    learner = LearnReward(bonus, **{name: plan[name] for name in chosen if name in plan})
    learner.install(model)
    plan.update({name: getattr(learner, name) for name in chosen})
    return model, learner


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
