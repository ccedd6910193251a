"""What all exploration bonuses share: checks, normalisers, data, refit schedule and the bonus's scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from rlgen.rewards.base import LearnedReward, check_batch
from rlgen.rewards.normalizer import RunningNorm
from rlgen.rewards.pool import TransitionPool
from rlgen.rewards.settings import Count, CountOrZero, NonNegative, Positive, check_settings
from rlgen.transitions import Transitions

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

STATISTIC_ROWS = 1024
"""Rows of a fresh batch on which metrics and the bonus's scale are measured."""

REFIT_CHUNK = 4096
"""Rows drawn from the pool at a time: normalising them together is cheaper than minibatch by minibatch."""


@dataclass(frozen=True)
class BonusSettings:
    """Settings that every bonus has; the defaults are one rollout of 4096 transitions at a time."""

    hidden: tuple[Count, ...] = (64,)
    """Hidden units of the model."""
    learning_rate: NonNegative = 1e-3
    """Adam's step size."""
    batch_size: Count = 256
    """Transitions in a gradient step."""
    updates_per_transition: Positive = 48 / 4096
    """Gradient steps for each fresh transition."""
    first_refit: NonNegative = 5.0
    """The first refit makes this many times as many steps."""
    min_data: CountOrZero = 500
    """Transitions in the pool before the first refit; until then the bonus is zero."""
    pool_size: Count = 100_000
    """Transitions kept for refits, first in first out."""
    pool_statistics: bool = False
    """Normalise inputs by the statistics of the pool instead of those of all data."""
    normalise: Literal["peak", "root", "window"] | None = "root"
    """The bonus fades as the raw one does ("peak"), as its square root ("root"), or never ("window"); None is
    the raw bonus (`BonusScale`)."""
    statistic: Literal["mean", "median"] = "mean"
    """The average of a rollout's bonuses that `normalise` goes by."""
    clip: Positive = 10.0
    """Upper bound of the normalised bonus."""

    def __post_init__(self) -> None:
        check_settings(self)


S = TypeVar("S", bound="DataclassInstance")


def override(settings: S, overrides: dict[str, Any]) -> S:
    """Settings with some fields replaced.

    Raises:
        ValueError: A name is not a field (the message names the nearest), or a value is refused.
    """
    known = [field.name for field in fields(settings)]
    for name in overrides:
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise ValueError(f"unknown setting {name!r}: did you mean {near!r}? All: {', '.join(known)}")
    return replace(settings, **overrides)


class BonusScale(nn.Module):
    """The reference by which raw bonuses are divided, from averages over stretches of `period` transitions.

    "peak" is the largest average so far. It never shrinks: a bonus that falls as the model learns, for VIME
    as 1 / N after N transitions, stays fallen. A stretch counts each bonus up to `clip` times the peak, so
    that a few outliers cannot silence all that follows.

    "window" is the mean of the last ten averages: it brings the bonus back to 1 however little is left.

    "root" is the geometric mean of the two: the bonus falls as the square root of what is left to learn, as
    1 / sqrt(N), which is the rate of count-based bonuses, and slow enough for a critic to follow. Within a
    batch all three leave the proportions as they are.

    Args:
        kind: "peak", "root", "window" or None, a reference of 1.
        clip: Upper bound of the normalised bonus.
        period: Transitions in a stretch.

    Raises:
        ValueError: An unknown kind.
    """

    window: Tensor
    peak: Tensor
    entries: Tensor
    pending: Tensor
    pending_rows: Tensor

    def __init__(self, kind: str | None, clip: float, period: int = 4096) -> None:
        super().__init__()
        if kind not in ("peak", "root", "window", None):
            raise ValueError(f"normalise is {kind!r}: choose 'peak', 'root', 'window' or None")
        self.kind, self.clip, self.period = kind, clip, period
        self.register_buffer("window", torch.zeros(10, dtype=torch.float64))
        for name in ("peak", "pending", "pending_rows"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))
        self.register_buffer("entries", torch.zeros((), dtype=torch.int64))

    @property
    def reference(self) -> float:
        """What a raw bonus is divided by."""
        if self.kind is None:
            return 1.0
        recent = self.window[: max(int(self.entries), 1)].mean().item()
        peak = self.peak.item()
        reference = {"peak": peak, "root": (peak * recent) ** 0.5, "window": recent}[self.kind]
        return max(reference, 1e-20)

    def observe(self, bonus: Tensor, rows: int, statistic: str = "mean") -> None:
        """Take in raw bonuses (B,) measured on a sample of `rows` fresh transitions."""
        if self.kind in ("peak", "root") and self.entries > 0:
            bonus = bonus.clamp_max(self.clip * self.peak.item())
        average = bonus.double().median() if statistic == "median" else bonus.double().mean()
        self.pending += rows * average
        self.pending_rows += rows
        if self.entries == 0 or self.pending_rows >= self.period:
            entry = self.pending / self.pending_rows
            self.window.copy_(torch.cat([entry[None], self.window[:-1]]))
            self.peak.copy_(torch.maximum(self.peak, entry))
            self.entries.add_(1).clamp_max_(10)
            self.pending.zero_()
            self.pending_rows.zero_()

    def forward(self, bonus: Tensor) -> Tensor:
        """Raw bonuses (B,) -> divided by the reference and clipped."""
        return (bonus / self.reference).clamp_max(self.clip) if self.kind else bonus


class Bonus(LearnedReward):
    """A bonus for novel transitions, from a model refitted on a pool of the policy's data.

    A subclass gives `raw_bonus`, `prepare` and `step`, and builds its networks from `self.generator`. The
    bonus is zero until the first refit. `reward` changes nothing; `update` measures the fresh batch with
    the old model, takes it into normalisers and pool, and refits.

    Args:
        obs_dim: Size O of an observation.
        action_dim: Size A of an action.
        settings: See `BonusSettings`.
        seed: Of the one generator from which everything random here is drawn.
    """

    shown = MappingProxyType({"bonus": "bonus_mean"})
    updates: Tensor

    def __init__(self, obs_dim: int, action_dim: int, settings: BonusSettings, seed: int) -> None:
        super().__init__()
        self.obs_dim, self.action_dim, self.settings, self.seed = obs_dim, action_dim, settings, seed
        self.generator = torch.Generator().manual_seed(seed)
        self.input_norm = RunningNorm(obs_dim + action_dim)
        self.pool = TransitionPool(obs_dim, action_dim, settings.pool_size)
        self.scale = BonusScale(settings.normalise, settings.clip)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.credit = 0.0
        self.optimizer: torch.optim.Optimizer

    def raw_bonus(self, batch: Transitions) -> Tensor:
        """Bonus (B,) before scaling, detached."""
        raise NotImplementedError

    def prepare(self, rows: Transitions) -> tuple[Tensor, ...]:
        """What `step` takes, for many minibatches at once."""
        raise NotImplementedError

    def step(self, *minibatch: Tensor) -> None:
        """One gradient step."""
        raise NotImplementedError

    def finish(self) -> None:
        """Called after the last step of a refit."""

    def inputs(self, batch: Transitions) -> Tensor:
        """Normalised [obs, action] (B, O + A)."""
        return self.input_norm(torch.cat([batch.obs, batch.action], 1))

    @torch.no_grad()
    def reward(self, batch: Transitions) -> Tensor:
        """Scaled bonuses (B,); zeros before the first refit."""
        batch = self.check(batch)
        if self.updates == 0:
            return torch.zeros_like(batch.terminated)
        return self.scale(self.raw_bonus(batch))

    def update(self, batch: Transitions) -> dict[str, float]:
        """Refit on fresh transitions.

        Returns:
            Metrics; those of the fresh batch are taken before the refit, hence on data new to the model.
        """
        batch = self.check(batch)
        index = torch.randperm(len(batch.obs), generator=self.generator)[:STATISTIC_ROWS]
        sample = Transitions(*(part[index.to(part.device)] for part in batch))
        fitted = self.updates > 0
        metrics = self.diagnose(sample) if fitted else {}
        if fitted:
            self.scale.observe(self.raw_bonus(sample), len(batch.obs), self.settings.statistic)
        self.pool.add(batch)
        self.absorb(batch)
        steps = self._refit(len(batch.obs))
        if steps and not fitted:
            self.scale.observe(self.raw_bonus(sample), len(sample.obs), self.settings.statistic)
        return metrics | {"n_updates": float(steps), "reference": self.scale.reference}

    @torch.no_grad()
    def diagnose(self, sample: Transitions) -> dict[str, float]:
        """Metrics of the bonus on fresh transitions."""
        raw = self.raw_bonus(sample)
        return {
            "bonus_mean": self.scale(raw).mean().item(),
            "raw_mean": raw.mean().item(),
            "raw_median": raw.median().item(),
            "raw_max": raw.max().item(),
            "rank_correlation_input_norm": rank_correlation(raw, self.prepare(sample)[0].norm(dim=1)),
        }

    def absorb(self, batch: Transitions) -> None:
        """Take fresh data (already in the pool) into the normalisers."""
        self.renew(self.input_norm, lambda rows: torch.cat([rows.obs, rows.action], 1), batch)

    def renew(self, norm: RunningNorm, of: Callable[[Transitions], Tensor], batch: Transitions) -> None:
        """Let a normaliser of what `of` makes of rows take the fresh ones in, or the pool anew."""
        if self.settings.pool_statistics:
            norm.count.zero_()
            batch = self.pool.all()
        norm.update(of(batch))

    def _refit(self, fresh: int) -> int:
        """Make the gradient steps that the fresh transitions have earned, and return their number."""
        self.credit += fresh * self.settings.updates_per_transition
        if len(self.pool) < min(self.settings.min_data, self.settings.pool_size):
            return 0
        if self.updates == 0:
            self.credit = max(1.0, self.credit * self.settings.first_refit)
        steps = int(self.credit)
        self.credit -= steps
        size = self.settings.batch_size
        chunk = max(1, REFIT_CHUNK // size)
        for start in range(0, steps, chunk):
            n = min(chunk, steps - start)
            parts = self.prepare(self.pool.sample(n * size, self.generator))
            for minibatch in zip(*(part.split(size) for part in parts), strict=True):
                self.step(*minibatch)
                self.updates += 1
        self.finish()
        return steps

    def check(self, batch: Transitions) -> Transitions:
        """The batch in float32 on this module's device.

        Raises:
            ValueError: A wrong size, an empty batch, or a value that is not finite.
        """
        return check_batch(batch, self.obs_dim, self.action_dim, type(self).__name__, self.updates.device)

    def get_extra_state(self) -> dict:
        """What `state_dict` holds beside parameters and buffers: generator, optimiser, counters."""
        return {
            "generator": self.generator.get_state(),
            "optimizer": self.optimizer.state_dict(),
            "credit": self.credit,
            "seed": self.seed,
        }

    def set_extra_state(self, state: dict) -> None:
        """Restore what `get_extra_state` gave."""
        self.generator.set_state(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.credit, self.seed = state["credit"], state["seed"]


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two vectors (B,); 0 if either is constant."""
    if a.max() == a.min() or b.max() == b.min():
        return 0.0
    return torch.corrcoef(torch.stack([_ranks(a), _ranks(b)]))[0, 1].item()


def _ranks(values: Tensor) -> Tensor:
    """Rank of each of the values (B,), float64; equal ones share the mean of their ranks."""
    _, group, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2).double()[group]
