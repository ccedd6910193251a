"""The models with a likelihood: of each its presets, its settings, and its task."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType

from benchmarks.images.data.dataset import ImageData
from benchmarks.images.kinds import Kind, trained_by
from benchmarks.images.likelihood import LikelihoodTask
from rlgen.generative import draw, pixelcnn, pixelrnn, resnet_vae, vae
from rlgen.generative.likelihood_model import LikelihoodConfig

FEW = 20_000
"""Training images up to which a model of colour images is a small one."""


def fit(config: LikelihoodConfig, data: ImageData) -> LikelihoodConfig:
    """Settings for the size and the levels of the data's images."""
    return replace(config, image_shape=data.shape, levels=2 if data.binary else 256)


def _kind(
    module: ModuleType,
    model: str,
    grey: str,
    colour: str | None = None,
    small: str | None = None,
    *others: str,
) -> Kind:
    """A model and its presets, by their names in a module.

    Args:
        module: Has the class, that of its settings, and the presets.
        model: Name of the class.
        grey: Preset for images of one channel.
        colour: For others; `grey` unless given.
        small: For few images of several channels; `colour` unless given.
        others: That --preset may ask for.
    """
    colour = colour or grey
    small = small or colour

    def choose(data: ImageData) -> str:
        return grey if data.shape[0] == 1 else small if len(data.train) <= FEW else colour

    presets = {name: getattr(module, name) for name in dict.fromkeys((grey, colour, small, *others))}
    build = trained_by(getattr(module, model), LikelihoodTask)
    return Kind(getattr(module, f"{model}Config"), presets, choose, fit, build)


LIKELIHOOD: dict[str, Kind] = {
    "vae": _kind(vae, "VAE", "VAE_MNIST"),
    "vae_iaf": _kind(vae, "VAE", "VAE_IAF_MNIST"),
    "conv_vae": _kind(vae, "VAE", "CONV_VAE_MNIST"),
    "conv_vae_iaf": _kind(vae, "VAE", "CONV_VAE_IAF_MNIST"),
    "resnet_vae": _kind(
        resnet_vae, "ResNetVAE", "RESNET_VAE_MNIST", "RESNET_VAE_CIFAR10", "RESNET_VAE_CIFAR10_SMALL"
    ),
    "draw": _kind(draw, "DRAW", "DRAW_MNIST", "DRAW_CIFAR10", None, "DRAW_MNIST_64"),
    "pixelcnn": _kind(
        pixelcnn,
        "PixelCNN",
        "PIXELCNN_MNIST",
        "PIXELCNN_CIFAR10",
        "PIXELCNN_CIFAR10_SMALL",
        "PIXELCNN_MNIST_SMALL",
        "PIXELCNN_MNIST_WIDE",
        "GATED_PIXELCNN_MNIST",
    ),
    "pixelrnn": _kind(
        pixelrnn,
        "PixelRNN",
        "DIAGONAL_BILSTM_MNIST",
        "DIAGONAL_BILSTM_CIFAR10",
        "DIAGONAL_BILSTM_CIFAR10_SMALL",
        "DIAGONAL_BILSTM_MNIST_DEEP",
        "ROW_LSTM_MNIST",
    ),
}
