"""The priors: a causal row, standardized embeddings, two draws, bins of components."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.dalle2_prior import CodePrior, Prior, nearest
from mmdl_lib.train import fit

each = pytest.mark.parametrize("kind", [Prior, CodePrior])


def make(kind=Prior, **changes):
    torch.manual_seed(0)
    model = kind(replace(kind.PRESETS["tiny"], **changes)).eval()
    for p in model.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=generator(3))
    return model


def batch_of(model, n=4, seed=1):
    return type(model).example_batch(model.config, n, generator=generator(seed))


def caption(batch):
    return batch["words"], batch["mask"], batch["text"]


def unit(n, d=8, seed=1):
    return F.normalize(torch.randn(n, d, generator=generator(seed)), dim=-1)


# the row


@each
def test_a_place_has_seen_what_stands_before_it_and_nothing_behind(kind):
    model = make(kind)
    row, batch = model.row, batch_of(model)
    rest = torch.randn(4, 3, 32, generator=generator(2))
    before = row(*caption(batch), rest)
    rest[:, 2] += torch.randn(32, generator=generator(4))
    after = row(*caption(batch), rest)
    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-6)
    assert (before[:, 2] - after[:, 2]).abs().max() > 1e-3


@each
def test_padding_is_not_read_and_its_number_does_not_matter(kind):
    model = make(kind)
    batch = batch_of(model)
    batch["mask"] = torch.arange(6) < torch.tensor([[1], [2], [3], [4]])
    rest = torch.randn(4, 3, 32, generator=generator(2))
    whole = model.row(*caption(batch), rest)
    other = torch.where(batch["mask"][..., None], batch["words"], 9.0)
    assert torch.allclose(model.row(other, *caption(batch)[1:], rest), whole, atol=1e-5)
    short = batch["words"][:, :4], batch["mask"][:, :4], batch["text"]
    assert torch.allclose(model.row(*short, rest), whole, atol=1e-5)


@each
def test_a_caption_that_is_left_out_is_the_same_for_all(kind):
    model = make(kind)
    one, two = batch_of(model), batch_of(model, seed=2)
    rest = torch.randn(4, 3, 32, generator=generator(2))
    empty = torch.tensor([True, True, False, False])
    a, b = (model.row(*caption(x), rest, empty) for x in (one, two))
    assert torch.allclose(a[:2], b[:2], atol=1e-6)
    assert (a[2:] - b[2:]).abs().max() > 1e-3


@each
def test_wrong_captions_are_one_clear_sentence(kind):
    model, batch = make(kind), batch_of(make(kind))
    words, mask, text = caption(batch)
    with pytest.raises(ValueError, match="at most 6 words of width 8"):
        model.sample(words.repeat(1, 2, 1), mask.repeat(1, 2), text)
    with pytest.raises(ValueError, match="texts of width 8"):
        model.sample(words, mask, text[:, :3])
    with pytest.raises(ValueError, match="mask"):
        model.sample(words, mask.flip(1), text)


# diffusion


def test_begun_at_the_data_noise_meets_numbers_of_its_own_size():
    model = make()
    picture = F.normalize(unit(500) + 0.5, dim=-1)
    model.begin(picture)
    x = (picture - model.mean) / model.spread
    assert torch.allclose(x.mean(0), torch.zeros(8), atol=1e-5)
    assert x.square().mean().sqrt().item() == pytest.approx(1, abs=1e-4)
    # then the noisy vector has the length sqrt(d) at every step
    for step in (0, 10, 25, 49):
        steps, noise = torch.full((500,), step), torch.randn(500, 8)
        noisy = model.diffusion.q_sample(x, steps, noise)
        length = noisy.square().sum(1).mean().sqrt().item()
        assert length == pytest.approx(8**0.5, rel=0.08)


def test_unit_vectors_in_the_papers_width_drown():
    x = unit(200, 768)
    values = x.abs().mean().item()
    assert values < 0.05
    model = make(embed=768, words=8, components=4)
    assert (x / model.spread).square().mean().item() == pytest.approx(1, abs=1e-4)


def test_the_loss_is_the_mean_square_of_the_embedding_itself():
    model, batch = make(empty=0.0), None
    batch = batch_of(model)
    model.begin(batch["picture"])
    random = generator(5)
    loss = model.loss(batch, generator=random)["loss"]
    again = generator(5)
    step = model.diffusion.draw(4, generator=again)
    noise = torch.randn(4, 8, generator=again)
    x0 = (batch["picture"] - model.mean) / model.spread
    x = model.diffusion.q_sample(x0, step, noise)
    said = model(x, step, *caption(batch))
    assert torch.allclose(loss, (said - x0).square().mean(), atol=1e-6)


def test_the_sampler_finds_the_distribution_that_the_right_net_believes():
    # a Gaussian world: E[x0 | x] is known, so the net is written down and not trained
    model = make()
    model.mean.zero_()
    model.spread.fill_(0.5)
    center, deviation = torch.linspace(-1, 1, 8), 0.6

    def known(x, step, words, mask, text, empty=None):
        a, s = model.diffusion.at(step, x)
        gain = a * deviation**2 / (a**2 * deviation**2 + s**2)
        return center + gain * (x - a * center)

    model.forward = known
    batch = batch_of(model, 4000)
    found = {}

    def note(x, **how):
        found["x"] = x
        return x / x.norm(dim=-1, keepdim=True)

    kept, F.normalize = F.normalize, note
    try:
        model.sample(*caption(batch), steps=50, tries=1, generator=generator(0))
    finally:
        F.normalize = kept
    x = found["x"] / 0.5
    assert torch.allclose(x.mean(0), center, atol=0.06)
    assert x.std(0).mean().item() == pytest.approx(deviation, abs=0.04)


def test_nearest_keeps_the_larger_product_row_by_row():
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    pictures = torch.tensor([[[0.6, 0.8], [0.6, 0.8]], [[0.8, 0.6], [0.8, 0.6]]])
    assert torch.equal(nearest(pictures, text), torch.tensor([[0.8, 0.6], [0.6, 0.8]]))


def test_the_larger_of_two_products_is_higher_by_the_order_statistic():
    # of two normal numbers the larger is 1 / sqrt(pi) deviations above the mean
    n, d = 20_000, 16
    text = torch.zeros(n, d)
    text[:, 0] = 1
    pictures = torch.randn(2, n, d, generator=generator(0))
    gain = nearest(pictures, text)[:, 0].mean().item()
    assert gain == pytest.approx(1 / math.sqrt(math.pi), abs=0.02)


def test_two_tries_are_nearer_to_the_text_and_one_is_the_first_of_them():
    model, batch = make(), batch_of(make(), 64)
    model.begin(unit(200))

    def dots(tries):
        z = model.sample(*caption(batch), tries=tries, steps=3, generator=generator(0))
        assert torch.allclose(z.norm(dim=1), torch.ones(64), atol=1e-5)
        return (z * batch["text"]).sum(1).mean()

    assert dots(1) < dots(2) < dots(6)
    with pytest.raises(ValueError, match="tries"):
        model.sample(*caption(batch), tries=0)


def test_guidance_of_zero_does_not_hear_the_caption():
    model = make()
    model.begin(unit(200))
    one, two = batch_of(model), batch_of(model, seed=2)
    how = {"scale": 0, "tries": 1, "steps": 3}
    a, b = (
        model.sample(*caption(x), **how, generator=generator(0)) for x in (one, two)
    )
    assert torch.allclose(a, b, atol=1e-6)
    how["scale"] = 1
    a, b = (
        model.sample(*caption(x), **how, generator=generator(0)) for x in (one, two)
    )
    assert not torch.allclose(a, b, atol=1e-3)


# codes


def begun(n=300, **changes):
    model = make(CodePrior, **changes)
    picture = F.normalize(unit(n) * torch.linspace(2, 0.1, 8), dim=-1)
    model.begin(picture, unit(n, seed=2))
    return model, picture


def test_components_are_orthonormal_and_sorted_by_spread():
    model, picture = begun()
    assert torch.allclose(model.basis @ model.basis.T, torch.eye(4), atol=1e-5)
    spread = ((picture - model.mean) @ model.basis.T).std(0)
    assert (spread.diff() < 0).all()


def test_more_components_and_bins_bring_the_embedding_back():
    lost = []
    for components, bins in ((2, 8), (4, 8), (8, 8), (8, 256)):
        model, picture = begun(components=components, bins=bins)
        back = model.decode(model.encode(picture))
        assert torch.allclose(back.norm(dim=1), torch.ones(300), atol=1e-5)
        lost.append((back - picture).norm(dim=1).mean().item())
    assert lost == sorted(lost, reverse=True) and lost[-1] < 0.01


def test_each_bin_occurs_between_the_ends_and_beyond_them_the_last():
    model, picture = begun()
    codes = model.encode(picture)
    assert codes.amin(0).tolist() == [0] * 4 and codes.amax(0).tolist() == [4] * 4
    far = model.mean + 9 * model.basis[0]
    assert model.encode(far[None])[0, 0] == 4
    assert model.encode((model.mean - 9 * model.basis[0])[None])[0, 0] == 0


def test_dot_tokens_are_quantiles():
    model, picture = begun()
    count = model.dot(picture, unit(300, seed=2)).bincount(minlength=4)
    assert count.tolist() == [75] * 4


def test_a_code_does_not_see_itself_or_later_ones():
    model, _ = begun()
    batch = batch_of(model)
    codes, dot = torch.randint(5, (4, 3), generator=generator(0)), torch.ones(4).long()
    before = model.scores(*caption(batch), dot, codes)
    codes[:, 2] = (codes[:, 2] + 1) % 5
    after = model.scores(*caption(batch), dot, codes)
    assert torch.allclose(before[:, :3], after[:, :3], atol=1e-6)
    assert (before[:, 3] - after[:, 3]).abs().max() > 1e-4


def test_no_idea_costs_the_log_of_the_bins():
    model, picture = begun()
    model.out.weight.data.zero_()
    model.out.bias.data.zero_()
    batch = batch_of(model)
    assert model.loss(batch)["loss"].item() == pytest.approx(math.log(5), abs=1e-5)


def test_drawn_products_come_from_the_upper_half():
    model, picture = begun()
    batch, asked = batch_of(model, 200), []
    kept = model.scores
    model.scores = lambda *a: asked.append(a[3]) or kept(*a)
    model.sample(*caption(batch), generator=generator(0))
    assert set(asked[0].tolist()) == {2, 3}
    assert all(torch.equal(dot, asked[0]) for dot in asked)


def test_a_code_is_drawn_as_often_as_its_scores_say():
    model, picture = begun()
    share = torch.tensor([0.5, 0.2, 0.2, 0.1, 0.0])
    model.out.weight.data.zero_()
    model.out.bias.data.copy_(share.clamp(min=1e-9).log())
    batch = batch_of(model, 1000)
    z = model.sample(*caption(batch), generator=generator(0))
    drawn = model.sample(*caption(batch), temperature=0.2, generator=generator(0))
    assert torch.isfinite(z).all() and len(drawn.unique(dim=0)) < len(z.unique(dim=0))


def test_fewer_rows_than_components_are_one_clear_sentence():
    with pytest.raises(ValueError, match="at least 4 pictures, got 3"):
        make(CodePrior).begin(unit(3), unit(3))


# both learn


@each
def test_a_caption_that_decides_the_picture_is_learned(kind):
    torch.manual_seed(0)
    model = kind.from_preset("tiny")
    places, batch = unit(4), batch_of(model, 64)
    which = torch.arange(64) % 4
    batch["words"] = places[which][:, None].repeat(1, 6, 1)
    batch["text"] = unit(4, seed=9)[which]  # so that z_i . z_t tells nothing
    batch["picture"] = F.normalize(unit(4, seed=9)[which] + 0.05 * unit(64), dim=-1)
    model.begin(*[batch["picture"], batch["text"]][: 2 if kind is CodePrior else 1])
    fit(model, lambda step: batch, steps=250, lr=3e-3, seed=0)
    z = model.eval().sample(*caption(batch), generator=generator(1))
    near = (z @ unit(4, seed=9).T).argmax(1) == which
    assert near.float().mean() > 0.9
