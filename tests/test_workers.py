"""Jobs side by side: a signal stops them all, and one that fails keeps others from starting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.workers import run_all

ROOT = Path(__file__).parents[1]


def sleep(folder: Path, name: str) -> str:
    """Sleeps until SIGTERM, and saves when it comes."""

    def save(signum: int, frame: object) -> None:
        (folder / f"saved-{name}").touch()
        sys.exit(128 + signum)

    signal.signal(signal.SIGTERM, save)
    (folder / f"begun-{name}").touch()
    time.sleep(60)
    return f"{name} done"


def fail_or_finish(name: str, folder: Path) -> str:
    """The first fails, the second takes a while."""
    (folder / f"begun-{name}").touch()
    if name == "first":
        raise RuntimeError("no such luck")
    time.sleep(2)
    return f"{name} done"


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("signum", "group", "status"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, True, 143),
        (signal.SIGINT, False, 130),
        (signal.SIGTERM, False, 143),
        (signal.SIGKILL, False, -signal.SIGKILL),
    ],
)
def test_a_signal_lets_what_runs_save_and_starts_no_more(tmp_path, signum, group, status):
    code = (
        "from pathlib import Path\nfrom benchmarks.workers import run_all\n"
        "from tests.test_workers import sleep\n"
        f"run_all(sleep, [(Path({str(tmp_path)!r}), name) for name in 'abcd'], workers=2)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: names(tmp_path) == {"begun-a", "begun-b"})
    (os.killpg if group else os.kill)(parent.pid, signum)
    assert parent.wait(60) == status
    wait_for(lambda: names(tmp_path) >= {"saved-a", "saved-b"})
    assert names(tmp_path) == {"begun-a", "begun-b", "saved-a", "saved-b"}


def test_a_failure_lets_what_runs_finish_and_starts_no_more(tmp_path, capfd):
    told = r"failed: fail_or_finish\('first',\) with exit status 1; 1 more were not started"
    with pytest.raises(SystemExit, match=told):
        run_all(fail_or_finish, [(name, tmp_path) for name in ("first", "second", "third")], workers=2)
    out, err = capfd.readouterr()
    assert out == "second done\n" and "RuntimeError: no such luck" in err
    assert names(tmp_path) == {"begun-first", "begun-second"}


def test_without_a_worker_nothing_would_ever_end():
    with pytest.raises(ValueError, match="--workers is 0: give at least 1"):
        run_all(sleep, [()], workers=0)
