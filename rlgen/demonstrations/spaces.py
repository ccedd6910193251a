"""Demonstrations against the spaces of an environment: sizes, bounds, units, and where a wrong file fits."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import RescaleAction

ROUNDING = 1e-5
"""How far outside its bounds an action may be, relative to the distance of the bounds."""


class Task(NamedTuple):
    """Flat sizes of a standard MuJoCo task, and what to say about them."""

    obs: int
    actions: int
    told: str


# gymnasium 1.4; v2 and v3 are those of gym. Two tasks of the same sizes stand in one row.
TASKS = (
    Task(105, 8, "pass --env Ant-v5"),
    Task(27, 8, "pass --env Ant-v5 --env-kwargs include_cfrc_ext_in_observation:False (or --env Ant-v4)"),
    Task(111, 8, "Ant-v2 and v3 had as many: pass --env Ant-v4 --env-kwargs use_contact_forces:True"),
    Task(348, 17, "pass --env Humanoid-v5 (or HumanoidStandup-v5)"),
    Task(376, 17, "Humanoid-v2 to v4 had as many: pass --env Humanoid-v4 (or HumanoidStandup-v4)"),
    Task(11, 3, "pass --env Hopper-v5"),
    Task(17, 6, "pass --env HalfCheetah-v5 or Walker2d-v5"),
    Task(8, 2, "pass --env Swimmer-v5"),
    Task(4, 1, "pass --env InvertedPendulum-v5"),
    Task(9, 1, "pass --env InvertedDoublePendulum-v5"),
    Task(11, 1, "pass --env InvertedDoublePendulum-v4"),
    Task(10, 2, "pass --env Reacher-v5"),
    Task(11, 2, "pass --env Reacher-v4"),
    Task(23, 7, "pass --env Pusher-v5"),
)


def native_spaces(venv: Any) -> tuple[spaces.Space, spaces.Space]:
    """Observation and action space as `gymnasium.make` gives them, before RescaleAction.

    Args:
        venv: An SB3 VecEnv in this process, as `training.make_env` builds it.
    """
    env = venv.get_attr("env")[0]
    while isinstance(env, gym.Wrapper):
        if isinstance(env, RescaleAction):
            return venv.observation_space, env.env.action_space
        env = env.env
    return venv.observation_space, venv.action_space


def action_size(space: spaces.Space) -> int:
    """Size A of an action as learned rewards see it: of a flat Box, or of the one-hot code of a Discrete."""
    return int(space.n) if isinstance(space, spaces.Discrete) else int(np.prod(space.shape or ()))


def same_env(one: str, other: str) -> bool:
    """Whether two ids name one environment: `envs:rlgen/X-v0` is `rlgen/X-v0`."""
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def same_task(one: str, other: str) -> bool:
    """Whether two ids name one task, in whatever versions: Hopper-v2 and Hopper-v5 do."""
    one, other = (re.sub(r"-v\d+$", "", env_id) for env_id in (one, other))
    return same_env(one, other)


def plays_no_more(env_id: str) -> bool:
    """Whether an id is of a MuJoCo task in a version that gymnasium cannot make any more: v1 to v3."""
    name, _, version = env_id.rpartition("-v")
    newest = gym.registry.get(f"{name}-v5")
    gymnasiums = newest is not None and str(newest.entry_point).startswith("gymnasium.envs.mujoco.")
    return gymnasiums and version in ("1", "2", "3")


def check_sizes(
    obs: int,
    actions: np.ndarray | None,
    observation_space: spaces.Space,
    action_space: spaces.Space,
    env_id: str,
) -> None:
    """Refuse demonstrations of other sizes, or of another kind of action, than the environment has.

    Args:
        obs: Features of an observation.
        actions: Those of one episode.
        observation_space: The environment's.
        action_space: The environment's.
        env_id: For the message.

    Raises:
        ValueError: It says which task they fit.
    """
    width = 0 if actions is None else actions.shape[1] if actions.ndim == 2 else 1
    wanted = int(np.prod(observation_space.shape or ()))
    if obs != wanted:
        raise ValueError(
            f"demos have {obs} observation features, {env_id} has {wanted}: {where(obs, width, env_id)}"
        )
    if actions is None:
        return
    discrete = isinstance(action_space, spaces.Discrete)
    if discrete != (actions.ndim == 1):
        ours, theirs = ("whole numbers", "real ones") if discrete else ("real numbers", "whole ones")
        raise ValueError(
            f"{env_id} takes {ours} as actions, demos have {theirs}: pass the --env of the demos"
        )
    size = int(np.prod(action_space.shape or ()))
    if not discrete and width != size:
        raise ValueError(
            f"demos have {width} numbers in an action, {env_id} takes {size}: {where(obs, width, env_id)}"
        )


def doubts(
    obs: list[np.ndarray], space: spaces.Space, env_id: str, time_limit: int | None = None
) -> list[str]:
    """What speaks against an environment, though an environment may break its own word.

    Args:
        obs: (T + 1, O) of each episode, raw.
        space: The environment's observation space, flat.
        env_id: Its id.
        time_limit: In steps, where it is not the registered one.
    """
    found = []
    if isinstance(space, spaces.Box):
        least = np.min([part.min(axis=0) for part in obs], axis=0)
        most = np.max([part.max(axis=0) for part in obs], axis=0)
        low, high = space.low.reshape(-1), space.high.reshape(-1)
        with np.errstate(over="ignore"):  # CartPole's bounds are the largest numbers that there are
            slack = np.where(np.isfinite(high - low), ROUNDING * (high - low), 0.0)
        outside = np.flatnonzero((least < low - slack) | (most > high + slack))
        if len(outside):
            k = outside[0]
            found.append(
                f"observations reach from {least[k]:.4g} to {most[k]:.4g} in feature {k}, those of {env_id} "
                f"from {low[k]:.4g} to {high[k]:.4g}: store them raw, not normalised"
            )
    spec = gym.registry.get(env_id.rpartition(":")[2])
    limit = time_limit or (spec.max_episode_steps if spec else None)
    longest = max(map(len, obs)) - 1
    if limit and longest > limit:
        found.append(f"an episode has {longest} steps, {env_id} ends after {limit}: is it another task?")
    return found


def where(obs: int, width: int, env_id: str) -> str:
    """What to do with demonstrations of these sizes; `width` is 0 where the actions are unknown."""
    told = [task.told for task in TASKS if task.obs == obs and width in (0, task.actions)]
    if any(env_id in text.split() and "--env-kwargs" not in text for text in told):
        return "leave --env-kwargs out"
    return ", or ".join(told) or "pass the --env that they were recorded in"


def unit_actions(actions: np.ndarray, space: spaces.Space, env_id: str) -> np.ndarray:
    """Actions of a Box scaled to [-1, 1], or of a Discrete counted from 0.

    Args:
        actions: (T, A) float32 in the environment's units, or (T,) int64.
        space: The environment's action space.
        env_id: For the message.

    Raises:
        ValueError: An action outside the space.
    """
    if isinstance(space, spaces.Discrete):
        index = actions - int(space.start)
        if np.any((index < 0) | (index >= space.n)):
            worst = actions[np.argmax((index < 0) | (index >= space.n))]
            raise ValueError(
                f"an action is {worst}, {env_id} takes {space.start} to {space.start + space.n - 1}: "
                "pass the --env that they were recorded in"
            )
        return index
    assert isinstance(space, spaces.Box)
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    outside = np.maximum(low - actions, actions - high) > ROUNDING * (high - low)  # (T, A)
    if outside.any():
        step, part = np.argwhere(outside)[0]
        raise ValueError(
            f"an action is {actions[step, part]:.6g} in dimension {part}, {env_id} takes {low[part]:.6g} to "
            f"{high[part]:.6g}: store actions as executed, clipped and in the environment's own units"
        )
    # As RescaleAction's inverse; rounding must not leave [-1, 1], where the policy's own actions are.
    return np.clip(2.0 * (actions - low) / (high - low) - 1.0, -1.0, 1.0).astype(np.float32)
