"""The bound against torch.distributions and closed forms; sums and means; collapse."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from mmdl_lib.core import generator
from mmdl_lib.models.vae import VAE, ConvVAE, Latent, VAEConfig, active_units

KINDS = [VAE, ConvVAE]
each = pytest.mark.parametrize("kind", KINDS)


def make(kind=VAE):
    torch.manual_seed(0)
    return kind.from_preset("tiny").double().eval()


def pictures(model, n=5, seed=1):
    batch = type(model).example_batch(model.config, n, generator=generator(seed))
    return batch["image"].double()


def normal(mean, log_var):
    return Independent(Normal(mean, (0.5 * log_var).exp()), 1)


def fixed_draws(latent, seed):
    noise = torch.randn(latent.mean.shape, generator=generator(seed)).double()
    return latent.mean + (0.5 * latent.log_var).exp() * noise


@each
def test_kl_and_bound_are_those_of_torch_distributions(kind):
    model = make(kind)
    image = pictures(model)
    latent = model.posterior(image)
    prior = normal(torch.zeros_like(latent.mean), torch.zeros_like(latent.mean))
    kl = kl_divergence(normal(*latent), prior)
    assert torch.allclose(latent.kl().sum(1), kl)
    z = latent.draw(generator=generator(2))
    pixels = Independent(Normal(model.decode(z), model.log_sigma.exp()), 3)
    assert torch.allclose(model.log_likelihood(image, z), pixels.log_prob(image))
    elbo = pixels.log_prob(image) + prior.log_prob(z) - normal(*latent).log_prob(z)
    assert torch.allclose(model.bound(image, generator=generator(2)), elbo)


def test_a_standard_posterior_has_no_kl_and_sigma_is_half_the_log_variance():
    zero = torch.zeros(2, 3)
    assert Latent(zero, zero).kl().sum() == 0
    drawn = Latent(zero, zero + math.log(4)).draw(generator=generator(0))
    noise = torch.randn(2, 3, generator=generator(0))
    assert torch.allclose(drawn, 2 * noise)  # exp(log_var) would give 4


def test_draws_have_the_gradient_of_mean_and_deviation():
    mean = torch.zeros(4, 3, requires_grad=True)
    log_var = torch.zeros(4, 3, requires_grad=True)
    latent = Latent(mean, log_var)
    latent.draw(generator=generator(0)).sum().backward()
    noise = torch.randn(4, 3, generator=generator(0))
    assert torch.equal(mean.grad, torch.ones(4, 3))
    assert torch.allclose(log_var.grad, noise / 2)  # d exp(l / 2) eps / dl at 0


def right(model, image, z, latent):
    """Sums over pixels and units, a mean over pictures, over the number of pixels."""
    nats = -model.log_likelihood(image, z).mean()
    return (nats + latent.kl().sum(1).mean()) / image[0].numel()


def mean_over_pixels(model, image, z, latent):
    nats = -model.log_likelihood(image, z).mean() / image[0].numel()
    return nats + latent.kl().sum(1).mean()


def mean_over_units(model, image, z, latent):
    nats = -model.log_likelihood(image, z).mean()
    return (nats + latent.kl().mean()) / image[0].numel()


def sum_over_batch(model, image, z, latent):
    nats = -model.log_likelihood(image, z).mean()
    return (nats + latent.kl().sum()) / image[0].numel()


def without_kl(model, image, z, latent):
    return -model.log_likelihood(image, z).mean() / image[0].numel()


def accepts(version):
    model = make()
    image = pictures(model)
    given = {"image": image}
    found = model.loss(given, generator=generator(3))["loss"]
    latent = model.posterior(image)
    z = latent.draw(generator=generator(3))
    return torch.allclose(found, version(model, image, z, latent))


def test_sums_and_means_are_those_of_the_bound_and_no_other():
    assert accepts(right)
    for wrong in (mean_over_pixels, mean_over_units, sum_over_batch, without_kl):
        assert not accepts(wrong), wrong.__name__


def test_the_effective_weight_of_a_mean_over_pixels_is_the_number_of_pixels():
    """beta_eff = beta pixels / dims for two means: here a mean and a sum."""
    model = make()
    image = pictures(model)
    latent = model.posterior(image)
    z = latent.draw(generator=generator(3))
    wrong = mean_over_pixels(model, image, z, latent)
    heavy = VAE(VAEConfig(**vars(model.config) | {"beta": 64.0})).double()
    heavy.load_state_dict(model.state_dict())
    assert torch.allclose(
        heavy.loss({"image": image}, generator=generator(3))["loss"], wrong
    )


def test_twice_the_same_pictures_have_the_same_loss():
    model = make()
    image = pictures(model, 1)

    latent = model.posterior(image)
    z = latent.draw(generator=generator(3))
    one = right(model, image, z, latent)
    two = [x.repeat(2, 1) for x in latent]
    both = right(model, image.repeat(2, 1, 1, 1), z.repeat(2, 1), Latent(*two))
    assert torch.allclose(one, both)


def linear(d=6, j=2, sigma=0.3):
    """A VAE without hidden layers: pixels are linear in z, and mu in the pixels."""
    model = VAE(VAEConfig(image_size=1, channels=d, latent=j)).double()
    model.encoder = nn.Sequential(nn.Flatten(), nn.Linear(d, 2 * j))
    model.decoder = nn.Sequential(nn.Linear(j, d), nn.Unflatten(1, (d, 1, 1)))
    model = model.double()
    model.log_sigma.data.fill_(math.log(sigma))
    return model


def small_pictures(n=400, d=6):
    """Gaussian data in [-1, 1] with two strong directions."""
    g = generator(4)
    w = 0.12 * torch.randn(2, d, generator=g).double()
    x = torch.randn(n, 2, generator=g).double() @ w
    x = x + 0.05 * torch.randn(n, d, generator=g).double()
    assert x.abs().max() < 1
    return x


def ppca(x, j):
    """Best log-likelihood of x = W z + b + noise: closed form by eigenvalues."""
    n, d = x.shape
    values = torch.linalg.eigvalsh((x - x.mean(0)).T @ (x - x.mean(0)) / n).flip(0)
    noise = values[j:].mean()
    log_det = values[:j].log().sum() + (d - j) * noise.log()
    return -0.5 * (d * math.log(2 * math.pi) + log_det + d)


def at_the_optimum(x, j):
    """The linear VAE with PPCA's weights and the exact posterior as encoder."""
    n, d = x.shape
    values, vectors = torch.linalg.eigh((x - x.mean(0)).T @ (x - x.mean(0)) / n)
    values, vectors = values.flip(0), vectors.flip(1)
    noise = values[j:].mean()
    w = vectors[:, :j] * (values[:j] - noise).sqrt()
    model = linear(d, j, noise.sqrt().item())
    inverse = torch.linalg.inv(w.T @ w + noise * torch.eye(j))
    encode, decode = model.encoder[1], model.decoder[0]
    encode.weight.data[:j] = inverse @ w.T
    encode.bias.data[:j] = -(inverse @ w.T) @ x.mean(0)
    encode.weight.data[j:] = 0
    encode.bias.data[j:] = (noise * inverse).diagonal().log()
    decode.weight.data, decode.bias.data = w, x.mean(0)
    return model, w


def log_density(x, w, noise):
    """log p(x) of the linear model, exactly."""
    cov = w @ w.T + noise * torch.eye(len(w))
    return torch.distributions.MultivariateNormal(x.mean(0), cov).log_prob(x)


def test_the_best_bound_of_a_linear_vae_is_the_likelihood_of_probabilistic_pca():
    x = small_pictures()
    model, w = at_the_optimum(x, 2)
    image = x[..., None, None]
    exact = log_density(x, w, (2 * model.log_sigma).exp())
    assert torch.allclose(exact.mean(), ppca(x, 2))
    # with the true posterior the bound has no gap and no variance: any draw gives it
    bound = model.bound(image, generator=generator(0))
    assert torch.allclose(bound, exact)
    # and no training finds more
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for step in range(60):
        optimizer.zero_grad()
        model.loss({"image": image}, generator=generator(step))["loss"].backward()
        optimizer.step()
    nats = torch.stack(
        [model.bound(image, generator=generator(s)).mean() for s in range(100, 110)]
    )
    assert nats.mean() < ppca(x, 2) + 0.02


def test_more_samples_give_a_tighter_bound_below_the_truth():
    x = small_pictures()
    model, w = at_the_optimum(x, 2)
    exact = log_density(x, w, (2 * model.log_sigma).exp()).mean()
    model.encoder[1].weight.data[:2] *= 0.9  # an encoder that is not quite right
    model.encoder[1].bias.data[2:] += 0.8
    image = x[..., None, None]
    found = [
        model.bound(image, samples=k, generator=generator(5)).mean() for k in (1, 8, 64)
    ]
    assert found[0] < found[1] < found[2] < exact


def test_beta_times_the_noise_decides_which_directions_a_linear_vae_uses():
    """The best weights with beta are those of PPCA with noise beta sigma^2."""
    x = small_pictures()
    x = x - x.mean(0)
    values = torch.linalg.eigvalsh(x.T @ x / len(x)).flip(0)
    sigma, used = 0.05, []
    for share in (0.3, 1.5):  # of the variance of the second direction
        noise = share * values[1].item()
        beta = noise / sigma**2
        model, _ = at_the_optimum(x, 2)  # of beta 1, from where it has to move
        model.log_sigma.data.fill_(math.log(sigma))
        model.config = VAEConfig(**vars(model.config) | {"beta": beta})
        model.log_sigma.requires_grad_(False)
        optimizer = torch.optim.Adam(model.parameters(), 0.02)
        for step in range(800):
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / 800)
            batch = {"image": x[..., None, None]}
            model.loss(batch, generator=generator(step))["loss"].backward()
            optimizer.step()
        length = torch.linalg.svdvals(model.decoder[0].weight.detach()).square()
        expected = (values[:2] - noise).clamp(min=0)
        assert torch.allclose(length, expected, atol=0.1 * values[1].item())
        used.append(int((length > 0.1 * values[1]).sum()))
    assert used == [2, 1]


def test_a_unit_is_active_where_its_mean_varies():
    mean = torch.tensor([[0.0, 1.0, 0.05], [0.0, -1.0, -0.05]])
    assert active_units(mean) == 1
    assert active_units(mean, least=0.001) == 2
    assert active_units(torch.ones(5, 3)) == 0


def test_bad_input_is_one_sentence(as_a_reader):
    model = VAE.from_preset("tiny")
    bad = {
        "image expected shape \\(b, 1, 8, 8\\)": torch.zeros(2, 1, 9, 8),
        "expected pixels in": torch.full((2, 1, 8, 8), 2.0),
        "floats of shape": torch.zeros(2, 1, 8, 8, dtype=torch.long),
    }
    for words, image in bad.items():
        with pytest.raises(ValueError, match=words):
            model.reconstruct(image)
    with pytest.raises(ValueError, match="z expected shape"):
        model.decode(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="n expected a whole number"):
        model.sample(0)
    with pytest.raises(ValueError, match="samples expected"):
        model.bound(torch.zeros(1, 1, 8, 8), samples=0)
    with pytest.raises(ValueError, match="two pictures or more"):
        active_units(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="beta expected"):
        VAE(VAEConfig(image_size=8, beta=-1.0))
