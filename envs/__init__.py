"""Sparse-reward tasks, registered with gymnasium on import as `rlgen/...`.

`gymnasium.make("envs:rlgen/SparseAnt-v0")` imports this package first, so the ids work in any process. The
module of each task says what it observes, what it pays for, when it ends and where it comes from. Every reward
depends on the observation alone, `info["x_position"]` says where the body is, and `np_random` is the only source
of chance.
"""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import WrapperSpec, register

from envs.mujoco_log import quiet

__all__ = ["quiet"]

# The tests run gymnasium's check_env on each task; its checks at every step would halve the cheap tasks' speed.
_CHECKED = {"disable_env_checker": True}


def _register(name: str, entry_point: str, max_episode_steps: int, **kwargs: Any) -> None:
    register(
        f"rlgen/{name}-v0", entry_point, max_episode_steps=max_episode_steps, kwargs=kwargs, **_CHECKED
    )


_register("SparseMountainCar", "envs.mountain_car:SparseMountainCarEnv", 500)
_register("SparseCartPoleSwingup", "envs.cartpole_swingup:SparseCartPoleSwingupEnv", 500)
_register("SparseHalfCheetah", "envs.half_cheetah:SparseHalfCheetahEnv", 500)
_register("SparseHalfCheetahFar", "envs.half_cheetah:SparseHalfCheetahEnv", 1000, goal_x=10.0, frame_skip=5)
_register("SparseAnt", "envs.ant:SparseAntEnv", 1000)
_register("SparseHumanoid", "envs.humanoid:SparseHumanoidEnv", 1000)
_register("SparseHumanoidStandup", "envs.humanoid:SparseHumanoidStandupEnv", 1000)
