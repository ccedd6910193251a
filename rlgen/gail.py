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

from rlgen import cli
from rlgen.folder import read_config
from rlgen.options import PRESET, Options, shared_plan
from rlgen.presets import DEFAULTS, OFF_POLICY, imitation_preset_for

if TYPE_CHECKING:
    from rlgen.relabel import LearnReward
    from rlgen.runs import StopRequest

FORMS = ("positive", "negative", "logit")
BC_STEPS = 10_000
"""Gradient steps of --algo bc, about; few demonstrations are passed over the more often."""
STD_FLOOR = 0.1
"""Least standard deviation that the policy's observations are divided by."""


@dataclass(frozen=True)
class Config(Options):
    """Imitate demonstrations: GAIL with an SB3 agent, or behaviour cloning alone (--algo bc).

    Defaults come from the preset of the environment and algorithm, whose name is printed; a flag beats it.
    """

    algo: Annotated[cli.MaybeText, cli.choice((*DEFAULTS, "bc"), "ppo")] = None
    """SB3 algorithm, or bc for behaviour cloning alone; --setting paper means trpo."""
    demos: Annotated[cli.MaybeText, cli.one(str, "FILE", "none")] = None
    """Demonstrations: npz, hdf5, or a Minari dataset by path or local id."""
    n_demos: Annotated[cli.MaybeWhole, cli.whole("all")] = None
    """Use the first N episodes."""
    subsample: Annotated[cli.MaybeWhole, cli.whole("1")] = None
    """Use every N-th transition of an episode, from a random start; the mean and variance that normalise what
    the policy sees are of all."""
    form: Annotated[cli.MaybeText, cli.choice(FORMS, PRESET)] = None
    """Reward: positive -log(1-D), negative log D, logit log D - log(1-D)."""
    setting: Annotated[cli.MaybeText, cli.choice(("default", "paper"), "default")] = None
    """default, or paper: reward and TRPO as published."""
    reward_params: Annotated[cli.MaybePairs, cli.PAIRS] = None
    """Settings of the reward, such as gradient_penalty:10 absorbing:True state_only:True."""
    bc_epochs: Annotated[cli.MaybeWhole, cli.whole(PRESET, least=0)] = None
    """Passes of behaviour cloning before the first step; 0 for none, as with --reward."""
    reward: Annotated[cli.MaybePath, cli.one(Path, "FILE.pt", "none")] = None
    """Train on this trained reward, which stays as it is (reward.pt of a run)."""
    refit_every: Annotated[cli.MaybeWhole, cli.whole(PRESET)] = None
    """Environment steps between refits of the discriminator; one a rollout where that is longer."""
    download: bool = False
    """Let a Minari dataset be downloaded."""


def main(config: Config) -> Path:
    """Train, and return the run's folder.

    Raises:
        ValueError: before training, for what the user can mend.
        EnvironmentNaN: while training.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    from rlgen import demonstrations, enjoy, session

    if config.resume and config.download:
        plan = read_config(config.resume)
        demonstrations.load(config.demos or plan["demos"], env_id=plan["setup"]["env"], download=True)
    command = session.Command("gail", build, begin, report, keep_reward, planned_flags)
    run = session.launch(config, command, lambda: new_plan(config))
    if config.video:
        enjoy.main(enjoy.Config(run, episodes=1, video=True))
    print_score(run, read_config(run))
    print(run / "reward_curve.png")
    return run


def new_plan(config: Config) -> dict[str, Any]:
    """What to run, fully resolved, as config.json holds it.

    Raises:
        ValueError: no demonstrations, a file that cannot be read, no environment, flags that contradict
            each other or the demonstrations.
    """
    check_flags(config)
    from rlgen import demonstrations, imitation, training

    file = config.demos or ""
    if config.env:
        training.check_env_id(config.env)  # registers ours: some files are read by the time limit
    limit = (config.env_kwargs or {}).get("max_episode_steps")
    demos = demonstrations.load(file, env_id=config.env, time_limit=limit, download=config.download)
    longest = max(len(episode) for episode in demos.episodes)
    if (config.subsample or 1) > longest:
        asked = f"--subsample {config.subsample}"
        raise ValueError(f"{asked}: the longest demonstration has {longest} steps, give that at most")
    if config.env_kwargs is None and demos.env_kwargs:
        print(f"environment as recorded: {', '.join(f'{k}:{v}' for k, v in demos.env_kwargs.items())}")
        config = replace(config, env_kwargs=dict(demos.env_kwargs))
    env, cloning = demos.env_id or "", config.algo == "bc"
    setting = config.setting or "default"
    algo = "ppo" if cloning else config.algo or ("trpo" if setting == "paper" else "ppo")
    config = replace(config, env=env, algo=algo)
    name, preset = imitation_preset_for(env, algo, setting)
    given = {"form": "positive", "absorbing": False, **preset.settings}
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
        "refit_every": preset.refit_every if config.refit_every is None else config.refit_every,
    }
    if config.bc_epochs is None:
        rows = demos.take(plan["n_demos"]).n_steps // plan["subsample"]
        most = cloning_epochs(rows)
        fits = demos.has_actions and not plan["reward_params"].get("state_only")
        wanted = fits and not config.reward  # which trains a fresh policy
        plan["bc_epochs"] = most if cloning else min(preset.bc_epochs, most) * wanted
    if not demos.has_actions:
        imitation.check_without_actions(plan)
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
    if config.algo == "bc":
        check_cloning(config)
    if config.setting == "paper" and config.algo in OFF_POLICY:
        raise ValueError(
            f"--setting paper refits on whole batches of 50,000 steps, which --algo {config.algo} has not: "
            "leave one of them out"
        )
    form = (config.reward_params or {}).get("form", config.form)
    if config.form and form != config.form:
        raise ValueError(
            f"--form {config.form} contradicts --reward-params form:{form}: leave one of them out"
        )
    if not config.reward:
        return
    if not config.reward.is_file():
        raise ValueError(f"--reward {config.reward}: there is no such file, give the reward.pt of a run")
    own = {
        "--form": config.form,
        "--reward-params": config.reward_params,
        "--refit-every": config.refit_every,
    }
    if any(own.values()):
        raise ValueError(f"--reward {config.reward} stays as it was trained: leave {_listed(own)} out")


def check_cloning(config: Config) -> None:
    """Refuse what --algo bc would pass over in silence.

    Raises:
        ValueError: with the remedy.
    """
    if config.bc_epochs == 0:
        raise ValueError("--bc-epochs is 0, and --algo bc does nothing else: give 1 or more, or leave it out")
    idle = {
        "-n (--total-timesteps)": config.total_timesteps,
        "--form": config.form,
        "--reward": config.reward,
        "--reward-params": config.reward_params,
        "--refit-every": config.refit_every,
        "--setting paper": config.setting == "paper",
    }
    if any(idle.values()):
        raise ValueError(
            f"--algo bc clones, without a step and without a reward: leave {_listed(idle)} out, or take "
            "another --algo, and --bc-epochs N to clone first"
        )


def _listed(flags: dict[str, Any]) -> str:
    return " and ".join(flag for flag, value in flags.items() if value)


def place(demos: str) -> str:
    """The absolute path of a file or folder that is there; else a Minari id, as it is."""
    return str(Path(demos).resolve() if Path(demos).exists() else Path(demos))


def planned_flags(config: Config, plan: dict[str, Any]) -> dict[str, Any]:
    """The flags in the terms of a plan, with which those of a resumed run are compared.

    Raises:
        ValueError: flags that --algo bc has no use for.
    """
    if config.algo == "bc":
        check_cloning(config)
    flags = vars(config) | {
        "demos": config.demos and place(config.demos),
        "reward": config.reward and str(config.reward.resolve()),
    }
    if config.form:
        flags["reward_params"] = {**(config.reward_params or {}), "form": config.form}
    if config.algo == "bc" and plan["total_timesteps"] == 0:
        flags["algo"] = None
    return flags


def cloning_epochs(rows: int) -> int:
    """Passes over so many transitions that make `BC_STEPS` gradient steps, of 256 rows each."""
    return max(1, BC_STEPS // max(1, -(-rows // 256)))


def build(plan: dict[str, Any]) -> tuple[Any, LearnReward]:
    """Model and learner of a plan, installed in each other.

    Raises:
        ValueError: what the demonstrations, the environment, SB3 or the reward refuse.
    """
    from rlgen import cloning, demonstrations, imitation, scores, session, training
    from rlgen.relabel import LearnReward

    setup = training.Setup.from_dict(plan["setup"])
    session.check_device(setup.device)
    demos = imitation.load_demonstrations(plan, setup)
    plan["wrappers"] = setup.wrappers()
    venv = training.make_env(setup)
    if setup.normalize_obs:
        training.freeze_statistics(venv, demos.transitions().obs.numpy(), STD_FLOOR)
    model = training.make_model(setup, venv)
    if plan["reward"]:
        reward = imitation.trained_reward(plan["reward"], setup.env, venv)
    else:
        reward = imitation.make_reward(plan, demos, setup.seed)
    learner = LearnReward(reward, env_weight=0.0, refit_every=plan["refit_every"])
    learner.install(model)
    if "random_return" not in plan:
        if plan["bc_epochs"]:
            cloning.check(model, *demos.transitions(plan["subsample"], setup.seed)[:2])
        print(demonstrations.report(demos))
        doubt = None if plan["reward"] else imitation.doubtful_form(demos, plan)
        if doubt:
            print(f"warning: {doubt}", file=sys.stderr)
        if plan["subsample"] > 1:
            n = len(demos.transitions(plan["subsample"], setup.seed).obs)
            print(f"{n:,} of the steps are imitated, by --subsample {plan['subsample']}")
        plan["random_return"] = scores.random_return(setup)
        plan["demos_return"] = None if demos.returns is None else float(demos.returns.mean())
        plan["expert_return"] = demos.expert_return
    return model, learner


def begin(plan: dict[str, Any], model: Any, stop: StopRequest) -> None:
    """Clone the demonstrations' behaviour, if the plan says so."""
    if not plan["bc_epochs"]:
        return
    from rlgen import cloning, imitation, training

    setup = training.Setup.from_dict(plan["setup"])
    steps = imitation.load_demonstrations(plan, setup).transitions(plan["subsample"], setup.seed)
    print(f"cloning {len(steps.obs):,} steps, {plan['bc_epochs']:,} times over", flush=True)
    flags = {"epochs": plan["bc_epochs"], "seed": setup.seed, "after_step": stop.check}
    metrics = cloning.clone(model, steps.obs, steps.action, **flags)
    print("behaviour cloning: " + ", ".join(f"{key} {value:.4g}" for key, value in metrics.items()))


def report(plan: dict[str, Any]) -> list[Any]:
    """The callbacks that tell how the imitation goes."""
    from rlgen.scores import ImitationReport

    return [ImitationReport(plan["random_return"], plan["demos_return"], plan["setting"] == "paper")]


def keep_reward(run: Path, learner: LearnReward | None) -> None:
    """Write run/reward.pt, from which the reward can be used by itself; say so if nothing was learned."""
    from rlgen import runs
    from rlgen.rewards import GAIL, save_reward

    if learner is None or not isinstance(learner.reward, GAIL):
        return
    if learner.reward.policy_rows > 0:
        learner.reward.env_id = runs.read_setup(run).env.rpartition(":")[2]
        save_reward(run / "reward.pt", learner.reward)
    elif learner.model.num_timesteps > 0:
        print(
            f"warning: the discriminator was never fitted, for want of {learner.refit_every:,} steps "
            "(--refit-every): the policy is as good as untrained, and there is no reward.pt",
            file=sys.stderr,
        )


def print_score(run: Path, plan: dict[str, Any]) -> None:
    """Print where the last return stands between chance and the demonstrations; evaluate if nothing did."""
    from rlgen import enjoy
    from rlgen.scores import verdict

    if plan["eval_freq"]:
        rows = list(csv.DictReader((run / "evaluations.csv").read_text().splitlines()))
        value = float(rows[-1]["mean_return"])
    else:
        value = enjoy.main(enjoy.Config(run, episodes=plan["eval_episodes"]))["mean_return"]
    print(verdict(value, *(plan[name] for name in ("random_return", "demos_return", "expert_return"))))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
