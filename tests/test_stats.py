"""The aggregates against hand-worked numbers and the coverage they promise."""

import numpy as np
import pytest

from benchmarks.stats import bootstrap, bootstrap_curve, iqm, probability_of_improvement


def test_iqm_by_hand_ignores_outliers():
    assert iqm(np.array([-1e9, 1, 2, 3, 4, 5, 6, 1e9])) == pytest.approx(3.5)


def test_bootstrap_covers_the_mean_as_often_as_promised():
    rng = np.random.default_rng(0)
    trials = [bootstrap(rng.normal(size=(20, 2)), np.mean, reps=400, seed=k) for k in range(300)]
    covered = np.mean([low <= 0 <= high for _, low, high in trials])
    assert 0.88 < covered < 0.98
    width = np.mean([high - low for _, low, high in trials])
    assert width == pytest.approx(2 * 1.96 / np.sqrt(40), rel=0.1)


def test_bootstrap_is_stratified():
    """Two tasks of different scale without spread over seeds: unstratified resampling would mix them."""
    scores = np.tile([0.0, 100.0], (5, 1))
    assert bootstrap(scores, np.mean) == (50, 50, 50)


def test_bootstrap_is_reproducible_and_seeded():
    scores = np.random.default_rng(1).normal(size=(10, 3))
    assert bootstrap(scores, np.median, seed=3) == bootstrap(scores, np.median, seed=3)
    assert bootstrap(scores, np.median, seed=3) != bootstrap(scores, np.median, seed=4)


def test_wider_confidence_gives_a_wider_interval():
    scores = np.random.default_rng(2).normal(size=10)
    narrow, wide = bootstrap(scores, confidence=0.5), bootstrap(scores, confidence=0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_curve_band_holds_the_statistic_and_shrinks_where_seeds_agree():
    spread = np.array([0.0, 1.0, 5.0])
    curves = np.random.default_rng(3).normal(size=(12, 3)) * spread + 7
    value, low, high = bootstrap_curve(curves)
    assert value == pytest.approx(iqm(curves, axis=0))
    assert (low <= value).all() and (value <= high).all()
    assert high[0] == low[0] == 7 and high[1] - low[1] < high[2] - low[2]


def test_probability_of_improvement_by_hand():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.0, 5.0])
    wins = (0 + 0 + 1 + 0) + (0.5 + 0.5 + 1 + 0) + (1 + 1 + 1 + 0)
    assert probability_of_improvement(x, y).value == pytest.approx(wins / 12)
    assert probability_of_improvement(x, y).value + probability_of_improvement(y, x).value == pytest.approx(1)


def test_probability_of_improvement_averages_over_tasks():
    x, y = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    assert probability_of_improvement(x, y) == (0.5, 0.5, 0.5)
    assert probability_of_improvement(x[:, :1], y[:, :1]) == (1, 1, 1)


def test_probability_of_improvement_is_uncertain_between_equals():
    rng = np.random.default_rng(4)
    value, low, high = probability_of_improvement(rng.normal(size=10), rng.normal(size=10))
    assert low < 0.5 < high and low < value < high


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap(np.array([1.0, np.nan])), "1 scores are NaN"),
        (lambda: bootstrap(np.zeros((2, 2, 2))), "shape"),
        (lambda: bootstrap(np.zeros(0)), "shape"),
        (lambda: bootstrap(np.zeros(3), confidence=95), "between 0 and 1"),
        (lambda: probability_of_improvement(np.zeros((3, 2)), np.zeros((3, 1))), "2 tasks, y has 1"),
    ],
)
def test_bad_scores_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
