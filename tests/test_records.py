"""Records: what is written is read, unfinished seeds are not, processes share a folder; and figures."""

import json
import multiprocessing

import numpy as np
import pytest

from benchmarks import plot
from benchmarks.records import Curve, origin, portable, read_curves, write_number
from benchmarks.workers import run_all


def curve(tmp_path, seed=0, method="ppo-expected", env="rlgen/SparseAnt-v0", episodes=3):
    record = Curve("trial", env, method, seed, results=tmp_path)
    for k in range(episodes):
        record.append(100 * (k + 1), 0.5 * k, 1.25 * k)
    return record


def test_a_finished_record_is_read_back(tmp_path):
    curve(tmp_path).finish({"n_steps": 512})
    (read,) = read_curves("trial", tmp_path)
    assert (read.env, read.method, read.seed) == ("SparseAnt-v0", "ppo-expected", 0)
    assert read.path == tmp_path / "trial" / "SparseAnt-v0" / "ppo-expected" / "seed0.csv"
    assert read.path.read_text().splitlines()[0] == "step,episode_return,wall_time_s"
    assert np.array_equal(read.column("step"), [100, 200, 300])
    assert np.array_equal(read.column("episode_return"), [0, 0.5, 1.0])
    entry = json.loads((read.path.parent / "config.json").read_text())["seeds"]["0"]
    assert entry["settings"] == {"n_steps": 512}
    assert {"command", "commit", "versions", "hardware"} < set(entry)


@pytest.mark.parametrize("env", ["envs:rlgen/SparseAnt-v0", "rlgen/SparseAnt-v0", "SparseAnt-v0"])
def test_namespace_and_module_are_dropped(tmp_path, env):
    assert curve(tmp_path, env=env).path.parts[-3] == "SparseAnt-v0"


def test_a_saved_seed_is_not_finished(tmp_path):
    curve(tmp_path, seed=1).finish()
    unfinished = curve(tmp_path, seed=2)
    unfinished.save()
    assert not unfinished.finished()
    assert [c.seed for c in read_curves("trial", tmp_path)] == [1]


def test_a_config_without_its_csv_is_not_finished(tmp_path):
    record = curve(tmp_path)
    record.finish()
    record.path.unlink()
    assert not record.finished()


def test_a_seed_without_episodes_keeps_its_header(tmp_path):
    record = curve(tmp_path, episodes=0)
    record.finish()
    assert Curve("trial", "SparseAnt-v0", "ppo-expected", 0, results=tmp_path).load().rows == []


def test_no_partial_file_is_left(tmp_path):
    record = curve(tmp_path)
    record.save()
    record.append(400, 2.0, 9.0)
    record.finish()
    assert sorted(p.name for p in record.path.parent.iterdir()) == ["config.json", "seed0.csv"]
    assert len(record.load().rows) == 4


def _finish(tmp_path, seed):
    curve(tmp_path, seed=seed).finish()


def test_processes_that_finish_together_lose_no_seed(tmp_path):
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_finish, args=(tmp_path, seed)) for seed in (11, 9, 10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [c.seed for c in read_curves("trial", tmp_path)] == [9, 10, 11]


def test_a_missing_benchmark_names_those_there_are(tmp_path):
    curve(tmp_path).finish()
    with pytest.raises(ValueError, match=r"no finished seed of 'tril'.*\['trial'\]"):
        read_curves("tril", tmp_path)


def test_wrong_columns_are_refused(tmp_path):
    record = curve(tmp_path)
    record.finish()
    record.path.write_text("step,reward\n1,2\n")
    with pytest.raises(ValueError, match="columns"):
        read_curves("trial", tmp_path)


@pytest.mark.parametrize("method", ["", "ppo/expected"])
def test_a_name_that_is_no_folder_is_refused(tmp_path, method):
    with pytest.raises(ValueError, match="cannot name a folder"):
        curve(tmp_path, method=method)


def test_a_number_is_read_back_with_its_origin(tmp_path):
    path = tmp_path / "overhead" / "seed0.json"
    write_number(path, "ppo_ratio", 1.125, "ratio", rounds=5)
    record = json.loads(path.read_text())
    assert record["value"] == 1.125
    assert (record["metric"], record["unit"], record["rounds"]) == ("ppo_ratio", "ratio", 5)


def test_the_command_names_no_folder_of_this_machine():
    assert origin(["/home/me/.venv/bin/python", "-m", "benchmarks.x", "--a b"])["command"] == (
        "python -m benchmarks.x '--a b'"
    )


def test_smoothing_by_hand():
    x, y = np.array([1.0, 2.0, 3.0, 10.0]), np.array([4.0, 6.0, 8.0, 0.0])
    grid = np.array([1.0, 2.0, 3.5, 9.0, 10.0])
    assert plot.smoothed(x, y, grid, width=2.0) == pytest.approx([4, 5, 7, 8, 0])


def test_seeds_of_different_length_share_a_grid(tmp_path):
    curves = [curve(tmp_path, seed=k, episodes=3 + k) for k in range(3)]
    grid, returns = plot.resample(curves, plot.Config("trial", points=5))
    assert (grid[0], grid[-1]) == (100, 300)
    assert returns.shape == (3, 5)
    assert np.array_equal(returns[0], returns[2])


def test_a_method_has_its_bonus_colour_and_its_algorithms_dash():
    style = plot.styles(["ppo-none", "ppo-expected", "sac-expected", "sac-none"])
    assert style["ppo-expected"]["color"] == style["sac-expected"]["color"] != style["ppo-none"]["color"]
    dash = {method: look["linestyle"] for method, look in style.items()}
    assert dash["ppo-none"] == dash["ppo-expected"] != dash["sac-none"] == dash["sac-expected"]


@pytest.mark.parametrize("episodes", [1, 3])
def test_a_method_of_one_evaluation_is_a_line_across(tmp_path, episodes):
    curves = [curve(tmp_path, seed, episodes=episodes) for seed in range(2)]
    (ax,) = plot.draw(curves, plot.Config("trial")).axes
    x = np.asarray(ax.lines[0].get_xdata())
    assert (x.min(), x.max()) == ((0, 1) if episodes == 1 else (100, 300))


@pytest.mark.parametrize("x", ["step", "time"])
def test_the_figure_is_written_beside_the_records(tmp_path, capsys, x):
    for env in ("A-v0", "B-v0"):
        for method in ("ppo-none", "ppo-expected"):
            for seed in range(2 if method == "ppo-none" else 3):
                curve(tmp_path, seed, method, env, episodes=20).finish()
    png = plot.main(plot.Config("trial", x=x, results=tmp_path))
    assert png.parent == tmp_path / "trial"
    assert png.read_bytes().startswith(b"\x89PNG") and png.with_suffix(".svg").exists()
    printed = capsys.readouterr().out
    assert "n=3" in printed and printed.strip().endswith(png.name)
    svg = png.with_suffix(".svg").read_bytes()
    plot.main(plot.Config("trial", x=x, results=tmp_path))
    assert png.with_suffix(".svg").read_bytes() == svg


def told_command() -> str:
    """In a worker."""
    return origin()["command"]


def test_a_worker_names_the_command_that_started_it(capsys):
    run_all(told_command, [()], workers=1)
    assert capsys.readouterr().out.strip() == origin()["command"]


def test_folders_of_this_machine_stay_out_of_the_recorded_command():
    argv = ["python", "-m", "x", "--data-dir", "/home/me", "-f", "/tmp/l", "--results=/r", "--seed", "1"]
    told = "python -m x --data-dir DIR -f LOG_FOLDER --results=DIR --seed 1"
    assert " ".join(portable(argv)) == told
