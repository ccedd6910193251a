"""Demonstrations in memory: whole episodes, and the transitions taken from them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces

from rlgen.demonstrations.spaces import action_size, check_sizes, doubts, same_env, unit_actions
from rlgen.transitions import Transitions


@dataclass(frozen=True, eq=False)
class Episode:
    """One episode of T steps."""

    obs: np.ndarray
    """(T + 1, O) float32, raw, the last observation included."""
    actions: np.ndarray | None
    """(T, A) float32 as executed, in the environment's own units as read and in [-1, 1] after `fit`; (T,)
    int64 if discrete, counted from 0 after `fit`; None where only states were recorded."""
    rewards: np.ndarray | None
    """(T,) float32, the environment's own; None if unknown."""
    terminated: bool
    """Whether the MDP ended."""
    truncated: bool
    """Whether a time limit, or the recording, ended."""

    def __len__(self) -> int:
        """T."""
        return len(self.obs) - 1


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """Episodes of one expert in one environment."""

    episodes: tuple[Episode, ...]
    """At least one."""
    env_id: str | None
    """Gymnasium id."""
    expert_return: float | None
    """Mean return of all that the expert played, the episodes left out here included; None if unknown."""
    source: str
    """The file or Minari id they come from."""
    env_kwargs: Mapping[str, Any] | None = None
    """Arguments of `gymnasium.make` with which they were recorded, JSON values; None if unknown."""
    action_size: int | None = None
    """Size A of an action as learned rewards see it; None until `fit`."""

    @property
    def n_steps(self) -> int:
        """Steps of all episodes together."""
        return sum(map(len, self.episodes))

    @property
    def obs_size(self) -> int:
        """Size O of an observation."""
        return self.episodes[0].obs.shape[1]

    @property
    def has_actions(self) -> bool:
        """Whether the actions are known."""
        return self.episodes[0].actions is not None

    @property
    def returns(self) -> np.ndarray | None:
        """(E,) undiscounted return of each episode; None if rewards are unknown."""
        rewards = [episode.rewards for episode in self.episodes]
        return (
            np.array([r.sum(dtype=np.float64) for r in rewards if r is not None])
            if rewards[0] is not None
            else None
        )

    def take(self, n: int) -> Demonstrations:
        """The first n episodes.

        Raises:
            ValueError: n is below 1 or above what there is.
        """
        most = len(self.episodes)
        if not 1 <= n <= most:
            raise ValueError(f"{self.source} has {most} episodes: {n} cannot be taken, give 1 to {most}")
        return replace(self, episodes=self.episodes[:n])

    def fit(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        env_id: str,
        time_limit: int | None = None,
    ) -> Demonstrations:
        """A copy for training: checked against the environment, actions as learned rewards see them.

        Warns of observations outside the environment's bounds, and of episodes beyond its time limit.

        Args:
            observation_space: Of the environment; a Box.
            action_space: Of the environment as `gymnasium.make` gives it, before RescaleAction.
            env_id: For messages.
            time_limit: Steps after which the environment ends, where that is not as registered.

        Raises:
            ValueError: Another environment, other sizes, actions outside the action space, fitted before.
        """
        if self.action_size is not None:
            raise ValueError(f"the actions of {self.source} are converted already: call fit once, after load")
        if self.env_id is not None and not same_env(self.env_id, env_id):
            raise ValueError(f"{self.source} holds demonstrations of {self.env_id}, not of {env_id}")
        first = self.episodes[0].actions
        check_sizes(self.obs_size, first, observation_space, action_space, env_id)
        obs = [episode.obs for episode in self.episodes]
        for doubt in doubts(obs, observation_space, env_id, time_limit):
            warnings.warn(f"{self.source}: {doubt}", stacklevel=2)
        fitted = [
            replace(
                episode,
                actions=None
                if episode.actions is None
                else unit_actions(episode.actions, action_space, env_id),
            )
            for episode in self.episodes
        ]
        size = action_size(action_space)
        return replace(self, episodes=tuple(fitted), env_id=env_id, action_size=size)

    def transitions(self, subsample: int = 1, seed: int = 0) -> Transitions:
        """Every `subsample`-th transition of each episode, from a random start in [0, subsample).

        Args:
            subsample: 1 for all. An episode shorter than this gives one transition.
            seed: Of the starts.

        Raises:
            ValueError: before `fit`, or a subsample below 1.

        References:
            Ho & Ermon 2016 (arXiv 1606.03476), section 6: state-action pairs subsampled from trajectories.
        """
        if self.action_size is None:
            raise ValueError(f"the actions of {self.source} are in the environment's units: call fit first")
        if subsample < 1:
            raise ValueError(f"subsample is {subsample}: give 1 or more")
        starts = np.random.default_rng(seed)
        kept = [
            np.arange(starts.integers(min(subsample, len(episode))), len(episode), subsample)
            for episode in self.episodes
        ]
        pairs = list(zip(self.episodes, kept, strict=True))
        ends = [episode.terminated & (rows == len(episode) - 1) for episode, rows in pairs]
        parts = (
            np.concatenate([episode.obs[rows] for episode, rows in pairs]),
            np.concatenate([self._encode(episode, rows) for episode, rows in pairs]),
            np.concatenate([episode.obs[rows + 1] for episode, rows in pairs]),
            np.concatenate(ends).astype(np.float32),
        )
        return Transitions(*map(torch.from_numpy, parts))

    def _encode(self, episode: Episode, rows: np.ndarray) -> np.ndarray:
        if episode.actions is None:
            return np.zeros((len(rows), 0), np.float32)
        actions = episode.actions[rows]
        if actions.ndim == 1 and self.action_size is not None:
            return np.eye(self.action_size, dtype=np.float32)[actions]
        return actions
