"""The first stage of latent diffusion: shapes, the KL as a sum, a Laplace density."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.autoencoder_kl import AutoencoderKL, AutoencoderKLConfig, PatchKL


def test_each_level_halves_the_side_and_the_way_back_doubles_it():
    config = AutoencoderKLConfig(image_size=32, widths=(8, 8, 16, 16), groups=4)
    model = AutoencoderKL(config)
    z = model.encode(torch.zeros(2, 3, 32, 32))
    assert z.shape == (2, 4, 4, 4)
    assert model.decode(z).shape == (2, 3, 32, 32)


both = pytest.mark.parametrize("kind", [AutoencoderKL, PatchKL])


@both
def test_the_kl_is_a_sum_over_the_numbers_of_a_code_and_not_a_mean(kind):
    model = kind.from_preset("tiny")
    batch = kind.example_batch(model.config, 3, generator=generator(1))
    terms = model.loss(batch, generator=generator(2))
    latent, shape = model.posterior(batch["image"])
    assert shape == model.encode(batch["image"]).shape[1:]
    mu, var = latent.mean, latent.log_var.exp()
    by_hand = 0.5 * (mu**2 + var - 1 - var.log())
    assert torch.allclose(terms["kl"], by_hand.sum(1).mean())
    # sum and mean differ by C H W
    assert abs(terms["kl"] / by_hand.mean() - shape.numel()) < 1e-2


@both
def test_the_loss_is_a_laplace_density_and_a_little_kl(kind):
    model = kind.from_preset("tiny")
    batch = kind.example_batch(model.config, 3, generator=generator(1))
    with torch.no_grad():
        model.log_var.fill_(0.7)
    terms = model.loss(batch, generator=generator(2))
    numbers = 3 * 8 * 8
    wanted = terms["error"] / torch.tensor(0.7).exp() + 0.7
    wanted = wanted + 1e-6 * terms["kl"] / numbers
    assert torch.allclose(terms["loss"], wanted, atol=1e-6)


@both
def test_a_draw_is_decoded_and_the_kl_is_divided_as_the_error_is(kind):
    config = kind.PRESETS["tiny"]
    model = kind(type(config)(**{**vars(config), "kl_weight": 0.5}))
    image = kind.example_batch(model.config, 3, generator=generator(1))["image"]
    terms = model.loss({"image": image}, generator=generator(2))
    latent, shape = model.posterior(image)
    z = latent.draw(generator=generator(2)).reshape(-1, *shape)
    error = (model.decode(z) - image).abs().mean()
    assert torch.allclose(terms["error"], error)
    # the mean of q(z|x), or a square, is another number
    other = model.decode(latent.mean.reshape(-1, *shape)) - image
    assert abs(other.abs().mean() - error) > 1e-5
    wanted = error + 0.5 * terms["kl"] / image[0].numel()
    assert torch.allclose(terms["loss"], wanted, atol=1e-6)


def test_the_best_log_variance_is_the_log_of_the_mean_error():
    error = torch.tensor(0.2)
    v = torch.linspace(-3, 1, 401)
    best = v[(error / v.exp() + v).argmin()]
    assert abs(best - error.log()) < 0.01
