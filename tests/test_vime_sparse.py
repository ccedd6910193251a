"""The benchmark of sparse tasks: its runs, records and figures."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import vime_sparse
from benchmarks.records import Curve
from benchmarks.vime_sparse import STEPS, Config, Job, earning, first_reward, jobs, train
from rlgen import cli, train_vime

ENV, ROLLOUT = "rlgen/SparseMountainCar-v0", 8 * 512


def test_a_run_is_recorded_with_its_settings_and_not_run_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(STEPS, ENV, ROLLOUT)
    results, scratch = tmp_path / "results", tmp_path / "scratch"
    job = Job(ENV, "ppo", "none", 100, ent_coef=0.003)
    line = train(job, results, scratch)
    assert line == f"{ENV} ppo-none-ent0.003 seed 100: 0.00 of the last 100 episodes earn reward"
    curve = job.curve(results).load()
    assert curve.path.parent.name == "ppo-none-ent0.003" and curve.column("step")[-1] <= ROLLOUT
    assert (curve.column("episode_return") == 0).all() and len(curve.rows) == ROLLOUT // 500
    assert '"ent_coef": 0.003' in (curve.path.parent / "config.json").read_text()
    assert not list(scratch.rglob("seed100"))
    monkeypatch.setattr(vime_sparse, "jobs", lambda part: iter([job]))
    capsys.readouterr()
    vime_sparse.main(Config(parts=("tasks",), results=results, scratch=scratch))
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "1 runs, 0 of them to do"
    assert "successes_SparseMountainCar-v0_ppo-none-ent0.003: 0" in out


def test_a_run_that_was_begun_goes_on(tmp_path, monkeypatch):
    job = Job(ENV, "ppo", "none", 100)
    folder = tmp_path / "scratch" / "SparseMountainCar-v0" / "ppo-none" / "seed100"
    flags = ["--env", ENV, "--bonus", "none", "--seed", "100", "-n", str(2 * ROLLOUT), "--eval-freq", "0"]
    monkeypatch.setitem(STEPS, ENV, ROLLOUT)  # had it begun anew, it would be as short as this
    train_vime.main(cli.parse(train_vime.Config, [*flags, "-f", str(folder)]))
    train(job, tmp_path / "results", tmp_path / "scratch")
    assert job.curve(tmp_path / "results").load().column("step")[-1] > ROLLOUT


def test_the_share_of_earning_episodes_is_of_the_last_hundred(tmp_path):
    curve = Curve("vime_sparse", ENV, "ppo-none", 1, results=tmp_path)
    for k in range(200):
        curve.append(10 * (k + 1), float(k == 30 or k >= 175), 0.0)
    assert earning(curve) == 0.25 and first_reward(curve) == 310
    nothing = Curve("vime_sparse", ENV, "ppo-none", 2, rows=[(10, 0.0, 0.0)], results=tmp_path)
    assert first_reward(nothing) == float("inf")


def test_the_better_method_is_told_with_its_probability(tmp_path, capsys):
    for method, paid in (("ppo-expected", 1.0), ("ppo-none", 0.0)):
        for seed in range(3):
            curve = Curve("vime_sparse", ENV, method, seed, results=tmp_path)
            for k in range(100):
                curve.append(k, paid + 0.01 * seed, 0.0)
            curve.finish()
    vime_sparse.main(Config(table=True, results=tmp_path))
    lines = capsys.readouterr().out.splitlines()
    (found,) = [line for line in lines if line.startswith("improvement_")]
    assert found.startswith("improvement_SparseMountainCar-v0_over_ppo-none: 1 ")


def test_every_seed_has_each_bonus_on_each_task_once():
    found = [(job.env, job.method, job.seed) for job in jobs("tasks")]
    cells = Counter((env, method) for env, method, _ in found)
    assert len(set(found)) == len(found) and set(cells.values()) == {10}
    assert len({env for env, _ in cells}) == 3 and len({method for _, method in cells}) == 8


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Config(parts=("taks",)), "unknown part 'taks': did you mean 'tasks'"),
        (Config(bonuses=("rdn",)), "unknown bonus 'rdn': did you mean 'rnd'"),
        (Config(envs=("Ant-v5",)), "unknown environment 'Ant-v5'"),
    ],
)
def test_a_name_that_is_unknown_is_told(config, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=said):
        vime_sparse.main(config)
    assert not (tmp_path / "logs").exists()
