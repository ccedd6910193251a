"""Sparse-reward tasks, registered with gymnasium on import as `rlgen/...`.

`gymnasium.make("envs:rlgen/SparseAnt-v0")` imports this package first, so the ids work in any process. The
module of each task says what it observes, what it pays for, when it ends and where it comes from. The reward
depends on what is observed (but for SparseHumanoid's start, within 0.01 m of the origin, and what lies behind
the swimmer of SwimmerGather), `info["x_position"]` says where the body is, and `np_random` is the only source
of chance. Rates of random policies are those of `python -m benchmarks.random_reward_rate`: the share of
episodes that earn anything, for uniform actions and for N(0, 1) ones clipped to the limits.
"""

from __future__ import annotations

from typing import Any

from gymnasium.envs.registration import WrapperSpec, register

from envs.mujoco_log import quiet

__all__ = ["quiet"]

_TV = WrapperSpec("NoisyTV", "envs.noisy_tv:NoisyTV", {"n_pixels": 4})


def _register(name: str, entry_point: str, steps: int, *wrappers: WrapperSpec, **kwargs: Any) -> None:
    # The tests run gymnasium's check_env on each task; its checks at every step would halve their speed.
    register(
        f"rlgen/{name}-v0",
        f"envs.{entry_point}",
        max_episode_steps=steps,
        disable_env_checker=True,
        additional_wrappers=wrappers,
        kwargs=kwargs,
    )


_register("SparseMountainCar", "mountain_car:SparseMountainCarEnv", 500)
_register("SparseCartPoleSwingup", "cartpole_swingup:SparseCartPoleSwingupEnv", 500)
_register("SparseDoublePendulum", "double_pendulum:SparseDoublePendulumEnv", 500)
_register("SparseHalfCheetah", "half_cheetah:SparseHalfCheetahEnv", 500)
_register("SparseHalfCheetahFar", "half_cheetah:SparseHalfCheetahEnv", 1000, goal_x=10.0, frame_skip=5)
_register("SparseAnt", "ant:SparseAntEnv", 1000)
_register("SparseHumanoid", "humanoid:SparseHumanoidEnv", 1000)
_register("SparseHumanoidStandup", "humanoid:SparseHumanoidStandupEnv", 1000)
_register("SwimmerGather", "swimmer_gather:SwimmerGatherEnv", 500)
_register("NoisyTVSparseCartPoleSwingup", "cartpole_swingup:SparseCartPoleSwingupEnv", 500, _TV)
_register(
    "NoisyTVSparseHalfCheetahFar", "half_cheetah:SparseHalfCheetahEnv", 1000, _TV, goal_x=10.0, frame_skip=5
)
