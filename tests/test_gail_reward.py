"""GAIL as a learned reward: what it pays, that its state is complete, and that it drives SB3."""

import math
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gymnasium.wrappers import RescaleAction
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlgen.recorder import TransitionRecorder
from rlgen.relabel import LearnReward
from rlgen.rewards import GAIL, Transitions, load_reward, save_reward
from rlgen.rewards.discriminator import FORMS, absorbing_logit
from rlgen.rewards.gail import PAPER
from tests.states import same, state_of

SETTINGS = pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"setting": "paper", "form": "negative"},
        {"spectral_norm": True, "gradient_penalty": 0.0, "instance_noise": 0.1},
        {"pool_size": 900, "form": "logit", "absorbing": True, "label_smoothing": 0.1},  # wraps
        {"state_only": True, "entropy": 0.01},
    ],
    ids=["default", "paper", "spectral", "pool", "states"],
)


def batch(n: int = 600, seed: int = 0, shift: float = 0.0, ends: int = 0) -> Transitions:
    """Points round `shift`, of which the first `ends` are true ends."""
    g = torch.Generator().manual_seed(seed)
    obs = torch.randn(n, 3, generator=g) + shift
    action = torch.rand(n, 2, generator=g) * 2 - 1
    terminated = torch.zeros(n)
    terminated[:ends] = 1.0
    return Transitions(obs, action, obs + 0.1 * torch.randn(n, 3, generator=g), terminated)


def gail(**kwargs) -> GAIL:
    """Small, and quick to learn."""
    kwargs = {"hidden": (16,), "updates_per_transition": 10 / 600, "batch_size": 64} | kwargs
    return GAIL(batch(500, seed=100, shift=0.5), **kwargs)


def test_the_logit_becomes_the_log_density_ratio():
    """N(1, 1) against N(0, 1) in the first feature, all else alike: log ratio x - 1/2."""

    def draw(n: int, seed: int, mean: float) -> Transitions:
        g = torch.Generator().manual_seed(seed)
        obs = torch.randn(n, 2, generator=g)
        obs[:, 0] += mean
        return Transitions(obs, torch.zeros(n, 1), obs, torch.zeros(n))

    model = GAIL(draw(8192, 0, 1.0), gradient_penalty=0.0, hidden=(8,), learning_rate=0.01)
    for seed in range(1, 9):
        metrics = model.update(draw(8192, seed, 0.0))
    grid = torch.linspace(-1, 2, 13)
    at = Transitions(torch.stack([grid, torch.zeros(13)], 1), torch.zeros(13, 1), torch.zeros(13, 2), grid)
    logits = model.logits(model.features(at))
    torch.testing.assert_close(logits, grid - 0.5, atol=0.25, rtol=0)
    divergence = math.log(2) - metrics["loss"] / 2
    assert divergence == pytest.approx(0.112, abs=0.025)  # Jensen-Shannon of the two, by quadrature


def test_the_expert_replayed_stays_at_chance():
    model = gail(gradient_penalty=0.0)
    for seed in range(10):
        metrics = model.update(batch(600, seed, shift=0.5))
    assert abs(metrics["accuracy_expert"] + metrics["accuracy_policy"] - 1) < 0.15
    assert metrics["loss"] == pytest.approx(2 * math.log(2), abs=0.1)
    assert metrics["won_transitions"] == 0


def test_the_penalty_brings_the_slope_to_its_target():
    slopes = {}
    for target in (0.25, 1.0):
        model = gail(gradient_penalty=10.0, gradient_target=target, learning_rate=0.01)
        for seed in range(8):
            metrics = model.update(batch(seed=seed, shift=-3.0))
        slopes[target] = metrics["gradient_norm"]
    assert slopes[0.25] == pytest.approx(0.25, abs=0.15) and slopes[1.0] == pytest.approx(1.0, abs=0.2)


def test_transitions_won_are_counted_in_a_row():
    model = gail(gradient_penalty=0.0, learning_rate=0.05)
    rows = batch(shift=-6.0)
    n = len(rows.obs)
    won = [model.update(batch(seed=seed, shift=-6.0))["won_transitions"] / n for seed in range(30)]
    assert won[:5] == [0] * 5 and won[-3:] == [won[-1] - 2, won[-1] - 1, won[-1]] and won[-1] >= 3
    assert model.update(batch(shift=0.5))["won_transitions"] == 0


def test_a_single_miss_in_many_small_refits_does_not_undo_a_win():
    """Off-policy a refit judges a hundred transitions, of which one in a hundred may pass by chance."""
    model = gail(gradient_penalty=0.0, learning_rate=0.05)
    for seed in range(150):
        won = model.update(batch(100, seed=seed, shift=-6.0))["won_transitions"]
    assert won > 0
    few = batch(100, shift=-6.0)
    few.obs[0], few.action[0] = model.expert[0, :3], model.expert[0, 3:]
    metrics = model.update(few)
    assert metrics["accuracy_policy"] == pytest.approx(0.99) and metrics["won_transitions"] == won + 100


def test_metrics_are_taken_before_the_refit():
    model = gail()
    real, fake = model.logits(model.expert), model.reward(batch(600, shift=-2.0))
    metrics = model.update(batch(600, shift=-2.0))
    assert metrics["reward_mean"] == pytest.approx(fake.mean().item(), rel=1e-4)
    assert metrics["logit_expert"] == pytest.approx(real.mean().item(), abs=0.05)
    assert metrics["n_updates"] == 10 and np.isfinite(list(metrics.values())).all()


@pytest.mark.parametrize("form", FORMS)
def test_forms_are_their_equations(form):
    model = gail(form=form, reward_scale=2.0, logit_clip=3.0)
    for seed in range(3):
        model.update(batch(seed=seed))
    logits = model.logits(model.features(batch(seed=9, shift=1.0))).double().clamp(-3, 3)
    d = logits.sigmoid()
    equation = {"positive": -(1 - d).log(), "negative": d.log(), "logit": d.log() - (1 - d).log()}[form]
    torch.testing.assert_close(model.reward(batch(seed=9, shift=1.0)).double(), 2 * equation)
    far = model.pay(torch.tensor([-1e6, 1e6])).tolist()
    assert far == pytest.approx([2 * FORMS[form](torch.tensor(x)).item() for x in (-3.0, 3.0)])


def test_inputs_are_standardised_by_the_demonstrations_with_a_floor_and_a_clip():
    expert = batch(500, seed=100, shift=0.5)
    expert.obs[:, 2] = 7.0  # constant in the demonstrations
    model = GAIL(expert)
    z = model.norm(model.features(expert))
    torch.testing.assert_close(z[:, :2].mean(0), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(z[:, :2].std(0, unbiased=False), torch.ones(2), atol=1e-4, rtol=0)
    assert not z[:, 2].any() and torch.equal(z[:, 3:], expert.action)
    moved = expert._replace(obs=expert.obs + torch.tensor([0.0, 0.0, 0.05]))
    torch.testing.assert_close(model.norm(model.features(moved))[:, 2], torch.full((500,), 0.5))
    assert model.norm(model.features(batch(10, shift=1e4))).max() == 10.0
    before = model.norm.mean.clone()
    model.update(batch())
    assert torch.equal(before, model.norm.mean)


def test_actions_may_be_standardised_by_the_demonstrations_as_well():
    expert = batch(500, seed=100)
    expert.action.copy_(0.2 * expert.action + 0.3)
    expert.action[:, 1] *= 0.01  # its deviation lies below the floor
    z = GAIL(expert, statistics="expert_all").norm(torch.cat([expert.obs, expert.action], 1))
    torch.testing.assert_close(z[:, :4].mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(z[:, :4].std(0, unbiased=False), torch.ones(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(z[:, 4], (expert.action[:, 1] - expert.action[:, 1].mean()) / 0.1)


def test_the_paper_setting_makes_one_step_on_the_whole_batch():
    model = GAIL(batch(500, seed=100, shift=0.5), setting="paper")
    assert (PAPER.learning_rate, PAPER.entropy, PAPER.gradient_penalty) == (0.01, 0.001, 0.0)
    weights = [p.detach().clone() for p in model.discriminator.parameters()]
    assert [tuple(p.shape) for p in weights[::2]] == [(100, 5), (100, 100), (1, 100)]
    assert model.update(batch(700))["n_updates"] == 1
    # Adam's first step is the learning rate, in whichever direction.
    moved = [
        (p - w).abs().max().item() for p, w in zip(model.discriminator.parameters(), weights, strict=True)
    ]
    assert moved == pytest.approx([0.01] * 6, rel=0.01)
    assert model.norm.count == 1400
    both = torch.cat([batch(700).obs.mean(0), batch(500, seed=100, shift=0.5).obs.mean(0)]).view(2, 3).mean(0)
    torch.testing.assert_close(model.norm.mean[:3].float(), both, atol=0.05, rtol=0)
    torch.testing.assert_close(
        model.reward(batch()), F.softplus(model.logits(model.features(batch()))), rtol=0, atol=0
    )


def test_small_batches_earn_the_steps_of_a_large_one():
    model = gail(updates_per_transition=20 / 4096)
    steps = [model.update(batch(32, seed))["n_updates"] for seed in range(128)]
    assert sum(steps) == pytest.approx(20, abs=1) and max(steps) == 1


def test_a_pool_remembers_former_policies():
    """Two policies in turn: with a pool the discriminator still knows the first."""
    rewards = {}
    for size in (0, 10_000):
        model = gail(pool_size=size, gradient_penalty=0.0, learning_rate=0.01, updates_per_transition=0.05)
        for shift in (-2.0,) * 5 + (3.0,) * 10:
            model.update(batch(600, shift=shift))
        rewards[size] = model.reward(batch(600, seed=5, shift=-2.0)).mean().item()
    assert rewards[10_000] < 0.5 * rewards[0]


# States alone


def test_demonstrations_without_actions_are_judged_by_states_alone():
    expert = batch(500, seed=100)
    expert = expert._replace(next_obs=expert.obs + 1.0, action=torch.zeros(500, 0))
    model = GAIL(expert, state_only=True, gradient_penalty=0.0, learning_rate=0.01)
    for seed in range(10):
        metrics = model.update(batch(1000, seed=seed))
    assert min(metrics["accuracy_expert"], metrics["accuracy_policy"]) > 0.9
    fresh = batch(seed=50)
    other = fresh._replace(action=-fresh.action)
    assert torch.equal(model.reward(fresh), model.reward(other))
    still = fresh._replace(next_obs=fresh.obs + 1.0)
    assert model.reward(still).mean() > 5 * model.reward(fresh).mean()


# Absorbing states


def test_absorbing_logit_is_the_log_ratio_of_ends():
    assert absorbing_logit(4000, 100_000, 1000, 100_000) == pytest.approx(math.log(4), abs=1e-3)
    assert absorbing_logit(10, 1000, 10, 1000) == 0.0
    assert absorbing_logit(0, 1000, 0, 50_000) == 0.0 == absorbing_logit(3, 1000, 0, 0)
    clumsy, better = (absorbing_logit(0, 1000, ends, 20_000) for ends in (1000, 10))
    assert clumsy < -4 < better < 0
    assert absorbing_logit(10, 1000, 0, 20_000) > 4


@pytest.mark.parametrize("policy_ends", [1, 5, 60])
@pytest.mark.parametrize("expert_rows", [50, 5000])
def test_dying_never_pays_if_the_expert_never_ends(policy_ends, expert_rows):
    paid = {}
    for form in FORMS:
        model = GAIL(batch(expert_rows, seed=100), form=form, absorbing=True, hidden=(4,))
        model.update(batch(2000, ends=policy_ends))
        paid[form] = model.absorbing_reward()
        level = model.pay(torch.zeros(()))  # of a transition that could be either's
        assert paid[form] < level
    assert paid["negative"] < 0 and paid["logit"] < 0 <= paid["positive"]
    assert GAIL(batch(expert_rows, seed=100)).absorbing_reward() == 0.0


def test_ending_pays_if_the_expert_ends_more_often():
    expert = batch(500, seed=100, ends=20)
    model = GAIL(expert, form="negative", absorbing=True, hidden=(4,))
    model.update(batch(2000, ends=0))
    assert -0.01 < model.absorbing_reward() < 0
    model = GAIL(expert, form="positive", absorbing=True, hidden=(4,))
    model.update(batch(2000, ends=0))
    assert model.absorbing_reward() > 3 * model.pay(torch.zeros(())).item()


def test_the_rate_of_ends_follows_the_policy():
    model = gail(absorbing=True, form="logit", updates_per_transition=0.0)
    model.update(batch(4000, ends=400))
    clumsy = model.absorbing_reward()
    for seed in range(30):
        model.update(batch(4000, seed=seed, ends=1))
    assert clumsy < 2 * model.absorbing_reward() < 0


def test_ends_are_counted_in_the_whole_demonstrations_where_the_rows_are_a_sample():
    """Expert and policy end at the same rate; of the expert's ends the sample holds none, or all."""
    for ends in (0, 25):
        expert = batch(25, seed=100, ends=ends)
        model = GAIL(expert, form="logit", absorbing=True, expert_counts=(5, 500), hidden=(4,))
        model.update(batch(2000, ends=20))
        assert abs(model.absorbing_reward()) < 0.01 and model.absorbing_logit == pytest.approx(0, abs=0.01)


def test_an_absorbing_state_is_refused_where_it_would_be_worth_infinitely_much():
    venv = TransitionRecorder(DummyVecEnv([pendulum]))
    model = PPO("MlpPolicy", venv, gamma=1.0, n_steps=64, device="cpu")
    with pytest.raises(ValueError, match="gamma is 1"):
        LearnReward(GAIL(demonstrations(50), absorbing=True), env_weight=0.0).install(model)
    LearnReward(GAIL(demonstrations(50)), env_weight=0.0).install(model)


# State


@SETTINGS
def test_reward_is_pure(kwargs):
    model = gail(**kwargs)
    model.update(batch())
    before = state_of(model)
    model.train()
    first = model.reward(batch(seed=1))
    assert first.shape == (600,) and not first.requires_grad
    part = Transitions(*(x[:7] for x in batch(seed=1)))
    torch.testing.assert_close(model.reward(part), first[:7])
    assert torch.equal(first, model.reward(batch(seed=1))) and same(before, state_of(model))


@SETTINGS
def test_global_generators_are_left_alone(kwargs):
    def state():
        numpy = np.random.get_state(legacy=False)["state"]
        return torch.get_rng_state(), torch.from_numpy(numpy["key"].copy()), numpy["pos"]

    before = state()
    model = gail(**kwargs)
    model.update(batch())
    model.reward(batch())
    assert same(before, state())


@SETTINGS
def test_a_restored_model_goes_on_bit_for_bit(kwargs):
    model, other = gail(**kwargs), gail(**kwargs, seed=7)
    for seed in range(3):
        model.update(batch(seed=seed, ends=3))
    other.load_state_dict(state_of(model))
    for seed in range(3, 6):
        assert torch.equal(model.reward(batch(seed=seed)), other.reward(batch(seed=seed)))
        assert model.update(batch(610, seed)) == other.update(batch(610, seed))
    assert model.absorbing_reward() == other.absorbing_reward()
    assert same(state_of(model), state_of(other))


def test_the_seed_decides_everything():
    def run(seed: int) -> torch.Tensor:
        model = gail(seed=seed)
        model.update(batch())
        return model.reward(batch(seed=1))

    assert torch.equal(run(3), run(3)) and not torch.equal(run(3), run(4))


def test_other_demonstrations_are_refused():
    other = GAIL(batch(500, seed=101, shift=0.5), hidden=(16,))
    with pytest.raises(ValueError, match="other demonstrations"):
        other.load_state_dict(state_of(gail()))


# The file


@SETTINGS
def test_a_saved_reward_scores_as_the_trained_one(kwargs, tmp_path):
    model = gail(**kwargs)
    model.update(batch(ends=3))
    save_reward(tmp_path / "reward.pt", model)
    loaded = load_reward(tmp_path / "reward.pt")
    assert torch.equal(loaded.reward(batch(seed=1)), model.reward(batch(seed=1)))
    assert loaded.absorbing_reward() == model.absorbing_reward() and loaded.name == "gail"
    assert loaded.env_id is None
    before = state_of(loaded)
    metrics = loaded.update(batch(seed=2))
    assert metrics == {"reward_mean": pytest.approx(model.reward(batch(seed=2)).mean().item())}
    assert same(before, state_of(loaded))
    save_reward(str(tmp_path / "again.pt"), loaded)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["again.pt", "reward.pt"]


@pytest.mark.parametrize("content", ["cut", "text", "empty", "other", "tensor"])
def test_a_file_that_holds_no_reward_is_refused(content, tmp_path):
    path = tmp_path / "reward.pt"
    save_reward(path, gail())
    data = {"cut": path.read_bytes()[:1000], "text": b"not a reward", "empty": b""}
    others = {"other": {"weights": torch.zeros(3)}, "tensor": torch.zeros(3)}
    if content in others:
        torch.save(others[content], path)
    else:
        path.write_bytes(data[content])
    told = "holds no reward" if content in others else "is not a saved reward, or is damaged"
    with pytest.raises(ValueError, match=f"reward.pt {told}"):
        load_reward(path)


# What is refused


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"gradient_penalties": 1.0}, "'gradient_penalty'"),
        ({"form": "airl"}, "positive, negative, logit"),
        ({"setting": "papers"}, "'paper'"),
        ({"activation": "gelu"}, "'tanh' or 'relu'"),
        ({"absorbing": "false"}, "absorbing is 'false': give True or False"),
        ({"state_only": 1}, "state_only is 1: give True or False"),
    ],
)
def test_unknown_choices_name_the_known(kwargs, words):
    with pytest.raises(ValueError, match=words):
        gail(**kwargs)


def test_bad_data_is_refused():
    model, good = gail(), batch(8)
    with pytest.raises(ValueError, match=r"obs has shape \(8, 2\), GAIL takes \(B, 3\)"):
        model.update(good._replace(obs=good.obs[:, :2]))
    with pytest.raises(ValueError, match=r"action has shape \(8, 3\)"):
        model.reward(good._replace(action=good.obs))
    broken = good.obs.clone()
    broken[3, 1] = float("inf")
    with pytest.raises(ValueError, match="obs is of type ndarray: Transitions are of tensors"):
        model.reward(good._replace(obs=good.obs.numpy()))
    with pytest.raises(ValueError, match="obs holds NaN or infinity"):
        model.update(good._replace(obs=broken))
    with pytest.raises(ValueError, match="next_obs holds NaN"):
        GAIL(good._replace(next_obs=broken * float("nan")))
    with pytest.raises(ValueError, match="state_only=True"):
        GAIL(good._replace(action=torch.zeros(8, 0)))
    with pytest.raises(ValueError, match=r"obs has shape \(0, 3\)"):
        GAIL(batch(0))
    large = good._replace(obs=torch.full((8, 3), 3e38))  # finite, though their sum is not
    assert model.reward(large).isfinite().all()


# In SB3


def pendulum() -> gym.Env:
    return RescaleAction(gym.make("InvertedPendulum-v5"), -1, 1)  # type: ignore[arg-type]


def demonstrations(n: int = 300) -> Transitions:
    """A linear controller that keeps the pole up."""
    env, rows = pendulum(), []
    obs, _ = env.reset(seed=0)
    for _ in range(n):
        action = np.clip(obs @ np.array([0.3, 3.0, 0.4, 0.6]), -1, 1).astype(np.float32)[None]
        next_obs, _, terminated, truncated, _ = env.step(action)
        rows.append((obs, action, next_obs, float(terminated)))
        obs = env.reset()[0] if terminated or truncated else next_obs
    env.close()
    return Transitions(*(torch.as_tensor(np.array(p), dtype=torch.float32) for p in zip(*rows, strict=True)))


def train(make, reward, steps: int) -> tuple[torch.Tensor, dict]:
    venv = TransitionRecorder(DummyVecEnv([pendulum] * 2))
    venv.seed(1)
    model = make("MlpPolicy", VecNormalize(venv, norm_reward=False), seed=1, device="cpu", verbose=0)
    learner = LearnReward(reward, env_weight=0.0, refit_every=200)
    model.learn(steps, callback=learner)
    venv.close()
    parameters = torch.cat([p.detach().flatten() for p in model.policy.parameters()])
    return parameters, learner.state_dict()


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_gail_drives_sb3_and_the_seed_decides(algo):
    make, steps = {
        "ppo": (partial(PPO, n_steps=256, batch_size=256, n_epochs=1), 1024),
        "sac": (partial(SAC, learning_starts=100, policy_kwargs={"net_arch": [16]}, batch_size=32), 500),
    }[algo]
    expert = demonstrations()
    kwargs = {"absorbing": True, "form": "logit", "pool_size": 2000 if algo == "sac" else 0}

    def run(seed: int) -> tuple[torch.Tensor, dict]:
        reward = GAIL(expert, seed=seed, hidden=(32,), updates_per_transition=0.02, **kwargs)
        return train(make, reward, steps)

    (first, state), (second, again), (other, _) = run(0), run(0), run(1)
    assert torch.equal(first, second) and same(state, again)
    assert not torch.equal(first, other) and first.isfinite().all()
    reward = state["reward"]
    assert reward["policy_ends"] > 5 and reward["absorbing_logit"] < -1


def test_a_loaded_reward_trains_a_fresh_policy(tmp_path):
    reward = GAIL(demonstrations(), updates_per_transition=0.02)
    make = partial(PPO, n_steps=256, batch_size=256, n_epochs=1)
    train(make, reward, 1024)
    save_reward(tmp_path / "reward.pt", reward)
    loaded = load_reward(tmp_path / "reward.pt")
    before = state_of(loaded)
    fresh, _ = train(make, loaded, 512)
    assert same(before, state_of(loaded))
    save_reward(tmp_path / "untrained.pt", GAIL(demonstrations()))
    other, _ = train(make, load_reward(tmp_path / "untrained.pt"), 512)
    assert not torch.equal(fresh, other)  # all but the reward is the same
