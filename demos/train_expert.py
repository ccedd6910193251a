"""Train an expert on the environment's own reward: who demonstrations are recorded from.

    python -m demos.train_expert --env Hopper-v5
    python -m demos.train_expert --resume logs/expert/Hopper-v5_1
    python -m demos.record logs/expert/Hopper-v5_1 --out demos/hopper.npz

Plain SB3, with the commands' checkpoints, evaluations and curve. The shipped files were made by PPO with
`STEPS` and `PPO`, as Ant's and Humanoid's are to be; on-policy the reward is normalised besides.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlgen import cli
from rlgen.options import Options, shared_plan
from rlgen.presets import ON_POLICY, preset_for

STEPS = {
    "HalfCheetah-v5": 10_000_000,
    "Hopper-v5": 3_000_000,
    "Walker2d-v5": 10_000_000,
    "Ant-v5": 20_000_000,
    "Humanoid-v5": 30_000_000,
}
"""Environment steps of each expert."""
PPO: dict[str, Any] = {"learning_rate": "lin_3e-4", "policy_kwargs": {"log_std_init": -0.5}}
"""What they depart in from the preset of `rlgen.train_vime`."""


@dataclass(frozen=True)
class Config(Options):
    """Train an expert with SB3 on the environment's own reward.

    Defaults come from `STEPS` and `PPO`, elsewhere from the preset of `rlgen.train_vime`.
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
        raise ValueError(f"no environment: pass --env ID, such as {', '.join(STEPS)}, or --resume RUN")
    algo = config.algo or "ppo"
    name, preset = preset_for(config.env, algo)
    if config.env in STEPS and algo == "ppo":
        hyperparams = {**preset.hyperparams, **PPO}
        preset = replace(preset, n_timesteps=STEPS[config.env], hyperparams=hyperparams)
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
