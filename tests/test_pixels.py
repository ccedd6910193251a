"""Distributions of a pixel: probabilities add up to 1, and draws have them."""

import itertools

import pytest
import torch

from rlgen.generative.pixels import (
    BernoulliPixels,
    CategoricalPixels,
    LogisticMixturePixels,
    Pixels,
    make_pixels,
)
from tests.draws import generator

CASES: dict[str, Pixels] = {
    "bernoulli": BernoulliPixels(2),
    "categorical": CategoricalPixels(2, 3),
    "mixture": LogisticMixturePixels(2, 3, 2),
    "logistic": LogisticMixturePixels(2, 3, 1),
}
cases = pytest.mark.parametrize("pixels", CASES.values(), ids=CASES)


def probabilities(pixels: Pixels, outputs: torch.Tensor) -> torch.Tensor:
    """Of all pixels (L, ..., L), given outputs (J,)."""
    every = torch.tensor(list(itertools.product(range(pixels.levels), repeat=pixels.channels)))
    x = every.to(torch.uint8)[:, :, None, None]
    log_prob = pixels.log_prob(x, outputs[None, :, None, None].expand(len(x), -1, 1, 1))
    return log_prob.exp().view([pixels.levels] * pixels.channels)


@cases
@pytest.mark.parametrize("seed", range(3))
def test_probabilities_add_up_to_1(pixels, seed):
    outputs = 2 * torch.randn(pixels.n_outputs, generator=generator(seed))
    torch.testing.assert_close(probabilities(pixels, outputs).sum(), torch.tensor(1.0))


@cases
def test_log_prob_is_a_sum_over_pixels(pixels):
    x = torch.randint(pixels.levels, (2, pixels.channels, 2, 3), generator=generator()).to(torch.uint8)
    outputs = torch.randn(2, pixels.n_outputs, 2, 3, generator=generator(1))
    parts = [
        pixels.log_prob(x[:, :, i : i + 1, j : j + 1], outputs[:, :, i : i + 1, j : j + 1])
        for i in range(2)
        for j in range(3)
    ]
    torch.testing.assert_close(pixels.log_prob(x, outputs), torch.stack(parts).sum(0))


@cases
def test_draws_have_the_probabilities(pixels):
    outputs, n = torch.randn(pixels.n_outputs, generator=generator(4)), 100_000
    u = torch.rand(n, pixels.n_uniforms, generator=generator(5), dtype=torch.float64)
    levels = pixels.draw(outputs.expand(n, -1), u).levels.long()
    places = pixels.levels ** torch.arange(pixels.channels).flip(0)
    counts = torch.bincount((levels * places).sum(1), minlength=pixels.levels**pixels.channels)
    expected = probabilities(pixels, outputs).flatten()
    torch.testing.assert_close(counts / n, expected, atol=0.006, rtol=0)


@pytest.mark.parametrize(("kind", "most"), [("bernoulli", 0.01), ("categorical", 0.01), ("mixture", 0.3)])
def test_outputs_that_move_a_little_change_draws_of_a_small_margin_alone(kind, most):
    """By 0.02 at most: distribution functions move by half as much, a value by its scale and noise, too."""
    pixels, n = CASES[kind], 5000
    outputs = torch.rand(n, pixels.n_outputs, generator=generator(6), dtype=torch.float64)
    u = torch.rand(n, pixels.n_uniforms, generator=generator(7), dtype=torch.float64)
    noise = torch.rand(outputs.shape, generator=generator(8), dtype=torch.float64) * 2 - 1
    before, draw = outputs.clone(), pixels.draw(outputs, u)
    changed = draw.levels != pixels.draw(outputs + 0.02 * noise, u).levels
    assert torch.equal(outputs, before)
    assert changed.any() and draw.margin[changed].max() < most
    assert draw.margin.min() >= 0 and draw.margin.mean() > 10 * draw.margin[changed].mean()


def test_any_of_many_components_is_drawn():
    pixels = LogisticMixturePixels(1, 4, 300)
    logits, mean, log_scale = torch.zeros(300), torch.full((300,), -5.0), torch.full((300,), -7.0)
    logits[299], mean[299] = 50.0, 5.0
    outputs = torch.stack([logits, mean, log_scale], 1).view(1, -1)
    assert pixels.draw(outputs, torch.full((1, 2), 0.5, dtype=torch.float64)).levels.item() == 3


def test_a_draw_is_the_inverse_of_the_distribution_function():
    u = torch.tensor([[0.1], [0.29], [0.31], [0.79], [0.81]], dtype=torch.float64)
    logits = torch.tensor([0.3, 0.5, 0.2]).log().expand(5, -1)
    draw = CategoricalPixels(1, 3).draw(logits, u)
    assert draw.levels.flatten().tolist() == [0, 0, 1, 1, 2]
    torch.testing.assert_close(draw.margin.flatten(), u.new_tensor([0.2, 0.01, 0.01, 0.01, 0.01]))
    draw = BernoulliPixels(1).draw(torch.tensor([[0.3]]).logit().expand(5, -1), u)
    assert draw.levels.flatten().tolist() == [1, 1, 0, 0, 0]


def test_the_kind_follows_from_levels_and_components():
    assert type(make_pixels(1, 2)) is BernoulliPixels
    assert type(make_pixels(3, 256)) is CategoricalPixels
    with pytest.raises(ValueError, match="components is -1: choose 1 or more, or 0"):
        make_pixels(1, 2, -1)
    mixture = make_pixels(3, 256, 10)
    assert type(mixture) is LogisticMixturePixels
    assert (mixture.n_outputs, mixture.n_uniforms, mixture.groups) == (100, 4, 1)
