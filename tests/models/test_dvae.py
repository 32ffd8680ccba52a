"""dVAE: the relaxed choice, the two terms of its bound, pixels there and back."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.dvae import (
    DVAE,
    annealed,
    gumbel_softmax,
    kl_to_uniform,
    log_density,
    map_pixels,
    unmap_pixels,
)


def make():
    torch.manual_seed(0)
    return DVAE.from_preset("tiny").eval()


def batch_of(model, n=4):
    return DVAE.example_batch(model.config, n, generator=generator(1))


def column(values, n=1):
    """Scores of one place, for n pictures."""
    return torch.tensor(values)[None, :, None, None].repeat(n, 1, 1, 1)


# the choice


@pytest.mark.parametrize("tau", [0.1, 1.0, 4.0])
def test_the_largest_entry_is_a_draw_from_the_softmax_whatever_tau_is(tau):
    scores, n = column([1.0, 0.0, -1.0, 2.0], 20_000), 20_000
    drawn = gumbel_softmax(scores, tau, generator=generator(0)).argmax(1).flatten()
    share = drawn.bincount(minlength=4) / n
    # four standard errors of a share of one half
    assert (share - scores[0].flatten().softmax(0)).abs().max() < 0.015


def test_plain_noise_in_gumbels_place_draws_other_shares():
    """The wrong version: scores with normal noise."""
    scores = column([1.0, 0.0, -1.0, 2.0], 20_000)
    noise = torch.randn(scores.shape, generator=generator(0))
    share = (scores + noise).argmax(1).flatten().bincount(minlength=4) / 20_000
    assert (share - scores[0].flatten().softmax(0)).abs().max() > 0.05


def test_torchs_function_has_the_same_distribution():
    scores = column([1.0, 0.0, -1.0], 40_000)
    ours = gumbel_softmax(scores, 0.7, generator=generator(0))
    torch.manual_seed(1)
    theirs = F.gumbel_softmax(scores, tau=0.7, dim=1)
    for power in (1, 2):
        one, two = (x.pow(power).mean((0, 2, 3)) for x in (ours, theirs))
        assert torch.allclose(one, two, atol=0.01)  # some five standard errors


def test_a_colder_draw_is_nearer_to_a_corner():
    scores = torch.randn(2, 12, 4, 4, generator=generator(2))
    entropy = []
    for tau in (4.0, 1.0, 0.25, 1 / 16):
        p = gumbel_softmax(scores, tau, generator=generator(0))
        assert torch.allclose(p.sum(1), torch.ones(2, 4, 4))
        entropy.append(-(p * p.clamp(min=1e-30).log()).sum(1).mean().item())
    assert entropy == sorted(entropy, reverse=True)
    assert entropy[0] > 2.3 and entropy[-1] < 0.15  # ln 12 = 2.48


def test_the_temperature_falls_from_warm_to_cold():
    found = [annealed(i, 10, warm=1.0, cold=1 / 16) for i in range(12)]
    assert found[0] == 1.0 and found[10] == found[11] == 1 / 16
    assert found == sorted(found, reverse=True)
    assert math.isclose(found[5], (1 + 1 / 16) / 2)


# the divergence


def test_an_even_choice_costs_nothing_and_a_sure_one_the_log_of_the_codes():
    even, sure = torch.zeros(1, 12, 1, 1), column([100.0] + [0.0] * 11)
    assert kl_to_uniform(even).abs().item() < 1e-6
    assert math.isclose(kl_to_uniform(sure).item(), math.log(12), rel_tol=1e-6)
    # the sign turned: an even choice would be the dearest
    assert kl_to_uniform(sure) > kl_to_uniform(column([1.0] + [0.0] * 11)) > 0


def test_the_divergence_is_that_of_torch_distributions():
    scores = torch.randn(3, 12, 2, 2, generator=generator(0))
    q = torch.distributions.Categorical(logits=scores.movedim(1, -1))
    even = torch.distributions.Categorical(logits=torch.zeros(3, 2, 2, 12))
    expected = torch.distributions.kl_divergence(q, even)
    assert torch.allclose(kl_to_uniform(scores), expected, atol=1e-6)


def test_twice_the_pictures_are_no_larger_a_divergence():
    model = make()
    batch = batch_of(model)
    twice = {"image": batch["image"].repeat(2, 1, 1, 1)}
    one, two = (model.loss(b, generator=generator(0))["kl"] for b in (batch, twice))
    assert torch.isclose(one, two)
    # the wrong version, seen in a public repository: F.kl_div with "batchmean" divides
    # by the length of its first argument, which here is 1
    log_even = torch.full((1,), -math.log(12))

    def summed(image):
        log_q = model.scores(image).log_softmax(1)
        args = {"reduction": "batchmean", "log_target": True}
        return F.kl_div(log_even, log_q, **args)

    wrong = [summed(b["image"]) for b in (batch, twice)]
    assert torch.isclose(wrong[1], 2 * wrong[0])


def test_the_divergence_counts_by_beta_and_is_that_of_scores_not_of_the_draw():
    model = make()
    batch = batch_of(model)
    terms = model.loss(batch, generator=generator(0))
    values, scores = 3 * 8 * 8, model.scores(batch["image"])
    kl = kl_to_uniform(scores).sum((1, 2)).mean()
    assert torch.isclose(terms["kl"], kl)
    assert torch.isclose(terms["loss"], terms["pixels"] + 0.1 * kl / values)
    model.tau.fill_(1e-2)
    assert torch.isclose(model.loss(batch, generator=generator(0))["kl"], kl)
    # the wrong version: that of the relaxed draw grows as tau falls
    soft = gumbel_softmax(scores, model.tau, generator=generator(0))
    drawn = (math.log(12) + (soft * soft.clamp(min=1e-30).log()).sum(1)).sum((1, 2))
    assert drawn.mean() > kl + 1


# the density


@pytest.mark.parametrize(("mean", "log_scale"), [(0.0, 0.0), (1.5, -1.0), (-1, -2)])
def test_the_density_has_mass_one(mean, log_scale):
    x = torch.linspace(1e-7, 1 - 1e-7, 400_001, dtype=torch.float64)
    given = torch.tensor(float(mean)).double(), torch.tensor(float(log_scale)).double()
    p = log_density(x, *(g.expand_as(x) for g in given)).exp()
    assert math.isclose(torch.trapezoid(p, x).item(), 1, abs_tol=2e-3)
    # the wrong version: a Laplace density of the logit without the logit's slope
    wrong = p * x * (1 - x)
    assert abs(torch.trapezoid(wrong, x).item() - 1) > 0.5


def test_the_density_is_that_of_a_laplace_variable_through_the_sigmoid():
    base = torch.distributions.Laplace(torch.tensor(0.4), torch.tensor(0.7))
    through = torch.distributions.transforms.SigmoidTransform()
    theirs = torch.distributions.TransformedDistribution(base, through)
    x = torch.linspace(0.1, 0.9, 33)
    mean, log_scale = torch.tensor(0.4).expand(33), torch.tensor(0.7).log().expand(33)
    assert torch.allclose(
        log_density(x, mean, log_scale), theirs.log_prob(x), atol=1e-5
    )


def test_half_of_the_mass_lies_below_what_is_shown():
    """sigmoid(mean) is the median, whatever the scale."""
    x = torch.linspace(1e-6, 1 - 1e-6, 400_001, dtype=torch.float64)
    mean = torch.tensor(0.8, dtype=torch.float64)
    for log_scale in (-2.0, 0.0):
        given = mean, torch.tensor(log_scale).double()
        p = log_density(x, *(g.expand_as(x) for g in given)).exp()
        below = torch.trapezoid(p * (x < mean.sigmoid()), x)
        assert math.isclose(below.item(), 0.5, abs_tol=2e-3)


# pixels


def test_mapped_and_back_is_the_identity_and_mapped_pixels_have_a_logit():
    image = torch.linspace(-1, 1, 101)[None, None, None]
    x = map_pixels(image)
    assert math.isclose(x.min().item(), 0.1, rel_tol=1e-6)
    assert math.isclose(x.max().item(), 0.9, rel_tol=1e-6)
    assert torch.allclose(unmap_pixels(x), image, atol=1e-6)
    assert unmap_pixels(torch.tensor([0.0, 1.0])).tolist() == [-1, 1]
    assert torch.isfinite(torch.logit(x)).all()
    # the wrong version: logits of pixels themselves
    assert not torch.isfinite(torch.logit((image + 1) / 2)).all()


# the model


def test_what_is_shown_is_the_decoders_answer_to_sure_codes():
    model = make()
    codes = model.encode(batch_of(model)["image"])
    assert codes.shape == (4, 4)
    one_hot = F.one_hot(codes, 12).float().reshape(4, 2, 2, 12).movedim(-1, 1)
    shown = unmap_pixels(model.density(one_hot).mean.sigmoid())
    assert torch.equal(model.decode(codes), shown)
    # very sure scores and a cold draw lead to the same picture
    soft = gumbel_softmax(1000 * one_hot, 1 / 16, generator=generator(0))
    relaxed = unmap_pixels(model.density(soft).mean.sigmoid())
    assert torch.allclose(relaxed, shown, atol=1e-4)


def test_codes_stand_in_reading_order():
    model = make()
    image = batch_of(model)["image"]
    table = model.scores(image).argmax(1)
    assert torch.equal(model.encode(image)[:, 1], table[:, 0, 1])
    assert torch.equal(model.encode(image)[:, 2], table[:, 1, 0])


def test_cooling_sets_the_buffer_that_the_loss_reads():
    model = make()
    found = []
    for step in range(4):
        model.cool(step, 4)
        found.append(model.tau.item())
    assert found == sorted(found, reverse=True) and found[-1] == 1 / 16
    batch = batch_of(model)
    cold = model.loss(batch, generator=generator(0))["pixels"]
    model.tau.fill_(5.0)
    assert model.loss(batch, generator=generator(0))["pixels"] != cold


def test_codes_that_begin_at_places_of_the_data_are_all_in_use():
    model = make()
    image = batch_of(model, 40)["image"]
    before = len(model.encode(image).unique())
    model.begin(image)
    after = model.encode(image).flatten().bincount(minlength=12)
    assert (after > 0).all() and before < 12
    # the score is a distance, up to what all codes of a place share
    x = model.encoder[:-1](map_pixels(image)).movedim(1, -1).flatten(0, 2)
    weight, bias = model.encoder[-1].weight[:, :, 0, 0], model.encoder[-1].bias
    scale = weight[0].square().sum() / (-4 * bias[0])
    distance = -scale * torch.cdist(x, weight / (2 * scale)).square()
    scores = model.scores(image).movedim(1, -1).flatten(0, 2)
    both = (v - v.mean(1, keepdim=True) for v in (distance, scores))
    assert torch.allclose(*both, atol=1e-2)


def test_bad_pictures_codes_and_too_few_places_are_refused(as_a_reader):
    model = make()
    image = batch_of(model)["image"]
    with pytest.raises(ValueError, match=r"image expected shape \(b, 3, 8, 8\)"):
        model.encode(image[..., :4])
    with pytest.raises(ValueError, match=r"pixels in \[-1, 1\]"):
        model.encode(3 * image)
    with pytest.raises(ValueError, match=r"codes expected shape \(b, 4\)"):
        model.decode(torch.zeros(2, 9, dtype=torch.long))
    with pytest.raises(ValueError, match="codes expected numbers from 0 to 11"):
        model.decode(torch.full((2, 4), 12))
    with pytest.raises(ValueError, match="at least 12 places, got 8"):
        model.begin(image[:2])
    with pytest.raises(ValueError, match="steps expected"):
        model.cool(0, 0)
