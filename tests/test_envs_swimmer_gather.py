"""SwimmerGather: its sensors worked by hand, what it pays for, where things lie."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from envs.swimmer_gather import readings
from tests.test_envs import make


def swimmer(objects: list[tuple[float, float]], n_apples: int, heading: float = 0.0) -> Any:
    """A straight swimmer at rest, centred on the origin, among these objects, apples first."""
    env = make("SwimmerGather").unwrapped
    env.reset(seed=0)
    env.objects, env.is_apple = np.array(objects), np.arange(len(objects)) < n_apples
    env.set_state(np.array([0, 0, heading, 0, 0]), np.zeros(5))
    return env


def rest(env: Any) -> tuple[np.ndarray, float, bool]:
    obs, reward, terminated, _, _ = env.step(np.zeros(2, np.float32))
    return obs, float(reward), terminated


def polar(distance: float, degrees: float) -> list[float]:
    return [distance * math.cos(math.radians(degrees)), distance * math.sin(math.radians(degrees))]


@pytest.mark.parametrize(
    ("distance", "degrees", "heading", "sector", "value"),
    [
        (3.0, 9.0, 0.0, 5, 0.5),  # sectors of 18 degrees, from -90; half of the range of 6 m
        (3.0, -9.0, 0.0, 4, 0.5),
        (1.5, -80.0, 0.0, 0, 0.75),  # on the right
        (4.5, 80.0, 0.0, 9, 0.25),  # on the left
        (3.0, -80.0 + 150, 150.0, 0, 0.5),  # turned by 150 degrees
        (3.0, 170.0, 190.0, 3, 0.5),  # 20 degrees to the right, across the cut of arctan2
        (3.0, 0.0, 720.0 + 9.0, 4, 0.5),  # two whole turns
        (3.0, 100.0, 0.0, None, 0.0),  # behind
        (3.0, 180.0, 0.0, None, 0.0),
        (6.1, 9.0, 0.0, None, 0.0),  # too far
    ],
)
def test_one_object(distance, degrees, heading, sector, value):
    expected = np.zeros(10)
    if sector is not None:
        expected[sector] = value
    got = readings(np.array([polar(distance, degrees)]), math.radians(heading))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_exactly_abeam_is_seen_on_both_sides():
    got = readings(np.array([[0.0, -3.0], [0.0, 1.5]]), 0.0)
    assert (got[0], got[9], got[1:9].any()) == (0.5, 0.75, False)


def test_nearest_wins_whatever_the_order():
    both = np.array([polar(3.0, 9.0), polar(1.5, 5.0)])
    assert readings(both, 0.0)[5] == readings(both[::-1], 0.0)[5] == pytest.approx(0.75)


def test_no_object_reads_zero():
    assert readings(np.zeros((0, 2)), 1.0).tolist() == [0.0] * 10


def test_observation_holds_body_centre_apples_bombs():
    env = swimmer([(3.0, 0.5), (-3.0, 0.0), (0.4, -2.0)], n_apples=2)
    obs, reward, terminated = rest(env)
    assert (reward, terminated) == (0, False)
    np.testing.assert_allclose(obs[:13], np.zeros(13), atol=1e-9)
    expected = np.zeros(20)
    expected[5] = 1 - math.hypot(3.0, 0.5) / 6
    expected[10 + 0] = 1 - math.hypot(0.4, 2.0) / 6  # -78.7 degrees
    np.testing.assert_allclose(obs[13:], expected, atol=1e-9)


def test_sensors_turn_with_the_body_and_measure_from_its_centre():
    env = swimmer([(3.0, 0.5)], n_apples=1, heading=math.pi / 2)
    env.set_state(np.array([1.0, 2.0, math.pi / 2, 0, 0]), np.zeros(5))
    obs = env._get_obs()
    offset = np.array([3.0, 0.5]) - obs[10:12]
    assert obs[10:13] == pytest.approx([1.0, 2.0, 0.0], abs=1e-9)
    assert obs[13:23].nonzero()[0].tolist() == []  # 126.9 degrees to the right: behind
    env.set_state(np.array([1.0, 2.0, 0.0, 0, 0]), np.zeros(5))
    assert env._get_obs()[13 + 2] == pytest.approx(1 - np.hypot(*offset) / 6)  # -36.9 degrees


@pytest.mark.parametrize(("distance", "pay"), [(0.95, 1), (-0.95, 1), (1.05, 0), (-1.05, 0)])
def test_catches_within_a_metre_of_the_centre_of_mass(distance, pay):
    """Three equal links of 1 m, the first 0.5 m ahead of the frame, the others bent back by 1.5 rad each."""
    back = [-np.array([math.cos(angle), math.sin(angle)]) for angle in (1.5, 3.0)]
    middles = [[1.0, 0.0], [0.5, 0.0] + back[0] / 2, [0.5, 0.0] + back[0] + back[1] / 2]
    centre = np.mean(middles, 0)  # (2,)
    assert np.hypot(*centre) > 0.5
    env = swimmer([tuple(centre * (1 + distance / np.hypot(*centre))), (5.0, 5.0)], n_apples=1)
    env.set_state(np.array([0, 0, 0, 1.5, 1.5]), np.zeros(5))
    assert env._get_obs()[10:12] == pytest.approx(centre)
    assert rest(env)[1] == pay


@pytest.mark.parametrize(("n_apples", "pay"), [(1, 1), (0, -1)])
def test_pays_for_an_apple_and_charges_for_a_bomb_once(n_apples, pay):
    env = swimmer([(0.9, 0.0), (5.0, 5.0)], n_apples)
    _, reward, terminated = rest(env)
    assert (reward, terminated) == (pay, False)
    assert env.objects.tolist() == [[5.0, 5.0]] and env.is_apple.tolist() == [False]
    assert rest(env)[1] == 0


def test_catches_no_further_than_a_metre_and_both_kinds_cancel():
    assert rest(swimmer([(1.1, 0.0)], 1))[1:] == (0, False)
    assert rest(swimmer([(0.5, 0.0), (0.0, 0.5)], 1))[1:] == (0, True)


def test_centre_is_that_of_the_state_just_reached():
    env = swimmer([(5.0, 5.0)], n_apples=1)
    for _ in range(5):
        obs = env.step(np.array([1.0, -1.0], np.float32))[0]
    env.set_state(obs[:5], obs[5:10])  # computes all that follows from a state
    np.testing.assert_allclose(obs[10:13], env.data.subtree_com[1], atol=1e-12)


def test_ends_with_the_last_object_and_starts_anew():
    env = swimmer([(0.5, 0.0)], 1)
    assert rest(env)[1:] == (1, True)
    env.reset(seed=1)
    assert len(env.objects) == 16 and env.is_apple.sum() == 8


def test_objects_lie_on_distinct_even_points_off_the_start():
    env = make("SwimmerGather").unwrapped
    seen = set()
    for seed in range(50):
        env.reset(seed=seed)
        points = {(float(x), float(y)) for x, y in env.objects}
        assert len(points) == 16
        seen |= points
    axis = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0]
    assert seen == {(x, y) for x in axis for y in axis} - {(0.0, 0.0)}
