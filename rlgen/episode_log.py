"""How an environment comes back exactly: replay the episode that it was in.

MuJoCo's state restored in mid-episode is not exact: solver warm starts and contact forces are part of what
the next step depends on. What is exact is to put the random generator back, reset, and take the same actions.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np


class EnvironmentNaN(RuntimeError):
    """An environment gave an observation or a reward that is not finite."""


class EpisodeLog(gym.Wrapper):
    """The outermost wrapper of an environment: notes what brought the episode to where it is.

    It replays through every wrapper below (Monitor, TimeLimit), so that their counters come back too.

    Args:
        env: the environment with all other wrappers.
        index: of the environment among n_envs, for messages.
        n_envs: environments that step together.

    Raises:
        EnvironmentNaN: in `step` and `reset`, at the first observation or reward that is not finite.
    """

    def __init__(self, env: gym.Env, index: int = 0, n_envs: int = 1) -> None:
        super().__init__(env)
        self.index, self.n_envs = index, n_envs
        self.steps = 0  # of this environment, over all episodes
        self._start: dict[str, Any] | None = None  # what the last reset started from
        self._actions: list[np.ndarray] = []  # since then
        self._obs: Any = None
        self._reward = 0.0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        """Reset, and begin a new log."""
        # A seeded reset makes a new generator: the old one does not matter.
        generator = self.env.unwrapped.np_random.bit_generator.state if seed is None else None
        self._start = {"generator": generator, "seed": seed, "options": options}
        self._actions, self._reward = [], 0.0
        self._obs, info = self.env.reset(seed=seed, options=options)
        self._check_finite()
        return self._obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict]:
        """Step, and note the action."""
        self.steps += 1
        self._actions.append(np.array(action))
        self._obs, reward, terminated, truncated, info = self.env.step(action)
        self._reward = float(reward)
        self._check_finite()
        return self._obs, reward, terminated, truncated, info

    def episode_log(self) -> dict[str, Any]:
        """What `replay` needs: the start of the episode, its actions (T, A) or (T,), and where they led."""
        return {
            "start": self._start,
            "actions": np.stack(self._actions) if self._actions else None,
            "obs": None if self._obs is None else np.array(self._obs),
            "reward": self._reward,
            "steps": self.steps,
        }

    def replay(self, log: dict[str, Any]) -> None:
        """Bring the environment to where `episode_log` was taken.

        Raises:
            ValueError: it ends elsewhere, by a single bit.
        """
        start = log["start"]
        if start is not None:
            if start["generator"] is not None:
                self.env.unwrapped.np_random.bit_generator.state = start["generator"]
            self.reset(seed=start["seed"], options=start["options"])
            for action in [] if log["actions"] is None else log["actions"]:
                self.step(action)
            if np.array(self._obs).tobytes() != log["obs"].tobytes() or self._reward != log["reward"]:
                raise ValueError(
                    f"environment {self.index} does not return to where the checkpoint was taken: its "
                    "np_random does not determine it, or its version changed; start a new run"
                )
        self.steps = log["steps"]

    def _check_finite(self) -> None:
        if np.isfinite(self._obs).all() and np.isfinite(self._reward):
            return
        obs = np.ravel(self._obs)
        bad = np.flatnonzero(~np.isfinite(obs))
        what = f"observation[{bad[0]}] is {obs[bad[0]]}" if len(bad) else f"the reward is {self._reward}"
        raise EnvironmentNaN(
            f"{what} in environment {self.index} at step {self.steps * self.n_envs}: "
            "its simulation diverged, or it divides by zero"
        )
