"""Grids, pages, neighbours and films."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from benchmarks.images.pictures import (
    beside_nearest,
    grid,
    nearest,
    page,
    save_gif,
    save_png,
    sweep,
)


def images(n: int, channels: int = 3, seed: int = 0, size: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("scale", "gap"), [(1, 1), (2, 3), (3, 0)])
def test_a_grid_holds_each_image_in_its_place(channels, scale, gap):
    given = images(7, channels)
    found = grid(given, 3, scale=scale, gap=gap, line=77)
    step = 4 * scale + gap
    assert found.shape == (3 * step + gap, 3 * step + gap, channels)
    lines = np.ones(found.shape[:2], bool)
    for k, image in enumerate(given):
        y, x = gap + k // 3 * step, gap + k % 3 * step
        np.testing.assert_array_equal(found[y : y + 4 * scale, x : x + 4 * scale][::scale, ::scale], image)
        lines[y : y + 4 * scale, x : x + 4 * scale] = False
    assert (found[lines] == 77).all()


def test_a_grid_is_nearly_square_unless_told():
    assert grid(images(9), gap=0).shape == (12, 12, 3)
    assert grid(images(10), gap=0).shape == (12, 16, 3)


def test_a_sweep_has_a_row_a_code():
    given = images(6).reshape(2, 3, 4, 4, 3)
    np.testing.assert_array_equal(sweep(given), grid(given.reshape(6, 4, 4, 3), 3))


@pytest.mark.parametrize("batch_size", [3, 7, 100])
def test_nearest_images_by_every_distance(batch_size):
    samples, real = images(5), images(50, seed=1)
    differences = (samples[:, None].astype(int) - real[None]).reshape(5, 50, -1)
    distances = np.sqrt((differences**2).mean(2))
    found = nearest(samples, real, 4, batch_size)
    np.testing.assert_array_equal(found.rows, np.argsort(distances, 1)[:, :4])
    np.testing.assert_allclose(found.distances, np.sort(distances, 1)[:, :4])


def test_a_copy_is_found_at_no_distance():
    real = images(40)
    found = nearest(real[[17, 3]], real)
    np.testing.assert_array_equal(found.rows, [[17], [3]])
    np.testing.assert_array_equal(found.distances, 0)


def test_samples_stand_beside_their_neighbours():
    real = images(20)
    found = beside_nearest(real[[5]], real, 2, gap=1)
    assert found.shape == (6, 6 + 4 + 11, 3)
    np.testing.assert_array_equal(found[1:5, 1:5], real[5])
    np.testing.assert_array_equal(found[1:5, 11:15], real[5])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_what_was_given_and_replaces_the_old_one(channels, tmp_path):
    path, given = tmp_path / "new" / "a.png", images(1, channels)[0]
    for k in range(2):
        save_png(path, given + np.uint8(k))
    found = iio.imread(path)
    np.testing.assert_array_equal(found.reshape(given.shape), given + np.uint8(1))
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_a_failed_picture_leaves_the_old_one(tmp_path, monkeypatch):
    save_png(tmp_path / "a.png", images(1)[0])
    before = (tmp_path / "a.png").read_bytes()

    def fail(path, *_, **__):
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("benchmarks.images.pictures.iio.imwrite", fail)
    with pytest.raises(OSError):
        save_png(tmp_path / "a.png", images(1, seed=1)[0])
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


@pytest.mark.parametrize("channels", [1, 3])
def test_a_film(channels, tmp_path):
    frames = [np.full((20, 30, channels), level, np.uint8) for level in (10, 90, 200)]
    save_gif(tmp_path / "a.gif", frames, seconds=0.1, last=1.5)
    with Image.open(tmp_path / "a.gif") as film:
        assert (film.n_frames, film.size, film.info["loop"]) == (3, (30, 20), 0)  # type: ignore[attr-defined]
        times = []
        for k, frame in enumerate(frames):
            film.seek(k)
            times.append(film.info["duration"])
            np.testing.assert_allclose(
                np.asarray(film.convert("RGB")), np.broadcast_to(frame, (20, 30, 3)), atol=2
            )
    assert times == [100, 100, 1500]


def test_equal_frames_keep_their_time(tmp_path):
    frame = images(1, size=20)[0]
    save_gif(tmp_path / "a.gif", [frame, frame, frame], seconds=0.1, last=1.0)
    with Image.open(tmp_path / "a.gif") as film:
        total = 0
        for k in range(film.n_frames):  # type: ignore[attr-defined]
            film.seek(k)
            total += film.info["duration"]
    assert total == 1200


def test_a_page_has_titles_above_pictures():
    one, two = grid(images(4, 1)), grid(images(9))
    found = page([("grey", one), ("colour, with a title that is wider than the picture", two)])
    assert found.shape[2] == 3 and found.dtype == np.uint8 and found.flags.writeable
    assert found.shape[1] > 200 and found.shape[0] > len(one) + len(two) + 40
    np.testing.assert_array_equal(found[:8], 255)
    place = found[8 + 14 + 4 :, 8:][: len(one), : one.shape[1]]
    np.testing.assert_array_equal(place, np.repeat(one, 3, 2))
    assert (found[8:22] < 128).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grid(images(3).astype(float)), "images are float64"),
        (lambda: grid(images(3)[0]), r"give uint8 \(N, H, W, C\)"),
        (lambda: grid(images(3, 2)), "with 1 or 3 colours"),
        (lambda: grid(images(0)), r"uint8 \(0, 4, 4, 3\)"),
        (lambda: grid(images(3), 0), "columns 0, scale 1, gap 1: pass at least 1, 1 and 0"),
        (lambda: sweep(images(3)), r"give \(R, S, H, W, C\)"),
        (lambda: nearest(images(3), images(3, 1)), "give one shape"),
        (lambda: nearest(images(3), images(3), 4), "k from 1 to M"),
        (lambda: page([]), "a page of no section"),
        (lambda: page([("a", np.zeros((3, 3), np.uint8))]), r"give uint8 \(N, H, W, C\)"),
        (lambda: save_gif(None, []), "give at least one, all alike"),  # type: ignore[arg-type]
        (lambda: save_gif(None, [images(1)[0], images(1, size=5)[0]]), "all alike"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_drawn_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
