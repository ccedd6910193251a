"""Imitate demonstrations with a Stable-Baselines3 agent: GAIL, or behaviour cloning alone.

    python -m rlgen.gail --demos demos/hopper.npz -n 1e6
    python -m rlgen.gail --demos FILE --env Ant-v5 --n-demos 4 --subsample 20 --algo sac
    python -m rlgen.gail --demos FILE --algo bc

What it leaves behind is listed in `rlgen.folder`, and reward.pt, the trained reward by itself.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from rlgen import cli
from rlgen.options import PRESET, Options, shared_plan
from rlgen.presets import DEFAULTS, imitation_preset_for

if TYPE_CHECKING:
    from rlgen.demonstrations import Demonstrations
    from rlgen.relabel import LearnReward
    from rlgen.rewards import LearnedReward
    from rlgen.training import Setup

FORMS = ("positive", "negative", "logit")
BC_STEPS = 10_000
"""Gradient steps of --algo bc, about; few demonstrations are passed over the more often."""
STD_FLOOR = 0.1
"""Least standard deviation that the policy's observations are divided by."""
arg = tyro.conf.arg


@dataclass(frozen=True)
class Config(Options):
    """Imitate demonstrations: GAIL with an SB3 agent, or behaviour cloning alone (--algo bc).

    Defaults come from the preset of the environment and algorithm, which is printed; a flag beats it.
    """

    algo: Annotated[cli.MaybeText, cli.choice((*DEFAULTS, "bc"), "ppo")] = None
    """SB3 algorithm, or bc for behaviour cloning alone; --setting paper means trpo."""
    demos: Annotated[cli.MaybeText, cli.one(str, "FILE", "none")] = None
    """Demonstrations: npz, hdf5, or a Minari dataset by path or local id."""
    n_demos: Annotated[cli.MaybeWhole, cli.whole("all")] = None
    """Use the first N episodes."""
    subsample: Annotated[cli.MaybeWhole, cli.whole("1")] = None
    """Use every N-th transition of an episode, from a random start."""
    form: Annotated[cli.MaybeText, cli.choice(FORMS, PRESET)] = None
    """Reward: positive -log(1-D), negative log D, logit log D - log(1-D)."""
    setting: Annotated[cli.MaybeText, cli.choice(("default", "paper"), "default")] = None
    """default, or paper: reward and TRPO as published."""
    reward_params: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Settings of the reward, such as gradient_penalty:10 absorbing:True state_only:True."""
    bc_epochs: Annotated[cli.MaybeWhole, cli.whole(PRESET, least=0)] = None
    """Passes of behaviour cloning before the first step; 0 for none."""
    reward: Annotated[cli.MaybePath, cli.one(Path, "FILE.pt", "none")] = None
    """Train on this trained reward, which stays as it is (reward.pt of a run)."""
    download: bool = False
    """Let a Minari dataset be downloaded."""


def main(config: Config) -> Path:
    """Train, and return the run's folder.

    Raises:
        ValueError: before training, for what the user can mend.
        EnvironmentNaN: while training.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    from rlgen import enjoy, runs, session

    command = session.Command("gail", build, begin, report, keep_reward)
    run = session.launch(config, command, lambda: new_plan(config))
    if config.video:
        enjoy.main(enjoy.Config(run, episodes=1, video=True))
    print_score(run, runs.read_config(run))
    print(run / "reward_curve.png")
    return run


def new_plan(config: Config) -> dict[str, Any]:
    """What to run, fully resolved, as config.json holds it.

    Raises:
        ValueError: no demonstrations, a file that cannot be read, no environment.
    """
    if not config.demos:
        raise ValueError("no demonstrations: pass --demos FILE, or --resume RUN")
    if config.reward and not config.reward.is_file():
        raise ValueError(f"--reward {config.reward}: there is no such file, give the reward.pt of a run")
    from rlgen import demonstrations

    file = Path(config.demos)
    demos = demonstrations.load(config.demos, env_id=config.env, download=config.download)
    env, cloning = demos.env_id or "", config.algo == "bc"
    setting = config.setting or "default"
    algo = "ppo" if cloning else config.algo or ("trpo" if setting == "paper" else "ppo")
    config = replace(config, env=env, algo=algo)
    name, preset = imitation_preset_for(env, algo, setting)
    given = {"form": preset.form, "absorbing": preset.absorbing, **preset.settings}
    shared = shared_plan(config, preset, name)
    plan = {
        "command": "gail",
        **shared,
        "total_timesteps": 0 if cloning else shared["total_timesteps"],
        "demos": str(file.resolve()) if file.exists() else str(file),
        "n_demos": config.n_demos or len(demos.episodes),
        "subsample": config.subsample or 1,
        "setting": setting,
        "reward_params": {**(given if setting != "paper" else {}), **(config.reward_params or {})},
        "bc_epochs": config.bc_epochs,
        "reward": config.reward and str(config.reward.resolve()),
        "refit_every": preset.refit_every,
    }
    if config.bc_epochs is None:
        rows = demos.take(plan["n_demos"]).n_steps // plan["subsample"]
        plan["bc_epochs"] = cloning_epochs(rows) if cloning else preset.bc_epochs
    elif cloning and config.bc_epochs == 0:
        raise ValueError("--bc-epochs is 0, and --algo bc does nothing else: give 1 or more, or leave it out")
    if config.form:
        plan["reward_params"]["form"] = config.form
    plan["label"] = f"{plan['n_demos']} demonstrations" + (
        f" by {plan['subsample']}" * (plan["subsample"] > 1)
    )
    return json.loads(json.dumps(plan))


def cloning_epochs(rows: int) -> int:
    """Passes over so many transitions that make `BC_STEPS` gradient steps, of 256 rows each."""
    return max(1, BC_STEPS // max(1, -(-rows // 256)))


def load_demonstrations(plan: dict[str, Any], setup: Setup) -> Demonstrations:
    """The plan's demonstrations, as the environment's spaces have them.

    Raises:
        ValueError: the file is not there, not readable, or does not fit the environment.
    """
    import gymnasium as gym

    from rlgen import demonstrations, training

    demos = demonstrations.load(plan["demos"], env_id=setup.env).take(plan["n_demos"])
    training.check_env_id(setup.env)
    env = gym.make(training.qualified(setup.env), disable_env_checker=True, **setup.env_kwargs)
    fitted = demos.fit(env.observation_space, env.action_space, setup.env)
    env.close()
    return fitted


def make_reward(plan: dict[str, Any], demos: Demonstrations, seed: int) -> LearnedReward:
    """The reward of a plan: a new discriminator, or a trained one that stays as it is."""
    from rlgen.rewards import GAIL, Transitions, load_reward

    if plan["reward"]:
        return load_reward(Path(plan["reward"]))
    expert = Transitions(*demos.transitions(plan["subsample"], seed))
    params: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in plan["reward_params"].items()
    }
    return GAIL(expert, setting=plan["setting"], seed=seed, **params)


def build(plan: dict[str, Any]) -> tuple[Any, LearnReward]:
    """Model and learner of a plan, installed in each other.

    Raises:
        ValueError: what the demonstrations, the environment, SB3 or the reward refuse.
    """
    from rlgen import demonstrations, scores, session, training
    from rlgen.relabel import LearnReward

    setup = training.Setup.from_dict(plan["setup"])
    session.check_device(setup.device)
    demos = load_demonstrations(plan, setup)
    plan["wrappers"] = setup.wrappers()
    venv = training.make_env(setup)
    if setup.normalize_obs:
        training.freeze_statistics(venv, demos.transitions().obs.numpy(), STD_FLOOR)
    model = training.make_model(setup, venv)
    learner = LearnReward(
        make_reward(plan, demos, setup.seed), env_weight=0.0, refit_every=plan["refit_every"]
    )
    learner.install(model)
    if "random_return" not in plan:
        print(demonstrations.report(demos))
        plan["random_return"] = scores.random_return(setup)
        plan["demos_return"] = None if demos.returns is None else float(demos.returns.mean())
        plan["expert_return"] = demos.expert_return
    return model, learner


def begin(plan: dict[str, Any], model: Any) -> None:
    """Clone the demonstrations' behaviour, if the plan says so."""
    if not plan["bc_epochs"]:
        return
    from rlgen import cloning, training

    setup = training.Setup.from_dict(plan["setup"])
    steps = load_demonstrations(plan, setup).transitions(plan["subsample"], setup.seed)
    metrics = cloning.clone(model, steps.obs, steps.action, epochs=plan["bc_epochs"], seed=setup.seed)
    print("behaviour cloning: " + ", ".join(f"{key} {value:.4g}" for key, value in metrics.items()))


def report(plan: dict[str, Any]) -> list[Any]:
    """The callbacks that tell how the imitation goes."""
    from rlgen.scores import ImitationReport

    return [ImitationReport(plan["random_return"], plan["demos_return"])]


def keep_reward(run: Path, learner: LearnReward | None) -> None:
    """Write run/reward.pt, from which the reward can be used by itself."""
    from rlgen.rewards import GAIL, save_reward

    if learner is not None and isinstance(learner.reward, GAIL):
        save_reward(run / "reward.pt", learner.reward)


def print_score(run: Path, plan: dict[str, Any]) -> None:
    """Print the last evaluation's return, and where it stands between chance and the demonstrations."""
    from rlgen.scores import score

    records = run / "evaluations.csv"
    rows = list(csv.DictReader(records.read_text().splitlines())) if records.exists() else []
    if not rows:
        return
    value, random, demos = float(rows[-1]["mean_return"]), plan["random_return"], plan["demos_return"]
    told = f"return {value:.5g} (random {random:.5g}"
    if demos is None:
        print(f"{told}; the demonstrations hold no rewards)")
        return
    told += f", demonstrations {demos:.5g}"
    expert = plan["expert_return"]
    told += f", the expert's unfiltered episodes {expert:.5g})" if expert is not None else ")"
    print(f"{told}: score {score(value, random, demos):.3f}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
