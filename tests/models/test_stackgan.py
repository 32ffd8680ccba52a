"""StackGAN: the divergence, the drawn condition, who sees it, and two stages."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal, kl_divergence

from mmdl_lib.core import generator
from mmdl_lib.models import stackgan
from mmdl_lib.models.stackgan import Augmentation, Gaussian, StackGAN


def make(name="tiny"):
    torch.manual_seed(0)
    return StackGAN.from_preset(name).eval()


def batch_of(model, n=6):
    return StackGAN.example_batch(model.config, n, generator=generator(1))


def gaussians(n=5, c=7):
    return Gaussian(*torch.randn(2, n, c, generator=generator(2)))


def is_the_divergence(function):
    """As torch.distributions has it; 0 for a standard Gaussian; twice as large where
    all dimensions are there twice; as large where all rows are."""
    mean, log_variance = given = gaussians()
    both = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    expected = kl_divergence(*both).sum(1).mean()
    wide = Gaussian(*(torch.cat([x, x], 1) for x in given))
    tall = Gaussian(*(torch.cat([x, x]) for x in given))
    zero = Gaussian(torch.zeros(3, 4), torch.zeros(3, 4))
    found = torch.stack([function(x) for x in (given, wide, tall, zero)])
    wanted = torch.stack([expected, 2 * expected, expected, torch.zeros(())])
    return torch.allclose(found, wanted, atol=1e-5)


def test_the_divergence_has_its_closed_form():
    assert is_the_divergence(stackgan.divergence)


def test_other_divergences_are_refused():
    def mean_over_dimensions(g):
        return stackgan.divergence(g) / g.mean.shape[1]

    def sum_over_rows(g):
        return stackgan.divergence(g) * len(g.mean)

    def log_deviation(g):
        return stackgan.divergence(Gaussian(g.mean, 2 * g.log_variance))

    for wrong in (mean_over_dimensions, sum_over_rows, log_deviation):
        assert not is_the_divergence(wrong)


def is_a_draw(draw):
    """Draws differ, their mean tends to mu, their deviation to sigma."""
    mean = torch.tensor([[0.0, 2.0, -1.0]])
    log_variance = torch.tensor([[0.0, 2 * math.log(0.5), 2 * math.log(3.0)]])
    g = generator(0)
    given = Gaussian(mean, log_variance)
    found = torch.cat([draw(given, g) for _ in range(4000)])
    # five standard errors of the widest
    near = torch.allclose(found.mean(0), mean[0], atol=5 * 3 / 4000**0.5)
    return near and torch.allclose(
        found.std(0), torch.tensor([1.0, 0.5, 3.0]), rtol=0.06
    )


def test_a_condition_is_drawn_with_the_deviation_that_its_logarithm_says():
    assert is_a_draw(Gaussian.draw)


def test_a_draw_with_the_variance_for_the_deviation_and_a_mean_alone_are_refused():
    def variance(given, g):
        return Gaussian(given.mean, 2 * given.log_variance).draw(g)

    assert not is_a_draw(variance)
    assert not is_a_draw(lambda given, g: given.mean)


def test_gradients_reach_mean_and_variance():
    given = [x.requires_grad_() for x in gaussians()]
    Gaussian(*given).draw(generator(0)).square().sum().backward()
    assert all(x.grad.abs().min() > 0 for x in given)


def is_free(module):
    """Means below zero and deviations below one can be reached, and differ."""
    mean, log_variance = module(torch.randn(200, 5, generator=generator(3)))
    low = mean.min() < 0 and log_variance.min() < 0
    return bool(low) and not torch.allclose(mean, log_variance)


def test_mean_and_deviation_take_any_value():
    torch.manual_seed(0)
    assert is_free(Augmentation(5, 4))


def test_a_rectified_gaussian_and_one_slice_for_both_are_refused():
    class Rectified(Augmentation):
        def forward(self, text):
            return Gaussian(*self.both(text).relu().chunk(2, 1))

    class Twice(Augmentation):
        def forward(self, text):
            half = self.both(text).chunk(2, 1)[0]
            return Gaussian(half, half)

    torch.manual_seed(0)
    for kind in (Rectified, Twice):
        assert not is_free(kind(5, 4))


class Leaky(StackGAN):
    """The wrong version: the discriminator reads what was drawn for the generator."""

    def first(self, text, generator=None):
        found = super().first(text, generator)
        shape = text.shape
        noise = torch.randn(shape, generator=generator)
        text.add_(0.1 * noise)
        return found


def reads_the_text_alone(kind):
    """Whether the texts that each discriminator gets are those of the encoder."""
    torch.manual_seed(0)
    model = kind.from_preset("tiny").eval()
    batch, got = batch_of(model), []
    with torch.no_grad():
        rows = model.encode_text(batch["tokens"], batch["mask"])
    for judge in (model.discriminator1, model.discriminator2):
        judge.squeeze.register_forward_pre_hook(lambda m, x: got.append(x[0].clone()))
    for phase in model.phases()[1:]:
        with torch.no_grad():
            model.loss(batch, phase=phase, generator=generator(0))
    assert len(got) == 2 * (3 + 1)
    # in a wrong pair the rows are others' rows
    near = [torch.cdist(x, rows).amin(1).max() < 1e-5 for x in got]
    return all(near)


def test_the_discriminators_read_the_text_and_not_what_was_drawn():
    assert reads_the_text_alone(StackGAN)
    assert not reads_the_text_alone(Leaky)


def test_stage_two_has_no_noise_of_its_own():
    for name, random in {"tiny-plain": False, "tiny": True}.items():
        model = make(name)
        text = torch.randn(3, 16, generator=generator(5))
        small = torch.rand(3, 3, 8, 8, generator=generator(6))
        draws = [model.second(small, text, generator(s)).image for s in (0, 1)]
        assert torch.equal(*draws) != random


def test_two_draws_for_one_text_differ_in_both_stages():
    model = make()
    batch = batch_of(model)
    for method, side in ((model.sample_small, 8), (model.sample, 16)):
        draws = [method(batch["tokens"], batch["mask"], generator=generator(s))
                 for s in (0, 1)]  # fmt: skip
        assert draws[0].shape == (6, 3, side, side)
        assert (draws[0] - draws[1]).abs().amax((1, 2, 3)).min() > 1e-4


def test_stage_two_draws_on_what_stage_one_has_drawn_and_on_the_text():
    model = make("tiny-plain")
    text = torch.randn(3, 16, generator=generator(5))
    small = torch.rand(3, 3, 8, 8, generator=generator(6))
    right = model.second(small, text).image
    for other in (model.second(-small, text), model.second(small, text.flip(0))):
        assert (other.image - right).abs().max() > 1e-4


def test_the_price_of_the_divergence_is_in_the_generators_loss_alone():
    model = make()
    for module in (model.augment1, model.augment2):
        nn.init.constant_(module.both.bias, 2.0)
    batch = batch_of(model)
    for phase in model.phases()[1:]:
        found = model.loss(batch, phase=phase, generator=generator(0))
        assert ("kl" in found) == phase.startswith("generator")
        if "kl" in found:
            assert 1 < found["kl"] < found["loss"]
    plain = make("tiny-plain").loss(batch, phase="generator1", generator=generator(0))
    assert plain["kl"] == 0


def test_each_stage_is_paid_for_what_its_own_discriminator_takes_for_true():
    model = make()
    batch = batch_of(model)
    text = model.encode_text(batch["tokens"], batch["mask"])
    for stage in (1, 2):
        phase = f"generator{stage}"
        found = model.loss(batch, phase=phase, generator=generator(4))
        g = generator(4)
        drawn = model.first(text, g)
        if stage == 2:
            drawn = model.second(drawn.image, text, g)
        judge = getattr(model, f"discriminator{stage}")
        fooled = F.softplus(-judge(drawn.image, text)).mean()
        price = model.config.weight * stackgan.divergence(drawn.gaussian)
        assert torch.allclose(found["loss"], fooled + price)
