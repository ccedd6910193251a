"""How often an episode of a random policy earns reward: an exploration task is worth its name below 1 %.

    OMP_NUM_THREADS=1 python -m benchmarks.random_reward_rate [ID ...] [--episodes N]

Two random policies: uniform actions, and N(0, 1) clipped to the limits (an untrained SB3 policy), both of
the scale of `RescaleAction(-1, 1)`. Prints `name: value` lines: the share of episodes in which some step
pays more than 0, the mean length of an episode, and steps per second of the bare environment with its
actions. One core, about ten minutes in all. Reference: trial runs on HalfCheetah-v5 (30 episodes) found x >
5 in 3 % of them and x > 10 in none.
"""

from __future__ import annotations

import argparse
import time

import gymnasium as gym
import numpy as np

import envs

EPISODES = 200


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


def main() -> None:
    """Measure the tasks named on the command line, or all of ours."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ids", nargs="*", help="such as rlgen/SparseAnt-v0; all of rlgen/ when left out")
    parser.add_argument("--episodes", type=int, default=EPISODES)
    args = parser.parse_args()
    envs.quiet()
    for env_id in args.ids or [name for name in gym.registry if name.startswith("rlgen/")]:
        for policy in ("uniform", "gaussian"):
            for name, value in measure(env_id, policy, args.episodes).items():
                print(f"{env_id.removeprefix('rlgen/')}_{policy}_{name}: {value:.4g}", flush=True)


if __name__ == "__main__":
    main()
