"""Sampling: three ways to the same image, which has the probability that the model says."""

import pytest
import torch

from rlgen.generative import pixel_sampling
from rlgen.generative.pixel_sampling import (
    Given,
    draw_uniforms,
    sample_cached,
    sample_jacobi,
    sample_naive,
)
from tests.test_pixel_models import KINDS, WIDE, generator, images, kinds, layers, make


@layers
@kinds
def test_the_cache_and_jacobi_iteration_give_the_naive_images(layer, kind):
    model = make(layer, **KINDS[kind])
    u = draw_uniforms(model, 6, generator(3))
    naive = sample_naive(model, u)
    assert torch.equal(sample_cached(model, u), naive)
    assert torch.equal(sample_jacobi(model, u), naive)
    assert len(naive.unique()) > 1
    assert torch.equal(model.sample(6, generator(3)), naive)


@layers
@kinds
def test_a_walk_gives_the_networks_outputs(layer, kind):
    model = make(layer, **KINDS[kind])
    x = images(model, 4)
    walk = model.network.walk(4, x.shape[3])
    with torch.no_grad():
        outputs = model.outputs(x)
        for i in range(x.shape[2]):
            walk.begin_row()
            for j in range(x.shape[3]):
                pixel = model.centred(x[:, :, i, j])
                walk.step(torch.zeros_like(pixel), j)  # the last time counts
                torch.testing.assert_close(walk.step(pixel, j), outputs[:, :, i, j], atol=1e-5, rtol=0)
                walk.put(pixel, j)


@layers
@kinds
def test_no_images_can_be_drawn_too(layer, kind):
    model = make(layer, **KINDS[kind])
    assert model.sample(0, generator()).shape == (0, *model.config.image_shape)
    for sampler in (sample_naive, sample_jacobi):
        assert sampler(model, draw_uniforms(model, 0, generator())).shape == (0, *model.config.image_shape)


@layers
def test_images_come_as_often_as_the_model_says(layer):
    model, n = make(layer, image_shape=(1, 2, 2)), 20_000
    x = model.sample(n, generator())
    every = (torch.arange(16)[:, None] >> torch.arange(4) & 1).to(torch.uint8)
    counts = (x.view(n, 1, 4) == every).all(2).sum(0)
    expected = model.log_likelihood(every.view(16, 1, 2, 2), generator()).exp()
    torch.testing.assert_close(counts / n, expected, atol=0.012, rtol=0)


@layers
@kinds
def test_known_pixels_stay_and_steer_those_behind_them(layer, kind):
    model = make(layer, **KINDS[kind], **WIDE)
    u, image = draw_uniforms(model, 6, generator(3)), images(model, 6)
    known = torch.rand(6, 1, *image.shape[2:], generator=generator(4)) < 0.4
    given = Given(image, known)
    naive = sample_naive(model, u, given)
    assert torch.equal(sample_cached(model, u, given), naive)
    assert torch.equal(sample_jacobi(model, u, given), naive)
    assert torch.equal(naive.where(known, image), image.where(known, image))
    assert torch.equal(torch.where(known, naive, image), image)
    other = Given(torch.where(known, model.config.levels - 1 - image, image), known)
    assert not torch.equal(sample_cached(model, u, other).masked_fill(known, 0), naive.masked_fill(known, 0))


def test_a_draw_at_the_border_is_settled_by_the_whole_network(monkeypatch):
    model = make("residual", image_shape=(1, 4, 5))
    u = draw_uniforms(model, 3, generator())
    with torch.no_grad():  # the draw of the first pixel is a matter of the last bit
        u[:, :, 0, 0] = (
            model.outputs(torch.zeros(3, 1, 4, 5, dtype=torch.uint8)).double().sigmoid()[..., 0, 0]
        )
    asked = []
    look = pixel_sampling._Canvas.look
    monkeypatch.setattr(
        pixel_sampling._Canvas, "look", lambda canvas, i, j: asked.append((i, j)) or look(canvas, i, j)
    )
    cached = sample_cached(model, u)
    assert asked == [(0, 0)]
    assert torch.equal(cached, sample_naive(model, u))


def test_known_pixels_of_another_shape_are_refused():
    model = make("residual", image_shape=(1, 4, 5))
    for image, known in ((2, 3), (3, 2)):
        given = Given(images(model, image), torch.zeros(known, 1, 4, 5, dtype=torch.bool))
        with pytest.raises(ValueError, match=r"known is .* \(3, 1, 4, 5\)|3 images are given for 2"):
            model.sample(2, generator(), given)
    given = Given(images(model, 2), torch.zeros(2, 4, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"known is torch.bool of shape \(2, 4, 5\)"):
        model.sample(2, generator(), given)
