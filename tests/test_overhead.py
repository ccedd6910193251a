"""The benchmark of what a learned reward costs."""

from __future__ import annotations

import json

import pytest

from benchmarks import overhead
from benchmarks.overhead import VIME_CASES, Config
from rlgen import demonstrations, enjoy, runs, train_vime


def test_a_ratio_is_recorded_with_its_range_and_what_the_model_did(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(VIME_CASES, "ppo_ratio_cheap", ("Pendulum-v1", "ppo", 4096))
    config = Config(cases=("ppo_ratio_cheap",), rounds=5, warm_up=0, results=tmp_path)
    found = overhead.main(config)
    record = json.loads((tmp_path / "overhead" / "vime" / "ppo_ratio_cheap.json").read_text())
    assert found == {"ppo_ratio_cheap": record["value"]}
    assert record["least"] <= record["value"] <= record["most"] and record["rounds"] == 5
    assert record["gradient_steps_a_round"] > 0 and record["error_over_persistence"] > 0
    assert f"ppo_ratio_cheap: {record['value']:.3f}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Config(cases=("ppo_ratoi",)), "unknown case 'ppo_ratoi': did you mean 'ppo_ratio'"),
        (Config("gail", cases=("sac_ratio",)), "unknown case 'sac_ratio'"),
        (Config(rounds=4), "rounds is 4: a median wants at least five"),
    ],
)
def test_what_cannot_be_measured_is_told_first(config, said):
    with pytest.raises(ValueError, match=said):
        overhead.main(config)


def test_an_interpreter_without_imitation_is_told_in_its_own_words(tmp_path):
    flags = {"total_timesteps": 128, "n_envs": 1, "eval_freq": 0, "log_folder": tmp_path}
    small = {"n_steps": 64, "batch_size": 64, "n_epochs": 1}
    run = train_vime.main(train_vime.Config(env="Ant-v5", bonus="none", hyperparams=small, **flags))
    model, venv = runs.load(run)
    demos = enjoy.as_demonstrations("Ant-v5", {}, venv, [enjoy.play(model, venv, 0)])
    demonstrations.save(tmp_path / "ant.npz", demos)
    venv.close()
    for python, said in (
        ("python3", "ModuleNotFoundError: No module named"),
        ("pyhton", "no such interpreter"),
    ):
        config = Config("gail", ("ppo_ratio_4_updates",), tmp_path / "ant.npz", python, results=tmp_path)
        with pytest.raises(ValueError, match=f"--imitation-python {python}.*{said}"):
            overhead.main(config)
