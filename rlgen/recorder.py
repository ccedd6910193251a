"""What the environments really got and gave, step by step: the raw material of learned rewards."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from rlgen.demonstrations.spaces import action_size
from rlgen.transitions import Transitions


class Step(NamedTuple):
    """One step of N environments, raw."""

    obs: np.ndarray  # (N, O)
    action: np.ndarray  # (N, A) or (N,) as the environments got it
    next_obs: np.ndarray  # (N, O) true successors
    following_obs: np.ndarray  # (N, O) after the reset where an episode ended
    terminated: np.ndarray  # (N,) bool
    done: np.ndarray  # (N,) bool


class TransitionRecorder(VecEnvWrapper):
    """Keeps the last step's raw transitions; wrap it round the environments before VecNormalize.

    `last` holds what the environments really got and gave: executed actions, terminal observations in place
    of those after the reset, and true ends told apart from time limits.

    Args:
        venv: any VecEnv with flat Box observations and Box or Discrete actions.

    Raises:
        ValueError: spaces that learned rewards do not take; the message names the wrapper that helps. Or no
            VecEnv.
    """

    last: Step

    def __init__(self, venv: VecEnv) -> None:
        if not isinstance(venv, VecEnv):
            raise ValueError(
                f"TransitionRecorder stands round a VecEnv, not a {type(venv).__name__}: give it "
                "DummyVecEnv([lambda: env]), or SB3's make_vec_env(...)"
            )
        super().__init__(venv)
        check_spaces(venv.observation_space, venv.action_space)
        self.obs_size, self.action_size = flat_sizes(venv)
        self._obs = np.empty(0)
        self._actions = np.empty(0)

    def reset(self) -> np.ndarray:
        """Reset all environments."""
        obs = self.venv.reset()
        assert isinstance(obs, np.ndarray)
        self._obs = obs.copy()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        """Pass the actions on, and keep them."""
        self._actions = np.array(actions)
        self.venv.step_async(actions)

    def step_wait(self) -> tuple:
        """Finish the step, and keep it."""
        obs, rewards, dones, infos = self.venv.step_wait()
        assert isinstance(obs, np.ndarray)
        following = obs.copy()
        next_obs, terminated = following, dones.copy()
        if dones.any():
            next_obs = following.copy()
            for i in np.flatnonzero(dones):
                next_obs[i] = infos[i]["terminal_observation"]
                terminated[i] = not infos[i].get("TimeLimit.truncated", False)
        self.last = Step(self._obs, self._actions, next_obs, following, terminated, dones.copy())
        self._obs = following
        return obs, rewards, dones, infos

    def set_obs(self, obs: np.ndarray) -> None:
        """Put back the observation that a restored run stands at, (N, O) raw."""
        self._obs = np.array(obs)


def check_spaces(observation_space: spaces.Space, action_space: spaces.Space) -> None:
    """Refuse spaces that learned rewards do not take.

    Raises:
        ValueError: with the wrapper that helps.
    """
    if isinstance(observation_space, spaces.Dict | spaces.Tuple | spaces.Discrete | spaces.MultiDiscrete):
        raise ValueError(
            f"the observation space is {type(observation_space).__name__}, learned rewards take a flat Box: "
            "wrap the environment in gymnasium.wrappers.FlattenObservation"
        )
    if not isinstance(observation_space, spaces.Box) or len(observation_space.shape) != 1:
        raise ValueError(
            f"observations have shape {observation_space.shape}, learned rewards take a flat Box (O,): wrap "
            "the environment in gymnasium.wrappers.FlattenObservation (images want an encoder first)"
        )
    if isinstance(action_space, spaces.Box) and len(action_space.shape) == 1:
        if not np.issubdtype(action_space.dtype, np.floating):
            raise ValueError(
                f"the action space {action_space} holds whole numbers: let it take real ones, by "
                "gymnasium.wrappers.TransformAction(env, lambda a: np.rint(a).astype(int), "
                "gymnasium.spaces.Box(low, high))"
            )
        if not action_space.is_bounded():
            raise ValueError(
                f"the action space {action_space} is unbounded: give it the finite bounds of its actuators "
                "by gymnasium.wrappers.TransformAction(env, lambda a: a, gymnasium.spaces.Box(low, high))"
            )
        if (action_space.low == action_space.high).any():
            dimension = int(np.argmax(action_space.low == action_space.high))
            raise ValueError(
                f"dimension {dimension} of the action space {action_space} has one value only: take it away "
                "by a gymnasium.ActionWrapper"
            )
    elif not isinstance(action_space, spaces.Discrete):
        raise ValueError(
            f"the action space is {action_space}, learned rewards take a flat Box or Discrete: "
            "flatten it with a gymnasium.ActionWrapper"
        )


def flat_sizes(venv: VecEnv) -> tuple[int, int]:
    """Sizes O and A of an observation and of an action as learned rewards see them."""
    return int(np.prod(venv.observation_space.shape or ())), action_size(venv.action_space)


def encode_actions(actions: np.ndarray, space: spaces.Space) -> np.ndarray:
    """Executed actions (..., A) scaled to [-1, 1], or (...) discrete ones as one-hot (..., A); float32."""
    if isinstance(space, spaces.Discrete):
        return np.eye(int(space.n), dtype=np.float32)[actions.astype(np.int64) - int(space.start)]
    assert isinstance(space, spaces.Box)
    if np.all(space.low == -1.0) and np.all(space.high == 1.0):
        return actions.astype(np.float32)
    return (2.0 * (actions - space.low) / (space.high - space.low) - 1.0).astype(np.float32)


def stack(steps: list[Step], action_space: spaces.Space) -> Transitions:
    """T steps of N environments as one batch (T * N, ...), time first: row t N + n."""

    def rows(name: str) -> np.ndarray:
        return np.concatenate([getattr(step, name) for step in steps])

    return Transitions(
        torch.from_numpy(rows("obs").astype(np.float32)),
        torch.from_numpy(encode_actions(rows("action"), action_space)),
        torch.from_numpy(rows("next_obs").astype(np.float32)),
        torch.from_numpy(rows("terminated").astype(np.float32)),
    )
