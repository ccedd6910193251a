"""The learned reward inside SB3: parity with plain SB3 to the bit, and what reaches the reward."""

import io
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.wrappers import FlattenObservation
from sb3_contrib import TQC, TRPO, CrossQ, RecurrentPPO
from stable_baselines3 import A2C, DDPG, DQN, PPO, SAC, TD3
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecMonitor, VecNormalize

from rlgen import gail, train_vime
from rlgen.buffers import RelabelRolloutBuffer, find_buffer
from rlgen.recorder import TransitionRecorder, encode_actions
from rlgen.relabel import STREAMS, LearnReward
from rlgen.rewards import VIME, LearnedReward
from rlgen.rewards.discriminator import FORMS

ON_POLICY = {
    "ppo": partial(PPO, n_steps=32, batch_size=32, n_epochs=2),
    "a2c": partial(A2C, n_steps=8),
    "trpo": partial(TRPO, n_steps=32, batch_size=32),
}
OFF_POLICY = {
    "sac": partial(SAC, learning_starts=20, batch_size=16),
    "td3": partial(TD3, learning_starts=20, batch_size=16),
    "ddpg": partial(DDPG, learning_starts=20, batch_size=16),
    "tqc": partial(TQC, learning_starts=20, batch_size=16),
    "crossq": partial(CrossQ, learning_starts=20, batch_size=16),
}


def small():
    """A fresh one each time: SB3 writes into policy_kwargs."""
    return {"policy_kwargs": {"net_arch": [16]}, "seed": 3, "device": "cpu", "verbose": 0}


class Walk(gym.Env):
    """A noisy walk on a plane: ends beyond 4, truncated after `limit` steps, pays `pay` or -|x|."""

    observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float64)

    def __init__(self, discrete=False, pay=None, limit=15, bound: Any = 0.4):
        high = np.broadcast_to(np.float32(bound), 2)
        self.action_space = spaces.Discrete(3) if discrete else spaces.Box(-high, high, (2,), np.float32)
        self.discrete, self.pay, self.limit = discrete, pay, limit

    def _obs(self):
        return np.array([*self.place, self.age], dtype=np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.age = self.np_random.normal(size=2), 0
        return self._obs(), {}

    def step(self, action):
        move = np.array([action - 1.0, 0.5]) if self.discrete else np.asarray(action, dtype=np.float64)
        self.place = self.place + move + self.np_random.normal(scale=0.5, size=2)
        self.age += 1
        reward = -float(np.abs(self.place).sum()) if self.pay is None else self.pay
        return self._obs(), reward, bool(np.abs(self.place).max() > 4), self.age >= self.limit, {}


class Constant(LearnedReward):
    """The same number for every transition; counts what it is refitted on."""

    def __init__(self, value):
        super().__init__()
        self.value, self.batches = value, []

    def reward(self, batch):
        return torch.full_like(batch.terminated, self.value)

    def update(self, batch):
        self.batches.append(batch)
        return {"rows": float(len(batch.obs))}


class Place(Constant):
    """Pays where the transition leads."""

    def reward(self, batch):
        return batch.next_obs[:, 0]


class Column(Constant):
    """Of a shape that would be broadcast."""

    def reward(self, batch):
        return batch.next_obs[:, :1]


def make_venv(n_envs=2, normalize=None, **kwargs):
    venv = TransitionRecorder(DummyVecEnv([partial(Walk, **kwargs)] * n_envs))
    venv.seed(5)
    return venv if normalize is None else VecNormalize(venv, norm_reward=normalize == "reward")


def train(make, learner=None, steps=128, **kwargs):
    model = make("MlpPolicy", make_venv(**kwargs), **small())
    model.learn(steps, callback=learner)
    return model


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.policy.state_dict().values()])


def vime(seed=0, actions=2, **kwargs):
    kwargs = {"min_data": 20, "hidden": (8,), "updates_per_transition": 0.1, "batch_size": 16} | kwargs
    return VIME(3, actions, seed=seed, **kwargs)


@pytest.mark.parametrize("normalize", [None, "obs", "reward"])
@pytest.mark.parametrize("stream", STREAMS[1:])
@pytest.mark.parametrize("algo", ON_POLICY)
def test_a_zero_bonus_is_plain_sb3_on_policy(algo, stream, normalize):
    """With a bonus of weight 0, its model refitted all the while, nothing but SB3's own numbers remain."""
    bonus = vime()
    learner = LearnReward(bonus, eta=0.0, stream=stream, refit_every=20)
    ours = train(ON_POLICY[algo], learner, normalize=normalize)
    plain = train(ON_POLICY[algo], normalize=normalize)
    assert bonus.updates > 0
    assert torch.equal(weights(ours), weights(plain))
    assert stream == "one" or (learner.value and learner.value.episodic == (stream == "separate"))


@pytest.mark.parametrize("normalize", [None, "obs", "reward"])
@pytest.mark.parametrize("algo", OFF_POLICY)
def test_a_zero_bonus_is_plain_sb3_off_policy(algo, normalize):
    bonus = vime()
    learner = LearnReward(bonus, eta=0.0, refit_every=20)
    ours = train(OFF_POLICY[algo], learner, steps=80, normalize=normalize)
    plain = train(OFF_POLICY[algo], steps=80, normalize=normalize)
    assert bonus.updates > 0
    assert torch.equal(weights(ours), weights(plain))


@pytest.mark.parametrize("algo", ON_POLICY | OFF_POLICY)
def test_replacing_a_constant_by_the_same_constant_is_plain_sb3(algo):
    """The time-limit bootstrap survives the replacement: episodes here are truncated as well as ended."""
    make = (ON_POLICY | OFF_POLICY)[algo]
    learner = LearnReward(Constant(0.3), env_weight=0.0)
    ours = train(make, learner, steps=96, pay=0.3)
    assert torch.equal(weights(ours), weights(train(make, steps=96, pay=0.3)))
    assert not torch.equal(weights(ours), weights(train(make, steps=96, pay=0.0)))


@pytest.mark.parametrize("normalize", [None, "reward"])
@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_both_rewards_have_their_weights(algo, normalize):
    """Half of 0.4 and 0.25 of another 0.4, in one stream, are 0.3 in all.

    With normalised rewards the weight follows the mean of those that were paid.
    """
    make = (ON_POLICY | OFF_POLICY)[algo]
    seen = []

    class Spy(LearnReward):
        def relabel_rollout(self, buffer):
            paid = buffer.rewards.copy()
            super().relabel_rollout(buffer)
            seen.append((paid, self.weight(), buffer.rewards.copy()))

        def relabel_samples(self, raw, env_rewards):
            total = super().relabel_samples(raw, env_rewards)
            seen.append((env_rewards.numpy(), self.weight(), total.numpy()))
            return total

    learner = Spy(Constant(0.4), env_weight=0.5, eta=0.25 / 0.4, stream="one")
    # Without time limits: on-policy SB3 puts the value of what one cut off into the rewards of a rollout.
    ours = train(make, learner, steps=96, pay=0.4, normalize=normalize, limit=1000)
    assert all(np.allclose(total, 0.5 * paid + weight * 0.4, rtol=1e-5) for paid, weight, total in seen)
    assert np.allclose(seen[-1][0], 0.4) == (normalize is None)
    if normalize is None:
        assert np.allclose(seen[-1][2], 0.3)
        assert torch.allclose(weights(ours), weights(train(make, steps=96, pay=0.3, limit=1000)), atol=1e-5)


@pytest.mark.parametrize("normalize", [None, "obs", "reward"])
@pytest.mark.parametrize("algo", ["ppo", "a2c", "trpo", "dqn"])
def test_discrete_actions(algo, normalize):
    """Rewards see one-hot actions, and a zero bonus changes nothing."""
    make = (ON_POLICY | {"dqn": partial(DQN, learning_starts=20, batch_size=16)})[algo]
    bonus = vime(actions=3)
    ours = train(make, LearnReward(bonus, eta=0.0, refit_every=20), discrete=True, normalize=normalize)
    assert torch.equal(weights(ours), weights(train(make, discrete=True, normalize=normalize)))
    _, action, _, _ = bonus.pool.all()
    assert torch.equal(action.sum(1), torch.ones(len(action))) and action.sum(0).min() > 0


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_bonus_changes_the_policy_and_the_same_seed_repeats_it(algo):
    def run(seed):
        return train((ON_POLICY | OFF_POLICY)[algo], LearnReward(vime(seed), refit_every=20), steps=96)

    plain = train((ON_POLICY | OFF_POLICY)[algo], steps=96)
    assert torch.equal(weights(run(1)), weights(run(1)))
    assert not torch.equal(weights(run(1)), weights(run(2)))
    assert not torch.equal(weights(run(1)), weights(plain))


def test_the_rollout_reaches_the_reward_raw_and_with_true_successors():
    reward = Constant(0.0)
    train(ON_POLICY["ppo"], LearnReward(reward), normalize="obs", steps=64 * 20, limit=10)
    obs, action, next_obs, terminated = (torch.cat(parts) for parts in zip(*reward.batches, strict=True))
    assert torch.equal(next_obs[:, 2], obs[:, 2] + 1)  # the step count: raw, and never that of a reset
    assert action.abs().max() == 1.0  # actions beyond the limits arrive clipped, and scaled from 0.4 to 1
    ended = next_obs[:, :2].abs().max(1).values > 4
    assert torch.equal(terminated == 1, ended) and ended.any()
    assert (next_obs[:, 2] == 10).any() and not terminated[(next_obs[:, 2] == 10) & ~ended].any()
    moved = next_obs[:, :2] - obs[:, :2] - 0.4 * action
    assert abs(moved.std() - 0.5) < 0.03  # what is left is the noise: action and successor belong together


def test_a_bonus_is_credited_to_the_steps_before_it():
    """Returns in the buffer are those of the relabelled rewards: the bonus enters before GAE."""
    model = PPO("MlpPolicy", make_venv(pay=0.0), n_steps=32, batch_size=32, gae_lambda=1.0, **small())
    seen = {}

    class Spy(LearnReward):
        def _on_rollout_end(self):
            buffer = self.locals["rollout_buffer"]
            seen.update(rewards=buffer.rewards.copy(), returns=buffer.returns.copy(), batch=self._batch)
            seen.update(starts=buffer.episode_starts.copy(), last=buffer)
            super()._on_rollout_end()

    model.learn(64, callback=Spy(Place(0.0), eta=1.0, stream="one"))
    bonus = seen["batch"].next_obs[:, 0].numpy().reshape(32, 2)
    plain = ~np.vstack([seen["starts"][1:], np.ones((1, 2))]).astype(bool)  # no episode ends here
    assert np.allclose(seen["rewards"][plain], bonus[plain], atol=1e-6)
    expected = seen["rewards"][:-1] + model.gamma * seen["returns"][1:]
    assert np.allclose(seen["returns"][:-1][plain[:-1]], expected[plain[:-1]], atol=1e-4)


def test_the_replay_buffer_keeps_the_environments_reward_and_samples_the_newest_bonus():
    reward = Place(0.0)
    learner = LearnReward(reward, env_weight=0.0)
    model = train(OFF_POLICY["sac"], learner, steps=60)
    buffer = model.replay_buffer
    assert (buffer.rewards[: buffer.pos] <= 0).all()
    assert torch.equal(buffer.sample(8).rewards.sign().clamp_min(0), torch.zeros(8, 1))  # plain after learn()
    buffer.learner = learner
    sample = buffer.sample(8)
    assert torch.equal(sample.rewards[:, 0], sample.next_observations[:, 0].float())


def test_an_absorbing_state_is_paid_for_ever_at_a_true_end():
    class Absorbing(Constant):
        def absorbing_reward(self):
            return 0.25

    rewards = {}

    class Spy(LearnReward):
        def _on_rollout_end(self):
            rewards["on"] = (find_buffer(self.model).rewards.flatten(), self._batch.terminated.numpy())
            super()._on_rollout_end()

    model = train(ON_POLICY["ppo"], Spy(Absorbing(0.0), env_weight=0.0), limit=1000)
    paid, ended = rewards["on"]
    assert ended.any() and np.allclose(paid, ended * 0.25 * model.gamma / (1 - model.gamma))

    learner = LearnReward(Absorbing(0.0), env_weight=0.0)
    model = train(OFF_POLICY["sac"], learner, steps=240, limit=1000)
    model.replay_buffer.learner = learner
    sample = model.replay_buffer.sample(200)
    assert sample.dones.any()
    assert torch.allclose(sample.rewards, sample.dones * 0.25 * model.gamma / (1 - model.gamma))


def test_short_rollouts_are_gathered_before_a_refit():
    reward = Constant(0.0)
    train(partial(A2C, n_steps=5), LearnReward(reward, refit_every=25), steps=100)
    assert [len(batch.obs) for batch in reward.batches] == [30, 30, 30]


@pytest.mark.parametrize(("n_steps", "memory", "decay"), [(2048, 5, 0.99), (8, 1280, 0.99 ** (1 / 256))])
def test_a_separate_stream_looks_back_on_transitions_not_on_rollouts(n_steps, memory, decay):
    learner = LearnReward(Constant(0.0))
    learner.install(A2C("MlpPolicy", make_venv(), n_steps=n_steps, **small()))
    assert learner.value is not None
    assert len(learner.value.env_stds) == memory and np.isclose(learner.value.peak_decay, decay)


def test_eta_is_relative_to_what_the_environment_pays():
    learner = LearnReward(Constant(1.0), eta=0.5, stream="one")
    assert learner.weight() == 0.5
    train(ON_POLICY["ppo"], learner, pay=4.0)
    assert learner.weight() == 2.0


def test_learning_goes_on_saved_and_loaded(tmp_path):
    model = PPO("MlpPolicy", make_venv(normalize="obs"), n_steps=32, batch_size=32, **small())
    learner = LearnReward(vime(), refit_every=20)
    model.learn(64, callback=learner)
    model.learn(64, callback=learner, reset_num_timesteps=False)
    assert model.num_timesteps == 128
    model.save(tmp_path / "model")
    loaded = PPO.load(tmp_path / "model", env=make_venv(normalize="obs"), device="cpu")
    assert torch.equal(weights(loaded), weights(model))
    loaded.learn(64)  # plain SB3 goes on without the learner
    assert type(model.rollout_buffer) is RelabelRolloutBuffer and model.rollout_buffer.learner is None


def test_the_learners_state_goes_through_weights_only():
    bonus = vime()
    learner = LearnReward(bonus, refit_every=40)
    model = train(ON_POLICY["a2c"], learner, steps=200)
    file = io.BytesIO()
    torch.save(learner.state_dict(), file)
    file.seek(0)
    again = LearnReward(vime(seed=9), refit_every=40)
    again.install(model)
    again.load_state_dict(torch.load(file, weights_only=True))
    first, second = learner.state_dict(), again.state_dict()
    assert first["paid"] == second["paid"] and len(first["pending"]) == len(second["pending"])
    batch = bonus.pool.all()
    assert torch.equal(again.reward.reward(batch), bonus.reward(batch))
    assert again.value is not None and learner.value is not None
    assert torch.equal(again.value.value(batch.obs), learner.value.value(batch.obs))


def test_a_state_may_be_loaded_before_the_model_is_there():
    learner = LearnReward(vime(), refit_every=40)
    train(ON_POLICY["a2c"], learner, steps=200)
    again = LearnReward(vime(seed=9), refit_every=40)
    again.load_state_dict(learner.state_dict())
    again.install(A2C("MlpPolicy", make_venv(), n_steps=8, **small()))
    assert again.value is not None and learner.value is not None
    assert again.value.rollouts == learner.value.rollouts > 0


def test_learning_goes_on_off_policy_whatever_happened_to_the_environment():
    """SB3's own observation is out of date then, for one step; the recorder's is not."""
    model = train(OFF_POLICY["sac"], learner := LearnReward(Place(0.0)), steps=64)
    evaluate_policy(model, model.get_env(), n_eval_episodes=2, warn=False)
    model.learn(64, learner, reset_num_timesteps=False)
    assert model.num_timesteps == 128


def test_another_callback_may_sample_first():
    class Look(BaseCallback):
        def _on_step(self):
            if self.num_timesteps > 4:
                seen.append(self.model.replay_buffer.sample(4).rewards)  # type: ignore[attr-defined]
            return True

    seen = []
    train(OFF_POLICY["sac"], [Look(), LearnReward(Constant(1.0), env_weight=0.0)], steps=16)
    assert seen and all(torch.equal(rewards, torch.ones(4, 1)) for rewards in seen)


def test_two_learners_in_one_learn_are_refused():
    first, second = LearnReward(Constant(1.0)), LearnReward(Constant(1.0))
    model = train(ON_POLICY["ppo"], first)
    with pytest.raises(ValueError, match="two LearnReward callbacks in one learn"):
        model.learn(64, callback=[first, second])
    model.learn(64, callback=second)  # one after another they may
    assert second._paid_count > 0


def test_sb3s_callbacks_work_beside_it_on_policy(tmp_path):
    model = PPO("MlpPolicy", make_venv(normalize="obs"), n_steps=32, batch_size=32, **small())
    evaluate = EvalCallback(make_venv(n_envs=1, normalize="obs"), eval_freq=20, verbose=0, warn=False)
    save = CheckpointCallback(40, str(tmp_path), save_vecnormalize=True)
    model.learn(128, callback=CallbackList([LearnReward(vime(), refit_every=20), evaluate, save]))
    assert evaluate.last_mean_reward < 0 and len(list(tmp_path.glob("*.zip"))) == 1
    again = PPO.load(next(tmp_path.glob("*.zip")), env=make_venv(normalize="obs"), device="cpu")
    again.learn(64, callback=LearnReward(vime()))


def test_sb3s_callbacks_work_beside_it(tmp_path):
    model = SAC("MlpPolicy", make_venv(normalize="obs"), learning_starts=20, **small())
    evaluate = EvalCallback(make_venv(n_envs=1, normalize="obs"), eval_freq=20, verbose=0, warn=False)
    save = CheckpointCallback(40, str(tmp_path), save_replay_buffer=True, save_vecnormalize=True)
    model.learn(120, callback=CallbackList([LearnReward(vime(), refit_every=20), evaluate, save]))
    assert evaluate.last_mean_reward < 0
    assert len(list(tmp_path.glob("*.zip"))) == 1 and len(list(tmp_path.glob("*replay*"))) == 1
    model.load_replay_buffer(next(tmp_path.glob("*replay*")))
    model.learn(20, callback=LearnReward(vime()))


@pytest.mark.parametrize("low", [-0.4, -3.0])
def test_box_actions_are_scaled(low):
    space = spaces.Box(low, 1.0, (2,), np.float64)
    assert np.allclose(
        encode_actions(np.array([[low, 1.0], [(low + 1) / 2, low]]), space), [[-1, 1], [0, -1]]
    )


class Picture(Walk):
    observation_space = spaces.Box(0, 255, (3, 8, 8), np.uint8)


class Several(Walk):
    observation_space = spaces.Dict({"a": spaces.Box(0, 1, (2,))})


def test_what_is_not_supported_is_refused_with_the_remedy():
    for env in (Picture, Several):
        with pytest.raises(ValueError, match="FlattenObservation"):
            TransitionRecorder(DummyVecEnv([env]))
    with pytest.raises(ValueError, match="unbounded"):
        TransitionRecorder(DummyVecEnv([partial(Walk, bound=np.inf)]))
    with pytest.raises(ValueError, match="TransitionRecorder"):
        PPO("MlpPolicy", DummyVecEnv([Walk]), n_steps=8, batch_size=8).learn(8, LearnReward(vime()))
    with pytest.raises(ValueError, match="n_steps=1"):
        train(partial(SAC, n_steps=3), LearnReward(vime()))
    with pytest.raises(ValueError, match="RecurrentPPO"):
        recurrent = partial(RecurrentPPO, n_steps=8, batch_size=8)
        recurrent("MlpLstmPolicy", make_venv(), device="cpu").learn(8, LearnReward(vime()))
    with pytest.raises(ValueError, match="one critic"):
        train(OFF_POLICY["sac"], LearnReward(vime(), stream="separate"))
    with pytest.raises(ValueError, match=r"takes \(B, 5\)"):
        train(ON_POLICY["ppo"], LearnReward(VIME(5, 2)))
    with pytest.raises(ValueError, match=r"Column.reward gives shape \(1, 1\) .*\(B,\)"):
        train(OFF_POLICY["sac"], LearnReward(Column(0.0)))
    with pytest.raises(ValueError, match="dimension 1 of the action space .* has one value"):
        TransitionRecorder(DummyVecEnv([partial(Walk, bound=np.array([0.4, 0.0], np.float32))]))
    with pytest.raises(ValueError, match="take stream 'one'"):
        train(partial(A2C, n_steps=1), LearnReward(vime(), stream="separate"), n_envs=1)
    with pytest.raises(ValueError, match="handle_timeout_termination=False: leave it out"):
        plain = {"replay_buffer_kwargs": {"handle_timeout_termination": False}}
        train(partial(SAC, **plain), LearnReward(vime()))
    for algorithm in (DQN, PPO):
        venv = TransitionRecorder(DummyVecEnv([lambda: FlattenObservation(gym.make("FrozenLake-v1"))]))
        with pytest.raises(ValueError, match="rounded to int64: .*DtypeObservation"):
            algorithm("MlpPolicy", VecNormalize(venv), device="cpu").learn(9, LearnReward(VIME(16, 4)))
    with pytest.raises(ValueError, match="eta is -1"):
        LearnReward(vime(), eta=-1.0)
    with pytest.raises(ValueError, match="one of auto"):
        LearnReward(vime(), stream="two")
    with pytest.raises(ValueError, match="env_weight is nan"):
        LearnReward(vime(), env_weight=float("nan"))
    with pytest.raises(ValueError, match="refit_every is 0"):
        LearnReward(vime(), refit_every=0)
    inside_out = TransitionRecorder(VecNormalize(DummyVecEnv([Walk])))
    with pytest.raises(ValueError, match="put VecNormalize round TransitionRecorder"):
        PPO("MlpPolicy", inside_out, n_steps=8, batch_size=8).learn(8, LearnReward(vime()))

    with pytest.raises(ValueError, match="optimize_memory_usage=True"):
        options = {
            "optimize_memory_usage": True,
            "replay_buffer_kwargs": {"handle_timeout_termination": False},
        }
        train(partial(SAC, **options), LearnReward(vime()))
    with pytest.raises(ValueError, match="stands round a VecEnv, not a Walk"):
        TransitionRecorder(Walk())  # type: ignore[arg-type]


class Stretch(VecEnvWrapper):
    """Observations and actions of the same sizes, in other units."""

    def __init__(self, venv, obs=1.0, actions=1.0):
        super().__init__(venv)
        self.obs, self.actions = obs, actions

    def reset(self):
        return self.obs * np.asarray(self.venv.reset())

    def step_async(self, actions):
        self.venv.step_async(self.actions * actions)

    def step_wait(self):
        obs, *rest = self.venv.step_wait()
        return self.obs * np.asarray(obs), *rest


@pytest.mark.parametrize(
    ("wrap", "changed"),
    [
        (partial(Stretch, obs=2.0), "observations"),
        (partial(Stretch, actions=0.5), "actions"),
        (lambda venv: VecNormalize(VecNormalize(venv, norm_reward=False), norm_obs=False), "observations"),
        (lambda venv: VecNormalize(VecMonitor(venv)), None),
    ],
)
def test_rewards_are_of_what_the_environment_got_and_gave(wrap, changed):
    """SAC stores what wrappers made of it, PPO's rewards are the recorder's."""
    reward = Place(0.0)
    ON_POLICY["ppo"]("MlpPolicy", wrap(make_venv()), **small()).learn(64, LearnReward(reward, refit_every=64))
    assert len(reward.batches) == 1
    model = OFF_POLICY["sac"]("MlpPolicy", wrap(make_venv()), **small())
    if changed is None:
        model.learn(64, LearnReward(Place(0.0)))
        return
    with pytest.raises(ValueError, match=f"round the TransitionRecorder changes {changed}, of which SAC"):
        model.learn(64, LearnReward(Place(0.0)))
    assert model.num_timesteps == 4  # at the second step; SB3's first observation may be out of date


@pytest.mark.parametrize("steps", [2, 4, 10])
@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_a_learner_that_misses_steps_is_refused(algo, steps):
    few = EveryNTimesteps(steps, LearnReward(Constant(1.0)))
    with pytest.raises(ValueError, match="has to see every step"):
        train((ON_POLICY | OFF_POLICY)[algo], few)


def test_one_learner_suits_one_model_after_another():
    learner = LearnReward(Constant(1.0))
    for make, stream in (
        (ON_POLICY["ppo"], "separate"),
        (OFF_POLICY["sac"], "one"),
        (ON_POLICY["a2c"], "separate"),
    ):
        train(make, learner, steps=64)
        assert learner.stream == stream
    assert learner.value is not None and len(learner.value.env_stds) == 1280  # A2C's, five times 4096 / 16
    rollouts = int(learner.value.rollouts)
    train(partial(A2C, n_steps=1), learner, steps=8, n_envs=1)
    assert learner.stream == "one" and learner.value.rollouts == rollouts


@pytest.mark.parametrize("algo", ["ppo", "sac"])
def test_after_a_learn_that_failed_sb3_is_plain(algo):
    class Fail(BaseCallback):
        def _on_step(self):
            if self.num_timesteps == 40:
                raise KeyboardInterrupt
            return True

    model = {**ON_POLICY, **OFF_POLICY}[algo]("MlpPolicy", make_venv(), **small())
    reward = Place(0.0)
    with pytest.raises(KeyboardInterrupt):
        model.learn(96, callback=[LearnReward(reward, env_weight=0.0), Fail()])
    model.learn(96)
    if algo == "sac":
        rewards = model.replay_buffer.sample(8).rewards
        assert (rewards <= 0).all()  # the environment's own
    else:  # but for the values that SB3 adds where the time limit cuts
        assert (model.rollout_buffer.rewards <= 0).mean() > 0.8


def test_the_share_of_the_learned_reward_is_logged_off_policy():
    model = OFF_POLICY["sac"]("MlpPolicy", make_venv(), **small())
    shares = []

    class Look(BaseCallback):
        def _on_step(self):
            shares.append(self.logger.name_to_value.get("reward/reward_share"))
            return True

    model.learn(60, callback=[LearnReward(Constant(1.0), eta=1.0), Look()])
    assert all(0.0 < part < 1.0 for part in shares if part is not None) and any(shares)


def test_action_noise_does_not_reach_the_reward_unclipped():
    noise = NormalActionNoise(np.zeros(2), np.ones(2))
    reward = Constant(0.0)
    train(
        partial(TD3, learning_starts=20, batch_size=16, action_noise=noise),
        LearnReward(reward, refit_every=20),
    )
    assert max(batch.action.abs().max() for batch in reward.batches) <= 1.0


def test_the_commands_know_every_stream_and_form():
    assert train_vime.STREAMS == STREAMS and tuple(FORMS) == gail.FORMS
