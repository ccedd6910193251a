"""Weight normalisation, and initialisation of layers from data.

    y = x w + b,    w_j = g_j v_j / ||v_j||    for each output j

The direction v, the scale g and the bias b are trained, or g stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def normalised(v: Tensor, g: Tensor, axis: int) -> Tensor:
    """g v / ||v||, norms over all axes of v but `axis`, along which g has an entry each."""
    g = g.view([-1 if i == axis else 1 for i in range(v.ndim)])
    return torch._weight_norm(v, g, axis)  # type: ignore  # one kernel; torch's parametrisation calls it


class DataDependent(nn.Module):
    """A layer that takes scales or biases from the first data it sees; `initialise_from_data` asks it to."""

    def calibrate(self, x: Tensor) -> None:
        """Set them for the input x."""
        raise NotImplementedError


@torch.no_grad()
def initialise_from_data(network: nn.Module, run: Callable[[], object]) -> None:
    """Let every data-dependent layer calibrate itself in one forward pass, first layer first.

    Args:
        network: Holds the layers.
        run: Runs the network on data, noise included, as in training.
    """
    layers = [module for module in network.modules() if isinstance(module, DataDependent)]
    hooks = [layer.register_forward_pre_hook(_calibrate) for layer in layers]
    try:
        if layers:
            run()
    finally:
        for hook in hooks:
            hook.remove()


def _calibrate(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    assert isinstance(layer, DataDependent)
    layer.calibrate(inputs[0])


class WeightNorm(DataDependent):
    """What the layers below share.

    Args:
        shape: Of the weight.
        axis: That of the outputs in it.
        train_scale: Whether g is trained; otherwise it is a buffer, set by the initialisation.
        init_std: Standard deviation of outputs that initialisation from data brings about; None for none.
        direction_std: v starts from N(0, direction_std^2).
        generator: Draws v.

    References:
        Salimans and Kingma 2016 (arXiv 1602.07868), equations 2 and 6.
    """

    g: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        axis: int,
        *,
        train_scale: bool = True,
        init_std: float | None = 1.0,
        direction_std: float = 0.05,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.axis, self.init_std = axis, init_std
        self.v = nn.Parameter(direction_std * torch.randn(shape, generator=generator))
        self.b = nn.Parameter(torch.zeros(shape[axis]))
        scale = torch.ones(shape[axis])
        if train_scale:
            self.g = nn.Parameter(scale)
        else:
            self.register_buffer("g", scale)

    def weight(self) -> Tensor:
        """g v / ||v||, the shape of v."""
        return normalised(self.v, self.g, self.axis)

    def apply_weight(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's map with the weight as it is now, and a bias (J,)."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, ...) -> (B, J, ...)."""
        return self.apply_weight(x, self.b)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Give each output mean 0 and standard deviation `init_std` at x; a constant one keeps its scale."""
        if self.init_std is None:
            return
        y = self.apply_weight(x, None)
        var, mean = torch.var_mean(y, [0, *range(2, y.ndim)], correction=0)
        std = var.sqrt()
        constant = std <= 1e-6 * (1 + mean.abs())
        factor = torch.where(constant, 1.0, self.init_std / std)
        self.g.mul_(factor)
        self.b.copy_(-mean * factor)


class WeightNormLinear(WeightNorm):
    """Linear layer (B, I) -> (B, J); the other arguments are those of `WeightNorm`."""

    def __init__(self, in_features: int, out_features: int, **options) -> None:
        super().__init__((out_features, in_features), 0, **options)

    def apply_weight(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x w + bias."""
        return F.linear(x, self.weight(), bias)


class WeightNormConv2d(WeightNorm):
    """Convolution (B, I, H, W) -> (B, J, H', W') with a square kernel."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, padding: int = 0, **options
    ) -> None:
        super().__init__((out_channels, in_channels, kernel, kernel), 0, **options)
        self.stride, self.padding = stride, padding

    def apply_weight(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x convolved with w, plus bias."""
        return F.conv2d(x, self.weight(), bias, self.stride, self.padding)


class WeightNormConvTranspose2d(WeightNorm):
    """Transposed convolution (B, I, H, W) -> (B, J, 2 H, 2 W) of stride 2 with a square kernel."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, **options) -> None:
        super().__init__((in_channels, out_channels, kernel, kernel), 1, **options)
        self.padding, self.output_padding = (kernel - 1) // 2, kernel % 2

    def apply_weight(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """x convolved with w, transposed, plus bias."""
        return F.conv_transpose2d(x, self.weight(), bias, 2, self.padding, self.output_padding)
