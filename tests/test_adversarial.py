"""What holds for every adversarial image model, on networks small enough for milliseconds."""

import io
from dataclasses import replace

import pytest
import torch
from torch import nn

from rlgen.generative.adversarial import (
    AdversarialConfig,
    AdversarialModel,
    Batch,
    Optimizers,
    descend,
    make_optimizers,
    set_learning_rates,
)
from rlgen.generative.dcgan import DCGAN, DCGAN_28, DCGANConfig
from rlgen.generative.improved_gan import IMPROVED_GAN_CIFAR10_SAMPLES, ImprovedGAN, ImprovedGANConfig
from rlgen.generative.infogan import InfoGAN, InfoGANConfig
from rlgen.generative.networks import ImageGenerator, ImageTrunk, base_side, normal, up
from rlgen.generative.normalization import BatchNorm
from tests.draws import generator

SMALL = {"image_shape": (1, 8, 8), "noise_size": 5, "batch_size": 6}
CONFIGS = {
    "dcgan": DCGANConfig(**SMALL, channels=(8, 4)),
    "dcgan-all": DCGANConfig(
        **SMALL,
        channels=(8, 4),
        hidden=(7,),
        label_smoothing=0.25,
        input_noise=0.1,
        minibatch_kernels=3,
        minibatch_dims=2,
        virtual_batch_norm=True,
        historical_averaging=0.5,
    ),
    "improved_gan": ImprovedGANConfig(**SMALL, hidden=(9, 8), generator_hidden=(7,)),
    "improved_gan-conv": replace(
        IMPROVED_GAN_CIFAR10_SAMPLES,
        **SMALL | {"image_shape": (1, 16, 16)},
        widths=(4, 5),
        channels=(8, 4),
        input_dropout=0.1,
        minibatch_kernels=3,
    ),
    "infogan": InfoGANConfig(**SMALL, categorical=(3, 2), channels=(8, 4), hidden=7, posterior_hidden=6),
    "infogan-sigma": InfoGANConfig(
        **SMALL, channels=(8, 4), hidden=7, posterior_hidden=6, learn_sigma=True, categorical=()
    ),
}
names = pytest.mark.parametrize("name", CONFIGS)


def make(name: str, seed: int = 0) -> AdversarialModel:
    kinds = {"dcgan": DCGAN, "improved_gan": ImprovedGAN, "infogan": InfoGAN}
    return kinds[name.partition("-")[0]](CONFIGS[name], seed=seed)


def batch(model: AdversarialModel) -> Batch:
    images = torch.rand(12, *model.config.image_shape, generator=generator(7))
    return Batch(images[:6], images[6:], torch.arange(6))


def states_equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().items(), second.state_dict().items(), strict=True)
    return all(a == b and (not torch.is_tensor(x) or torch.equal(x, y)) for (a, x), (b, y) in pairs)


def train(
    model: AdversarialModel, rounds: int, g: torch.Generator, optimizers: Optimizers | None = None
) -> list[float]:
    optimizers, losses = optimizers or make_optimizers(model), []
    for _ in range(rounds):
        for loss, optimizer in (
            (model.discriminator_loss, optimizers.discriminator),
            (model.generator_loss, optimizers.generator),
        ):
            value = loss(batch(model), g)
            descend(value, optimizer)
            losses.append(value.item())
        model.update_averages()
    return losses


@names
def test_the_same_seeds_give_the_same_model_and_training(name):
    state = torch.get_rng_state()
    first, second, other = make(name), make(name), make(name, seed=1)
    assert states_equal(first, second) and not states_equal(first, other)
    for model in (first, second):
        g = generator(1)
        model.initialise(batch(model).images, g)
        train(model, 2, g)
    assert states_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


@names
def test_losses_change_nothing_and_depend_on_their_generator_alone(name):
    model = make(name)
    model.initialise(batch(model).images, generator())
    before = make(name)
    before.load_state_dict(model.state_dict())
    for loss in (model.discriminator_loss, model.generator_loss):
        first, same, other = (loss(batch(model), generator(seed)) for seed in (3, 3, 4))
        assert first.shape == () and first.isfinite()
        assert torch.equal(first, same) and not torch.equal(first, other)
    measured = model.measure(batch(model), generator(3))
    assert measured == model.measure(batch(model), generator(3))
    assert {"generator_loss"} < set(measured) and all(isinstance(value, float) for value in measured.values())
    assert states_equal(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())


@names
def test_each_loss_reaches_every_parameter_of_its_player_and_the_steps_no_other(name):
    model = make(name)
    model.initialise(batch(model).images, generator())
    train(model, 1, generator())  # the distance from the past is 0 at first
    optimizers = make_optimizers(model)
    for loss, mine, theirs, optimizer in (
        (model.discriminator_loss, model.discriminator, model.generator, optimizers.discriminator),
        (model.generator_loss, model.generator, model.discriminator, optimizers.generator),
    ):
        model.zero_grad()
        before = [parameter.detach().clone() for parameter in theirs.parameters()]
        descend(loss(batch(model), generator()), optimizer)
        gradients = {key: parameter.grad for key, parameter in mine.named_parameters()}
        assert [key for key, grad in gradients.items() if grad is None or not grad.any()] == []
        assert all(parameter.grad is None for parameter in theirs.parameters())
        assert all(torch.equal(a, b) for a, b in zip(before, theirs.parameters(), strict=True))


@names
def test_fakes_do_not_train_the_generator_in_the_discriminators_step(name):
    model = make(name)
    loss = model.discriminator_loss(batch(model), generator())
    if "all" not in name:
        inputs = list(model.generator.parameters())
        assert all(grad is None for grad in torch.autograd.grad(loss, inputs, allow_unused=True))
    loss.backward()
    assert all(parameter.grad is None for parameter in model.generator.parameters())


@names
def test_an_image_is_a_function_of_its_own_code(name):
    model = make(name)
    z = model.draw_codes(5, generator())
    assert z.shape == (5, model.config.code_size)
    together = model.generate(z)
    assert together.shape == (5, *model.config.image_shape) and not together.requires_grad
    torch.testing.assert_close(model.generate(z[3:4]), together[3:4])
    assert together.min() >= (-1 if model.config.pixel_offset else 0) and together.max() <= 1


@names
def test_samples_come_in_any_number(name, monkeypatch):
    model = make(name)
    monkeypatch.setattr("rlgen.generative.adversarial.SAMPLE_ROWS", 4)
    for n in (1, 9):
        images = model.sample(n, generator(n))
        assert images.shape == (n, *model.config.image_shape)
        assert torch.equal(images, model.sample(n, generator(n)))
        torch.testing.assert_close(images, model.generate(model.draw_codes(n, generator(n))))


@names
def test_a_loaded_model_and_its_optimizers_train_on_bitwise(name):
    first, second = make(name), make(name, seed=1)
    first.initialise(batch(first).images, generator())
    optimizers = make_optimizers(first)
    train(first, 1, generator(), optimizers)
    file = io.BytesIO()
    torch.save([first.state_dict(), *(optimizer.state_dict() for optimizer in optimizers)], file)
    file.seek(0)
    state, *states = torch.load(file, weights_only=True)
    second.load_state_dict(state)
    others = make_optimizers(second)
    for optimizer, state in zip(others, states, strict=True):
        optimizer.load_state_dict(state)
    assert train(first, 2, generator(5), optimizers) == train(second, 2, generator(5), others)
    assert states_equal(first, second)


@names
def test_images_that_do_not_fit_are_refused(name):
    model, g = make(name), generator()
    data = batch(model)
    for bad in (data.images[:, :, :4], (255 * data.images).to(torch.uint8)):
        with pytest.raises(ValueError, match="set image_shape, and apply from_bytes"):
            model.initialise(bad, g)
        with pytest.raises(ValueError, match="set image_shape, and apply from_bytes"):
            model.discriminator_loss(data._replace(images=bad), g)


def test_rates_stay_and_then_fall_to_zero():
    config = AdversarialConfig(epochs=1200, constant_epochs=800, discriminator_rate=0.5, generator_rate=2.0)
    assert [config.rate_factor(epoch) for epoch in (0, 800, 1000, 1199)] == [1, 1, 0.5, 1 / 400]
    assert AdversarialConfig(epochs=25, constant_epochs=25).rate_factor(24) == 1
    model = make("dcgan")
    optimizers = make_optimizers(model)
    set_learning_rates(optimizers, config, 1000)
    assert [o.param_groups[0]["lr"] for o in optimizers] == [0.25, 1.0]


def test_optimizers_are_adam_with_the_configs_numbers():
    model = make("improved_gan")
    group = make_optimizers(model).discriminator.param_groups[0]
    assert group["lr"] == 0.003 and group["betas"] == (0.5, 0.999)
    assert group["eps"] == 1e-4 and group["weight_decay"] == 0
    held = {id(p) for o in make_optimizers(model) for p in o.param_groups[0]["params"]}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}


@pytest.mark.parametrize("config", [DCGANConfig(), DCGAN_28, IMPROVED_GAN_CIFAR10_SAMPLES])
def test_bytes_go_there_and_back(config):
    grey = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    images = config.from_bytes(grey)
    assert images.min() >= -1 and images.max() <= 1 and images.dtype == torch.float32
    assert torch.equal(config.to_bytes(images), grey)
    assert config.to_bytes(torch.tensor([-9.0, 9.0])).tolist() == [0, 255]


@pytest.mark.parametrize("shape", [(1, 28, 20), (3, 30, 30), (3, 2, 2)])
def test_images_that_cannot_be_halved_so_often_are_refused(shape):
    with pytest.raises(ValueError, match=f"{shape[1]} x {shape[2]} cannot be halved 3 times"):
        base_side(shape, (4, 3, 2))


def test_trunk_and_generator_mirror_each_other():
    shape, fill = (3, 16, 16), normal(0.02, generator())
    for kernel in (4, 5):
        net = ImageGenerator(
            6,
            shape,
            hidden=(7,),
            channels=(8, 4),
            kernel=kernel,
            last=up(4, 3, kernel, fill),
            squash=torch.tanh,
            normalise=BatchNorm,
            fill=fill,
        )
        trunk = ImageTrunk(
            shape,
            channels=(4, 8),
            hidden=(7,),
            kernel=kernel,
            slope=0.2,
            first_bias=False,
            normalise=BatchNorm,
            fill=fill,
            fill_maps=fill,
        )
        images = net(torch.rand(5, 6, generator=generator()))
        assert images.shape == (5, *shape)
        assert trunk(images).shape == (5, trunk.out_features) == (5, 7)
