"""Train an expert on the environment's own reward: who demonstrations are recorded from.

    python -m demos.train_expert --env Hopper-v5
    python -m demos.train_expert --resume logs/expert/Hopper-v5_1
    python -m demos.record logs/expert/Hopper-v5_1 --out demos/hopper.npz

Plain SB3, with the commands' checkpoints, evaluations and curve. The shipped files were made by PPO with the
settings of `EXPERTS`; on-policy the reward is normalised besides.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlgen import cli
from rlgen.options import Options, shared_plan
from rlgen.presets import ON_POLICY, preset_for


@dataclass(frozen=True)
class Expert:
    """What an expert departs in from the preset of `rlgen.train_vime`."""

    n_timesteps: int
    n_envs: int = 8
    hyperparams: Mapping[str, Any] = field(
        default_factory=lambda: {"learning_rate": "lin_3e-4", "policy_kwargs": {"log_std_init": -0.5}}
    )


# Few, large minibatches of short rollouts in many environments, and wider networks. With the settings above
# Ant stood at 2,000 to 3,000 after 6.5M steps, with these at 4,700 after 1.5M. With Ant's rate and rollouts
# Humanoid fell in two episodes of five at 2.5M to 3.3M steps; at half the rate and twice the length in none.
_MANY = {
    "learning_rate": "lin_1e-3",
    "n_steps": 64,
    "batch_size": 2048,
    "n_epochs": 4,
    "vf_coef": 1.0,
    "policy_kwargs": {"log_std_init": -1.0, "net_arch": [256, 128, 64], "activation_fn": "elu"},
}
EXPERTS = {
    "HalfCheetah-v5": Expert(10_000_000),
    "Hopper-v5": Expert(3_000_000),
    "Walker2d-v5": Expert(10_000_000),
    "Ant-v5": Expert(8_000_000, 64, _MANY),
    "Humanoid-v5": Expert(9_000_000, 64, _MANY | {"learning_rate": "lin_5e-4", "n_steps": 128}),
}
"""How each expert is trained by PPO."""


@dataclass(frozen=True)
class Config(Options):
    """Train an expert with SB3 on the environment's own reward.

    Defaults come from `EXPERTS`, elsewhere from the preset of `rlgen.train_vime`.
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
    algo = config.algo or "ppo"
    name, preset = preset_for(config.env, algo)
    if config.env in EXPERTS and algo == "ppo":
        own = EXPERTS[config.env]
        hyperparams = {**preset.hyperparams, **own.hyperparams}
        preset = replace(preset, n_timesteps=own.n_timesteps, n_envs=own.n_envs, hyperparams=hyperparams)
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
