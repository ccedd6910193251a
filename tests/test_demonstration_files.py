"""Malformed files of every format: each gives one clear line and exit status 2, and none is unpickled."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rlgen import cli
from rlgen.demonstrations.__main__ import Config, main

ENV = "Pendulum-v1"  # 3 features, 1 action in [-2, 2]
LENGTHS = np.array([5, 4])
Tables = dict[str, np.ndarray]


def steps(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def flags(*set_at: int) -> np.ndarray:
    array = np.zeros(9, bool)
    array[list(set_at)] = True
    return array


def rlgen() -> Tables:
    ends = {"terminated": flags(4), "truncated": flags(8), "episode_lengths": LENGTHS}
    return {"obs": steps(11, 3), "acts": steps(9, 1), "rews": steps(9), **ends}


def imitation() -> Tables:
    ends = {"terminal": np.array([True, True]), "indices": np.array([5])}
    return {"obs": steps(11, 3), "acts": steps(9, 1), "rews": steps(9), **ends}


def d4rl() -> Tables:
    ends = {"terminals": flags(4), "timeouts": flags(8)}
    return {"observations": steps(9, 3), "actions": steps(9, 1), "rewards": steps(9), **ends}


def openai() -> Tables:
    return {"obs_B_T_Do": steps(2, 5, 3), "a_B_T_Da": steps(2, 5, 1), "r_B_T": steps(2, 5), "len_B": LENGTHS}


def minari() -> Tables:
    tables: Tables = {}
    for k, n in enumerate(LENGTHS):
        episode = {"observations": steps(n + 1, 3).astype(float), "actions": steps(n, 1), "rewards": steps(n)}
        ends = {"terminations": np.zeros(n, bool), "truncations": np.arange(n) == n - 1}
        tables |= {f"episode_{k}/{key}": value for key, value in {**episode, **ends}.items()}
    return tables


def write(path: Path, tables: Tables) -> Path:
    """As HDF5 or npz, by the name."""
    if path.suffix == ".npz":
        np.savez(path, **tables)  # type: ignore[arg-type]  # pickles object arrays
        return path
    with h5py.File(path, "w") as file:
        for key, value in tables.items():
            ragged = value.dtype == object
            file.create_dataset(
                key,
                data=value if ragged or value.dtype.kind != "U" else value.astype("S"),
                dtype=h5py.vlen_dtype(np.float32) if ragged else None,
            )
    return path


FORMATS: dict[str, tuple[Callable[[], Tables], str]] = {
    "rlgen": (rlgen, "demos.npz"),
    "imitation": (imitation, "demos.npz"),
    "d4rl": (d4rl, "demos.npz"),
    "d4rl-hdf5": (d4rl, "demos.hdf5"),
    "openai": (openai, "demos.h5"),
    "minari": (minari, "main_data.hdf5"),
}

OBS = ("obs", "observations", "obs_B_T_Do")
ACTIONS = ("acts", "actions", "a_B_T_Da")
REWARDS = ("rews", "rewards", "r_B_T")
LENGTH = ("episode_lengths", "indices", "len_B")
FLAG = ("terminated", "terminal", "terminals", "terminations", "timeouts")


def poke(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array.flat[1] = value
        return array

    return change


def objects(array: np.ndarray) -> np.ndarray:
    """Rows of mixed lengths."""
    rows = np.empty(len(array), object)
    rows[:] = [np.zeros(k % 2 + 1, np.float32) for k in range(len(array))]
    return rows


def widen(n: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda array: np.repeat(array[..., :1], n, axis=-1)


# What is done to all arrays of a kind, and what the message says.
FAULTS: dict[str, tuple[tuple[str, ...], Callable[[np.ndarray], np.ndarray], str]] = {
    "nan obs": (OBS, poke(np.nan), "holds NaN or infinity in row 0"),
    "infinite obs": (OBS, poke(np.inf), "holds NaN or infinity in row 0"),
    "obs beyond float32": (OBS, lambda a: a.astype(float) + 1e300, "holds NaN or infinity"),
    "nan actions": (ACTIONS, poke(np.nan), "holds NaN or infinity in row 1"),
    "nan rewards": (REWARDS, poke(np.nan), "holds NaN or infinity in row 1"),
    "text obs": (OBS, lambda a: a.astype("U8"), "has dtype .*: save it as float32"),
    "complex obs": (OBS, lambda a: a.astype(complex), "has dtype complex128: save it as float32"),
    "text actions": (ACTIONS, lambda a: a.astype("U8"), "has dtype .*: save it as float32"),
    "boolean rewards": (REWARDS, lambda a: a > 0, "has dtype bool: save it as float32"),
    "objects for obs": (OBS, objects, "never unpickled|holds objects, such as rows of mixed lengths"),
    "objects for actions": (ACTIONS, objects, "never unpickled|holds objects, such as rows of mixed lengths"),
    "obs without features": (OBS, lambda a: a[..., 0], "shape .*: give"),
    "obs one short": (OBS, lambda a: a[:-1], "write the file again|must agree|give .B, T"),
    "actions one short": (ACTIONS, lambda a: a[:-1], "write the file again|must agree|give .B, T"),
    "rewards one short": (REWARDS, lambda a: a[:-1], "write the file again|must agree|give .B, T|one a step"),
    "actions out of bounds": (ACTIONS, poke(2.5), "an action is 2.5 in dimension 0, .* takes -2 to 2: store"),
    "whole numbers as actions": (ACTIONS, lambda a: a.astype(int), "takes real numbers as actions"),
    "obs of Hopper": (
        OBS,
        widen(11),
        "demos have 11 observation features, .* has 3: pass --env InvertedDoublePendulum",
    ),
    "three actions": (ACTIONS, widen(3), "demos have 3 numbers in an action, .* takes 1"),
    "flags of 7": (FLAG, lambda a: a + 7, "more than 0 and 1: give booleans"),
    "flags of text": (FLAG, lambda a: a.astype("U5"), "more than 0 and 1: give booleans"),
    "a flag too many": (FLAG, lambda a: np.append(a, False), "flags, |rows, observations has"),
    "real lengths": (LENGTH, lambda a: a + 0.5, "give whole numbers"),
    "lengths too large": (
        LENGTH,
        lambda a: a + 100,
        "must agree|lengths 105|give each 1 or more|give 1 to 5",
    ),
    "negative lengths": (LENGTH, lambda a: -a, "lengths -5|give each 1 or more|give 1 to 5"),
    "no rows": (OBS + ACTIONS + REWARDS + FLAG, lambda a: a[:0], "no episode|lengths|shape|flags|steps|rows"),
}


def kinds(tables: Tables, names: tuple[str, ...]) -> list[str]:
    return [key for key in tables if key.rpartition("/")[2] in names]


CASES = [
    (form, fault)
    for form, (build, _) in FORMATS.items()
    for fault, (names, _, _) in FAULTS.items()
    if kinds(build(), names)
]


def inspect(path: Path, capsys) -> tuple[int, str, str]:
    capsys.readouterr()
    status = cli.run(
        main, Config, ["inspect", str(path), "--env", ENV, "--out", str(path.parent / "out.png")]
    )
    out, err = capsys.readouterr()
    return status, out, err


def refused(path: Path, message: str, capsys) -> None:
    status, out, err = inspect(path, capsys)
    assert status == 2 and out == "" and not (path.parent / "out.png").exists()
    assert err.startswith("error: ") and err.count("\n") == 1 and len(err) < 500
    assert re.search(message, err), err


@pytest.mark.parametrize("form", FORMATS)
def test_without_a_fault_it_is_read(form, tmp_path, capsys):
    build, name = FORMATS[form]
    status, out, err = inspect(write(tmp_path / name, build()), capsys)
    assert status == 0 and err == ""
    assert "episodes      2" in out and (tmp_path / "out.png").stat().st_size > 1000


@pytest.mark.parametrize(("form", "fault"), CASES)
def test_a_fault_in_an_array(form, fault, tmp_path, capsys):
    (build, name), (names, change, message) = FORMATS[form], FAULTS[fault]
    tables = build()
    tables |= {key: change(tables[key]) for key in kinds(tables, names)}
    refused(write(tmp_path / name, tables), message, capsys)


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda data: b"", "the file is empty"),
    "half of it": (lambda data: data[: len(data) // 2], "cannot be read"),
    "the last bytes gone": (lambda data: data[:-20], "cannot be read"),
    "its middle overwritten": (
        lambda data: data[:100] + b"\xff" * (len(data) - 200) + data[-100:],
        "cannot be read",
    ),
    "text before it": (lambda data: b"# demonstrations\n" + data, "neither an npz nor an HDF5 file"),
    "pickled": (pickle.dumps, "a pickle, which can run code"),
    "compressed": (gzip.compress, "neither an npz nor an HDF5 file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_file(form, damage, tmp_path, capsys):
    (build, name), (change, message) = FORMATS[form], DAMAGE[damage]
    path = write(tmp_path / name, build())
    path.write_bytes(change(path.read_bytes()))
    refused(path, message, capsys)


class Bomb:
    """Unpickled, it makes a folder."""

    def __reduce__(self):
        return os.mkdir, (self.target,)

    def __init__(self, target: Path):
        self.target = str(target)


def archive(**members: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return data.getvalue()


def npy(array: np.ndarray) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=True)
    return data.getvalue()


def npz(tables: Tables, **members: bytes) -> bytes:
    plain = {f"{key}.npy": npy(value) for key, value in tables.items()}
    return archive(**{**plain, **members})


def bomb(tmp_path: Path) -> bytes:
    return pickle.dumps(Bomb(tmp_path / "unpickled"))


STRANGE: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "a pickle": (bomb, "a pickle, which can run code"),
    "a pickle for an array": (
        lambda tmp: npz(rlgen(), **{"obs.npy": bomb(tmp)}),
        "obs (cannot be read|is not an)",
    ),
    "a pickle behind an array's header": (
        lambda tmp: npz(rlgen(), **{"acts.npy": npy(np.array([Bomb(tmp / "unpickled")], object))}),
        "acts cannot be read .*never unpickled",
    ),
    "a header of code": (
        lambda tmp: npz(rlgen(), **{"obs.npy": npy(steps(11, 3)).replace(b"(11, 3)", b"exit(3)")}),
        "obs cannot be read",
    ),
    "a header of terabytes": (
        lambda tmp: npz(
            rlgen(), **{"obs.npy": npy(steps(11, 3)).replace(b"(11, 3), }    ", b"(9999999999,)}")}
        ),
        "obs cannot be read",
    ),
    "a member that is no array": (lambda tmp: npz(rlgen(), **{"obs.npy": b"1,2,3"}), "obs is not an array"),
    "a model of SB3": (
        lambda tmp: archive(**{"data": b"{}", "policy.pth": bomb(tmp)}),
        "an SB3 model, not demonstrations: record from it with python -m demos.record",
    ),
    "a zip of something": (lambda tmp: archive(**{"readme.txt": b"hello"}), "a zip archive without arrays"),
    "an empty zip": (lambda tmp: archive(), "a zip archive without arrays"),
    "a single array": (lambda tmp: npy(steps(11, 3)), "a single array, demonstrations are several"),
    "arrays of another kind": (
        lambda tmp: npz({"images": steps(3, 3)}),
        "an unknown format with images in it",
    ),
    "no flags": (lambda tmp: npz(rlgen() | {}, **{"terminated.npy": b""}), "terminated is not an array"),
    "env_id of numbers": (lambda tmp: npz(rlgen() | {"env_id": np.array(3)}), "give a single string"),
    "env_id of objects": (
        lambda tmp: npz(rlgen() | {"env_id": np.array(Bomb(tmp / "unpickled"), object)}),
        "env_id cannot be read",
    ),
    "another environment": (
        lambda tmp: npz(rlgen() | {"env_id": np.array("Ant-v5")}),
        "demonstrations of Ant-v5, not of Pendulum-v1: pass --env Ant-v5",
    ),
    "returns of text": (
        lambda tmp: npz(rlgen() | {"attempt_returns": np.array(["1"])}),
        "give finite numbers",
    ),
    "no returns": (lambda tmp: npz(rlgen() | {"attempt_returns": np.zeros(0)}), "give finite numbers"),
    "no episode": (lambda tmp: npz(rlgen() | {"episode_lengths": np.zeros(0, int)}), "of none"),
    "an end in the middle": (
        lambda tmp: npz(rlgen() | {"truncated": flags(2, 8)}),
        "truncated is set at step 2",
    ),
    "arguments that are no json": (
        lambda tmp: npz(rlgen() | {"env_kwargs": np.array("{g: 5")}),
        "env_kwargs is no json",
    ),
    "arguments that are no object": (
        lambda tmp: npz(rlgen() | {"env_kwargs": np.array("[5]")}),
        "env_kwargs is .5.: give a json object",
    ),
    "d4rl without ends": (
        lambda tmp: npz({key: value for key, value in d4rl().items() if key != "timeouts"}),
        "neither timeouts nor next_observations tell where episodes end",
    ),
    "d4rl that jumps": (
        lambda tmp: npz(d4rl() | {"next_observations": steps(9, 3)}),
        "the observation after row 0 is not its next_observations",
    ),
    "d4rl with other successors": (
        lambda tmp: npz(d4rl() | {"next_observations": steps(9, 4)}),
        "next_observations has 4 features",
    ),
    "episodes of one row": (lambda tmp: npz(d4rl() | {"timeouts": np.ones(9, bool)}), "no episode in it"),
    "actions by another name": (
        lambda tmp: npz({"actions" if key == "acts" else key: value for key, value in rlgen().items()}),
        "actions is not read in this format: rename it to acts",
    ),
    "rewards by another name": (
        lambda tmp: npz({"rews" if key == "rewards" else key: value for key, value in d4rl().items()}),
        "rews is not read in this format: rename it to rewards",
    ),
    "terminal for too few": (
        lambda tmp: npz(imitation() | {"terminal": np.array([True])}),
        "terminal has 1 flags",
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_file(name, tmp_path, capsys):
    build, message = STRANGE[name]
    path = tmp_path / "demos.npz"
    path.write_bytes(build(tmp_path))
    refused(path, message, capsys)
    assert not (tmp_path / "unpickled").exists()


def test_the_bomb_is_one(tmp_path):
    """Else the tests that it stays quiet would say nothing."""
    pickle.loads(bomb(tmp_path))
    assert (tmp_path / "unpickled").is_dir()


def test_a_file_of_somebody_else(tmp_path, capsys, monkeypatch):
    """Whom its permissions shut out; the superuser never is."""
    path = write(tmp_path / "demos.npz", rlgen())

    def shut(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("zipfile.ZipFile.__init__", shut)
    refused(path, "the file cannot be read: no permission", capsys)


def test_damaged_hdf5_groups_and_metadata(tmp_path, capsys):
    path = tmp_path / "main_data.hdf5"
    tables = minari()
    tables["episode_1/observations/position"] = tables.pop("episode_1/observations")
    refused(write(path, tables), "episode_1/observations cannot be read .*flatten Dict observations", capsys)
    del tables["episode_1/observations/position"]
    refused(write(path, tables), "episode_1/observations cannot be read", capsys)
    tables = minari() | {"episode_1/observations": steps(5, 4)}
    refused(write(path, tables), "episodes differ in the size of observations", capsys)
    write(path, minari())
    (tmp_path / "metadata.json").write_text('{"env_spec": ')
    refused(path, "metadata.json cannot be read", capsys)
    (tmp_path / "metadata.json").write_text('{"env_spec": "{\\"id\\": \\"Ant-v5\\"}"}')
    refused(path, "demonstrations of Ant-v5, not of Pendulum-v1", capsys)


def test_a_place_for_the_histogram_is_asked_for_only_if_there_is_one(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build, name = FORMATS["rlgen"]
    tables = build()
    (tmp_path / f"{Path(name).stem}_returns.png").mkdir()
    assert cli.run(main, Config, ["inspect", str(write(tmp_path / name, tables)), "--env", ENV]) == 2
    out, err = capsys.readouterr()
    assert "episodes      2" in out and "a folder: give a file's path" in err  # the report is not lost
    without = {key: value for key, value in tables.items() if key not in REWARDS}
    assert cli.run(main, Config, ["inspect", str(write(tmp_path / name, without)), "--env", ENV]) == 0
    assert "no rewards in it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.npz", "gone.npz: no such file"),
        ("folder", "a folder without a Minari dataset"),
        ("mujoco/gone/expert-v0", "pass --download"),
    ],
)
def test_nothing_there(name, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    assert cli.run(main, Config, ["inspect", name, "--env", ENV]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "demos.npz"
    path.write_bytes(STRANGE["a pickle behind an array's header"][0](tmp_path))
    argv = [sys.executable, "-W", "error", "-m", "rlgen.demonstrations", "inspect", str(path), "--env", ENV]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == "" and done.stderr.count("\n") == 1
    assert (
        done.stderr.startswith(f"error: {path}: acts cannot be read")
        and not (tmp_path / "unpickled").exists()
    )
