"""Improved GAN's classifiers that are discriminators as well: weight-normalised, noisy in training."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rlgen.generative.minibatch import MinibatchDiscrimination
from rlgen.generative.noise import Dropout, GaussianNoise
from rlgen.generative.weight_norm import WeightNormConv2d, WeightNormLinear


class NoisyClassifier(nn.Module):
    """Images to features, features to logits of K classes; noise only where a generator is passed."""

    def features(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Images (B, C, H, W) -> the features (B, F) that feature matching compares."""
        raise NotImplementedError

    def head(
        self, features: Tensor, generator: torch.Generator | None = None, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """Features (B, F) -> logits (B, K); `sizes` are those of the batches that make up B, if several."""
        raise NotImplementedError

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """Images (B, C, H, W) -> logits (B, K)."""
        return self.head(self.features(x, generator), generator, sizes)


class DenseClassifier(NoisyClassifier):
    """Fully connected: 784-1000-500-250-250-250-10 with ReLUs for MNIST.

    Gaussian noise is added to the input and to each hidden layer's output. The hidden layers' scales are
    fixed by the initialisation from data: noise of a given size could otherwise be drowned by larger units.

    Args:
        in_features: C H W.
        hidden: Units of each hidden layer.
        n_classes: K.
        input_noise: Standard deviation of the noise on the input.
        hidden_noise: The same on hidden outputs.
        generator: Draws the first directions, from N(0, 0.1^2).
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int],
        n_classes: int,
        *,
        input_noise: float,
        hidden_noise: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        options = {"direction_std": 0.1, "generator": generator}
        sizes = (in_features, *hidden)
        self.layers = nn.ModuleList(
            WeightNormLinear(i, j, train_scale=False, **options)
            for i, j in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.input_noise, self.hidden_noise = GaussianNoise(input_noise), GaussianNoise(hidden_noise)
        self.last = WeightNormLinear(sizes[-1], n_classes, **options)

    def features(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The last hidden layer's output before its own noise."""
        h, noise = x.flatten(1), self.input_noise
        for layer in self.layers:
            h = layer(noise(h, generator)).relu_()
            noise = self.hidden_noise
        return h

    def head(
        self, features: Tensor, generator: torch.Generator | None = None, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """Noise on the features, and the last layer; each row on its own."""
        return self.last(self.hidden_noise(features, generator))


class ConvClassifier(NoisyClassifier):
    """Nine convolutions, the mean over space, and a linear layer, as for CIFAR-10 and SVHN.

    3 x 3 at full size (the third of stride 2), 3 x 3 at half size (likewise), 3 x 3 without padding, two of
    1 x 1; leaky ReLUs of 0.2; dropout of 1/2 before the second and the third group.

    Args:
        in_channels: C.
        widths: Channels of the first three convolutions, and of the others.
        n_classes: K.
        input_noise: Standard deviation of noise on the input.
        input_dropout: Share of input values that become 0.
        minibatch_kernels: Kernels of minibatch discrimination behind the mean; 0 for none.
        minibatch_dims: Size of each.
        generator: Draws the first directions, from N(0, 0.05^2).
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, int],
        n_classes: int,
        *,
        input_noise: float,
        input_dropout: float,
        minibatch_kernels: int = 0,
        minibatch_dims: int = 5,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        a, b = widths
        groups = [
            [(in_channels, a, 3, 1, 1), (a, a, 3, 1, 1), (a, a, 3, 2, 1)],
            [(a, b, 3, 1, 1), (b, b, 3, 1, 1), (b, b, 3, 2, 1)],
            [(b, b, 3, 1, 0), (b, b, 1, 1, 0), (b, b, 1, 1, 0)],
        ]
        self.noise, self.dropouts = GaussianNoise(input_noise), nn.ModuleList()
        self.groups = nn.ModuleList()
        for p, group in zip((input_dropout, 0.5, 0.5), groups, strict=True):
            self.dropouts.append(Dropout(p))
            self.groups.append(
                nn.ModuleList(
                    WeightNormConv2d(*shape, train_scale=False, generator=generator) for shape in group
                )
            )
        self.minibatch, features = None, b
        if minibatch_kernels:
            self.minibatch = MinibatchDiscrimination(
                b, minibatch_kernels, minibatch_dims, generator=generator
            )
            features = self.minibatch.out_features
        self.last = WeightNormLinear(features, n_classes, init_std=0.1, generator=generator)

    def features(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """The last maps' means over space."""
        h = self.noise(x.contiguous(memory_format=torch.channels_last), generator)
        for dropout, group in zip(self.dropouts, self.groups, strict=True):
            h = dropout(h, generator)
            for layer in group:  # type: ignore[attr-defined]
                h = F.leaky_relu_(layer(h), 0.2)
        return h.mean((2, 3))

    def head(
        self, features: Tensor, generator: torch.Generator | None = None, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """The last layer, behind minibatch discrimination within each of the batches if there is any."""
        if self.minibatch is not None:
            features = self.minibatch(features, sizes)
        return self.last(features)
