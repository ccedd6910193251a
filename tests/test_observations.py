"""What is drawn has the probabilities that the likelihood gives, and the mean that is shown."""

import pytest
import torch

from rlgen.generative.observations import LogisticObservation, make_observation
from tests.draws import generator


@pytest.mark.parametrize("levels", [2, 6])
def test_levels_are_drawn_as_likely_as_they_are(levels):
    observation = make_observation(1, levels)
    if isinstance(observation, LogisticObservation):
        observation.log_scale.data.fill_(-1.0)
    n, outputs = 40_000, torch.tensor([-1.3, -0.4, 0.0, 0.7]).view(1, 1, 2, 2)
    draws = observation.draw(outputs.expand(n, 1, 2, 2), generator())
    assert draws.dtype == torch.uint8 and draws.shape == (n, 1, 2, 2)
    for i, output in enumerate(outputs.flatten()):
        x = torch.arange(levels, dtype=torch.uint8).view(-1, 1, 1, 1)
        p = observation.log_prob(x, output.expand(levels, 1, 1, 1)).exp()
        torch.testing.assert_close(p.sum().item(), 1.0)
        counts = draws.flatten(1)[:, i].bincount(minlength=levels) / n
        assert ((counts - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-6).all()


def test_binary_images_are_drawn_around_their_mean():
    observation, outputs = make_observation(1, 2), torch.tensor([[-2.0, 0.0, 3.0]])
    torch.testing.assert_close(
        observation.mean(outputs), torch.tensor([[0.1192, 0.5, 0.9526]]), atol=1e-4, rtol=0
    )


def test_means_of_many_levels_go_from_black_to_white_and_no_further():
    observation = make_observation(3, 256)
    assert observation.mean(torch.tensor([-1.5, -1.0, 0.0, 1.0, 1.5])).tolist() == [0, 0, 0.5, 1, 1]


def test_each_channel_has_a_scale_which_is_trained():
    observation = make_observation(3, 256)
    outputs = torch.zeros(2, 3, 4, 4)
    x = torch.randint(100, 156, (2, 3, 4, 4), generator=generator(), dtype=torch.uint8)
    observation.log_prob(x, outputs).sum().backward()
    (scale,) = observation.parameters()
    assert scale.shape == (3, 1, 1) and scale.grad is not None and (scale.grad < 0).all()  # too wide as yet
    assert not list(make_observation(1, 2).parameters())
