"""Averages of parameters, against the sums written out."""

from typing import Any

import pytest
import torch
from torch import nn

from rlgen.generative.averages import ParameterAverage


def walk(average: ParameterAverage, module: nn.Linear, steps: int) -> list[torch.Tensor]:
    """Move the weight at random and average; all its positions."""
    generator, path = torch.Generator().manual_seed(0), []
    for _ in range(steps):
        module.weight.data.add_(torch.randn(2, 3, generator=generator))
        average.update(module)
        path.append(module.weight.detach().clone())
    return path


def module() -> nn.Linear:
    linear = nn.utils.skip_init(nn.Linear, 3, 2)
    for parameter in linear.parameters():
        nn.init.ones_(parameter)
    return linear  # type: ignore[return-value]


def test_exponential_weights_add_up_to_one():
    linear = module()
    average = ParameterAverage(linear, 0.9)
    path = walk(average, linear, 7)
    weights = torch.tensor([0.9 ** (6 - t) for t in range(7)])
    expected = torch.einsum("t,tij->ij", weights / weights.sum(), torch.stack(path))
    torch.testing.assert_close(average.averages()[0], expected)
    torch.testing.assert_close(average.averages()[1], torch.ones(2))


def test_the_plain_mean():
    linear = module()
    average = ParameterAverage(linear)
    path = walk(average, linear, 5)
    torch.testing.assert_close(average.averages()[0], torch.stack(path).mean(0))


def test_buffers_are_copied_and_the_copy_stands_alone():
    norm: Any = nn.BatchNorm1d(3)
    average: Any = ParameterAverage(norm, 0.9)
    norm.running_mean.fill_(7.0)
    average.update(norm)
    norm.running_mean.fill_(8.0)
    assert average.module.running_mean.tolist() == [7.0] * 3
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_updates_are_counted_beside_the_parameters():
    """A counter on the CPU would stand still while a recorded step is replayed on a GPU."""
    average = ParameterAverage(module().to("meta"), 0.9)
    assert average.updates.device.type == "meta"


def test_a_saved_average_goes_on_as_if_nothing_had_been():
    linear = module()
    first = ParameterAverage(linear, 0.9)
    walk(first, linear, 3)
    second = ParameterAverage(module(), 0.9)
    second.load_state_dict(first.state_dict())
    for average in (first, second):
        average.update(linear)
    assert torch.equal(first.averages()[0], second.averages()[0])


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0])
def test_a_decay_outside_the_unit_interval_is_refused(decay):
    with pytest.raises(ValueError, match="between 0 and 1"):
        ParameterAverage(module(), decay)
