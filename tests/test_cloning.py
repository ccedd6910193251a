"""Behaviour cloning onto SB3's policies."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import RescaleAction
from sb3_contrib import TQC, TRPO, CrossQ
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlgen.cloning import check, clone, cloning_loss

ON_POLICY = {"ppo": PPO, "a2c": A2C, "trpo": TRPO}
OFF_POLICY = {"sac": SAC, "tqc": TQC, "crossq": CrossQ, "td3": TD3, "ddpg": DDPG}
GAIN = np.array([0.5, -1.0, 0.3])


def pendulum(unit: bool = True) -> gym.Env:
    env = gym.make("Pendulum-v1")
    return RescaleAction(env, -1, 1) if unit else env  # type: ignore[arg-type]


def build(algorithm, normalize: bool = False, unit: bool = True, **kwargs):
    venv = DummyVecEnv([partial(pendulum, unit)])
    if normalize:
        venv = VecNormalize(venv, norm_reward=False)
        venv.obs_rms.mean, venv.obs_rms.var = np.array([0.2, 0.0, 1.0]), np.array([0.5, 0.5, 9.0])  # type: ignore
    kwargs = {"policy_kwargs": {"net_arch": [32]}} | kwargs
    if algorithm in OFF_POLICY.values():
        kwargs["buffer_size"] = 10
    return algorithm("MlpPolicy", venv, seed=0, device="cpu", **kwargs)


def demonstrations(n: int = 800) -> tuple[np.ndarray, np.ndarray]:
    """A clipped linear controller, at states along its own episodes."""
    env, rows = pendulum(), []
    obs, _ = env.reset(seed=0)
    for _ in range(n):
        action = np.tanh(obs @ GAIN)[None].astype(np.float32)
        rows.append((obs, action))
        obs, _, terminated, truncated, _ = env.step(action)
        obs = env.reset()[0] if terminated or truncated else obs
    obs, actions = (np.array(part, dtype=np.float32) for part in zip(*rows, strict=True))
    return obs, actions


OBS, ACTIONS = demonstrations()
FRESH = np.random.default_rng(1).permutation(OBS)[:100] + np.float32(0.01)


def acts(model, obs: np.ndarray) -> np.ndarray:
    """Deterministic actions as the user gets them, from raw observations."""
    normalize = model.get_vec_normalize_env()
    return model.predict(obs if normalize is None else normalize.normalize_obs(obs), deterministic=True)[0]


def snapshot(model) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.policy.state_dict().items()}


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("algo", ["ppo", "sac", "td3"])
def test_the_clone_acts_like_the_expert(algo, normalize):
    model = build((ON_POLICY | OFF_POLICY)[algo], normalize=normalize)
    metrics = clone(model, OBS, ACTIONS, epochs=60, batch_size=64)
    spread = ACTIONS.var()
    assert metrics["held_out_loss"] < 0.05 * spread and metrics["loss"] < 0.05 * spread
    error = np.square(acts(model, FRESH) - np.tanh(FRESH @ GAIN)[:, None]).mean()
    assert error < 0.1 * spread
    assert metrics["n_updates"] == 60 * 12  # 720 rows in twelve minibatches


@pytest.mark.parametrize("algo", ON_POLICY | OFF_POLICY)
def test_only_the_actor_learns_and_no_optimiser_of_the_model(algo):
    model = build((ON_POLICY | OFF_POLICY)[algo])
    before = snapshot(model)
    first = clone(model, OBS, ACTIONS, epochs=1)
    metrics = clone(model, OBS, ACTIONS, epochs=3)
    assert metrics["held_out_loss"] <= first["held_out_loss"] < np.inf
    changed = {name for name, value in snapshot(model).items() if not torch.equal(value, before[name])}
    assert changed
    allowed = (
        ("actor.", "actor_target.") if algo in OFF_POLICY else ("mlp_extractor.policy_net", "action_net")
    )
    assert all(name.startswith(allowed) and "log_std" not in name for name in changed)
    if algo in ("td3", "ddpg"):
        pairs = zip(model.actor.parameters(), model.actor_target.parameters(), strict=True)
        assert all(torch.equal(ours, target) for ours, target in pairs)
    part = model.policy if algo in ON_POLICY else model.actor
    assert not part.optimizer.state_dict()["state"]
    assert all(p.grad is None for p in model.policy.parameters())


def test_a_last_minibatch_of_one_row_spoils_no_batch_normalisation():
    """257 rows to train on: of a single one CrossQ's layers would take a deviation that is NaN."""
    model = build(CrossQ)
    metrics = clone(model, OBS[:285], ACTIONS[:285], epochs=3)
    assert metrics["epoch"] > 0 and metrics["n_updates"] == 3
    assert all(value.isfinite().all() for value in snapshot(model).values())


@pytest.mark.parametrize("algo", [PPO, SAC])
def test_the_seed_decides_and_global_generators_are_left_alone(algo):
    def run(seed: int) -> dict[str, torch.Tensor]:
        model = build(algo)
        torch_before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]
        clone(model, OBS, ACTIONS, epochs=2, seed=seed)
        assert torch.equal(torch.get_rng_state(), torch_before)
        after = np.random.get_state(legacy=False)["state"]
        assert after["pos"] == numpy_before["pos"] and (after["key"] == numpy_before["key"]).all()
        return snapshot(model)

    first, second, other = run(0), run(0), run(1)
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())


def test_the_best_parameters_on_held_out_rows_are_kept():
    """With few and noisy actions, more epochs overfit: the parameters kept are of an early one."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (60, 1)).astype(np.float32)
    cloned = partial(clone, obs=OBS[:60], actions=ACTIONS[:60] + noise, learning_rate=0.01)
    long, short = build(PPO), build(PPO)
    metrics = cloned(long, epochs=200)
    assert 0 < metrics["epoch"] < 150
    again = cloned(short, epochs=int(metrics["epoch"]))
    assert again["held_out_loss"] == metrics["held_out_loss"] and again["loss"] == metrics["loss"]
    assert all(torch.equal(value, snapshot(short)[name]) for name, value in snapshot(long).items())


def test_a_mean_outside_the_bounds_comes_back():
    model = build(PPO)
    with torch.no_grad():
        model.policy.action_net.bias.fill_(3.0)  # type: ignore[operator]
    clone(model, OBS, np.full_like(ACTIONS, -1.0), epochs=200, learning_rate=0.01)
    mean = model.policy.get_distribution(torch.from_numpy(FRESH)).mode()
    torch.testing.assert_close(mean, torch.full_like(mean, -1.0), atol=0.05, rtol=0)


@pytest.mark.parametrize("algo", [PPO, SAC])
def test_actions_of_other_bounds_are_those_of_the_environment(algo):
    """Pendulum's own actions lie in [-2, 2]; demonstrations lie in [-1, 1] all the same."""
    model = build(algo, unit=False)
    clone(model, OBS, ACTIONS, epochs=60, batch_size=64)
    error = np.square(acts(model, FRESH) / 2 - np.tanh(FRESH @ GAIN)[:, None]).mean()
    assert error < 0.1 * ACTIONS.var()


@pytest.mark.parametrize("one_hot", [True, False])
def test_discrete_actions(one_hot):
    model = PPO("MlpPolicy", gym.make("CartPole-v1"), seed=0, device="cpu")
    obs = np.random.default_rng(0).normal(size=(600, 4)).astype(np.float32)
    index = (obs @ np.array([0.1, 0.5, 2.0, 1.0]) > 0).astype(np.int64)
    metrics = clone(model, obs, np.eye(2, dtype=np.float32)[index] if one_hot else index, epochs=60)
    assert metrics["held_out_loss"] < 0.15
    assert (model.predict(obs, deterministic=True)[0] == index).mean() > 0.97
    env, total = gym.make("CartPole-v1"), 0
    state, _ = env.reset(seed=3)
    for _ in range(200):
        state, _, terminated, _, _ = env.step(int(model.predict(state, deterministic=True)[0]))
        total += 1
        if terminated:
            break
    assert total == 200


def test_losses_are_those_of_their_names():
    output = torch.tensor([[0.0, 2.0], [1.0, 1.0]])
    assert cloning_loss(output, torch.tensor([[0.0, 0.0], [1.0, 3.0]])).item() == 2.0
    entropy = cloning_loss(output, torch.tensor([1, 0])).item()
    assert entropy == pytest.approx((np.log1p(np.exp(-2)) + np.log(2)) / 2)


def test_what_cannot_be_cloned_is_refused():
    with pytest.raises(ValueError, match=r"DQN has no actor.*PPO"):
        clone(DQN("MlpPolicy", gym.make("CartPole-v1"), buffer_size=10), OBS, ACTIONS, epochs=1)
    model = build(PPO)
    with pytest.raises(ValueError, match=r"\(800, 2\).*shape \(3,\)"):
        clone(model, OBS[:, :2], ACTIONS, epochs=1)
    with pytest.raises(ValueError, match=r"\(800, 3\).*shape \(1,\)"):
        clone(model, OBS, OBS, epochs=1)
    with pytest.raises(ValueError, match="800 observations and 10 actions"):
        clone(model, OBS, ACTIONS[:10], epochs=1)
    for refuse in (partial(clone, epochs=1), check):
        with pytest.raises(ValueError, match="1 transition to clone: give at least 2"):
            refuse(model, OBS[:1], ACTIONS[:1])
    before = snapshot(model)
    check(model, OBS, ACTIONS)
    assert all(torch.equal(value, before[name]) for name, value in snapshot(model).items())
    with pytest.raises(ValueError, match="epochs is 0"):
        clone(model, OBS, ACTIONS, epochs=0)
    with pytest.raises(ValueError, match="finite"):
        clone(model, np.where(OBS > 0.9, np.nan, OBS), ACTIONS, epochs=1)
    discrete = PPO("MlpPolicy", gym.make("CartPole-v1"), device="cpu")
    with pytest.raises(ValueError, match=r"do not fit Discrete\(2\)"):
        clone(discrete, np.zeros((4, 4)), np.array([0, 1, 2, 0]), epochs=1)
