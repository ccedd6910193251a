"""SB3's buffers with a hook, `learner`, that relabels rewards: it has to know how SB3 stores data.

Off-policy, SB3 stores the last observation of an episode as VecNormalize clips it, and nobody can undo that:
where one lies over `clip_obs` standard deviations out, the learned reward sees it clipped.

Without a learner, or while a `learn` without it is running, they are SB3's own.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer, RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import VecNormalize
from torch import Tensor

from rlgen.recorder import Step, encode_actions


class Relabeller(Protocol):
    """What a buffer asks of whoever relabels; `relabel.LearnReward` does."""

    def in_charge(self) -> bool:
        """Whether the `learn` that is running is the relabeller's."""
        ...

    def relabel_rollout(self, buffer: RelabelRolloutBuffer) -> None:
        """Change the rewards of a full buffer, before advantages are computed."""
        ...

    def add_stream(self, buffer: RelabelRolloutBuffer) -> None:
        """Change its advantages, once they are computed."""
        ...

    def relabel_samples(self, raw: ReplayBufferSamples, env_rewards: Tensor) -> Tensor:
        """Rewards (B, 1) of raw samples; `env_rewards` (B, 1) are as SB3 would give them to the algorithm."""
        ...


class RelabelRolloutBuffer(RolloutBuffer):
    """SB3's rollout buffer, with a learner that relabels it before advantages are computed."""

    learner: Relabeller | None = None

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Relabel, compute advantages as SB3 does, and add the learned reward's own stream if it has one."""
        learner = self.learner if self.learner and self.learner.in_charge() else None
        if learner is not None:
            learner.relabel_rollout(self)
        super().compute_returns_and_advantage(last_values, dones)
        if learner is not None:
            learner.add_stream(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "learner": None}


class RelabelReplayBuffer(ReplayBuffer):
    """SB3's replay buffer, with a learner that relabels each sample on its way out."""

    learner: Relabeller | None = None

    def _get_samples(self, batch_inds: np.ndarray, env: VecNormalize | None = None) -> ReplayBufferSamples:
        if self.learner is None or not self.learner.in_charge():
            return super()._get_samples(batch_inds, env)
        raw = super()._get_samples(batch_inds, None)
        rewards = raw.rewards
        obs, next_obs = raw.observations, raw.next_observations
        if env is not None:
            rewards = self.to_torch(self._normalize_reward(rewards.cpu().numpy(), env))
            obs = self.to_torch(self._normalize_obs(obs.cpu().numpy(), env))  # type: ignore[arg-type]
            next_obs = self.to_torch(self._normalize_obs(next_obs.cpu().numpy(), env))  # type: ignore[arg-type]
        rewards = self.learner.relabel_samples(raw, rewards)
        return raw._replace(observations=obs, next_observations=next_obs, rewards=rewards)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "learner": None}


def find_buffer(model: BaseAlgorithm) -> Any:
    """What the algorithm learns from, or None."""
    name = "rollout_buffer" if isinstance(model, OnPolicyAlgorithm) else "replay_buffer"
    return getattr(model, name, None)


def install_buffer(model: BaseAlgorithm) -> None:
    """Put a relabelling buffer in the place of the model's, unless there is one.

    Raises:
        ValueError: The model's buffer cannot be relabelled.
    """
    buffer, name = find_buffer(model), type(model).__name__
    normalised = model.get_vec_normalize_env()
    if normalised is not None and normalised.norm_obs and model.observation_space.dtype.kind != "f":  # type: ignore[union-attr]
        raise ValueError(
            f"{name} would store normalised observations rounded to {model.observation_space.dtype}: wrap "
            "the environment in gymnasium.wrappers.DtypeObservation(env, np.float32)"
        )
    if isinstance(model, OnPolicyAlgorithm):
        if type(buffer) not in (RolloutBuffer, RelabelRolloutBuffer):
            raise ValueError(
                f"{name} collects into a {type(buffer).__name__}, which cannot be relabelled: take PPO, "
                "A2C or TRPO with a plain policy"
            )
        if type(buffer) is RolloutBuffer:
            model.rollout_buffer = RelabelRolloutBuffer(
                buffer.buffer_size,
                buffer.observation_space,
                buffer.action_space,
                buffer.device,
                gae_lambda=buffer.gae_lambda,
                gamma=buffer.gamma,
                n_envs=buffer.n_envs,
            )
        return
    if buffer is None:
        raise ValueError(f"{name} keeps no transitions that could be relabelled: take PPO or SAC")
    if type(buffer) not in (ReplayBuffer, RelabelReplayBuffer):
        raise ValueError(
            f"{name} learns from a {type(buffer).__name__}, which cannot be relabelled: take a plain "
            "ReplayBuffer (n_steps=1, no HER)"
        )
    if buffer.optimize_memory_usage:
        raise ValueError(
            f"{name}'s replay buffer keeps no true successors with optimize_memory_usage=True: leave it out"
        )
    if not buffer.handle_timeout_termination:
        raise ValueError(
            f"{name}'s replay buffer takes time limits for true ends with handle_timeout_termination=False: "
            "leave it out"
        )
    if type(buffer) is ReplayBuffer:
        relabelling: Any = RelabelReplayBuffer.__new__(RelabelReplayBuffer)
        relabelling.__dict__.update(buffer.__dict__)  # takes over the arrays: they can fill the memory
        model.replay_buffer = relabelling  # type: ignore[attr-defined]


def stored_actions(actions: np.ndarray, space: spaces.Space) -> np.ndarray:
    """Actions as learned rewards take them, (B, A) float32, of a replay buffer's (B, A) or (B, 1).

    There, a Box action is scaled to [-1, 1] already.
    """
    discrete = isinstance(space, spaces.Discrete)
    return encode_actions(actions[:, 0], space) if discrete else actions.astype(np.float32)


def check_stored(model: BaseAlgorithm, step: Step, space: spaces.Space) -> None:
    """Refuse wrappers that change what SB3 stores off-policy, of which rewards are computed.

    Args:
        model: After it has stored a step.
        step: That step, as recorded.
        space: Of the recorded actions.

    Raises:
        ValueError: The last step in the replay buffer is another one.
    """
    buffer = find_buffer(model)
    at = (buffer.pos - 1) % buffer.buffer_size
    obs, actions = buffer.observations[at], stored_actions(buffer.actions[at], space)
    if not np.array_equal(obs, step.obs.astype(obs.dtype), equal_nan=True):
        changed = "observations"
    elif not np.allclose(actions, encode_actions(step.action, space), atol=1e-4, equal_nan=True):
        changed = "actions"
    else:
        return
    raise ValueError(
        f"a wrapper round the TransitionRecorder changes {changed}, of which {type(model).__name__} stores "
        "its own version: put the TransitionRecorder round all wrappers but a single VecNormalize"
    )
