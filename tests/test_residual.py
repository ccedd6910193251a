"""Residual blocks: sizes there and back, shortcuts, and sizes that are not powers of two."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rlgen.generative.residual import ResidualBlock, ResidualDecoder, ResidualEncoder, ResidualUp, sides
from rlgen.generative.weight_norm import initialise_from_data
from tests.draws import generator


def test_sides_are_halved_and_rounded_up():
    assert sides((1, 28, 28), 3) == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert sides((3, 5, 32), 1) == [(5, 32), (3, 16)]


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 12)])
def test_a_decoder_goes_back_to_the_images_size(shape):
    encoder = ResidualEncoder(shape, (4, 6, 5), (11, 7), generator())
    decoder = ResidualDecoder(2, shape, (4, 6, 5), (11, 7), generator())
    x = torch.randn(3, *shape, generator=generator())
    assert encoder(x).shape == (3, 7)
    assert decoder(torch.randn(3, 2, generator=generator())).shape == x.shape
    sizes = [tuple(layer.v.shape) for layer in decoder.linears]  # type: ignore
    height, width = sides(shape, 3)[-1]
    assert sizes == [(7, 2), (11, 7), (5 * height * width, 11)]


def test_a_block_adds_to_what_comes_in():
    block = ResidualBlock(4, 4, generator=generator())
    assert isinstance(block.shortcut, nn.Identity)
    x = torch.randn(2, 4, 5, 5, generator=generator())
    block.second.g.data.zero_()
    torch.testing.assert_close(block(x), F.elu(x))


def test_a_block_on_the_way_up_cuts_off_what_is_beyond():
    block, x = ResidualUp(3, 2, (7, 8), generator=generator()), torch.randn(2, 3, 4, 4, generator=generator())
    whole = ResidualUp(3, 2, (8, 8), generator=generator())
    assert block(x).shape == (2, 2, 7, 8)
    torch.testing.assert_close(block(x), whole(x)[:, :, :7])


def test_all_layers_take_their_scale_from_data():
    decoder = ResidualDecoder(3, (1, 6, 6), (4, 4), (9,), generator())
    z = torch.randn(200, 3, generator=generator())
    initialise_from_data(decoder, lambda: decoder(z))
    outputs = decoder(z)
    assert outputs.std(correction=0).item() == pytest.approx(1, abs=1e-4)
    assert outputs.mean().item() == pytest.approx(0, abs=1e-4)
