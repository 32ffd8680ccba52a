"""data2vec: masks, targets, loss and teacher, by laws and closed forms."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.data2vec import (
    Data2Vec,
    average_top,
    blocks,
    decay_rate,
    deviation,
    first_covered,
    normalized,
    smooth_l1,
    spans,
)

KINDS = ["tiny-image", "tiny-text", "tiny-sound"]
kinds = pytest.mark.parametrize("kind", KINDS)


def fresh(kind="tiny-image", seed=0, **changes):
    torch.manual_seed(seed)
    return Data2Vec(replace(Data2Vec.PRESETS[kind], **changes))


def batch(model, n=4, seed=1):
    return Data2Vec.example_batch(model.config, n, generator=generator(seed))


def random(*size, seed=0):
    return torch.randn(size, generator=generator(seed)).double()


def step(model, rows, seed=1):
    optimizer = torch.optim.SGD(model.trainable(), lr=0.1)
    model.loss(rows, generator=generator(seed))["loss"].backward()
    optimizer.step()


def equal(one, other):
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


# the loss


def test_inside_beta_the_loss_is_a_square_and_outside_a_distance():
    gap = torch.tensor([0.0, 1.0, -2.0, 2.0, 3.0, -5.0])
    found = smooth_l1(gap, torch.zeros(6), beta=2)
    assert found.tolist() == pytest.approx([0, 0.25, 1, 1, 2, 4])
    assert torch.equal(smooth_l1(gap, torch.zeros(6), beta=0), gap**2)


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_the_loss_is_torchs_and_its_slope_is_at_most_one(beta):
    one, two = random(2, 500).requires_grad_()
    found = smooth_l1(3 * one, two, beta=beta)
    right = F.smooth_l1_loss(3 * one, two, reduction="none", beta=beta)
    assert torch.allclose(found, right)
    x = torch.linspace(-9, 9, 901).double().requires_grad_()
    (slope,) = torch.autograd.grad(smooth_l1(x, 0 * x, beta=beta).sum(), x)
    assert torch.allclose(slope, (x / beta).clamp(-1, 1).detach())


def test_a_small_beta_gives_distances_and_a_large_one_squares():
    one, two = random(2, 500)
    gap = (one - two).abs()
    assert torch.allclose(smooth_l1(one, two, beta=1e-9), gap, atol=1e-8)
    assert torch.allclose(1e6 * smooth_l1(one, two, beta=1e6), gap**2 / 2)


# masks


@pytest.mark.parametrize(("share", "least"), [(0.6, 16), (0.3, 4), (1.0, 8), (0.5, 1)])
def test_blocks_hide_exactly_the_share_of_each_picture(share, least):
    real = torch.ones(50, 196, dtype=torch.bool)
    found = blocks(real, (14, 14), share=share, least=least, generator=generator(0))
    assert (found.sum(1) == round(share * 196)).all()
    assert share == 1 or len({tuple(row.tolist()) for row in found}) == 50


def neighbors(hidden):
    """Share of pairs of neighbors of which both or none are hidden."""
    down = hidden[:, 1:] == hidden[:, :-1]
    right = hidden[:, :, 1:] == hidden[:, :, :-1]
    return torch.cat([down.flatten(), right.flatten()]).double().mean().item()


def test_blocks_are_in_one_piece_and_single_patches_are_not():
    real = torch.ones(400, 196, dtype=torch.bool)
    how = {"share": 0.5, "generator": generator(0)}
    block = blocks(real, (14, 14), least=16, **how).view(-1, 14, 14)
    single = blocks(real, (14, 14), least=1, **how).view(-1, 14, 14)
    assert neighbors(block) > 0.8
    # of 195 others 97 are like this one
    assert neighbors(single) == pytest.approx(97 / 195, abs=0.01)


def test_every_patch_is_hidden_sometimes_and_the_sides_of_a_grid_are_told_apart():
    real = torch.ones(4000, 32, dtype=torch.bool)
    found = blocks(real, (2, 16), share=0.4, least=4, generator=generator(0))
    often = found.double().mean(0).view(2, 16)
    assert often.min() > 0.1
    assert neighbors(found.view(-1, 2, 16)) > 0.75
    # a block is as likely in the left half as in the right one
    assert torch.allclose(often, often.flip(1), atol=0.05)
    assert torch.allclose(often, often.flip(0), atol=0.05)


def test_spans_hide_runs_of_real_places_only():
    real = torch.ones(300, 40, dtype=torch.bool)
    real[100:, 30:] = False
    real[:, 0] = False
    found = spans(real, share=0.35, length=4, generator=generator(0))
    assert not (found & ~real).any()
    count = torch.where(real.sum(1) == 39, round(0.35 * 39), round(0.35 * 29))
    assert torch.equal(found.sum(1), count)
    # without a cut, runs are of at least four: few places have no hidden neighbor
    alone = found[:, 1:-1] & ~found[:, :-2] & ~found[:, 2:]
    assert alone.sum() < 0.08 * found.sum()
    single = spans(real, share=0.35, length=1, generator=generator(0))
    alone = single[:, 1:-1] & ~single[:, :-2] & ~single[:, 2:]
    assert alone.sum() > 0.3 * single.sum()


def test_spans_begin_everywhere_equally_often():
    real = torch.ones(20_000, 12, dtype=torch.bool)
    found = spans(real, share=3 / 12, length=3, generator=generator(0))
    often = found.double().mean(0)
    # three spans cover a place, but only one the first and two the second
    assert (often[2:] - 0.27).abs().max() < 0.03
    assert often[:2] / often[6] == pytest.approx(torch.tensor([1, 2]) / 3, abs=0.03)


def test_even_one_word_is_hidden_somewhere():
    real = torch.tensor([[False, True, False]])
    assert spans(real, share=0.1, length=4).tolist() == [[False, True, False]]


def test_the_first_blocks_win_and_only_the_last_is_cut():
    cover = torch.tensor([[[1, 1, 0, 0, 0, 0], [0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]]])
    real = torch.ones(1, 6, dtype=torch.bool)
    seen = set()
    for seed in range(20):
        g = generator(seed)
        found = first_covered(cover.bool(), real, share=0.5, generator=g)[0]
        assert found[:2].all() and not found[5] and found.sum() == 3
        seen.add(found[2:5].int().argmax().item())
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("bad", [0, -0.5, 1.5, math.nan])
def test_a_share_out_of_range_is_refused(bad):
    real = torch.ones(1, 16, dtype=torch.bool)
    for call in (spans, lambda r, **k: blocks(r, (4, 4), share=k["share"], least=4)):
        with pytest.raises(ValueError, match="share expected a number above 0"):
            call(real, share=bad, length=2)
    with pytest.raises(ValueError, match="length expected a whole number"):
        spans(real, share=0.5, length=0)


# targets


def test_each_norm_has_mean_0_and_variance_1_over_its_own_axis():
    x = 3 + 5 * random(2, 40, 8)
    for norm, axis in (("layer", 2), ("instance", 1)):
        found = normalized(x, norm)
        assert torch.allclose(found.mean(axis), torch.zeros(1).double(), atol=1e-6)
        second = found.square().mean(axis)
        assert torch.allclose(second, torch.ones(1).double(), atol=1e-4)
    assert normalized(x, "none") is x


def test_what_is_the_same_everywhere_becomes_zero_over_places_but_not_over_features():
    x = random(1, 1, 8).expand(2, 40, 8)
    assert normalized(x, "instance").abs().max() < 1e-3
    assert normalized(x, "layer").std(2).min() > 0.9
    flat = torch.ones(2, 40, 8)
    assert normalized(flat, "layer").abs().max() == 0


def test_layers_are_normalized_before_they_are_averaged():
    small, large = random(2, 2, 10, 6)
    found = average_top(
        [random(2, 10, 6, seed=9), small, 100 * large], k=2, norm="layer"
    )
    right = (F.layer_norm(small, (6,)) + F.layer_norm(large, (6,))) / 2
    assert torch.allclose(found, right, atol=1e-4)
    after = F.layer_norm((small + 100 * large) / 2, (6,))
    assert not torch.allclose(found, after, atol=0.1)


@kinds
def test_one_layer_is_the_last_and_all_are_the_mean_of_each(kind):
    model = fresh(kind, k=1)
    rows = batch(model)
    layers = model.teacher(model.front(rows))
    said = [getattr(a, model.config.target)[:, model.front.extra :] for a in layers]
    norm = model.config.norm
    assert torch.allclose(model.targets(rows), normalized(said[-1], norm), atol=1e-5)
    model = fresh(kind, k=3)
    right = sum(normalized(a, norm) for a in said) / 3
    assert torch.allclose(model.targets(rows), right, atol=1e-5)


@kinds
def test_the_teacher_sees_everything_and_the_student_only_what_is_not_hidden(kind):
    model = fresh(kind).eval()
    rows = batch(model)
    hidden = model.hide(rows, generator=generator(0))
    target, prediction = model.targets(rows), model(rows, hidden)
    changed = dict(rows)
    if kind == "tiny-text":
        changed["tokens"] = torch.where(
            hidden, (rows["tokens"] + 3) % 36, rows["tokens"]
        )
        keep = (changed["tokens"] > 2) == (rows["tokens"] > 2)
        changed["tokens"] = torch.where(keep, changed["tokens"], rows["tokens"])
    elif kind == "tiny-image":
        patch = hidden.view(-1, 1, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
        changed["image"] = torch.where(patch, -rows["image"], rows["image"])
    else:
        # a waveform is normalized as a whole, and frames share samples: all is hidden
        hidden = torch.ones_like(hidden)
        prediction = model(rows, hidden)
        changed["sound"] = rows["sound"].flip(1)
    assert torch.allclose(model(changed, hidden), prediction, atol=1e-6)
    assert not torch.allclose(model.targets(changed), target, atol=1e-2)


# the student and its teacher


@kinds
def test_the_loss_is_that_of_a_constant_target_at_hidden_places_only(kind):
    model = fresh(kind)
    rows = batch(model)
    hidden = model.hide(rows, generator=generator(3))
    target = model.targets(rows)
    assert not target.requires_grad
    each = smooth_l1(model(rows, hidden), target, beta=model.config.beta)
    right = each[hidden].sum(-1).mean() / math.sqrt(model.config.width)
    found = model.loss(rows, generator=generator(3))["loss"]
    assert torch.allclose(found, right, rtol=1e-5)
    wanted = torch.autograd.grad(right, model.trainable())
    for a, b in zip(torch.autograd.grad(found, model.trainable()), wanted, strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_the_teacher_has_no_gradient_and_moves_only_after_a_step():
    model = fresh()
    start = fresh()
    assert equal(model.teacher, model.student)
    step(model, batch(model))
    assert all(p.grad is None for p in model.teacher.parameters())
    assert equal(model.teacher, start.teacher) and not equal(
        model.student, start.student
    )
    model.after_step(0)
    assert not equal(model.teacher, start.teacher)


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_with_tau_1_the_teacher_stays_and_with_0_it_is_the_student(tau):
    model = fresh(tau_start=tau, tau_end=tau)
    step(model, batch(model))
    model.after_step(0)
    assert equal(model.teacher, fresh().teacher if tau else model.student)


def test_the_teacher_keeps_tau_of_itself_at_that_step():
    model = fresh(tau_start=0.5, tau_end=0.9, tau_steps=4)
    kept, new = (s.blocks[0].fc1.bias.data for s in (model.teacher, model.student))
    kept.fill_(1.0), new.fill_(2.0)
    model.after_step(2)
    assert kept[0].item() == pytest.approx(0.7 * 1 + 0.3 * 2)


def test_tau_rises_along_a_line_and_then_stays():
    found = [decay_rate(s, 0.999, 0.9999, 300) for s in (0, 100, 150, 300, 10**6)]
    assert found == pytest.approx([0.999, 0.9993, 0.99945, 0.9999, 0.9999], abs=1e-12)


def test_targets_are_the_teachers_and_not_the_students():
    model = fresh()
    rows = batch(model)
    before = model.targets(rows)
    for parameter in model.student.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(0))
    assert torch.equal(model.targets(rows), before)
    step(model, rows)
    model.front.load_state_dict(fresh().front.state_dict())
    assert torch.equal(model.targets(rows), before)


def test_the_front_belongs_to_both():
    model = fresh()
    rows = batch(model)
    before = model.targets(rows)
    weight = model.front.projection.weight.data
    weight += 0.1 * random(*weight.shape)
    assert not torch.allclose(model.targets(rows), before, atol=1e-3)


def test_deviation_is_that_between_hidden_places_and_zero_after_a_collapse():
    x, hidden = (
        random(3, 10, 4).float(),
        torch.rand(3, 10, generator=generator(0)) < 0.5,
    )
    right = x[hidden].std(0, correction=0).mean()
    assert torch.allclose(deviation(x, hidden), right)
    assert deviation(x[:1, :1].expand(3, 10, 4), hidden) < 1e-6


# what a row is represented by


def test_padding_changes_neither_targets_nor_what_a_text_is_represented_by():
    model = fresh("tiny-text").eval()
    rows = batch(model, 5)
    assert not rows["mask"].all()
    noise = torch.where(rows["mask"], rows["tokens"], 7)
    other = rows | {"tokens": noise}
    assert torch.allclose(model.represent(rows), model.represent(other), atol=1e-6)
    real = model.front.places(rows)
    assert torch.equal(model.front.places(other), real)
    assert torch.allclose(
        model.targets(rows)[real], model.targets(other)[real], atol=1e-5
    )
    # nothing but words is ever hidden
    words = rows["mask"] & (rows["tokens"] > 2)
    assert torch.equal(real, words)


def test_the_volume_of_a_sound_does_not_matter():
    model = fresh("tiny-sound").eval()
    rows = batch(model)
    quiet = {"sound": 0.1 * rows["sound"]}
    assert torch.allclose(model.represent(rows), model.represent(quiet), atol=1e-3)


def test_rows_of_a_batch_do_not_hear_each_other():
    for kind in KINDS:
        model = fresh(kind).eval()
        rows = batch(model)
        alone = {name: value[1:2] for name, value in rows.items()}
        found = model.represent(rows)[1:2]
        assert torch.allclose(found, model.represent(alone), atol=1e-5)
        assert torch.allclose(model.targets(rows)[1:2], model.targets(alone), atol=1e-4)


# errors


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("tiny-image", {"image": torch.zeros(2, 3, 20, 16)}, "image expected"),
        ("tiny-image", {"image": torch.zeros(2, 3, 16, 16) + 5}, "pixels in"),
        ("tiny-sound", {"sound": torch.zeros(2, 100)}, "enough for a frame"),
        ("tiny-sound", {"sound": torch.zeros(2, 1, 6400)}, "sound expected floats"),
        ("tiny-text", {"tokens": torch.full((2, 16), 40)}, "tokens expected"),
        ("tiny-text", {"mask": torch.zeros(2, 16, dtype=torch.bool)}, "mask expected"),
    ],
)
def test_what_the_front_cannot_read_is_refused_in_one_sentence(kind, change, words):
    model = fresh(kind)
    with pytest.raises(ValueError, match=words):
        model.represent(batch(model, 2) | change)


def test_unpaired_and_empty_batches_are_no_step(as_a_reader):
    none = torch.ones(2, 0)
    for kind, change, words in (
        ("tiny-text", {"mask": torch.ones(3, 16).bool()}, "mask expected"),
        ("tiny-text", {"tokens": none.long(), "mask": none.bool()}, "real token"),
        ("tiny-sound", {"sound": torch.zeros(0, 6400)}, "at least one row"),
    ):
        model = fresh(kind)
        with pytest.raises(ValueError, match=words):
            model.loss(batch(model, 2) | change)


def test_more_layers_than_there_are_cannot_be_averaged():
    with pytest.raises(
        ValueError, match="k expected a whole number from 1 to 3, got 4"
    ):
        fresh(k=4)
