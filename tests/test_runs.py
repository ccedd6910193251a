"""The run folder: whole files, damage that is found, records that are cut back, signals, loading."""

from __future__ import annotations

import csv
import json
import os
import pickle
import random
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecNormalize

import rlgen
from rlgen import checkpoints, folder
from rlgen.episode_log import EnvironmentNaN
from rlgen.files import atomic_write
from rlgen.folder import latest_checkpoint, new_run, read_config, write_config
from rlgen.records import Table, make_logger, undisturbed
from rlgen.runs import (
    Checkpoints,
    Stopped,
    check_resume,
    load,
    stop_signals,
    train,
)
from rlgen.training import Setup, make_env, make_model

PPO = Setup("Pendulum-v1", normalize_obs=True, hyperparams={"n_steps": 32, "batch_size": 32, "n_epochs": 1})


def start(tmp_path: Path, setup: Setup = PPO) -> Path:
    run = new_run(tmp_path, "test", setup.env)
    write_config(run, {"setup": setup.to_dict()})
    return run


def fresh(setup: Setup = PPO) -> Any:
    return make_model(setup, make_env(setup))


@pytest.fixture
def trained(tmp_path) -> Path:
    """A run with checkpoints at 64, 96, final at 128."""
    run = start(tmp_path)
    train(run, fresh(), None, 128, save_freq=32)
    return run


def names(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_runs_are_numbered(tmp_path):
    for k, env in enumerate(["rlgen/SparseAnt-v0", "envs:rlgen/SparseAnt-v0", "SparseAnt-v0"], start=1):
        assert new_run(tmp_path, "vime", env) == tmp_path / "vime" / f"SparseAnt-v0_{k}"
    (tmp_path / "vime" / "SparseAnt-v0_7").mkdir()
    assert new_run(tmp_path, "vime", "SparseAnt-v0").name == "SparseAnt-v0_8"
    assert new_run(tmp_path, "vime", "Ant-v5").name == "Ant-v5_1"


def test_a_run_taken_meanwhile_is_passed_over(tmp_path, monkeypatch):
    """Two processes that start together: the listing shows no run, and yet the name is taken."""
    new_run(tmp_path, "vime", "Ant-v5")
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter(()))
    assert new_run(tmp_path, "vime", "Ant-v5").name == "Ant-v5_2"


def test_files_are_replaced_whole(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    atomic_write(path, "old")

    def crash(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, "new")
    assert path.read_text() == "old"


def test_the_config_comes_back(tmp_path):
    run = start(tmp_path)
    assert Setup.from_dict(read_config(run)["setup"]) == PPO
    assert "pytest" in (run / "command.txt").read_text()
    versions = json.loads((run / "versions.json").read_text())
    assert versions["torch"] == torch.__version__.partition("+")[0] or versions["torch"] == torch.__version__
    assert {"stable-baselines3", "gymnasium", "mujoco", "threads"} <= versions.keys()
    with pytest.raises(ValueError, match="is not a run folder"):
        read_config(tmp_path)


def test_the_last_two_checkpoints_are_kept(trained):
    assert names(trained) == ["step_64", "step_96"]
    assert latest_checkpoint(trained) == trained / "final"
    (trained / "checkpoints" / "notes.txt").touch()  # the user's own
    train(trained, fresh(), None, 192, save_freq=32, checkpoint=trained / "checkpoints" / "step_64")
    assert names(trained) == ["notes.txt", "step_128", "step_160"]


def test_a_longer_run_goes_on_from_the_end(trained):
    model = fresh()
    train(trained, model, None, 192, save_freq=32, checkpoint=check_resume(trained))
    assert model.num_timesteps == 192
    assert json.loads((trained / "final" / "manifest.json").read_text())["step"] == 192


def damage(path: Path, how: str) -> None:
    if how == "flipped":
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "short":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["flipped", "short", "missing"])
@pytest.mark.parametrize("file", ["state.pt", "generators.pt", "manifest.json"])
def test_damage_is_found_and_the_one_before_taken(trained, capsys, how, file):
    if (file, how) == ("manifest.json", "flipped"):
        (trained / "final" / file).write_text("{")
    else:
        damage(trained / "final" / file, how)
    assert check_resume(trained) == trained / "checkpoints" / "step_96"
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"checkpoint {trained / 'final'} is damaged" in said
    with pytest.raises(ValueError, match="is damaged"):
        checkpoints.restore(trained / "final", fresh())


def test_a_final_that_a_kill_left_half_replaced_is_found(trained):
    (trained / "final").rename(trained / ".final.old")
    assert check_resume(trained) == trained / "final"


def test_no_intact_checkpoint_is_an_error(trained):
    for path in trained.glob("**/manifest.json"):
        path.unlink()
    with pytest.raises(ValueError, match="no intact checkpoint to resume from"):
        check_resume(trained)
    with pytest.raises(ValueError, match="no intact checkpoint to load"):
        load(trained)


def test_a_crash_while_saving_leaves_the_last_checkpoint(tmp_path, monkeypatch, capsys):
    run = start(tmp_path)
    seal = folder.seal

    def crash(temporary, target, **facts):
        if facts["step"] > 32:
            raise OSError("disk full")
        seal(temporary, target, **facts)

    monkeypatch.setattr(checkpoints, "seal", crash)
    with pytest.raises(OSError, match="disk full"):
        train(run, fresh(), None, 128, save_freq=32)
    assert names(run) == [".step_64.tmp", "step_32"]
    assert check_resume(run).name == "step_32"
    assert capsys.readouterr().out == ""
    monkeypatch.undo()
    train(run, fresh(), None, 128, save_freq=32, checkpoint=check_resume(run))
    assert names(run) == ["step_64", "step_96"]


def breaks(venv: Any, monkeypatch) -> None:
    """Let the environment give NaN from its 71st observation on."""
    calls = iter(range(70))
    broken = venv.unwrapped.envs[0].unwrapped
    monkeypatch.setattr(broken, "_get_obs", lambda: np.full(3, next(calls, np.nan), np.float32))


def test_nan_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    run, model = start(tmp_path), fresh()
    breaks(model.get_env(), monkeypatch)
    with pytest.raises(EnvironmentNaN, match="^observation"):
        train(run, model, None, 128, save_freq=32)
    assert check_resume(run).name == "step_64"
    assert not (run / "final").exists()


def test_nan_in_an_evaluation_is_told_and_training_goes_on(tmp_path, monkeypatch, capsys):
    run, evaluation = start(tmp_path), make_env(PPO)
    breaks(evaluation, monkeypatch)
    train(run, fresh(), None, 128, save_freq=32, eval_env=evaluation, eval_freq=50)
    assert "warning: evaluation after 64 steps: observation" in capsys.readouterr().err
    assert (run / "evaluations.csv").read_text().splitlines()[1].startswith("64,nan,nan")
    assert (run / "final").exists()


def test_another_environment_is_refused(trained):
    assert check_resume(trained, "Pendulum-v1").name == "final"
    with pytest.raises(ValueError, match="trains on Pendulum-v1, not on Ant-v5: leave --env out"):
        check_resume(trained, "Ant-v5")


def test_another_algorithm_or_shape_is_refused(trained):
    a2c = Setup("Pendulum-v1", algo="a2c", normalize_obs=True)
    with pytest.raises(ValueError, match="is of PPO, not of A2C"):
        checkpoints.restore(trained / "final", fresh(a2c))
    two = Setup("Pendulum-v1", n_envs=2, normalize_obs=True)
    with pytest.raises(ValueError, match="has 1 environments, the run 2"):
        checkpoints.restore(trained / "final", fresh(two))


def test_other_versions_are_told(trained, capsys):
    path = trained / "versions.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mujoco": "1.2.3"}))
    check_resume(trained)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: mujoco was 1.2.3, is ")


def test_load_gives_model_and_environment(tmp_path, trained):
    model, env = load(trained)
    assert model.num_timesteps == 128
    assert isinstance(env, VecNormalize)
    assert not env.training and not env.norm_reward
    statistics: Any = env.obs_rms
    assert statistics.count > 128
    obs = env.reset()
    action, _ = model.predict(obs, deterministic=True)  # type: ignore[arg-type]
    again, twin = load(trained, trained / "checkpoints" / "step_96")
    assert again.num_timesteps == 96
    earlier: Any = twin.obs_rms  # type: ignore[attr-defined]
    assert earlier.count < statistics.count
    resumed = fresh()
    checkpoints.restore(trained / "final", resumed)
    assert np.array_equal(resumed.predict(obs, deterministic=True)[0], action)


def test_load_needs_no_memory_for_replay(tmp_path):
    setup = Setup("Pendulum-v1", algo="sac", hyperparams={"learning_starts": 10, "buffer_size": 10**12})
    run = start(tmp_path, setup)
    smaller = Setup.from_dict({**setup.to_dict(), "hyperparams": {"learning_starts": 10, "buffer_size": 50}})
    train(run, fresh(smaller), None, 20)
    model, _ = load(run)
    assert model.log_ent_coef.item() != 0.0  # type: ignore[attr-defined]


class Bomb:
    """Unpickling this one is seen."""

    def __reduce__(self):
        return os.mkdir, (os.environ["RLGEN_BOMB"],)


@pytest.mark.parametrize("file", ["state.pt", "generators.pt"])
def test_nothing_is_unpickled(trained, tmp_path, monkeypatch, file):
    monkeypatch.setenv("RLGEN_BOMB", str(tmp_path / "exploded"))
    temporary = tmp_path / "evil"
    (trained / "final").rename(temporary)
    torch.save({"episodes": Bomb(), "learner": None}, temporary / file)
    (temporary / "manifest.json").unlink()
    folder.seal(temporary, trained / "final", step=128, algorithm="PPO")
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        checkpoints.restore(trained / "final", fresh())
    assert not (tmp_path / "exploded").exists()


# Records


def test_a_table_grows_by_rows_and_columns(tmp_path):
    table = Table(tmp_path / "a.csv", ("step", "x"))
    table.append({"step": 1, "x": np.float32(0.1)})
    table.append({"step": 2, "y": 3, "x": float("nan")})
    table.append({"step": 3, "y": 1e-12})
    assert (tmp_path / "a.csv").read_text() == "step,x,y\n1,0.100000001,\n2,nan,3\n3,,1e-12\n"


def test_a_table_is_cut_back(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("step,x\n1,5\n2,6\n3,7\n4")  # the last row half written
    table = Table(path, step=2)
    assert path.read_text() == "step,x\n1,5\n2,6\n"
    assert table.last("x") == 6.0
    table.append({"step": 3, "x": 8})
    assert path.read_text().endswith("2,6\n3,8\n")


def test_records_have_a_row_an_episode_and_a_row_a_rollout(tmp_path):
    hyperparams = {"n_steps": 16, "batch_size": 32}
    setup = Setup("Pendulum-v1", {"max_episode_steps": 10}, n_envs=2, hyperparams=hyperparams)
    run = start(tmp_path, setup)
    train(run, fresh(setup), None, 96, log_freq=32)
    with open(run / "monitor.csv") as file:
        episodes = list(csv.DictReader(file))
    assert [int(row["step"]) for row in episodes] == [20, 20, 40, 40, 60, 60, 80, 80]
    assert all(int(row["l"]) == 10 and float(row["r"]) < 0 for row in episodes)
    with open(run / "progress.csv") as file:
        progress = list(csv.DictReader(file))
    assert [int(row["step"]) for row in progress] == [32, 64, 96]
    assert float(progress[1]["train/loss"]) != 0.0
    assert list((run / "tensorboard").glob("events.*"))


def test_a_half_written_row_costs_only_itself(tmp_path):
    (tmp_path / "progress.csv").write_text("step,a\n32,1\n64")
    make_logger(tmp_path, 64).close()
    assert (tmp_path / "progress.csv").read_text() == "step,a\n32,1\n"


def test_what_happens_undisturbed_leaves_the_generators():
    model = fresh()
    model.set_random_seed(0)

    def draw() -> list[float]:
        return [random.random(), np.random.rand(), torch.rand(()).item(), model.action_space.sample().item()]

    with undisturbed(model):
        first = draw()
    assert draw() == first
    assert draw() != first


# Signals


class Send(BaseCallback):
    """Sends a signal to this process in the middle of a rollout."""

    def __init__(self, signum: int, step: int) -> None:
        super().__init__()
        self.signum, self.step = signum, step

    def _on_step(self) -> bool:
        if self.num_timesteps == self.step:
            os.kill(os.getpid(), self.signum)
        return True


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_at_the_next_rollout_and_stops(tmp_path, capsys, signum):
    run = start(tmp_path)
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stopped:
        train(run, fresh(), None, 128, save_freq=0, callbacks=[Send(signum, 40)])
    assert stopped.value.signal == signum
    assert signal.getsignal(signum) == before
    assert names(run) == ["step_64"]
    assert not (run / "final").exists()
    assert "once more to leave at once" in capsys.readouterr().err
    model = fresh()
    train(run, model, None, 128, save_freq=0, checkpoint=check_resume(run))
    assert model.num_timesteps == 128


def test_a_signal_in_the_last_rollout_is_told_too(tmp_path):
    run = start(tmp_path)
    with pytest.raises(Stopped):
        train(run, fresh(), None, 128, save_freq=0, callbacks=[Send(signal.SIGTERM, 120)])
    assert (run / "final").exists()


def test_a_second_signal_ends_the_process():
    child = os.fork()
    if child == 0:
        with stop_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM


def test_off_policy_saves_at_the_next_step(tmp_path):
    setup = Setup("Pendulum-v1", algo="sac", hyperparams={"learning_starts": 100, "buffer_size": 50})
    run = start(tmp_path, setup)
    with pytest.raises(Stopped):
        train(run, fresh(setup), None, 60, save_freq=30, callbacks=[Send(signal.SIGINT, 41)])
    assert names(run) == ["step_30", "step_41"]


def test_checkpoints_work_in_plain_sb3(tmp_path):
    """Without `train`: a callback beside others."""
    fresh().learn(100, callback=Checkpoints(tmp_path, save_freq=32))
    assert names(tmp_path) == ["step_64", "step_96"]


def test_load_is_public():
    assert rlgen.load is load
