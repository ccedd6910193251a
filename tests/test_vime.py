"""VIME as a learned reward: it learns, its bonus fades where data went, and its state is complete."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from rlgen.rewards.bonus import BonusScale, rank_correlation
from rlgen.rewards.pool import TransitionPool
from rlgen.rewards.vime import DEFAULT, PAPER, VIME
from rlgen.transitions import Transitions
from tests.states import same, state_of

BOTH = pytest.mark.parametrize(
    "kwargs",
    [
        {"bonus": "expected"},
        {"bonus": "realised"},
        {"bonus": "realised", "bonus_draws": 2},
        {"setting": "paper", "bonus": "realised"},
    ],
    ids=["expected", "realised", "draws", "paper"],
)


def pendulum(n: int = 1024, seed: int = 0, slow: float = -1.0, fast: float = 1.0) -> Transitions:
    """Pendulum transitions from states with angular velocity in [slow, fast]."""
    g = torch.Generator().manual_seed(seed)
    theta = (torch.rand(n, generator=g) * 2 - 1) * torch.pi
    omega = slow + (fast - slow) * torch.rand(n, generator=g)
    action = torch.rand(n, generator=g) * 2 - 1
    after = omega + 0.05 * (15 * theta.sin() + 6 * action)
    moved = theta + 0.05 * after
    obs, next_obs = (torch.stack([t.cos(), t.sin(), w], 1) for t, w in ((theta, omega), (moved, after)))
    return Transitions(obs, action[:, None], next_obs, torch.zeros(n))


def test_learns_a_real_environment():
    env = gym.make("Pendulum-v1")
    obs, _ = env.reset(seed=0)
    env.action_space.seed(0)
    rows = []
    for _ in range(6144):
        action = env.action_space.sample()
        next_obs, _, terminated, truncated, _ = env.step(action)
        rows.append((obs, action / 2, next_obs, float(terminated)))
        obs = env.reset()[0] if truncated else next_obs
    parts = [torch.as_tensor(np.array(part), dtype=torch.float32) for part in zip(*rows, strict=True)]
    model = VIME(3, 1)
    model.update(Transitions(*(part[:4096] for part in parts)))
    metrics = model.update(Transitions(*(part[4096:] for part in parts)))
    assert metrics["error_over_persistence"] < 0.2
    assert metrics["error_over_mean"] < 0.2
    assert 0 < metrics["width_over_prior"] < 1
    assert np.isfinite(list(metrics.values())).all()


@pytest.mark.parametrize(
    ("bonus", "normalise", "factor"),
    [("expected", "peak", 10), ("expected", "root", 4), ("realised", "peak", 5), ("realised", "root", 2.5)],
)
def test_bonus_fades_where_the_data_went_and_only_there(bonus, normalise, factor):
    model = VIME(3, 1, bonus=bonus, normalise=normalise)
    means = []
    for seed in range(20):
        means.append(model.reward(pendulum(seed=seed)).mean().item())
        model.update(pendulum(seed=seed))
    assert means[0] == 0.0 and 0.5 < means[1] < 5.0
    assert means[-1] < means[1] / factor
    smooth = np.convolve(means[1:], np.ones(4) / 4, "valid")
    assert (np.diff(smooth) < 0.01 * smooth[0]).all()
    novel = model.reward(pendulum(seed=99, slow=4.0, fast=8.0)).mean()
    assert novel > 15 * model.reward(pendulum(seed=98)).mean()


def test_widths_count_data_not_gradient_steps():
    def raw(rollouts: int, steps: float) -> float:
        model = VIME(3, 1, updates_per_transition=steps / 1024, first_refit=1.0, curvature_rate=0.2)
        for seed in range(rollouts):
            model.update(pendulum(seed=seed))
        return model.raw_bonus(pendulum(seed=50)).mean().item()

    once, longer, more = raw(4, 64), raw(4, 192), raw(12, 64)
    assert longer == pytest.approx(once, rel=0.35)
    assert more == pytest.approx(once / 3, rel=0.35)


def test_max_data_stops_the_fading():
    model = VIME(3, 1, max_data=1024)
    raw = []
    for seed in range(10):
        model.update(pendulum(seed=seed))
        raw.append(model.raw_bonus(pendulum(seed=50)).mean().item())
    assert raw[-1] > raw[0] / 2


def noisy_half(n: int = 2048, seed: int = 0) -> Transitions:
    """A linear system whose last feature is pure noise wherever the first is positive."""
    g = torch.Generator().manual_seed(seed)
    obs = torch.rand(n, 4, generator=g) * 2 - 1
    action = torch.rand(n, 1, generator=g) * 2 - 1
    next_obs = 0.9 * obs + 0.3 * action
    next_obs[:, 3] += torch.randn(n, generator=g) * (obs[:, 0] > 0)
    return Transitions(obs, action, next_obs, torch.zeros(n))


def attraction(model) -> float:
    """Mean bonus of the noisy half over that of the quiet half."""
    for seed in range(5):
        model.update(noisy_half(seed=seed))
    batch = noisy_half(seed=99)
    raw, noisy = model.raw_bonus(batch), batch.obs[:, 0] > 0
    return (raw[noisy].mean() / raw[~noisy].mean()).item()


def test_expected_gain_is_indifferent_to_noise():
    assert 0.8 < attraction(VIME(4, 1)) < 1.25


@BOTH
def test_reward_is_pure_and_zero_before_the_first_refit(kwargs):
    model, batch = VIME(3, 1, **kwargs), pendulum(600)
    assert torch.equal(model.reward(batch), torch.zeros(600))
    model.update(batch)
    before = state_of(model)
    first = model.reward(batch)
    assert (first > 0).all() and not first.requires_grad
    assert torch.equal(first, model.reward(batch))
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    elsewhere = model.reward(Transitions(*(part[order] for part in batch)))
    torch.testing.assert_close(elsewhere, first[order])  # wherever in a batch it is asked for
    torch.testing.assert_close(model.reward(Transitions(*(part[7:8] for part in batch))), first[7:8])
    assert same(before, state_of(model))


@BOTH
def test_global_generators_are_left_alone(kwargs):
    torch_before, numpy_before = (
        torch.get_rng_state(),
        np.random.get_state(legacy=False)["state"]["key"].copy(),
    )
    model = VIME(3, 1, **kwargs)
    model.update(pendulum())
    model.reward(pendulum())
    assert torch.equal(torch_before, torch.get_rng_state())
    assert (numpy_before == np.random.get_state(legacy=False)["state"]["key"]).all()


@BOTH
def test_a_restored_model_goes_on_bit_for_bit(kwargs):
    kwargs = kwargs | {"pool_size": 1500}  # wraps
    model = VIME(3, 1, **kwargs)
    for seed in range(3):
        model.update(pendulum(700, seed))
    other = VIME(3, 1, **kwargs, seed=7)
    other.load_state_dict(state_of(model))
    for seed in range(3, 5):
        assert torch.equal(model.reward(pendulum(seed=seed)), other.reward(pendulum(seed=seed)))
        assert model.update(pendulum(700, seed)) == other.update(pendulum(700, seed))
    assert same(state_of(model), state_of(other))


def test_seed_decides_everything():
    def run(seed: int) -> torch.Tensor:
        model = VIME(3, 1, seed=seed)
        model.update(pendulum())
        return model.reward(pendulum(seed=1))

    assert torch.equal(run(3), run(3))
    assert not torch.equal(run(3), run(4))


def test_small_batches_earn_the_steps_of_a_rollout():
    model = VIME(3, 1)
    model.update(pendulum(1024))
    steps = [model.update(pendulum(32, seed))["n_updates"] for seed in range(128)]
    earned = 4096 * DEFAULT.updates_per_transition
    assert earned > 10 and sum(steps) == pytest.approx(earned, abs=1) and max(steps) <= 1
    waiting = VIME(3, 1)
    assert waiting.update(pendulum(DEFAULT.min_data - 1))["n_updates"] == 0
    assert not waiting.reward(pendulum(5)).any()
    assert waiting.update(pendulum(1))["n_updates"] > 0


def test_paper_setting_is_the_published_algorithm():
    model = VIME(3, 1, setting="paper", bonus="realised")
    assert [tuple(mu.shape) for mu in model.network.mu] == [(5, 32), (33, 3)]
    assert model.network.mu[0].std().item() == pytest.approx(1.0, abs=0.15)
    torch.testing.assert_close(model.network.variances()[0], torch.full((5, 32), 0.25))
    rho = model.network.rho[0].clone()
    assert model.update(pendulum(5000))["n_updates"] == 500
    assert not torch.equal(rho, model.network.rho[0]) and (model.noise_var == 25).all()
    assert (PAPER.batch_size, PAPER.bonus_draws, PAPER.draws, PAPER.step_size) == (10, 10, 10, 0.01)
    batch = pendulum(seed=1)
    medians = [model.raw_bonus(batch).median().item()]
    torch.testing.assert_close(model.reward(batch), model.raw_bonus(batch) / model.scale.reference)
    model.update(pendulum(5000, 2))
    assert model.scale.reference < 100 * medians[0] and model.scale.entries == 2


def test_shared_noise_is_one_for_the_minibatch_and_another_in_each_draw(monkeypatch):
    model, drawn = VIME(3, 1, draws=3, batch_size=20, min_data=1, shared_noise=True), []
    run = model.network.run
    monkeypatch.setattr(
        model.network, "run", lambda x, noise, var: (drawn.append(noise), run(x, noise, var))[1]
    )
    model.update(pendulum(64))
    first = drawn[0][0].unflatten(0, (3, 20))  # (draws, rows, units) of the hidden layer
    assert torch.equal(first, first[:, :1].expand_as(first)) and not torch.equal(first[0], first[1])


def test_a_full_pool_goes_on_in_a_larger_one():
    rows = pendulum(150)
    small, large = TransitionPool(3, 1, 100), TransitionPool(3, 1, 1000)
    small.add(rows)
    large.set_extra_state(small.get_extra_state())
    large.add(Transitions(*(part[:40] for part in rows)))
    assert len(large) == 140
    torch.testing.assert_close(large.all().obs, torch.cat([rows.obs[50:], rows.obs[:40]]))


def test_paper_inputs_are_normalised_by_the_pool():
    model = VIME(3, 1, setting="paper", pool_size=600)
    model.update(pendulum(600, 0, 5.0, 6.0))
    model.update(pendulum(600, 1))
    recent = pendulum(600, 1)
    torch.testing.assert_close(model.output_norm.mean, recent.obs.double().mean(0))
    torch.testing.assert_close(model.input_norm.var[3], recent.action.double().var(unbiased=False))


def test_peak_never_shrinks_and_no_outlier_silences_the_rest():
    scale = BonusScale("peak", clip=10.0, period=100)
    for level in (1.0, 2.0, 0.1):
        scale.observe(torch.full((50,), level), rows=100)
    assert scale.reference == pytest.approx(2.0)
    assert scale(torch.tensor([0.2, 1000.0])).tolist() == pytest.approx([0.1, 10.0])
    outliers = torch.ones(50)
    outliers[0] = 1e9
    scale.observe(outliers, rows=100)
    assert scale.reference < 3.0


def test_root_falls_as_the_square_root_of_the_bonus():
    scale = BonusScale("root", clip=10.0, period=100)
    scale.observe(torch.full((50,), 4.0), rows=100)
    assert scale(torch.tensor([4.0])).item() == pytest.approx(1.0)
    for _ in range(10):
        scale.observe(torch.full((50,), 0.04), rows=100)
    assert scale(torch.tensor([0.04])).item() == pytest.approx(0.1)


def test_window_follows_and_small_batches_wait_for_a_whole_period():
    scale = BonusScale("window", clip=10.0, period=100)
    scale.observe(torch.full((10,), 5.0), rows=100)
    for _ in range(9):
        scale.observe(torch.full((10,), 1.0), rows=10)
    assert scale.reference == pytest.approx(5.0)
    scale.observe(torch.full((10,), 1.0), rows=10)
    assert scale.reference == pytest.approx(3.0)
    for _ in range(10):
        scale.observe(torch.tensor([0.0, 0.5, 100.0]), rows=100, statistic="median")
    assert scale.reference == pytest.approx(0.5)
    assert BonusScale(None, clip=1.0)(torch.tensor([7.0])).item() == 7.0


def test_rank_correlation_ignores_the_scale():
    x = torch.linspace(0.1, 3, 50)
    assert rank_correlation(x, x.exp()) == pytest.approx(1.0)
    assert rank_correlation(x, -(x**3)) == pytest.approx(-1.0)
    assert rank_correlation(x, torch.ones(50)) == 0.0
    ties = torch.tensor([1.0, 1.0, 2.0, 2.0, 3.0])
    assert rank_correlation(ties, -ties) == pytest.approx(-1.0)
    assert rank_correlation(ties, torch.tensor([2.0, 1.0, 2.0, 1.0, 3.0])) == pytest.approx(5 / 9)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"hiden": (64,)}, "'hidden'"),
        ({"bonus": "surprise"}, "'realised'"),
        ({"setting": "papers"}, "'paper'"),
        ({"normalise": "max"}, "'peak'"),
    ],
)
def test_unknown_choices_name_the_known(kwargs, words):
    with pytest.raises(ValueError, match=words):
        VIME(3, 1, **kwargs)


def test_bad_batches_are_refused():
    model, good = VIME(3, 1), pendulum(8)
    with pytest.raises(ValueError, match=r"obs has shape \(8, 2\).*\(B, 3\)"):
        model.update(good._replace(obs=good.obs[:, :2]))
    with pytest.raises(ValueError, match=r"action has shape \(8, 3\)"):
        model.reward(good._replace(action=good.obs))
    broken = good.next_obs.clone()
    broken[3, 1] = float("nan")
    with pytest.raises(ValueError, match="next_obs holds NaN"):
        model.update(good._replace(next_obs=broken))
    assert len(model.pool) == 0
