"""The benchmarks of sampling and of the Diagonal BiLSTM's step: what they compare is the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from benchmarks import diagonal_lstm_speed, sampling
from benchmarks.images.plain_pixelrnn import plain_outputs, skew, unskew
from rlgen.generative.pixel_network import StackedNetwork
from rlgen.generative.pixelcnn import PixelCNN, PixelCNNConfig
from rlgen.generative.pixelrnn import PixelRNN, PixelRNNConfig
from tests.test_pixel_models import generator, images, make


def test_the_plain_pixelrnn_is_the_same_network():
    model = make("diagonal", image_shape=(1, 4, 6))
    x = images(model, 3)
    assert isinstance(model, PixelRNN) and isinstance(model.network, StackedNetwork)
    torch.testing.assert_close(plain_outputs(model.network, model.centred(x)), model.outputs(x))
    assert diagonal_lstm_speed.difference(model, x) < 1e-5


def test_skewing_moves_rows():
    x = torch.randn(2, 3, 4, 6, generator=generator())
    assert skew(x).shape == (2, 3, 4, 9) and torch.equal(unskew(skew(x)), x)
    assert torch.equal(skew(x)[0, 0, 2], torch.cat([torch.zeros(2), x[0, 0, 2], torch.zeros(1)]))


def test_a_comparison_records_how_much_faster_each_way_is(tmp_path, capsys):
    model = make("residual", image_shape=(1, 4, 5))
    config = sampling.Config(rounds=2, batch_size=3, results=tmp_path)
    figures = sampling.compare("pixelcnn", model, config)
    assert set(figures) == {"pixelcnn_cache_speedup", "pixelcnn_jacobi_speedup"}
    printed = capsys.readouterr().out
    for name, value in figures.items():
        record = json.loads((tmp_path / "sampling" / f"{name}.json").read_text())
        assert value > 0 and record["value"] == value
        assert f"{name}: {value:.1f}\n" in printed and "of more images" not in printed
    sampling.compare("pixelcnn", model, replace(config, rounds=1))
    kept = json.loads((tmp_path / "sampling" / "pixelcnn_cache_speedup.json").read_text())
    assert kept["images_equal"] == 6 and "of more images, and stays" in capsys.readouterr().out


def test_images_that_differ_are_an_error(monkeypatch, tmp_path):
    model = make("residual", image_shape=(1, 4, 5))
    wrong = {**sampling.METHODS, "cache": lambda model, u: 1 - sampling.sample_naive(model, u)}
    monkeypatch.setattr(sampling, "METHODS", wrong)
    with pytest.raises(RuntimeError, match="images of batch 0 are not the same"):
        sampling.compare("pixelcnn", model, sampling.Config(rounds=1, batch_size=3, results=tmp_path))


def test_a_trained_model_is_kept_and_one_of_other_settings_is_not(monkeypatch, tmp_path):
    config = PixelCNNConfig(image_shape=(1, 4, 5), width=3, depth=1, head=4, first_kernel=3)
    calls = []
    monkeypatch.setattr(sampling, "train", lambda model, x, seconds: calls.append(x.shape))
    monkeypatch.setattr(sampling, "load", lambda name, folder: _Data())
    settings = sampling.Config(scratch=tmp_path)
    for changed, n in ((config, 1), (config, 1), (replace(config, width=4), 2)):
        monkeypatch.setitem(sampling.MODELS, "pixelcnn", lambda config=changed: PixelCNN(config))
        model = sampling.trained("pixelcnn", settings)
        assert len(calls) == n and model.config == changed
    assert calls[0] == (2, 1, 4, 5)
    (tmp_path / "pixelcnn.pt").write_bytes(b"no weights")
    with pytest.raises(ValueError, match=r"pixelcnn.pt cannot be read .*: delete it to train it again"):
        sampling.trained("pixelcnn", settings)


class _Data:
    class train:
        images = torch.zeros(2, 4, 5, 1, dtype=torch.uint8).numpy()


def test_training_takes_steps():
    model = PixelRNN(PixelRNNConfig(image_shape=(1, 4, 5), width=3, depth=1, head=4, first_kernel=3))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    sampling.train(model, images(model, 4), 0.02)
    assert not all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="draw one batch at least"):
        sampling.main(sampling.Config(rounds=0))
    with pytest.raises(ValueError, match="unknown model 'vae'"):
        sampling.main(sampling.Config(models=("vae",)))
    with pytest.raises(ValueError, match="a median wants at least five"):
        diagonal_lstm_speed.main(diagonal_lstm_speed.Config(rounds=4))
