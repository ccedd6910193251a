"""Settings that every image model has, and the shape of its training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageConfig:
    """Images, batches and epochs; the models' own configs add theirs and set the published values."""

    image_shape: tuple[int, int, int] = (1, 28, 28)
    """(C, H, W)."""
    batch_size: int = 128
    """Images of each kind in a step."""
    epochs: int = 25
    """Passes over the data."""
    constant_epochs: int = 25
    """Epochs at the full learning rates, which then fall linearly, to 0 at `epochs`."""
    batches_per_epoch: int | None = None
    """Batches that count as an epoch; None for as many as the data give."""

    def rate_factor(self, epoch: int) -> float:
        """What the learning rates are multiplied with in epoch 0, 1, ..."""
        falling = self.epochs - self.constant_epochs
        return min(1.0, (self.epochs - epoch) / falling) if falling > 0 else 1.0
