"""A first-in first-out store of transitions from which learned rewards are refitted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rlgen.transitions import Transitions


class TransitionPool(nn.Module):
    """Ring of the last `capacity` transitions; its memory is taken as it fills, and so is its state.

    Args:
        obs_dim: Size O of an observation.
        action_dim: Size A of an action.
        capacity: Transitions kept; each takes 4 (2 O + A + 1) bytes.
    """

    rows: Tensor

    def __init__(self, obs_dim: int, action_dim: int, capacity: int = 100_000) -> None:
        super().__init__()
        self.widths, self.capacity = [obs_dim, action_dim, obs_dim, 1], capacity
        self.size, self.position = 0, 0
        self.register_buffer("rows", torch.empty(capacity, sum(self.widths)), persistent=False)

    def __len__(self) -> int:
        """Transitions held."""
        return self.size

    def add(self, batch: Transitions) -> None:
        """Append a batch; the oldest transitions give way."""
        rows = torch.cat([batch.obs, batch.action, batch.next_obs, batch.terminated[:, None]], 1)
        rows = rows[-self.capacity :]
        index = (self.position + torch.arange(len(rows), device=rows.device)) % self.capacity
        self.rows[index] = rows
        self.position = (self.position + len(rows)) % self.capacity
        self.size = min(self.size + len(rows), self.capacity)

    def sample(self, n: int, generator: torch.Generator) -> Transitions:
        """n transitions drawn uniformly with replacement."""
        index = torch.randint(self.size, (n,), generator=generator).to(self.rows.device)
        return self._split(self.rows.index_select(0, index))

    def all(self) -> Transitions:
        """Everything in the pool, in no particular order."""
        return self._split(self.rows[: self.size])

    def _split(self, rows: Tensor) -> Transitions:
        obs, action, next_obs, terminated = rows.split(self.widths, 1)
        return Transitions(obs, action, next_obs, terminated[:, 0])

    def get_extra_state(self) -> dict:
        """The filled part of the ring, so that a young pool makes a small checkpoint."""
        return {"rows": self.rows[: self.size].clone(), "position": self.position}

    def set_extra_state(self, state: dict) -> None:
        """Restore what `get_extra_state` gave.

        Raises:
            ValueError: The saved rows have another size.
        """
        rows, self.position = state["rows"], state["position"]
        if len(rows) > self.capacity or rows.shape[1] != self.rows.shape[1]:
            raise ValueError(
                f"the saved pool holds {tuple(rows.shape)} values, this one takes {tuple(self.rows.shape)}: "
                "build the reward with the sizes it was saved with"
            )
        self.size = len(rows)
        if self.position != self.size < self.capacity:  # a smaller ring that was full: the oldest first
            rows, self.position = rows.roll(-self.position, 0), self.size
        self.rows[: self.size] = rows
