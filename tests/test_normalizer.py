"""RunningNorm against the statistics of all rows at once."""

import torch

from rlgen.rewards.normalizer import RunningNorm


def rows(n: int = 1000, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, generator=g) * torch.tensor([1.0, 1e-3, 50.0]) + torch.tensor([0.0, 2.0, -1e4])


def test_batches_of_any_size_give_the_statistics_of_all_rows():
    x, norm = rows(), RunningNorm(3)
    for part in x.split([1, 99, 400, 500]):
        norm.update(part)
    torch.testing.assert_close(norm.mean, x.double().mean(0))
    torch.testing.assert_close(norm.var, x.double().var(0, unbiased=False))
    assert norm.count == 1000


def test_forward_standardises_and_clips():
    x, norm = rows(), RunningNorm(3, clip=2.0)
    assert torch.equal(norm(torch.full((1, 3), 5.0)), torch.full((1, 3), 2.0))
    norm.update(x)
    z = norm(x)
    assert z.abs().max() == 2.0
    assert z.mean(0).abs().max() < 0.05
    free = RunningNorm(3, clip=None)
    free.update(x)
    assert free(x).abs().max() > 2.0


def test_constant_feature_stays_finite_and_state_is_complete():
    norm = RunningNorm(1)
    norm.update(torch.full((10, 1), 3.0))
    assert torch.equal(norm(torch.full((2, 1), 3.0)), torch.zeros(2, 1))
    other = RunningNorm(1)
    other.load_state_dict(norm.state_dict())
    assert other.count == 10 and torch.equal(other.std, norm.std)
