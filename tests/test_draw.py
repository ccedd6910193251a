"""DRAW: its grids of filters, its steps, and its likelihood."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from rlgen.generative.attention import make_filters
from rlgen.generative.draw import DRAW, DRAWConfig
from rlgen.generative.likelihood_model import descend, make_optimizer
from rlgen.generative.likelihoods import bernoulli_log_prob
from rlgen.generative.lstm import LSTM, State
from rlgen.generative.networks import glorot
from tests.draws import generator

SMALL = DRAWConfig(image_shape=(1, 6, 5), steps=3, latent_size=4, hidden=7, read_size=2, write_size=3)
WHOLE = replace(SMALL, read_size=0, write_size=0)


def digits(n: int = 8, shape: tuple[int, ...] = (1, 6, 5)) -> torch.Tensor:
    return torch.randint(0, 2, (n, *shape), generator=generator(9)).to(torch.uint8)


def filters(size: int, height: int, width: int, *parameters: float):
    return make_filters(torch.tensor([parameters]).double(), size, height, width)


@pytest.mark.parametrize(("height", "width"), [(9, 9), (8, 12)])
def test_the_middle_filter_sits_on_the_middle_of_the_image(height, width):
    found = filters(3, height, width, 0, 0, -4, -1, 0)
    rows, columns = (
        found.rows[0] @ torch.arange(height).double(),
        found.columns[0] @ torch.arange(width).double(),
    )
    stride = math.exp(-1) * (max(height, width) - 1) / 2
    for middles, length in ((rows, height), (columns, width)):
        middle = (length - 1) / 2
        assert middles[1].item() == pytest.approx(middle)  # between two pixels if there is no middle one
        assert middles[0].item() + middles[2].item() == pytest.approx(2 * middle)
    assert columns[2].item() - columns[1].item() == pytest.approx(stride, abs=0.5)


def test_wide_filters_are_at_the_places_of_the_equations():
    g_x, g_y, variance, delta = 0.2, -0.3, 2.0, 0.25
    found = filters(4, 60, 50, g_x, g_y, math.log(variance), math.log(delta), 0)
    for filters_, g, length in ((found.rows, g_y, 60), (found.columns, g_x, 50)):
        from_one = [(length + 1) / 2 * (g + 1) + (i - 4 / 2 - 0.5) * delta * 59 / 3 for i in range(1, 5)]
        places = torch.arange(length).double()
        middles = filters_[0] @ places
        torch.testing.assert_close(middles, torch.tensor(from_one).double() - 1, atol=1e-4, rtol=0)
        spread = (filters_[0] * (places - middles[:, None]) ** 2).sum(1)
        torch.testing.assert_close(spread, torch.full((4,), variance).double(), atol=1e-4, rtol=0)


def test_filters_add_up_to_one_however_far_away_they_are():
    for g in (-50.0, 0.0, 50.0):
        found = filters(3, 6, 5, g, -g, -6, 0, 0)
        torch.testing.assert_close(found.rows.sum(2), torch.ones(1, 3).double())
        torch.testing.assert_close(found.columns.sum(2), torch.ones(1, 3).double())


def test_writing_is_the_transpose_of_reading():
    found = make_filters(torch.randn(3, 5, generator=generator()), 2, 6, 5)
    image = torch.randn(3, 2, 6, 5, generator=generator(1))
    patch = torch.randn(3, 2, 2, 2, generator=generator(2))
    read, write = (found.read(image) * patch).sum((1, 2, 3)), (found.write(patch) * image).sum((1, 2, 3))
    torch.testing.assert_close(read, found.strength.flatten() ** 2 * write)
    ones = found.read(torch.ones(3, 1, 6, 5)) / found.strength
    torch.testing.assert_close(ones, torch.ones(3, 1, 2, 2))


@pytest.mark.parametrize("config", [SMALL, WHOLE, replace(SMALL, image_shape=(3, 6, 5), levels=256)])
def test_gradients_reach_every_parameter_and_descend(config):
    model: Any = DRAW(config)
    x = digits(16, config.image_shape) * (1 if config.levels == 2 else 200)
    optimizer = make_optimizer(model)
    first = model.loss(x, generator()).item()
    for k in range(10):
        descend(model.loss(x, generator(k)), optimizer, config.gradient_norm)
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    assert model.loss(x, generator()).item() < first
    assert model.sample(3, generator()).shape == (3, *config.image_shape)


def test_the_probabilities_of_all_images_add_up_to_one():
    model: Any = DRAW(replace(SMALL, image_shape=(1, 2, 2), hidden=5, latent_size=2, read_size=0))
    with torch.no_grad():
        model.write.patch.weight.mul_(4)  # so that images differ in likelihood
        model.posterior.weight.mul_(0.3)  # near the prior, so that few weights are large
    x = torch.tensor(list(itertools.product((0, 1), repeat=4)), dtype=torch.uint8).view(16, 1, 2, 2)
    p = model.log_likelihood(x, generator(), 4000).exp()
    assert p.sum().item() == pytest.approx(1, abs=0.02) and p.std() > 0.004
    frequency = model.sample(20_000, generator()).flatten(1).float().mean(0)
    torch.testing.assert_close(frequency, (p[:, None] * x.flatten(1)).sum(0), atol=0.03, rtol=0)


def test_the_bound_is_below_the_likelihood_and_meets_its_terms():
    model, x = DRAW(SMALL), digits()
    log_p = model.log_likelihood(x, generator(), 500)
    bounds = torch.stack([model.elbo(x, generator(k)) for k in range(60)]).mean(0)
    assert (bounds < log_p + 0.1).all()
    log_prob, kl = model.terms(x, model.features(x), generator())
    assert kl.shape == (8, 3) and (kl > 0).all()
    torch.testing.assert_close(log_prob - kl.sum(1), model.elbo(x, generator()))


@pytest.mark.parametrize("config", [SMALL, WHOLE])
def test_steps_are_those_of_the_equations(config):
    model: Any = DRAW(config)
    x = digits()
    with torch.no_grad():
        model.canvas.normal_(generator=generator(1))
    image, noise = x.float(), torch.randn(3, 8, 4, generator=generator())
    canvas, encoder, decoder = (
        model.canvas.expand(8, -1, -1, -1),
        model.encoder.start(8),
        model.decoder.start(8),
    )
    codes: list[torch.Tensor] = []
    for t in range(3):
        error, h = image - canvas.sigmoid(), decoder.h
        if config.read_size:
            grid = make_filters(model.read.grid(h), 2, 6, 5)
            patches = torch.cat([grid.read(image), grid.read(error)], 1)
            seen = model.read.patches(patches.flatten(1))
        else:
            seen = model.read.image(image.flatten(1)) + model.read.error(error.flatten(1))
        encoder = model.encoder(seen + model.feedback(h), encoder)
        mean, log_sigma = model.posterior(encoder.h).chunk(2, 1)
        codes.append(mean + log_sigma.exp() * noise[t])
        decoder = model.decoder(model.inputs(codes[-1]), decoder)
        canvas = canvas + model.write(decoder.h)
    found = model.encode(x, generator())
    torch.testing.assert_close(found, torch.cat(codes, 1))
    torch.testing.assert_close(model.outputs(found), canvas)


def test_a_cell_is_an_lstm():
    cell, oracle = LSTM(5, glorot(generator(1))), torch.nn.LSTMCell(20, 5)
    order = torch.arange(20).view(4, 5)[[0, 1, 3, 2]].flatten()  # torch has i, f, g, o
    with torch.no_grad():
        oracle.weight_ih.copy_(torch.eye(20)[order])
        oracle.weight_hh.copy_(cell.gates.weight[order])
        oracle.bias_ih.copy_(cell.gates.bias[order])
        oracle.bias_hh.zero_()
    inputs, h, c = (torch.randn(3, n, generator=generator(n)) for n in (20, 5, 6))
    state = cell(inputs, State(h, c[:, :5]))
    for mine, theirs in zip(state, oracle(inputs, (h, c[:, :5])), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_every_step_has_noise_of_its_own():
    model = DRAW(SMALL)
    with torch.no_grad():
        model.posterior.weight.zero_()
    steps = model.encode(digits(), generator()).unflatten(1, (3, 4)).transpose(0, 1)
    correlation = torch.corrcoef(steps.flatten(1))
    assert correlation.fill_diagonal_(0).abs().max() < 0.5
    assert not model.encode(digits()).any()  # the middle of N(0, 1)


@pytest.mark.parametrize("config", [SMALL, WHOLE])
def test_codes_lead_back_through_the_canvases_of_the_posterior(config):
    model, x = DRAW(config), digits()
    log_prob, _ = model.terms(x, model.features(x), generator())
    z = model.encode(x, generator())
    canvases = model.drawing(z)
    assert len(canvases) == 3 and not torch.equal(canvases[0], canvases[1])
    torch.testing.assert_close(bernoulli_log_prob(x, canvases[-1]), log_prob)
    torch.testing.assert_close(model.reconstruct(x, generator()), canvases[-1].sigmoid())


def test_a_seed_gives_the_same_model_and_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = (DRAW(SMALL, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs) and any(not torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 0}, "steps is 0"), ({"read_size": 1}, "read_size is 1"), ({"write_size": 1}, "2 or more")],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        DRAW(replace(SMALL, **change))
