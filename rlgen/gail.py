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

    command = session.Command("gail", build, begin, report, keep_reward, planned_flags)
    run = session.launch(config, command, lambda: new_plan(config))
    if config.video:
        enjoy.main(enjoy.Config(run, episodes=1, video=True))
    print_score(run, runs.read_config(run))
    print(run / "reward_curve.png")
    return run


def new_plan(config: Config) -> dict[str, Any]:
    """What to run, fully resolved, as config.json holds it.

    Raises:
        ValueError: no demonstrations, a file that cannot be read, no environment, flags that contradict
            each other or the demonstrations.
    """
    check_flags(config)
    from rlgen import demonstrations, training

    file = config.demos or ""
    if config.env:
        training.check_env_id(config.env)  # registers ours: some files are read by the time limit
    demos = demonstrations.load(file, env_id=config.env, download=config.download)
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
        "demos": place(file),
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
        plan["bc_epochs"] = cloning_epochs(rows) if cloning else preset.bc_epochs * demos.has_actions
    if not demos.has_actions:
        check_without_actions(plan)
    if config.form:
        plan["reward_params"]["form"] = config.form
    plan["label"] = f"{plan['n_demos']} demonstrations" + (
        f" by {plan['subsample']}" * (plan["subsample"] > 1)
    )
    return json.loads(json.dumps(plan))


def check_flags(config: Config) -> None:
    """Refuse flags that lack something or contradict each other.

    Raises:
        ValueError: with the remedy.
    """
    if not config.demos:
        raise ValueError("no demonstrations: pass --demos FILE, or --resume RUN")
    if config.reward and not config.reward.is_file():
        raise ValueError(f"--reward {config.reward}: there is no such file, give the reward.pt of a run")
    if config.reward and (config.form or config.reward_params):
        raise ValueError(
            f"--reward {config.reward} stays as it was trained: leave --form and --reward-params out"
        )
    if config.algo == "bc" and config.bc_epochs == 0:
        raise ValueError("--bc-epochs is 0, and --algo bc does nothing else: give 1 or more, or leave it out")


def check_without_actions(plan: dict[str, Any]) -> None:
    """Refuse what needs the actions of the demonstrations.

    Raises:
        ValueError: cloning, or a new discriminator that looks at actions.
    """
    if plan["bc_epochs"]:
        raise ValueError(
            "the demonstrations hold no actions, cloning needs them: leave --bc-epochs and --algo bc out and "
            "pass --reward-params state_only:True"
        )
    if not (plan["reward"] or plan["reward_params"].get("state_only")):
        raise ValueError(
            "the demonstrations hold no actions: imitate states alone, --reward-params state_only:True"
        )


def place(demos: str) -> str:
    """The absolute path of a file or folder that is there; else a Minari id, as it is."""
    return str(Path(demos).resolve() if Path(demos).exists() else Path(demos))


def planned_flags(config: Config, plan: dict[str, Any]) -> dict[str, Any]:
    """The flags in the terms of a plan, with which those of a resumed run are compared."""
    flags = vars(config) | {
        "demos": config.demos and place(config.demos),
        "reward": config.reward and str(config.reward.resolve()),
    }
    if config.form:
        flags["reward_params"] = {**(config.reward_params or {}), "form": config.form}
    if config.algo == "bc" and plan["total_timesteps"] == 0:
        flags |= {"algo": None, "total_timesteps": None}
    return flags


def cloning_epochs(rows: int) -> int:
    """Passes over so many transitions that make `BC_STEPS` gradient steps, of 256 rows each."""
    return max(1, BC_STEPS // max(1, -(-rows // 256)))


def load_demonstrations(plan: dict[str, Any], setup: Setup) -> Demonstrations:
    """The plan's demonstrations, as the environment's spaces have them.

    Raises:
        ValueError: the file is not there, not readable, or does not fit the environment.
    """
    from rlgen import demonstrations, training

    training.check_env_id(setup.env)
    demos = demonstrations.load(plan["demos"], env_id=setup.env).take(plan["n_demos"])
    venv = training.make_env(replace(setup, n_envs=1, normalize_obs=False, normalize_reward=False))
    fitted = demos.fit(*demonstrations.native_spaces(venv), setup.env)
    venv.close()
    return fitted


def make_reward(plan: dict[str, Any], demos: Demonstrations, seed: int) -> LearnedReward:
    """The reward of a plan: a new discriminator, or a trained one that stays as it is.

    Raises:
        ValueError: an unknown or bad setting, a file that holds no reward.
    """
    from rlgen.rewards import GAIL, Transitions, load_reward

    if plan["reward"]:
        return load_reward(Path(plan["reward"]))
    own = {
        "expert": Transitions(*demos.transitions(plan["subsample"], seed)),
        "expert_counts": (sum(episode.terminated for episode in demos.episodes), demos.n_steps),
        "setting": plan["setting"],
        "seed": seed,
    }
    for name in own.keys() & plan["reward_params"].keys():
        raise ValueError(f"{name} is no setting of the reward: see --demos, --setting and --seed")
    return GAIL(**own, **plan["reward_params"])


def build(plan: dict[str, Any]) -> tuple[Any, LearnReward]:
    """Model and learner of a plan, installed in each other.

    Raises:
        ValueError: what the demonstrations, the environment, SB3 or the reward refuse.
    """
    from rlgen import cloning, demonstrations, scores, session, training
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
        if plan["bc_epochs"]:
            cloning.check(model, *demos.transitions(plan["subsample"], setup.seed)[:2])
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
    """Write run/reward.pt, from which the reward can be used by itself, unless nothing was learned."""
    from rlgen.rewards import GAIL, save_reward

    if learner is not None and isinstance(learner.reward, GAIL) and learner.reward.policy_rows > 0:
        save_reward(run / "reward.pt", learner.reward)


def print_score(run: Path, plan: dict[str, Any]) -> None:
    """Print where the last evaluation's return stands between chance and the demonstrations."""
    from rlgen.scores import verdict

    records = run / "evaluations.csv"
    rows = list(csv.DictReader(records.read_text().splitlines())) if records.exists() else []
    if rows:
        known = (plan[name] for name in ("random_return", "demos_return", "expert_return"))
        print(verdict(float(rows[-1]["mean_return"]), *known))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
