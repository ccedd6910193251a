"""How often an episode of a random policy earns reward: an exploration task is worth its name below 1 %.

    OMP_NUM_THREADS=1 python -m benchmarks.random_reward_rate [--envs ID ...] [--episodes N]

Two random policies: uniform actions, and N(0, 1) clipped to the limits (an untrained SB3 policy), both of
the scale of `RescaleAction(-1, 1)`. Prints `name: value` lines: the share of episodes in which some step
pays more than 0, which is recorded, the mean length of an episode, and steps per second of the bare
environment with its actions. One core, about ten minutes in all. The records of the light tasks (cart-pole,
also beside a television, mountain car, double pendulum) are of 2,000 episodes. Reference: trial runs on
HalfCheetah-v5 (30 episodes) found x > 5 in 3 % of them and x > 10 in none.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import envs
from benchmarks.records import RESULTS, check_results, write_number
from rlgen import cli

UNIT = "share of episodes with reward"


@dataclass(frozen=True)
class Config:
    """Measure random policies."""

    envs: tuple[str, ...] = ()
    """Such as rlgen/SparseAnt-v0; all of rlgen/ unless given."""
    episodes: int = 200
    """Of each policy in each."""
    results: Path = field(default_factory=lambda: RESULTS)
    """Folder of the records."""


def draw(policy: str, rng: np.random.Generator, space: gym.spaces.Box) -> np.ndarray:
    """An action of the random policy, rescaled from [-1, 1] to the limits of `space`."""
    raw = rng.uniform(-1, 1, space.shape) if policy == "uniform" else rng.standard_normal(space.shape)
    unit = np.clip(raw, -1, 1)
    return (space.low + (unit + 1) / 2 * (space.high - space.low)).astype(space.dtype)


def measure(env_id: str, policy: str, episodes: int) -> dict[str, float]:
    """Play `episodes` episodes, seeds 0, 1, ..., and return rate, mean length and steps per second."""
    env = gym.make(env_id)
    assert isinstance(env.action_space, gym.spaces.Box)
    rng = np.random.default_rng(0)
    earned, steps, start = 0, 0, time.perf_counter()
    for episode in range(episodes):
        env.reset(seed=episode)
        done, paid = False, False
        while not done:
            _, reward, terminated, truncated, _ = env.step(draw(policy, rng, env.action_space))
            done, paid, steps = terminated or truncated, paid or float(reward) > 0, steps + 1
        earned += paid
    seconds = time.perf_counter() - start
    env.close()
    return {"rate": earned / episodes, "mean_length": steps / episodes, "steps_per_s": steps / seconds}


def main(config: Config) -> None:
    """Measure the tasks that are named, or all of ours, print and record.

    Raises:
        ValueError: An unknown task, or no episode.
    """
    if config.episodes < 1:
        raise ValueError(f"episodes is {config.episodes}: play one at least")
    check_results(config.results)
    envs.quiet()
    ours = [name for name in gym.registry if name.startswith("rlgen/")]
    for env_id in config.envs:
        cli.check_known("env", env_id, ours)
    for env_id in config.envs or ours:
        for policy in ("uniform", "gaussian"):
            figure = f"{env_id.removeprefix('rlgen/')}_{policy}"
            facts: dict[str, Any] = measure(env_id, policy, config.episodes)
            for name, value in facts.items():
                print(f"{figure}_{name}: {value:.4g}", flush=True)
            path = config.results / "random_reward_rate" / f"{figure}.json"
            write_number(path, "rate", facts.pop("rate"), UNIT, episodes=config.episodes, **facts)


if __name__ == "__main__":
    sys.exit(cli.run(main, Config))
