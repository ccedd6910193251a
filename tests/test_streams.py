"""The bonus's own advantage stream: GAE against sums by hand, what ends a return, the rule of the sum."""

import io

import numpy as np
import torch

from rlgen.streams import Rollout, SeparateValue, gae


def rollout(steps=6, envs=2, terminated=(), done=(), seed=0):
    """T N rows of 3 features; `terminated` and `done` list (t, n)."""
    rng = np.random.default_rng(seed)

    def rows():
        return torch.from_numpy(rng.normal(size=(steps * envs, 3)).astype(np.float32))

    ends, dones = np.zeros((steps, envs), dtype=bool), np.zeros((steps, envs), dtype=bool)
    for place in terminated:
        ends[place] = dones[place] = True
    for place in done:
        dones[place] = True
    return Rollout(rows(), rows(), rows(), ends, dones)


def test_gae_is_the_sum_of_discounted_deltas():
    rng = np.random.default_rng(0)
    rewards, values, following = rng.normal(size=(3, 5, 2))
    continues = np.ones((5, 2))
    continues[2, 0] = 0
    result = gae(rewards, values, following, continues, 0.9, 0.8)
    deltas = rewards + 0.9 * following - values
    expected = deltas[0, 1] + sum(0.72**k * deltas[k, 1] for k in range(1, 5))
    assert np.isclose(result[0, 1], expected)
    assert np.isclose(result[0, 0], deltas[0, 0] + 0.72 * deltas[1, 0] + 0.72**2 * deltas[2, 0])  # cut there


def test_an_end_costs_the_bonus_to_come_only_if_episodic():
    """With lambda = 1, what comes after an end reaches the steps before it only if not episodic."""
    data = rollout(terminated=[(2, 0)])
    for episodic in (True, False):
        first, second = np.ones((6, 2), dtype=np.float32), np.ones((6, 2), dtype=np.float32)
        second[4, 0] += 10.0  # after the end
        streams = SeparateValue(3, episodic=episodic), SeparateValue(3, episodic=episodic)
        one, two = (s.advantages(data, b, 0.9, 1.0) for s, b in zip(streams, (first, second), strict=True))
        assert (one[0, 0] == two[0, 0]) == episodic
        assert one[0, 1] == two[0, 1]


def test_a_time_limit_is_bootstrapped_and_a_true_end_is_not():
    ended, cut = rollout(terminated=[(5, 0)]), rollout(done=[(5, 0)])
    values = []
    for data in (ended, cut):
        stream = SeparateValue(3)
        torch.nn.init.ones_(list(stream.net.parameters())[-1])  # the last bias: V = 1 everywhere
        values.append(stream.advantages(data, np.zeros((6, 2), dtype=np.float32), 0.9, 0.95)[5])
    assert np.allclose(values[0], [-1.0, -0.1], atol=1e-6)
    assert np.allclose(values[1], [-0.1, -0.1], atol=1e-6)


def test_the_value_network_learns_the_returns():
    stream = SeparateValue(3, learning_rate=3e-3)
    data = rollout(steps=200)
    bonus = data.obs[:, 0].numpy().reshape(200, 2) ** 2
    ends = data._replace(terminated=np.ones((200, 2), bool), done=np.ones((200, 2), bool))
    errors = [float((stream.advantages(ends, bonus, 0.9, 0.9) ** 2).mean()) for _ in range(100)]
    assert errors[-1] < 0.1 * errors[0]


NOISE = np.array([[1.0, -1.0], [1.0, -1.0]], np.float32)
PAID, UNPAID = np.eye(2), np.zeros((2, 2))


def test_while_the_environment_pays_nothing_its_critics_noise_is_left_out():
    stream, bonus = SeparateValue(3, memory=2), np.array([[1.0, 2.0], [3.0, 4.0]])
    total, metrics = stream.combine(7 * NOISE, bonus, UNPAID, eta=0.3)
    assert np.array_equal(total, bonus) and metrics["advantage_share"] == 1.0
    total, metrics = stream.combine(7 * NOISE, bonus, PAID, eta=0.3)
    assert np.allclose(total - 7 * NOISE, 0.3 * 7.0 / bonus.std() * bonus, rtol=1e-5)
    assert np.isclose(metrics["advantage_share"], 0.3 / 1.3)
    assert stream.combine(7 * NOISE, bonus, UNPAID, eta=0.3)[1]["advantage_share"] < 0.5  # a pause
    assert np.array_equal(stream.combine(7 * NOISE, bonus, UNPAID, eta=0.3)[0], bonus)  # lost again


def test_the_environments_size_is_that_of_the_last_rollouts():
    stream = SeparateValue(3, memory=2, peak_decay=1.0)
    for size in (100.0, 2.0):
        stream.combine(size * NOISE, NOISE, PAID, eta=0.5)
    total, _ = stream.combine(4 * NOISE, NOISE, PAID, eta=0.5)
    assert np.allclose(total, (4 + 0.5 * 3) * NOISE, rtol=1e-5)


def test_a_fading_bonus_fades_in_the_sum():
    stream = SeparateValue(3)
    stream.combine(NOISE, NOISE, PAID, eta=0.3)
    total, _ = stream.combine(NOISE, 0.1 * NOISE, PAID, eta=0.3)
    assert np.allclose(total, NOISE * (1 + 0.3 * 0.1 / 0.99), rtol=1e-5)


def test_a_bonus_keeps_fading_in_a_long_run():
    """One over the root of the steps falls by less than 1 % a rollout from the fiftieth on."""
    stream = SeparateValue(3)
    shares = [
        stream.combine(NOISE, NOISE / np.sqrt(k), PAID, eta=0.3)[1]["advantage_share"] for k in range(1, 1001)
    ]
    assert np.all(np.diff(shares[122:]) < 0)
    assert shares[999] < 0.55 * shares[249] < 0.2 * shares[0]


def test_no_weight_or_no_bonus_leaves_the_advantages_as_they_are():
    stream, env = SeparateValue(3), np.array([[1.0, -1.0]])
    assert stream.combine(env, 5 * env, np.ones((1, 2)), eta=0.0)[0] is env
    assert stream.combine(env, 0 * env, np.ones((1, 2)), eta=0.3)[0] is env


def test_a_restored_stream_goes_on_to_the_bit():
    data, bonus = rollout(steps=50), np.random.default_rng(1).normal(size=(50, 2)).astype(np.float32)
    stream = SeparateValue(3, seed=4)
    stream.advantages(data, bonus, 0.9, 0.9)
    file = io.BytesIO()
    torch.save(stream.state_dict(), file)
    file.seek(0)
    again = SeparateValue(3, seed=5)
    again.load_state_dict(torch.load(file, weights_only=True))
    global_state = torch.get_rng_state()
    for _ in range(2):
        first, second = (s.advantages(data, bonus, 0.9, 0.9) for s in (stream, again))
        assert np.array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), global_state)
