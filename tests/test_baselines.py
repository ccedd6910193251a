"""The bonuses that VIME is compared with, on the same terms."""

import numpy as np
import pytest
import torch

from rlgen.rewards import RND, VIME, PredictionError, RandomBonus
from tests.states import same, state_of
from tests.test_vime import attraction, pendulum

ALL = pytest.mark.parametrize("kind", [RND, PredictionError, RandomBonus])


@ALL
def test_pure_private_and_zero_before_the_first_refit(kind):
    torch_before, numpy_before = (
        torch.get_rng_state(),
        np.random.get_state(legacy=False)["state"]["key"].copy(),
    )
    model, batch = kind(3, 1, seed=1), pendulum(600)
    assert not model.reward(batch).any()
    model.update(batch)
    before = state_of(model)
    first = model.reward(batch)
    assert first.shape == (600,) and (first >= 0).all() and not first.requires_grad
    assert torch.equal(first, model.reward(batch))
    assert same(before, state_of(model))
    assert torch.equal(torch_before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state(legacy=False)["state"]["key"]).all()


def test_statistics_may_be_those_of_the_pool():
    for kind, name in ((RND, "next_norm"), (PredictionError, "delta_norm")):
        model = kind(3, 1, pool_statistics=True, pool_size=200, min_data=100)
        for seed in (0, 1):
            model.update(pendulum(300, seed=seed))
        rows = model.pool.all()
        values = rows.next_obs if kind is RND else rows.next_obs - rows.obs
        torch.testing.assert_close(getattr(model, name).mean, values.mean(0).double(), check_dtype=False)


@ALL
def test_a_restored_model_goes_on_bit_for_bit(kind):
    model, other = kind(3, 1), kind(3, 1, seed=5)
    for seed in range(2):
        model.update(pendulum(700, seed))
    other.load_state_dict(state_of(model))
    assert model.update(pendulum(700, 3)) == other.update(pendulum(700, 3))
    assert torch.equal(model.reward(pendulum(seed=4)), other.reward(pendulum(seed=4)))
    assert same(state_of(model), state_of(other))


@pytest.mark.parametrize("kind", [RND, PredictionError])
def test_fades_on_the_familiar_and_not_on_the_novel(kind):
    model = kind(3, 1)
    model.update(pendulum(seed=0))
    first = model.reward(pendulum(seed=1)).mean()
    assert 0.3 < first < 3
    for seed in range(1, 10):
        model.update(pendulum(seed=seed))
    familiar = model.reward(pendulum(seed=50)).mean()
    assert familiar < first / 2
    assert model.reward(pendulum(seed=50, slow=4.0, fast=8.0)).mean() > 3 * familiar


def test_prediction_error_is_attracted_to_noise():
    assert attraction(PredictionError(4, 1)) > 5


def test_random_bonus_is_a_permutation_of_vime():
    model, control = VIME(3, 1, seed=2), RandomBonus(3, 1, seed=2)
    for seed in range(3):
        model.update(pendulum(seed=seed))
        control.update(pendulum(seed=seed))
    batch = pendulum(2000, 9)
    real, dealt = model.reward(batch), control.reward(batch)
    assert torch.equal(real.sort().values, dealt.sort().values)
    assert abs(torch.corrcoef(torch.stack([real, dealt]))[0, 1]) < 0.1
    assert abs(control.diagnose(batch)["rank_correlation_input_norm"]) < 0.1  # of what is paid
    other = pendulum(2000, 10)
    assert not torch.equal(control.reward(other).argsort(), dealt.argsort())


def test_unknown_setting_and_bad_batch_are_refused():
    with pytest.raises(ValueError, match="'hidden'"):
        RND(3, 1, hidde=(3,))
    with pytest.raises(ValueError, match="PredictionError takes"):
        PredictionError(4, 1).update(pendulum(8))
