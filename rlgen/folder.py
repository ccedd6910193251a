"""The run folder on disk: name, settings, files that are whole or absent, checkpoints that are intact.

LOG_FOLDER/vime/ENV_K/  config.json command.txt versions.json progress.csv monitor.csv evaluations.csv
(or gail/, expert/)     reward_curve.png tensorboard/ checkpoints/step_N/ final/; of `rlgen.enjoy`
                        evaluation.json videos/
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rlgen
from rlgen.files import atomic_write, make_folder, write_json

PACKAGES = ("torch", "numpy", "gymnasium", "mujoco", "stable-baselines3", "sb3-contrib")
KEPT = 2  # checkpoints


def new_run(log_folder: str | Path, kind: str, env: str) -> Path:
    """Make LOG_FOLDER/kind/ENV_K with the first K that is free; safe among processes that start together.

    Raises:
        ValueError: no folder can be made there.
    """
    parent = Path(log_folder) / kind
    try:
        make_folder(parent)
    except OSError as error:
        raise ValueError(f"--log-folder {log_folder}: no folder can be made there ({error})") from error
    name = env.rpartition(":")[2].rpartition("/")[2]
    taken = [path.name.rpartition("_")[2] for path in parent.glob(f"{name}_*")]
    k = max((int(number) for number in taken if number.isdecimal()), default=0)
    while True:
        k += 1
        try:
            os.mkdir(parent / f"{name}_{k}")
            return parent / f"{name}_{k}"
        except FileExistsError:
            continue


def write_config(run: Path, config: Mapping[str, Any]) -> None:
    """Write config.json, which has the `Setup` under "setup", and command.txt and versions.json beside it."""
    write_json(run / "config.json", config)
    atomic_write(run / "command.txt", shlex.join(sys.orig_argv) + "\n")
    write_json(run / "versions.json", versions())


def read_config(run: Path) -> dict[str, Any]:
    """The run's config.json.

    Raises:
        ValueError: there is none.
    """
    try:
        return json.loads((Path(run) / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{run} is not a run folder: its config.json cannot be read ({error})") from error


@contextmanager
def held(run: Path) -> Iterator[None]:
    """Keep other processes from training in a run folder meanwhile; the system forgets it if this one dies.

    Raises:
        ValueError: Another one is at it.
    """
    handle = os.open(run, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"{run} is in training by another process: wait until that has ended, or end it"
            ) from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def versions() -> dict[str, str]:
    """What the last bit of a parameter can depend on, besides the settings."""
    import torch

    return {
        "rlgen": rlgen.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
    }


def version_changes(run: Path) -> list[str]:
    """One line for each version that differs from those that the run began with."""
    try:
        before = json.loads((run / "versions.json").read_text())
    except (OSError, ValueError):
        return ["versions.json cannot be read: whether the versions are those of the run is unknown"]
    now = versions()
    return [
        f"{name} was {before.get(name)}, is {now.get(name)}: the resumed run may differ in the last bits"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


# Checkpoints as folders


def seal(temporary: Path, folder: Path, **facts: Any) -> None:
    """Finish a checkpoint: write its manifest, bring it to the disk, and give it its name."""
    files = {path.name: _fingerprint(path) for path in sorted(temporary.iterdir())}
    write_json(temporary / "manifest.json", {**facts, "files": files})
    for path in temporary.iterdir():
        _sync(path)
    _sync(temporary)
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(folder, old)
    os.rename(temporary, folder)
    _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a checkpoint whose files are all there, byte for byte.

    Raises:
        ValueError: a file is missing or differs from what was written.
    """
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        files = manifest["files"]
        int(manifest["step"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"checkpoint {folder} is damaged: its manifest cannot be read ({error})") from error
    for name, fingerprint in files.items():
        path = folder / name
        if not path.is_file() or _fingerprint(path) != fingerprint:
            raise ValueError(f"checkpoint {folder} is damaged: {name} is missing or not as it was written")
    return manifest


def checkpoint_folders(run: Path) -> list[Path]:
    """All that are named as checkpoints, damaged or not, oldest first."""
    found = [path for path in (run / "checkpoints").glob("step_*") if path.name[5:].isdecimal()]
    return sorted(found, key=step_of)


def has_final(run: Path) -> bool:
    """Whether there is a `final`; one that a kill left half replaced gets its name back."""
    final, old = run / "final", run / ".final.old"
    if not final.exists() and old.exists():
        os.rename(old, final)
    return final.exists()


def has_checkpoint(run: Path) -> bool:
    """Whether there is any, damaged or not; a run killed before its first starts from step 0."""
    return has_final(run) or any((run / "checkpoints").glob("step_*"))


def latest_checkpoint(run: Path) -> Path | None:
    """The newest intact checkpoint, `final` included; prints a line for each damaged one passed over."""
    final = [run / "final"] if has_final(run) else []
    for folder in sorted([*checkpoint_folders(run), *final], key=step_of, reverse=True):
        try:
            read_manifest(folder)
            return folder
        except ValueError as error:
            print(f"{error}; passed over")
    return None


def prune(run: Path, step: int) -> None:
    """Keep the last checkpoints up to `step`: later ones are of a run that was abandoned."""
    folders = checkpoint_folders(run)
    keep = [path for path in folders if step_of(path) <= step][-KEPT:]
    for path in {*folders, *(run / "checkpoints").glob(".step_*.tmp")} - {*keep}:
        shutil.rmtree(path)


def step_of(folder: Path) -> int:
    """The step at which a checkpoint was taken, by its name or manifest; unknown counts as the latest."""
    if folder.name != "final":
        return int(folder.name.removeprefix("step_"))
    try:
        return int(json.loads((folder / "manifest.json").read_text())["step"])
    except (OSError, ValueError, KeyError, TypeError):
        return sys.maxsize


def _fingerprint(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
