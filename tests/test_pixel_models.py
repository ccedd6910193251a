"""PixelCNN and PixelRNN: no output sees its pixel or later ones, and what the papers say it sees, it sees."""

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from rlgen.generative.likelihood_model import descend, make_optimizer
from rlgen.generative.pixel_model import PixelModel
from rlgen.generative.pixelcnn import PIXELCNN_MNIST, PixelCNN, PixelCNNConfig
from rlgen.generative.pixelrnn import PixelRNN, PixelRNNConfig
from tests.draws import generator

SMALL: Any = {"width": 4, "depth": 2, "head": 6, "first_kernel": 3}
LAYERS = {
    "residual": PixelCNNConfig(layer="residual", **SMALL),
    "gated": PixelCNNConfig(layer="gated", **SMALL),
    "row": PixelRNNConfig(layer="row", **SMALL),
    "diagonal": PixelRNNConfig(layer="diagonal", **SMALL),
}
KINDS = {
    "binary": {"image_shape": (1, 4, 5)},
    "colour": {"image_shape": (3, 3, 3), "levels": 3},
    "mixture": {"image_shape": (2, 3, 3), "levels": 256, "components": 2},
}
layers = pytest.mark.parametrize("layer", LAYERS)
kinds = pytest.mark.parametrize("kind", KINDS)


def make(layer: str, seed: int = 0, **options) -> PixelModel:
    """A model whose biases are not 0, and whose outputs differ enough for draws to.

    Weights that a mask hides are not 0 either, as training could make them.
    """
    config = replace(LAYERS[layer], **options)
    model = PixelCNN(config, seed=seed) if isinstance(config, PixelCNNConfig) else PixelRNN(config, seed=seed)
    draws = generator(seed + 1)
    for parameter in model.parameters():
        if parameter.ndim < 3:
            parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=draws))
        else:
            hidden = parameter.data == 0
            parameter.data[hidden] = torch.randn(int(hidden.sum()), generator=generator(seed + 9))
    model.network.head.last.weight.data.mul_(10)
    return model


def images(model: PixelModel, n: int, seed: int = 2) -> torch.Tensor:
    shape = (n, *model.config.image_shape)
    return torch.randint(model.config.levels, shape, generator=generator(seed)).to(torch.uint8)


def dependence(model: PixelModel, n: int = 2) -> torch.Tensor:
    """Sums over n random images of |d output / d input| (J, H, W, C, H, W)."""
    total = torch.zeros(())
    network, shape = model.network.double(), model.config.image_shape
    for seed in range(n):
        x = torch.randn(1, *shape, generator=generator(seed), dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(network, x)
        total = total + jacobian.squeeze(4).squeeze(0).abs()  # type: ignore[union-attr]
    return total


def earlier(model: PixelModel) -> torch.Tensor:
    """Whether an input comes before what an output is about (J, H, W, C, H, W), group by group."""
    channels, height, width = model.config.image_shape
    groups, outputs = model.pixels.groups, model.pixels.n_outputs
    pixel = torch.arange(height * width).view(height, width) * groups
    about = pixel + (torch.arange(outputs) * groups // outputs)[:, None, None]
    of = pixel + (torch.arange(channels) * groups // channels)[:, None, None]
    return of < about[..., None, None, None]


@layers
@kinds
def test_outputs_see_neither_their_pixel_nor_later_ones(layer, kind):
    model = make(layer, **KINDS[kind])
    seen = dependence(model)
    assert (seen[~earlier(model)] == 0).all()
    assert (seen[earlier(model)] > 0).float().mean() > 0.6  # and not because they see nothing


WIDE = {"width": 9, "head": 24}  # so many units that none is out of use at all images


@pytest.mark.parametrize("kind", ["binary", "colour"])
def test_the_gated_network_has_no_blind_spot(kind):
    model = make("gated", depth=5, **KINDS[kind], **WIDE)
    assert (dependence(model)[earlier(model)] > 0).all()


@pytest.mark.parametrize("kind", ["binary", "colour"])
def test_one_diagonal_layer_sees_all_that_comes_before_but_an_end_of_the_row_above(kind):
    """The last pixel of a row is in no feature of that row, so the right LSTM does not come by it."""
    model = make("diagonal", depth=1, **KINDS[kind], **WIDE)
    _, height, width = model.config.image_shape
    rows, columns = torch.arange(height), torch.arange(width)
    last = (rows[:, None, None, None] == rows[:, None] + 1) & (columns == width - 1)  # (H, 1, H, W)
    out_of_sight = last & (columns < width - 2)[:, None, None]  # where the first convolution does not reach
    seen = dependence(model) > 0
    assert (seen | out_of_sight[:, :, None])[earlier(model)].all()
    assert out_of_sight.any() and (kind == "colour" or not seen[0, :, :, 0][out_of_sight].any())


def test_the_row_lstm_sees_a_triangle_and_the_plain_network_has_a_blind_spot():
    for layer in ("row", "residual"):
        model = make(layer, depth=1, image_shape=(1, 5, 9), **WIDE)
        seen = dependence(model)[0, 4, 2, 0] > 0  # (H, W), by an output at the lower left
        assert seen[3, :4].all() and seen[4, :2].all()
        assert not seen[3, 6:].any()  # earlier, but out of sight
    seen = dependence(make("row", depth=1, image_shape=(1, 5, 9), **WIDE))[0, 4, 4, 0] > 0
    assert [int(row.sum()) for row in seen] == [9, 8, 7, 5, 2]


@layers
@pytest.mark.parametrize(
    "options",
    [
        {"image_shape": (1, 2, 3)},
        {"image_shape": (3, 1, 2)},
        {"image_shape": (1, 2, 2), "levels": 3},
        {"image_shape": (2, 1, 2), "levels": 3, "components": 2},
    ],
    ids=["binary", "colour", "levels", "mixture"],
)
def test_probabilities_of_all_images_add_up_to_1(layer, options):
    model = make(layer, **options)
    channels, height, width = model.config.image_shape
    every = list(itertools.product(range(model.config.levels), repeat=channels * height * width))
    x = torch.tensor(every).to(torch.uint8).view(-1, channels, height, width)
    total = model.log_likelihood(x, generator()).double().exp().sum()
    torch.testing.assert_close(total, torch.ones((), dtype=torch.float64), rtol=1e-5, atol=0)


@layers
@kinds
def test_gradients_reach_every_parameter(layer, kind):
    model = make(layer, **KINDS[kind])
    model.loss(images(model, 16), generator()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@layers
def test_a_loss_is_nats_an_image_and_falls(layer):
    model = make(layer, image_shape=(1, 6, 6), learning_rate=0.02)
    x = images(model, 1).expand(8, -1, -1, -1)
    optimizer = make_optimizer(model)
    before = model.loss(x, generator())
    torch.testing.assert_close(before, -model.log_prob(x).mean())
    for _ in range(30):
        descend(model.loss(x, generator()), optimizer)
    assert model.loss(x, generator()) < 0.5 * before


@layers
def test_a_seed_fixes_the_parameters_and_the_global_generator_is_left_alone(layer):
    state = torch.get_rng_state()
    first, second, other = make(layer), make(layer), make(layer, seed=1)
    pairs = list(zip(first.parameters(), second.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_unknown_layers_are_refused():
    with pytest.raises(ValueError, match="layer is 'lstm': choose residual or gated"):
        PixelCNN(PixelCNNConfig(layer="lstm"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="layer is 'column': choose one of row, diagonal"):
        PixelRNN(PixelRNNConfig(layer="column"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kernel is 2: choose an odd one"):
        PixelCNN(PixelCNNConfig(kernel=2))


def test_levels_that_the_model_has_not_are_refused():
    model = PixelCNN(PIXELCNN_MNIST)
    with pytest.raises(ValueError, match="images go up to 255, the model's to 1: apply from_bytes"):
        model.log_prob(torch.full((1, 1, 28, 28), 255, dtype=torch.uint8))
