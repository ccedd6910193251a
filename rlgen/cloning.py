"""Behaviour cloning: the policy of an SB3 model is fitted to demonstrations, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from gymnasium import spaces
from sb3_contrib.common.torch_layers import BatchRenorm
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn


def clone(
    model: BaseAlgorithm,
    obs: np.ndarray | Tensor,
    actions: np.ndarray | Tensor,
    *,
    epochs: int,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    batch_size: int = 256,
    seed: int = 0,
    after_step: Callable[[], object] = lambda: None,
) -> dict[str, float]:
    """Fit the policy's action to the expert's, and keep what does best on a tenth of the rows held out.

        Box         mean squared error of the deterministic action, in [-1, 1]; a Gaussian's mean is not
                    clipped, so that it comes back from outside
        Discrete    cross-entropy, nats

    Only the actor learns, by an AdamW of its own: critics, the standard deviation of a Gaussian and the
    model's optimisers stay as they are. (A target actor is set to the cloned one.) Observations go through
    the statistics of the model's VecNormalize, as they stand. No global generator is touched.

    Args:
        model: PPO, A2C, TRPO, SAC, TQC, CrossQ, TD3 or DDPG.
        obs: (N, O), raw.
        actions: (N, A) in [-1, 1]; if discrete, (N, A) one-hot or (N,) indices.
        epochs: Passes over the other nine tenths, of at least one gradient step each.
        learning_rate: AdamW's step size.
        weight_decay: AdamW's weight decay.
        batch_size: Rows in a gradient step.
        seed: Of the rows held out and the minibatches.
        after_step: Called after each gradient step; what it raises ends the cloning.

    Returns:
        `loss` over the rows trained on and `held_out_loss`, both of the parameters kept, `epoch` that they
        are of (0 for those given) and `n_updates`, the gradient steps made.

    Raises:
        ValueError: DQN, which has no actor; sizes that do not fit; fewer than two rows; no epoch.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}: give at least 1")
    network, act = _actor(model)
    x, y = _rows(model, obs, actions)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(x), generator=generator).to(x.device)
    n = max(1, len(x) // 10)
    held_out, rest = (x[order[:n]], y[order[:n]]), (x[order[n:]], y[order[n:]])
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    least = 2 if any(isinstance(module, BatchRenorm) for module in network.modules()) else 1
    best, best_epoch, kept, steps = float("inf"), 0, {}, 0
    for epoch in range(epochs + 1):
        if epoch > 0:
            network.train()
            for index in torch.randperm(len(rest[0]), generator=generator).to(x.device).split(batch_size):
                if len(index) >= least:  # CrossQ's actor divides by the deviation within a batch
                    _step(optimizer, cloning_loss(act(rest[0][index]), rest[1][index]))
                    steps += 1
                    after_step()
        error = _evaluate(network, act, *held_out)
        if error < best:
            best, best_epoch = error, epoch
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer.zero_grad()
    network.load_state_dict(kept)
    if hasattr(model, "actor_target"):
        model.actor_target.load_state_dict(model.actor.state_dict())  # type: ignore[attr-defined]
    train = _evaluate(network, act, *rest)
    return {"loss": train, "held_out_loss": best, "epoch": float(best_epoch), "n_updates": float(steps)}


def check(model: BaseAlgorithm, obs: np.ndarray | Tensor, actions: np.ndarray | Tensor) -> None:
    """Refuse what `clone` would refuse, and do nothing.

    Raises:
        ValueError: as `clone`.
    """
    _actor(model)
    _rows(model, obs, actions)


def cloning_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of actions (B, A), or cross-entropy of logits (B, A) with indices (B,)."""
    return F.cross_entropy(output, target) if target.ndim == 1 else F.mse_loss(output, target)


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@torch.no_grad()
def _evaluate(network: nn.Module, act: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> float:
    """Loss over all rows, in evaluation mode."""
    network.eval()
    return cloning_loss(act(x), y).item()


def _actor(model: BaseAlgorithm) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """What is trained, and its differentiable output at observations (B, O): actions (B, A) or logits."""
    policy: Any = model.policy
    if isinstance(policy, ActorCriticPolicy):
        parts = [policy.pi_features_extractor, policy.mlp_extractor.policy_net, policy.action_net]
        if isinstance(model.action_space, spaces.Discrete):
            return nn.ModuleList(parts), lambda x: _logits(policy, x)
        if isinstance(model.action_space, spaces.Box):
            return nn.ModuleList(parts), lambda x: _unit(model.action_space, policy, x)
    actor: Any = getattr(model, "actor", None)
    if actor is None:
        raise ValueError(
            f"{type(model).__name__} has no actor for {model.action_space} that could be cloned into: take "
            "PPO, A2C or TRPO (or SAC, TQC, CrossQ, TD3, DDPG if the actions are a Box)"
        )
    if hasattr(actor, "get_action_dist_params"):
        return actor, lambda x: actor.get_action_dist_params(x)[0].tanh()
    return actor, actor


def _logits(policy: Any, x: Tensor) -> Tensor:
    """A categorical policy's logits (B, A)."""
    return policy.get_distribution(x).distribution.logits


def _unit(space: spaces.Space, policy: ActorCriticPolicy, x: Tensor) -> Tensor:
    """A Gaussian policy's mean (B, A), scaled to [-1, 1] from the bounds of the actions."""
    mean = policy.get_distribution(x).mode()
    assert isinstance(space, spaces.Box)
    if policy.squash_output or (np.all(space.low == -1.0) and np.all(space.high == 1.0)):
        return mean
    low, high = (torch.as_tensor(bound, device=mean.device) for bound in (space.low, space.high))
    return 2 * (mean - low) / (high - low) - 1


def _rows(
    model: BaseAlgorithm, obs: np.ndarray | Tensor, actions: np.ndarray | Tensor
) -> tuple[Tensor, Tensor]:
    """Observations and actions, checked, as the policy has them."""
    x, y = _observations(model, obs), _actions(model, actions)
    if len(x) != len(y):
        raise ValueError(f"{len(x)} observations and {len(y)} actions: give as many of both")
    if len(x) < 2:
        raise ValueError(
            f"{len(x)} transition to clone: give at least 2, by less subsampling or more episodes"
        )
    return x, y


def _observations(model: BaseAlgorithm, obs: np.ndarray | Tensor) -> Tensor:
    """(N, O) as the policy sees them, on the model's device."""
    raw = np.asarray(obs, dtype=np.float32)
    shape = model.observation_space.shape
    if raw.shape[1:] != shape or not np.isfinite(raw).all():
        raise ValueError(f"obs has shape {raw.shape}, the model takes finite rows of shape {shape}")
    normalize = model.get_vec_normalize_env()
    seen = raw if normalize is None else normalize.normalize_obs(raw)
    return torch.as_tensor(np.asarray(seen), dtype=torch.float32, device=model.device)


def _actions(model: BaseAlgorithm, actions: np.ndarray | Tensor) -> Tensor:
    """(N, A) in [-1, 1], or indices (N,)."""
    given = torch.as_tensor(actions).to(model.device)
    space = model.action_space
    if isinstance(space, spaces.Discrete):
        index = given.argmax(1) if given.ndim == 2 else given.long()
        if given.ndim == 2 and given.shape[1] != space.n or index.min() < 0 or index.max() >= space.n:
            raise ValueError(f"actions of shape {tuple(given.shape)} do not fit {space}")
        return index
    if given.shape[1:] != space.shape or not given.isfinite().all():
        raise ValueError(
            f"actions have shape {tuple(given.shape)}, the model takes finite rows of shape {space.shape}"
        )
    return given.float()
