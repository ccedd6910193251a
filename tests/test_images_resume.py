"""A run that ended early and went on is the uninterrupted one, bit for bit."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.images.__main__ import Options, main
from benchmarks.images.semi_supervised import SemiSupervisedTask
from benchmarks.images.task import Task
from rlgen import cli
from rlgen.folder import checkpoint_folders, held
from tests import image_files as make
from tests.states import same
from tests.test_images_command import fail, flags, run
from tests.test_images_command import folder as folder

FRESH = """
import sys
from pathlib import Path
from pytest import MonkeyPatch
from benchmarks.images.__main__ import Options, main
from rlgen import cli
from tests import image_files
image_files.shrink(MonkeyPatch())
sys.exit(cli.run(main, Options, sys.argv[1:]))
"""
"""The command in a process of its own, with small data sets allowed."""


def state(place: Path) -> dict[str, Any]:
    """All that `final/` holds, but for wall-clock times."""
    found = torch.load(place / "final" / "state.pt", weights_only=True)
    del found["pieces"]
    return found


def rows(place: Path) -> list[dict[str, str]]:
    with open(place / "progress.csv") as file:
        return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in csv.DictReader(file)]


def check_same(whole: Path, broken: Path) -> None:
    expected, got = state(whole), state(broken)
    assert [key for key in expected if not same(expected[key], got[key])] == []
    assert rows(whole) == rows(broken)
    names = [path.relative_to(whole) for path in sorted((whole / "samples").iterdir())]
    names += [Path("page.png"), Path("film.gif")]
    assert [name for name in names if (whole / name).read_bytes() != (broken / name).read_bytes()] == []
    assert len(list((broken / "samples").iterdir())) == len(names) - 2


@pytest.mark.parametrize("model", ["dcgan", "improved_gan", "infogan"])
def test_pieces_of_one_batch_are_the_whole(folder, model):
    """Every batch is followed by a new start from its checkpoint: in the middle of epochs, at their ends."""
    tricks = ["minibatch_kernels:3", "virtual_batch_norm:True", "historical_averaging:0.1"]
    tricks = tricks if model == "dcgan" else []
    argv = flags(model, *tricks, "--save-freq", "1")
    whole = run(*argv)
    piece = ["--stop-after", "1e-9", "--results", "results"]
    broken = run(*argv, *piece)
    pieces = 1
    while not (broken / "page.png").exists():
        assert (broken / "checkpoints" / f"step_{pieces}").exists() and pieces < 10
        assert run("--resume", str(broken), *piece) == broken
        pieces += 1
    assert pieces == len(rows(whole)) * (2 if model == "infogan" else 3)
    check_same(whole, broken)


def test_runs_side_by_side_are_the_runs_alone(folder, capsys):
    """In pieces as well; the record of each has its seed."""
    alone = [run(*flags("improved_gan", "--seed", str(seed))) for seed in (0, 3)]
    piece = ["--stop-after", "1e-9", "--results", "together"]
    argv = flags("improved_gan", "--seeds", "0", "3", *piece)
    while not (places := main(cli.parse(Options, argv)))[0].joinpath("page.png").exists():
        argv = ["--resume", *map(str, places), *piece]
    for one, place in zip(alone, places, strict=True):
        check_same(one, place)
    records = [json.loads(path.read_text()) for path in sorted((folder / "together").rglob("*.json"))]
    assert [found["seed"] for found in records] == [0, 3]
    assert [found["runs_side_by_side"] for found in records] == [2, 2]
    again = fail(capsys, "--resume", str(places[0]), str(folder / places[0]))
    assert "is there twice" in again
    assert "leave it out" in fail(capsys, "--resume", str(places[0]), "--seeds", "1")


def test_a_run_in_training_elsewhere_is_left_alone(folder, capsys):
    place = run(*flags("improved_gan", "--stop-after", "1e-9"))
    with held(place):
        assert "is in training by another process" in fail(capsys, "--resume", str(place))
    assert (run("--resume", str(place), "--results", "results") / "page.png").exists()


def test_one_that_diverges_does_not_stop_the_others(folder, capsys, monkeypatch):
    alone = run(*flags("improved_gan", "--seed", "3"))
    measure = SemiSupervisedTask.measure

    def diverges(task: SemiSupervisedTask) -> dict[str, float]:
        if task.plan["seed"] < 3:
            raise ValueError("training has diverged")
        return measure(task)

    monkeypatch.setattr(SemiSupervisedTask, "measure", diverges)
    err = fail(capsys, *flags("improved_gan", "--seeds", "1", "2", "3"))
    *bad, good = sorted((folder / "logs" / "images").iterdir())[1:]
    assert all(f"{run.name}: training has diverged" in err for run in bad)
    check_same(alone, good)
    assert not any((run / "final").exists() for run in bad)


def test_a_signal_leaves_all_where_they_are(folder, monkeypatch):
    alone = [run(*flags("improved_gan", "--seed", str(seed))) for seed in (0, 3)]
    advance = Task.advance

    def terminated(task: Task) -> None:
        advance(task)
        if task.steps_done == 2:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(Task, "advance", terminated)
        main(cli.parse(Options, flags("improved_gan", "--seeds", "0", "3")))
    assert stop.value.code == 143
    places = sorted((folder / "logs" / "images").iterdir())[2:]
    steps = [int(path.name[5:]) for place in places for path in checkpoint_folders(place)]
    assert steps == [2, 1]  # the second run had not had its turn
    main(cli.parse(Options, ["--resume", *map(str, places), "--results", "results"]))
    for one, place in zip(alone, places, strict=True):
        check_same(one, place)


def test_a_step_is_recorded_anew_when_the_rate_has_changed(folder, monkeypatch):
    """What stands for a graph, which needs a GPU, takes the step and counts."""
    forgotten = []

    class Graph:
        def __init__(self, task: Task) -> None:
            self.task = task

        def __call__(self, rows: torch.Tensor) -> None:
            self.task.train_on(rows)

        def forget(self) -> None:
            forgotten.append(self.task.position.epoch)

    enter = Task.enter_epoch

    def with_graph(task: Task) -> None:
        if task._graph is None:
            monkeypatch.setattr(task, "_graph", Graph(task))
        enter(task)

    monkeypatch.setattr(Task, "enter_epoch", with_graph)
    run(*flags("dcgan", "constant_epochs:3", "--epochs", "6"))
    assert forgotten == [0, 4, 5]


def start(folder: Path, *argv: str) -> subprocess.Popen:
    code = [sys.executable, "-c", FRESH, *argv]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    pipe = subprocess.PIPE
    return subprocess.Popen(code, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def wait_for_checkpoint(process: subprocess.Popen, place: Path, number: int) -> None:
    """Until there is one of a later step than `number`."""
    for _ in range(6000):
        if any(int(path.name[5:]) > number for path in checkpoint_folders(place)):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no checkpoint within a minute")


def test_killed_and_terminated_runs_go_on_as_if_nothing_had_been(folder):
    """SIGTERM, then kill -9, each in a process of its own."""
    check_killed_and_terminated(folder, flags("improved_gan"))


def check_killed_and_terminated(folder: Path, argv: list[str]) -> None:
    argv = [*argv, "--epochs", "150", "--sample-freq", "50", "--save-freq", "2"]
    whole = run(*argv)
    broken = whole.with_name(whole.name[:-1] + "2")
    process = start(folder, *argv)
    wait_for_checkpoint(process, broken, 0)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 143 and "stopping at the end of this batch" in err
    assert f"--resume logs/images/{broken.name}" in out and not (broken / "final").exists()
    (*_, last) = checkpoint_folders(broken)
    process = start(folder, "--resume", str(broken))
    wait_for_checkpoint(process, broken, int(last.name[5:]))
    process.kill()
    process.communicate(timeout=300)
    assert not (broken / "final").exists() and len(checkpoint_folders(broken)) in (1, 2, 3)
    run("--resume", str(broken), "--results", "results")
    check_same(whole, broken)


def test_a_signal_in_the_last_batch_leaves_the_end_to_the_resumed_run(folder, monkeypatch):
    whole = run(*flags("dcgan"))
    advance = Task.advance

    def terminated(task: Task) -> None:
        advance(task)
        if task.steps_done == task.steps:
            signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(Task, "advance", terminated)
        run(*flags("dcgan"))
    assert stop.value.code == 143
    broken = whole.with_name(whole.name[:-1] + "2")
    for _ in range(2):  # the second time the epoch's row is there already
        run("--resume", str(broken), "--results", "results")
        check_same(whole, broken)


def test_a_signal_after_the_last_batch_is_heeded_too(folder, monkeypatch):
    leave = Task.leave_epoch

    def terminated(task: Task) -> None:
        if task.steps_done == task.steps:
            signal.raise_signal(signal.SIGTERM)
        leave(task)

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr(Task, "leave_epoch", terminated)
        run(*flags("dcgan"))
    assert stop.value.code == 143 and not list((folder / "results").rglob("*.json"))
    (broken,) = (folder / "logs" / "images").iterdir()
    run("--resume", str(broken), "--results", "results")
    assert list((folder / "results").rglob("seed0.json"))


def test_only_what_agrees_with_the_run_is_taken(folder, capsys):
    place = str(run(*flags("dcgan", "--stop-after", "1e-9")))
    for more, message in {
        ("--epochs", "3"): "--epochs 3 contradicts",
        ("--model", "infogan"): "--model infogan contradicts",
        ("--settings", "noise_size:6"): "noise_size:6 contradicts",
        ("--data-dir", "other"): "are not those that",
    }.items():
        arrays = make.tables("mnist")
        (folder / "other").mkdir(exist_ok=True)
        (folder / "other" / "mnist.npz").write_bytes(
            make.npz({**arrays, "test_images": arrays["test_images"] // 2})
        )
        assert message in fail(capsys, "--resume", place, *more)


def test_a_damaged_checkpoint_is_passed_over(folder, capsys):
    place = run(*flags("dcgan", "--stop-after", "1e-9"))
    run("--resume", str(place), "--stop-after", "1e-9")
    first, second = checkpoint_folders(place)
    (second / "state.pt").write_bytes(b"broken")
    run("--resume", str(place), "--stop-after", "1e-9")
    assert "step_2 is damaged" in capsys.readouterr().out
    for path in checkpoint_folders(place):
        (path / "state.pt").write_bytes(b"broken")
    assert "no intact checkpoint" in fail(capsys, "--resume", str(place))


def test_a_run_without_a_checkpoint_starts_over(folder):
    argv = flags("dcgan")
    whole = run(*argv)
    broken = run(*argv, "--stop-after", "1e-9")
    for path in (broken / "checkpoints").rglob("*"):
        if path.is_file():
            path.unlink()
    for path in checkpoint_folders(broken):
        path.rmdir()
    run("--resume", str(broken), "--results", "results")
    check_same(whole, broken)
