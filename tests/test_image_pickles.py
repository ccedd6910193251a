"""CIFAR-10's pickles, damaged and malicious: each gives one line, and nothing of it is run."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.images.data import load
from rlgen import cli
from tests import image_files as make
from tests.image_files import Bomb, refused


@pytest.fixture(autouse=True)
def small(monkeypatch):
    make.shrink(monkeypatch)
    monkeypatch.delenv("RLGEN_DATA", raising=False)


HARM: dict[str, Callable[[Path], bytes]] = {
    **{f"protocol {p}": lambda target, p=p: pickle.dumps(Bomb(target), p) for p in range(6)},
    **{
        f"among the labels, protocol {p}": lambda target, p=p: pickle.dumps(
            {"data": 1, "labels": Bomb(target)}, p
        )
        for p in range(2, 6)
    },
    "an array of objects": lambda target: pickle.dumps({"data": np.array([Bomb(target)], object)}, 2),
    "eval": lambda target: (
        b"\x80\x04cbuiltins\neval\n" + text(f"__import__('os').mkdir('{target}')") + b"\x85R."
    ),
    "the opcode INST": lambda target: b"\x80\x02(" + text(str(target)) + b"ios\nmkdir\n.",
    "the opcode OBJ": lambda target: b"\x80\x02(cos\nmkdir\n" + text(str(target)) + b"o.",
    "the opcode NEWOBJ": lambda target: b"\x80\x02cos\nmkdir\n" + text(str(target)) + b"\x85\x81.",
    "a name of an attribute": lambda target: b"\x80\x04" + text("numpy") + text("dtype.mro") + b"\x93.",
    "an extension": lambda target: b"\x80\x02\x82\x01.",
    "a persistent id": lambda target: b"\x80\x02U\x01aQ.",
    "numpy's own loader": lambda target: b"\x80\x02cnumpy\nload\n" + text(str(target)) + b"\x85R.",
    "a call of ndarray": lambda target: b"\x80\x02cnumpy\nndarray\nK\x03\x85R.",
    "a name filled in": lambda target: b"\x80\x02cnumpy\nndarray\n}b.",
    "a type of objects": lambda target: b"\x80\x02cnumpy\ndtype\nU\x02O8\x85R.",
    "a call of text": lambda target: b"\x80\x02U\x05os.rm)R.",
}


def text(string: str) -> bytes:
    return b"X" + struct.pack("<I", len(string)) + string.encode()


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("form", ["pickles", "tar"])
def test_a_malicious_pickle(harm, form, tmp_path):
    batches = make.batches(make.tables("cifar10")) | {"data_batch_4": HARM[harm](tmp_path / "unpickled")}
    place = {"pickles": batches, "tar": {"cifar-10-python.tar.gz": make.tar(batches)}}[form]
    message = "nothing of it was run|unknown kind|not of numbers|the pickle is damaged"
    said = refused("cifar10", make.put(tmp_path, place), message, "http")
    assert "data_batch_4" in said


@pytest.mark.parametrize(
    "harm", [name for name in HARM if "protocol" in name or "INST" in name or "OBJ" in name]
)
def test_the_harm_is_real(harm, tmp_path):
    """Else the tests that it does not happen would say nothing."""
    try:
        pickle.loads(HARM[harm](tmp_path / "unpickled"))
    except (TypeError, pickle.UnpicklingError):
        assert "NEWOBJ" in harm
        return
    assert (tmp_path / "unpickled").is_dir()


def batch(**change) -> bytes:
    arrays = make.tables("cifar10")
    content = {"data": make.rows(arrays["test_images"]), "labels": arrays["test_labels"].tolist()}
    return pickle.dumps({key: value for key, value in {**content, **change}.items() if value is not None}, 2)


BATCHES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a number encoded": (lambda: b"\x80\x02c_codecs\nencode\nK\x01K\x02\x86R.", "the pickle is damaged"),
    "a list": (lambda: pickle.dumps([1, 2], 2), "holds a list, where a dict with data and labels"),
    "no data": (lambda: batch(data=None), "data is nothing, where uint8"),
    "no labels": (lambda: batch(labels=None), "labels are no list"),
    "fine labels": (lambda: batch(labels=None, fine_labels=[1]), "labels are no list"),
    "labels as text": (lambda: batch(labels=["1"] * 20), "labels are no list of whole numbers"),
    "labels of truth": (lambda: batch(labels=[True] * 20), "labels are no list of whole numbers"),
    "huge labels": (lambda: batch(labels=[10**30] * 20), "large|long"),
    "labels too few": (lambda: batch(labels=[1]), "1 labels for 20 images"),
    "data of floats": (
        lambda: batch(data=np.zeros((20, 3072))),
        r"data is float64 \(20, 3072\), where uint8",
    ),
    "data too narrow": (
        lambda: batch(data=np.zeros((20, 784), np.uint8)),
        r"data is uint8 \(20, 784\), where",
    ),
    "data as text": (lambda: batch(data="hello"), "data is nothing"),
    "an empty stack": (lambda: b"\x80\x02.", "the pickle is damaged"),
    "no end": (lambda: b"\x80\x02}", "exhausted"),
    "a missing mark": (lambda: b"\x80\x02]K\x01e.", "a mark is missing"),
    "an unknown memory": (lambda: b"\x80\x02h\x07.", "data_batch|test_batch"),
    "below the mark": (lambda: b"\x80\x02]K\x01(a.", "stack runs empty"),
    "a list as a key": (lambda: b"\x80\x02}]K\x01s.", "unhashable|test_batch"),
    "a tuple appended to": (lambda: b"\x80\x02)K\x01a.", "no list where one is filled"),
}


@pytest.mark.parametrize("fault", BATCHES)
def test_a_wrong_batch(fault, tmp_path):
    build, message = BATCHES[fault]
    batches = make.batches(make.tables("cifar10")) | {"test_batch": build()}
    refused("cifar10", make.put(tmp_path, batches), message, "http")


def test_an_archive_without_a_batch_or_with_a_link(tmp_path):
    batches = make.batches(make.tables("cifar10"))
    rest = {name: data for name, data in batches.items() if name != "data_batch_2"}
    make.put(tmp_path, {"cifar-10-python.tar.gz": make.tar(rest)})
    refused("cifar10", tmp_path, "no data_batch_2 in the archive", "http")
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        for name in batches:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
    refused("cifar10", tmp_path, "no data_batch_1, .* in the archive", "http")


@dataclass(frozen=True)
class Config:
    """Flags, as the command has them."""

    data: str
    data_dir: Path


@pytest.mark.parametrize("harm", ["protocol 2", "eval"])
def test_a_command_tells_it_in_one_line_with_status_2(harm, tmp_path, capsys):
    batches = make.batches(make.tables("cifar10")) | {"data_batch_1": HARM[harm](tmp_path / "unpickled")}
    argv = ["--data", "cifar10", "--data-dir", str(make.put(tmp_path, batches))]
    assert cli.run(lambda config: load(config.data, config.data_dir), Config, argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith(f"error: {tmp_path}/data_batch_1: ")


def test_in_a_process_of_its_own(tmp_path):
    """Torch is not imported, and no warning gets through."""
    make.put(
        tmp_path, {"cifar-10-python.tar.gz": make.tar({"data_batch_1": pickle.dumps(Bomb(tmp_path / "x"))})}
    )
    code = (
        "import sys\nfrom benchmarks.images.data import load\n"
        "try: load('cifar10', sys.argv[1])\nexcept ValueError as error: print(error)\n"
        "print({'torch', 'scipy', 'h5py'} & set(sys.modules))"
    )
    argv = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    said, loaded = done.stdout.splitlines()
    assert done.returncode == 0 and done.stderr == "" and loaded == "set()"
    assert said.startswith(f"{tmp_path / 'cifar-10-python.tar.gz'} (data_batch_1): the pickle names")
    assert (
        "nothing of it was run; get cifar-10-python.tar.gz from https://" in said
        and not (tmp_path / "x").exists()
    )
