"""Train an expert on the environment's own reward: who demonstrations are recorded from.

    python -m demos.train_expert --env Hopper-v5
    python -m demos.train_expert --resume logs/expert/Hopper-v5_1
    python -m demos.record logs/expert/Hopper-v5_1 --out demos/hopper.npz

Plain SB3, with the commands' checkpoints, evaluations and curve. `EXPERTS` has what made the shipped files,
and what is to make Ant's and Humanoid's; on-policy the reward is normalised besides.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlgen import cli
from rlgen.options import Options, shared_plan
from rlgen.presets import ON_POLICY, preset_for


@dataclass(frozen=True)
class Expert:
    """What an environment's expert departs in from the preset of `rlgen.train_vime`."""

    n_timesteps: int
    """Environment steps."""
    algo: str = "ppo"
    """SB3 algorithm."""
    hyperparams: dict[str, Any] = field(default_factory=dict)
    """Arguments of the SB3 class."""


PPO = {"learning_rate": "lin_3e-4", "policy_kwargs": {"log_std_init": -0.5}}
EXPERTS = {
    "HalfCheetah-v5": Expert(10_000_000, hyperparams=PPO),
    "Hopper-v5": Expert(3_000_000, hyperparams=PPO),
    "Walker2d-v5": Expert(10_000_000, hyperparams=PPO),
    "Ant-v5": Expert(20_000_000, hyperparams=PPO),
    "Humanoid-v5": Expert(30_000_000, hyperparams=PPO),
}


@dataclass(frozen=True)
class Config(Options):
    """Train an expert with SB3 on the environment's own reward.

    Defaults come from the environment's entry in `EXPERTS`, else from the preset of `rlgen.train_vime`.
    """


def main(config: Config) -> Path:
    """Train, and return the run's folder.

    Raises:
        ValueError: before training, for what the user can mend.
        SystemExit: 130 or 143 after SIGINT or SIGTERM, with everything saved.
    """
    from rlgen import enjoy, session
    from rlgen.train_vime import build

    run = session.launch(config, session.Command("expert", build), lambda: new_plan(config))
    if config.video:
        enjoy.main(enjoy.Config(run, episodes=1, video=True))
    print(run / "reward_curve.png")
    return run


def new_plan(config: Config) -> dict[str, Any]:
    """What to run, fully resolved, as config.json holds it: a run of `rlgen.train_vime` without a bonus.

    Raises:
        ValueError: no environment.
    """
    if not config.env:
        raise ValueError(f"no environment: pass --env ID, such as {', '.join(EXPERTS)}, or --resume RUN")
    expert = EXPERTS.get(config.env)
    algo = config.algo or (expert.algo if expert else "ppo")
    name, preset = preset_for(config.env, algo)
    if expert and expert.algo == algo:
        hyperparams = {**preset.hyperparams, **expert.hyperparams}
        preset = replace(preset, n_timesteps=expert.n_timesteps, hyperparams=hyperparams)
        name = f"{name}, expert"
    preset = replace(preset, normalize_reward=algo in ON_POLICY)
    plan = {
        "command": "train_expert",
        **shared_plan(replace(config, algo=algo), preset, name),
        "bonus": "none",
        "setting": "default",
    }
    return json.loads(json.dumps(plan))


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
