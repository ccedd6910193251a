"""How a learned reward reaches Stable-Baselines3: `LearnReward`, a callback.

    venv = TransitionRecorder(venv)                     raw transitions, below any VecNormalize
    model.learn(n, callback=LearnReward(VIME(...)))     relabels, refits, logs

On-policy, a rollout is relabelled as a whole just before its advantages are computed; off-policy, what is
sampled from the replay buffer is relabelled on its way to the algorithm, so that no reward is ever stale. The
reward is refitted at the end of a rollout, before SB3 trains.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import unwrap_vec_normalize, unwrap_vec_wrapper
from torch import Tensor

from rlgen.buffers import RelabelRolloutBuffer, check_stored, find_buffer, install_buffer, stored_actions
from rlgen.recorder import Step, TransitionRecorder, stack
from rlgen.rewards.base import LearnedReward
from rlgen.streams import Rollout, SeparateValue, make_value
from rlgen.transitions import Transitions

SEPARATE = ("separate", "non-episodic")
"""Streams with a value function of their own."""

STREAMS = ("auto", "one", *SEPARATE)
"""How a learned reward that adds to the environment's reaches the policy."""

DEFAULT_ETA = 0.3
"""Weight of a learned reward that adds to the environment's, when `LearnReward` is given none."""


class LearnReward(BaseCallback):
    """Trains an SB3 algorithm on env_weight r + weight b, b a learned reward that is refitted meanwhile.

    The weight of b is eta relative to the environment's rewards, so that one eta serves tasks of any unit.
    It is not held at a fixed share of all reward: b would be silenced by the first reward of a sparse task,
    and could not fade as the model learns. `reward_share` and `advantage_share` are logged.

        "one" stream      weight = eta * (mean |r| over all rewards paid so far that are not 0; 1 before any)
        "separate"        A = A_env + eta (sigma_env / sigma_bonus) A_bonus, see `streams.SeparateValue`
        env_weight = 0    weight = eta: there is nothing to be relative to

    At a true end the one stream adds gamma / (1 - gamma) times `absorbing_reward()`.

    Args:
        reward: the learned reward.
        env_weight: weight of the environment's reward: 1 adds to it, 0 replaces it.
        eta: weight of the learned reward; None for 1 where it replaces, else 0.3.
        stream: "one" adds b to the reward, "separate" gives it a value function of its own (on-policy only),
            so does "non-episodic", whose return runs on through an end of the episode: dying costs no bonus;
            "auto" is separate where that can be and the environment's reward counts.
        refit_every: transitions to gather before a refit; at the end of a rollout.

    Raises:
        ValueError: when training starts: an algorithm, buffer or environment that is not supported, or
            another `LearnReward` in the same `learn`.
    """

    def __init__(
        self,
        reward: LearnedReward,
        *,
        env_weight: float = 1.0,
        eta: float | None = None,
        stream: str = "auto",
        refit_every: int = 1000,
    ) -> None:
        super().__init__()
        if stream not in STREAMS:
            raise ValueError(f"stream is {stream!r}: choose one of {', '.join(STREAMS)}")
        if eta is not None and not 0.0 <= eta < float("inf"):
            raise ValueError(f"eta is {eta}: give a weight of 0 or more")
        if not np.isfinite(env_weight):
            raise ValueError(
                f"env_weight is {env_weight}: give 1 to add to the environment's reward, 0 to replace it"
            )
        if refit_every < 1:
            raise ValueError(f"refit_every is {refit_every}: give 1 transition or more")
        if stream in SEPARATE and env_weight == 0.0:
            raise ValueError("a separate stream adds to the environment's reward: replace it in stream='one'")
        self.reward, self.env_weight, self.eta = reward, env_weight, eta
        self.stream, self.refit_every = stream, refit_every
        self._asked_stream = stream  # "auto" is settled anew for each model
        self.value: SeparateValue | None = None
        self.recorder: TransitionRecorder
        self._batch: Transitions  # the rollout
        self._paid_sum, self._paid_count = 0.0, 0
        self._steps: list[Step] = []  # since the rollout began
        self._env_rewards: list[np.ndarray] = []
        self._bootstraps: list[np.ndarray] = []
        self._pending: list[Transitions] = []  # since the last refit
        self._bonus = np.empty(0)  # (T, N) of the rollout
        self._learn = -1.0  # start time of the `learn` in which this is a callback
        self._rollouts = 0  # begun in that `learn`
        self._horizon = 0  # transitions of a rollout that `value` was made for
        self._saved_value: dict[str, Any] | None = None  # loaded before there was a `value`

    # Installation

    def install(self, model: BaseAlgorithm) -> None:
        """Put the relabelling buffer in place; `learn` does so itself, a resumed run does it before.

        Raises:
            ValueError: the algorithm, its buffer or its environment is not supported.
        """
        env = model.get_env()
        recorder = None if env is None else unwrap_vec_wrapper(env, TransitionRecorder)
        if not isinstance(recorder, TransitionRecorder):
            raise ValueError(
                "the environment records no transitions: build the model on TransitionRecorder(venv), below "
                "any VecNormalize"
            )
        if unwrap_vec_normalize(recorder.venv) is not None:
            raise ValueError(
                "TransitionRecorder stands round VecNormalize, and would record normalised observations: put "
                "VecNormalize round TransitionRecorder"
            )
        self.recorder, self.model = recorder, model
        seen, recorded = model.observation_space.shape, recorder.observation_space.shape
        if seen != recorded:
            raise ValueError(
                f"wrappers round the TransitionRecorder turn observations {recorded} into {seen}: put the "
                "TransitionRecorder round them"
            )
        self.stream = self._choose_stream(model)
        install_buffer(model)
        if self.reward.absorbing and model.gamma >= 1.0:  # type: ignore[attr-defined]
            raise ValueError(
                "gamma is 1, with which an absorbing state, paid for ever, is worth infinitely much: take "
                "gamma below 1, or absorbing=False"
            )
        paid = self.reward.reward(self._blank())  # one built for other sizes says so now
        if tuple(paid.shape) != (1,):
            raise ValueError(
                f"{type(self.reward).__name__}.reward gives shape {tuple(paid.shape)} for one transition: "
                "return one number for each of B, (B,)"
            )
        if self.eta is None:
            self.eta = 1.0 if self.env_weight == 0.0 else DEFAULT_ETA
        if isinstance(model, OnPolicyAlgorithm) and self.stream in SEPARATE:
            self._make_value(model)

    def _choose_stream(self, model: BaseAlgorithm) -> str:
        if not isinstance(model, OnPolicyAlgorithm):
            if self._asked_stream in SEPARATE:
                raise ValueError(f"{type(model).__name__} has one critic for all rewards: take stream 'one'")
            return "one"
        alone = model.n_steps * model.n_envs == 1
        if self._asked_stream == "auto":
            return "one" if self.env_weight == 0.0 or alone else "separate"
        if self._asked_stream in SEPARATE and alone:
            raise ValueError("a rollout of one transition has no advantages to scale: take stream 'one'")
        return self._asked_stream

    def _make_value(self, model: OnPolicyAlgorithm) -> None:
        """The stream's value function, unless there is one for rollouts of this length."""
        horizon = model.n_steps * model.n_envs
        if self.value is not None and self._horizon == horizon:
            return
        episodic, seed = self.stream == "separate", (model.seed or 0) + 1
        self._horizon, self.value = horizon, make_value(self.recorder.obs_size, horizon, episodic, seed)
        if self._saved_value is not None:
            self.value.load_state_dict(self._saved_value)
            self._saved_value = None

    def _blank(self) -> Transitions:
        obs = torch.zeros(1, self.recorder.obs_size)
        return Transitions(obs, torch.zeros(1, self.recorder.action_size), obs, torch.zeros(1))

    # What SB3 calls

    def _init_callback(self) -> None:
        self.install(self.model)

    def _on_training_start(self) -> None:
        other = find_buffer(self.model).learner
        if other is not None and other is not self and other.in_charge():
            raise ValueError(
                "two LearnReward callbacks in one learn(): add the two rewards up in one LearnedReward"
            )
        self._learn, self._rollouts = self.model.start_time, 0
        find_buffer(self.model).learner = self

    def _on_training_end(self) -> None:
        find_buffer(self.model).learner = None  # a later learn() without this callback is plain SB3

    def in_charge(self) -> bool:
        """Whether this `learn` was given this callback: one that failed leaves it in the buffer."""
        return self.model.start_time == self._learn

    def _on_rollout_start(self) -> None:
        self._rollouts += 1
        self._steps, self._env_rewards, self._bootstraps = [], [], []

    def _on_step(self) -> bool:
        self._check_seen(self._rollouts > 0)
        rewards = np.array(self.locals["rewards"])  # SB3 adds the bootstrap at time limits in place, later
        self._steps.append(self.recorder.last)
        self._env_rewards.append(rewards)
        paid = np.abs(rewards[rewards != 0.0])
        self._paid_sum += float(paid.sum())
        self._paid_count += len(paid)
        if self.env_weight != 1.0 and isinstance(self.model, OnPolicyAlgorithm):
            self._bootstraps.append(self._time_limit_bootstrap(rewards.dtype))
        return True

    def _on_rollout_end(self) -> None:
        if not isinstance(self.model, OnPolicyAlgorithm):
            # What SB3 stores of the first step of a `learn` may be older than the recorder's observation:
            # of before an evaluation in the same environment, or of before a reset.
            if self._rollouts > 1 or len(self._steps) > 1:
                check_stored(self.model, self._steps[-1], self.recorder.action_space)
            self._batch = stack(self._steps, self.recorder.action_space)
        self._pending.append(self._batch)
        if sum(len(part.terminated) for part in self._pending) >= self.refit_every:
            batch = Transitions(*(torch.cat(parts) for parts in zip(*self._pending, strict=True)))
            self._pending = []
            self._log(self.reward.update(batch))

    # Relabelling

    def weight(self) -> float:
        """Weight of the learned reward in the one stream (see the class)."""
        assert self.eta is not None
        relative = self.env_weight != 0.0 and self._paid_count > 0
        return self.eta * (self._paid_sum / self._paid_count if relative else 1.0)

    def relabel_rollout(self, buffer: RelabelRolloutBuffer) -> None:
        """Compute the learned reward of the whole rollout; in one stream, add it to the buffer's rewards."""
        self._check_seen(len(self._steps) == buffer.buffer_size)
        self._batch = stack(self._steps, self.recorder.action_space)
        bonus = self.reward.reward(self._batch).cpu().numpy().reshape(buffer.rewards.shape)  # (T, N)
        self._bonus = bonus
        if self.stream in SEPARATE:
            return
        ends = np.stack([step.terminated for step in self._steps])
        learned = self.weight() * (bonus + ends * self._absorbing(buffer.gamma))
        if self.env_weight == 1.0:
            buffer.rewards += learned
        else:
            env = self.env_weight * np.stack(self._env_rewards)
            buffer.rewards[:] = (env + learned).astype(np.float32) + np.stack(self._bootstraps)
        self._log({"reward_share": share(learned, self.env_weight * np.stack(self._env_rewards))})

    def add_stream(self, buffer: RelabelRolloutBuffer) -> None:
        """Add the advantages of the separate stream to those of the environment's reward."""
        if self.stream not in SEPARATE:
            return
        assert self.value is not None and self.eta is not None
        advantages = self.value.advantages(self._rollout(), self._bonus, buffer.gamma, buffer.gae_lambda)
        total, metrics = self.value.combine(
            self.env_weight * buffer.advantages, advantages, np.stack(self._env_rewards), self.eta
        )
        buffer.advantages = total
        self._log(metrics)

    def relabel_samples(self, raw: ReplayBufferSamples, env_rewards: Tensor) -> Tensor:
        """Rewards (B, 1) of raw samples; `env_rewards` (B, 1) are as SB3 would give them to the algorithm."""
        # Another callback may sample before this one has been told of the step.
        self._check_seen(self.model.num_timesteps - self.num_timesteps <= self.model.n_envs)
        batch = Transitions(
            raw.observations.float().cpu(),
            torch.from_numpy(stored_actions(raw.actions.cpu().numpy(), self.recorder.action_space)),
            raw.next_observations.float().cpu(),
            raw.dones[:, 0].float().cpu(),
        )
        gamma = self.model.gamma  # type: ignore[attr-defined]
        learned = self.reward.reward(batch).cpu() + batch.terminated * self._absorbing(gamma)
        learned = self.weight() * learned.to(env_rewards)[:, None]
        env = self.env_weight * env_rewards
        self._log({"reward_share": share(learned.cpu().numpy(), env.cpu().numpy())})
        return env + learned

    @staticmethod
    def _check_seen(everything: bool) -> None:
        if not everything:
            raise ValueError(
                "LearnReward has to see every step: pass it to learn() itself or in a list, not within "
                "EveryNTimesteps or another callback that passes on a few"
            )

    def _absorbing(self, gamma: float) -> float:
        absorbing = self.reward.absorbing_reward()
        return gamma / (1.0 - gamma) * absorbing if absorbing else 0.0

    def _time_limit_bootstrap(self, dtype: np.dtype) -> np.ndarray:
        """What SB3 is about to add to each environment's reward, (N,): gamma V(s') at a time limit."""
        model, infos = self.model, self.locals["infos"]
        assert isinstance(model, OnPolicyAlgorithm)
        bootstrap = np.zeros(len(infos), dtype=dtype)
        for i in np.flatnonzero(self.locals["dones"]):
            if infos[i].get("TimeLimit.truncated", False):
                obs = model.policy.obs_to_tensor(infos[i]["terminal_observation"])[0]
                with torch.no_grad():
                    bootstrap[i] = (model.gamma * model.policy.predict_values(obs)[0]).item()  # type: ignore[arg-type]
        return bootstrap

    def _rollout(self) -> Rollout:
        following = np.concatenate([step.following_obs for step in self._steps]).astype(np.float32)
        return Rollout(
            self._batch.obs,
            self._batch.next_obs,
            torch.from_numpy(following),
            np.stack([step.terminated for step in self._steps]),
            np.stack([step.done for step in self._steps]),
        )

    def _log(self, metrics: dict[str, float]) -> None:
        for key, value in metrics.items():
            self.logger.record(f"{self.reward.name}/{key}", value)

    # State

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs, between two rollouts; loads with `weights_only=True`."""
        return {
            "reward": self.reward.state_dict(),
            "value": self._saved_value if self.value is None else self.value.state_dict(),
            "paid": [self._paid_sum, self._paid_count],
            "pending": [tuple(part) for part in self._pending],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Inverse of `state_dict`, before or after `install`."""
        self.reward.load_state_dict(state["reward"])
        if self.value is None:
            self._saved_value = state["value"]
        else:
            self.value.load_state_dict(state["value"])
        self._paid_sum, self._paid_count = state["paid"]
        self._pending = [Transitions(*part) for part in state["pending"]]


def share(learned: np.ndarray, env: np.ndarray) -> float:
    """The learned reward's part, from 0 to 1, in the mean absolute reward; both (B, ...), of one unit."""
    total = float(np.abs(learned).mean() + np.abs(env).mean())
    return float(np.abs(learned).mean()) / total if total > 0 else 0.0
