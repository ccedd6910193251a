"""No operation takes arrays of two devices, on a machine without a GPU.

Arrays without contents, on the device "meta", stand for a GPU's; a mode refuses operations that mix them with
others. Numbers and single-number arrays may come from the CPU, as CUDA lets them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.images.filters import bicubic
from rlgen.generative.adversarial import Batch
from rlgen.generative.dcgan import DCGAN, DCGAN_28
from rlgen.generative.draw import DRAW, DRAW_MNIST
from rlgen.generative.improved_gan import IMPROVED_GAN_CIFAR10_SAMPLES, ImprovedGAN
from rlgen.generative.infogan import InfoGAN
from rlgen.generative.likelihood_model import LikelihoodModel
from rlgen.generative.pixelcnn import GATED_PIXELCNN_MNIST, PIXELCNN_CIFAR10_SMALL, PIXELCNN_MNIST, PixelCNN
from rlgen.generative.pixelrnn import DIAGONAL_BILSTM_MNIST, ROW_LSTM_MNIST, PixelRNN
from rlgen.generative.resnet_vae import RESNET_VAE_CIFAR10_SMALL, ResNetVAE
from rlgen.generative.vae import CONV_VAE_IAF_MNIST, VAE, VAE_MNIST

MOVES = ("aten.copy_", "aten._to_copy", "aten.index.Tensor", "aten.index_put")
GPU = "meta"


class OneDevice(TorchDispatchMode):
    """Refuses an operation on arrays of two devices that is not a move between them."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        arrays = [x for x in tree_leaves((args, kwargs)) if isinstance(x, FakeTensor) and x.dim()]
        devices = {x.fake_device.type for x in arrays}
        if len(devices) > 1 and not str(func).startswith(MOVES):
            raise RuntimeError(f"{func} takes arrays on {' and '.join(sorted(devices))}")
        return func(*args, **(kwargs or {}))


@contextmanager
def gpu() -> Iterator[None]:
    with FakeTensorMode(), OneDevice():
        yield


def move(model: nn.Module) -> None:
    """As `model.to("cuda")` would; inside `gpu`."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            there = torch.empty(parameter.shape, dtype=parameter.dtype, device=GPU)
            setattr(module, name, nn.Parameter(there, parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype, device=GPU))


def test_the_mode_refuses_what_a_gpu_would() -> None:
    with gpu():
        x = torch.zeros(4, device=GPU)
        assert (x + torch.tensor(1.0)).shape == (4,)
        with pytest.raises(RuntimeError, match="cpu and meta"):
            x.add(torch.zeros(4))


def test_enlargement() -> None:
    with gpu():
        assert bicubic(torch.zeros(2, 1, 28, 28, device=GPU)).shape == (2, 1, 56, 56)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        (VAE, VAE_MNIST),
        (VAE, CONV_VAE_IAF_MNIST),
        (ResNetVAE, RESNET_VAE_CIFAR10_SMALL),
        (DRAW, replace(DRAW_MNIST, steps=2)),
        (PixelCNN, PIXELCNN_MNIST),
        (PixelCNN, GATED_PIXELCNN_MNIST),
        (PixelCNN, PIXELCNN_CIFAR10_SMALL),
        (PixelRNN, replace(DIAGONAL_BILSTM_MNIST, image_shape=(1, 8, 8))),
        (PixelRNN, replace(ROW_LSTM_MNIST, image_shape=(1, 8, 8))),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_likelihood_models(kind: type[LikelihoodModel], config) -> None:
    model, generator = kind(config), torch.Generator()
    model.check = lambda x: x  # it reads numbers, of which there are none
    with gpu():
        move(model)
        x = torch.zeros(4, *config.image_shape, dtype=torch.uint8, device=GPU)
        model.loss(x, generator).backward()
        assert model.log_likelihood(x, generator, 2).device.type == GPU


@pytest.mark.parametrize(
    "make",
    [
        lambda: DCGAN(
            replace(DCGAN_28, virtual_batch_norm=True, minibatch_kernels=10, historical_averaging=1.0)
        ),
        InfoGAN,
        ImprovedGAN,
        lambda: ImprovedGAN(replace(IMPROVED_GAN_CIFAR10_SAMPLES, batch_size=4)),
    ],
    ids=["dcgan", "infogan", "improved_gan", "improved_gan_cifar10_samples"],
)
def test_adversarial_models(make) -> None:
    model, generator = make(), torch.Generator()
    n = model.config.batch_size
    with gpu():
        move(model)
        x = torch.zeros(n, *model.config.image_shape, device=GPU)
        batch = Batch(x, x, torch.zeros(n, dtype=torch.long, device=GPU))
        model.initialise(x, generator)
        model.discriminator_loss(batch, generator).backward()
        model.generator_loss(batch, generator).backward()
        model.update_averages()
        assert model.sample(3, generator).device.type == GPU
