"""DCGAN: a generator and a discriminator of strided convolutions and batch normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rlgen.generative.adversarial import AdversarialConfig, AdversarialModel, Batch, check_range
from rlgen.generative.averages import ParameterAverage
from rlgen.generative.gan import discriminator_loss, historical_penalty, nonsaturating_loss
from rlgen.generative.minibatch import MinibatchDiscrimination
from rlgen.generative.networks import ImageGenerator, ImageTrunk, linear, normal, up
from rlgen.generative.noise import GaussianNoise
from rlgen.generative.normalization import BatchNorm, VirtualBatchNorm

SQUASHES: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}


@dataclass(frozen=True)
class DCGANConfig(AdversarialConfig):
    """The paper's model for 64 x 64 faces; `DCGAN_28` and `DCGAN_32` are the smaller forms."""

    weight_decay: float = 1e-5
    channels: tuple[int, ...] = (1024, 512, 256, 128)
    """Of the generator's maps, smallest first; the discriminator has them the other way round."""
    hidden: tuple[int, ...] = ()
    """Units of linear layers between code and maps; the discriminator has them the other way round."""
    kernel: int = 5
    """Width of the convolutions."""
    affine: bool = True
    """Whether normalisations have a gain and a shift."""
    squash: Literal["tanh", "sigmoid"] = "tanh"
    """What brings the generator's images into their range."""
    slope: float = 0.2
    """Of the discriminator's leaky ReLUs below 0."""
    init_std: float = 0.02
    """First weights are from N(0, init_std^2)."""
    label_smoothing: float = 0.0
    """What the real images' label lacks to 1."""
    input_noise: float = 0.0
    """Standard deviation of noise on the images that the discriminator sees."""
    joint_batches: bool = False
    """Let real and fake images pass the discriminator in one batch, normalised together, as they do in any
    case with minibatch discrimination."""
    minibatch_kernels: int = 0
    """Kernels of minibatch discrimination before the discriminator's last layer; 0 for none."""
    minibatch_dims: int = 5
    """Size of each kernel."""
    virtual_batch_norm: bool = False
    """Normalise in the generator by a reference batch; in the discriminator it costs too much (paper)."""
    historical_averaging: float = 0.0
    """Weight of both players' squared distance from their past. The paper's cost has the bare term, hence 1:
    it holds both where they began, as Adam's first hundred steps make its gradient a hundred times the
    other."""


DCGAN_28 = DCGANConfig(
    image_shape=(1, 28, 28),
    pixel_offset=0.0,
    pixel_scale=255.0,
    epochs=200,
    constant_epochs=100,
    weight_decay=2.5e-5,
    channels=(128, 64),
    hidden=(1024,),
    affine=False,
    squash="sigmoid",
)
"""The published code's networks for MNIST, without the labels that it feeds to every layer."""

DCGAN_64 = DCGANConfig()
"""The published model."""

DCGAN_32 = DCGANConfig(image_shape=(3, 32, 32), channels=(512, 256, 128))
"""No 32 x 32 form was published: the 64 x 64 form less its first layer, in Improved GAN's widths."""


class DCGANDiscriminator(nn.Module):
    """Images to logits.

    Args:
        config: Settings.
        generator: Draws the first weights.
    """

    def __init__(self, config: DCGANConfig, generator: torch.Generator) -> None:
        super().__init__()
        fill, affine = normal(config.init_std, generator), config.affine
        self.noise = GaussianNoise(config.input_noise)
        self.trunk = ImageTrunk(
            config.image_shape,
            channels=config.channels[::-1],
            hidden=config.hidden[::-1],
            kernel=config.kernel,
            slope=config.slope,
            first_bias=False,
            normalise=lambda n: BatchNorm(n, gain=affine, shift=affine, generator=generator),
            fill=fill,
            fill_maps=fill,
        )
        features = self.trunk.out_features
        self.minibatch = None
        if config.minibatch_kernels:
            kernels, dims = config.minibatch_kernels, config.minibatch_dims
            self.minibatch = MinibatchDiscrimination(features, kernels, dims, generator=generator)
            features = self.minibatch.out_features
        self.head = linear(features, 1, fill)

    def forward(
        self, x: Tensor, generator: torch.Generator | None = None, sizes: Sequence[int] | None = None
    ) -> Tensor:
        """Images (B, C, H, W) -> logits (B,), each dependent on the whole batch.

        `sizes` are those of the batches that make up B, if several: minibatch discrimination is within each.
        """
        features = self.trunk(self.noise(x, generator))
        if self.minibatch is not None:
            features = self.minibatch(features, sizes)
        return self.head(features).squeeze(1)


class DCGAN(AdversarialModel):
    """Deep convolutional GAN.

        D: E_real[-log D(x)] + E_z[-log(1 - D(G(z)))]          G: E_z[-log D(G(z))],    z ~ U(-1, 1)^Z

    Real and fake images pass the discriminator in batches of their own. With minibatch discrimination they
    are normalised together, as in Improved GAN's code for ImageNet: alone, fake images that are all alike
    would be blown up to the variety that the layer looks for. What differs from the published code:

    =====================================================  ==============================================
    published code                                         here
    =====================================================  ==============================================
    L2 penalty of 1e-5 (MNIST: 2.5e-5) on all parameters   kept; the paper is silent about it
    samples normalised by the batch that they come in      by a fixed reference batch: see `generate`
    28 x 28: labels into every layer                       absent
    1e-8 beside the variance in batch normalisation        1e-5
    a step of one player for each batch of images          of both: an epoch has twice the steps
    =====================================================  ==============================================

    Args:
        config: Settings.
        seed: Of the first parameters and the reference codes.

    Raises:
        ValueError: Images that are not square, or that the number of channels does not fit; an unknown
            squash, or one of another range than the pixels'.

    References:
        Radford, Metz and Chintala 2015 (arXiv 1511.06434); github.com/Newmu/dcgan_code.
    """

    config: DCGANConfig
    discriminator: DCGANDiscriminator

    def __init__(self, config: DCGANConfig | None = None, *, seed: int = 0) -> None:
        config = config or DCGANConfig()
        super().__init__(config)
        if config.squash not in SQUASHES:
            raise ValueError(f"squash is {config.squash!r}: choose one of {', '.join(SQUASHES)}")
        check_range(config, config.squash)
        generator = torch.Generator().manual_seed(seed)
        fill, affine = normal(config.init_std, generator), config.affine
        self.virtual = config.virtual_batch_norm
        self.joint = config.joint_batches or config.minibatch_kernels > 0
        norm = VirtualBatchNorm if self.virtual else BatchNorm
        self.generator = ImageGenerator(
            config.code_size,
            config.image_shape,
            hidden=config.hidden,
            channels=config.channels,
            kernel=config.kernel,
            last=up(config.channels[-1], config.image_shape[0], config.kernel, fill),
            squash=SQUASHES[config.squash],
            normalise=lambda n: norm(n, gain=affine, shift=affine, generator=generator),
            fill=fill,
        )
        self.discriminator = DCGANDiscriminator(config, generator)
        self.histories = nn.ModuleList()
        if config.historical_averaging:
            self.histories += [ParameterAverage(net) for net in (self.discriminator, self.generator)]
        self._finish(generator)

    def discriminator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See the class; with label smoothing and the distance from the past if they are on."""
        fake = self.fakes(len(batch.images), generator)
        real, false = self._judge(self.check(batch.images), fake, generator)
        return self._with_history(discriminator_loss(real, false, self.config.label_smoothing), 0)

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """See the class; of the batch only the size matters, but in joint batches."""
        fake = self.render(self.draw_codes(len(batch.images), generator))
        if not self.joint:
            return self._with_history(nonsaturating_loss(self.discriminator(fake, generator)), 1)
        return self._with_history(nonsaturating_loss(self._judge(batch.images, fake, generator)[1]), 1)

    def _judge(self, real: Tensor, fake: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Logits of both, as the class has it."""
        if not self.joint:
            return self.discriminator(real, generator), self.discriminator(fake, generator)
        sizes = [len(real), len(fake)]
        real, fake = self.discriminator(torch.cat([real, fake]), generator, sizes).split(sizes)
        return real, fake

    def _with_history(self, loss: Tensor, player: int) -> Tensor:
        """The loss plus the player's squared distance from its past; 0 is the discriminator."""
        if not self.config.historical_averaging:
            return loss
        network = (self.discriminator, self.generator)[player]
        penalty = historical_penalty(network.parameters(), self._history(player).averages())
        return loss + self.config.historical_averaging * penalty

    def _history(self, player: int) -> ParameterAverage:
        """The player's past."""
        history = self.histories[player]
        assert isinstance(history, ParameterAverage)
        return history

    @torch.no_grad()
    def measure(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Losses without their penalties, mean logits, and how often the discriminator is right."""
        real, fake = self._judge(batch.images, self.fakes(len(batch.images), generator), generator)
        return {
            "discriminator_loss": discriminator_loss(real, fake, self.config.label_smoothing).item(),
            "generator_loss": nonsaturating_loss(fake).item(),
            "logit_real": real.mean().item(),
            "logit_fake": fake.mean().item(),
            "accuracy_real": (real > 0).float().mean().item(),
            "accuracy_fake": (fake < 0).float().mean().item(),
        }

    def update_averages(self) -> None:
        """Take the parameters into the players' pasts, if those are kept."""
        if self.config.historical_averaging:
            self._history(0).update(self.discriminator)
            self._history(1).update(self.generator)
