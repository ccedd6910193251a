"""The learned-reward interface: transitions in, one number per transition out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from rlgen.transitions import Transitions


def check_batch(
    batch: Transitions, obs_dim: int, action_dim: int, owner: str, device: torch.device
) -> Transitions:
    """The batch in float32 on a device.

    Args:
        batch: B transitions, of flat observations.
        obs_dim: Size O that obs and next_obs must have.
        action_dim: Size A that action must have.
        owner: Who takes it, for the message.
        device: Where it goes.

    Raises:
        ValueError: No tensor, a wrong size, an empty batch, or a value that is not finite.
    """
    wanted = {"obs": obs_dim, "action": action_dim, "next_obs": obs_dim}
    for name, width in wanted.items():
        part = getattr(batch, name)
        if not isinstance(part, Tensor):
            raise ValueError(f"{name} is of type {type(part).__name__}: Transitions are of tensors")
        if part.ndim != 2 or part.shape[1] != width or len(part) == 0:
            raise ValueError(
                f"{name} has shape {tuple(part.shape)}, {owner} takes (B, {width}): "
                "build it with the sizes of the environment's flat observation and action"
            )
        # A finite sum has finite terms, at a tenth of the time; only a large one needs the second look.
        if not part.sum().isfinite() and not part.isfinite().all():
            raise ValueError(
                f"{name} holds NaN or infinity: look for the step at which the environment gave it"
            )
    return Transitions(*(part.to(device, torch.float32) for part in batch))


class LearnedReward(nn.Module):
    """A reward fitted to the policy's own data, whatever the algorithm that consumes it.

    `state_dict()` of a subclass is complete: parameters, optimisers, generators, normalisers and data, so
    that a restored reward goes on bit for bit. A subclass draws from generators of its own, never from the
    global ones.
    """

    name: str = "reward"
    """Prefix of the logged metrics."""

    shown: Mapping[str, str] = MappingProxyType({"reward": "reward_mean"})
    """What a run says of it on the terminal: words, and the metric that they stand for."""

    absorbing: bool = False
    """Whether the absorbing state behind a true end of the episode is paid."""

    def reward(self, batch: Transitions) -> Tensor:
        """Rewards (B,), detached. Pure: the same batch gives the same numbers until the next `update`."""
        raise NotImplementedError

    def update(self, batch: Transitions) -> dict[str, float]:
        """Refit on fresh transitions of the policy and return the metrics to log."""
        raise NotImplementedError

    def absorbing_reward(self) -> float:
        """The reward of each step in the absorbing state behind a true end of the episode."""
        return 0.0
