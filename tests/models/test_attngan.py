"""AttnGAN: words for cells, regions for words, and the matching in its limits."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models import attngan
from mmdl_lib.models.attngan import AttnGAN, Read, attend, both_ways, ground, matching


def scene(b=3, t=5, n=6, d=4):
    """Random words, regions, and a mask of two to five words."""
    g = generator(0)
    words, regions = (
        torch.randn(b, t, d, generator=g),
        torch.randn(b, n, d, generator=g),
    )
    mask = torch.arange(t) < torch.tensor([2, 4, 5])[:b, None]
    return words, regions, mask


def make():
    torch.manual_seed(0)
    return AttnGAN.from_preset("tiny").eval()


def test_each_cell_gets_a_mean_of_the_real_words():
    words, cells, mask = scene()
    found = attend(cells, words, mask)
    assert torch.allclose(found.weights.sum(2), torch.ones(3, 6))
    assert (found.weights * ~mask[:, None]).sum() == 0
    for i, j in ((0, 1), (2, 5)):
        real = words[i][mask[i]]
        expected = (real @ cells[i, j]).softmax(0) @ real
        assert torch.allclose(found.context[i, j], expected, atol=1e-6)
    alone = attend(cells, words[:, :1], mask[:, :1])
    assert torch.allclose(alone.context, words[:, :1].expand(-1, 6, -1))


def shares_regions_out(find):
    """Words compete for a region: where all words are one, each gets an equal share of
    every region, and so the mean of the regions, however they differ."""
    _, regions, mask = scene()
    words = torch.ones(3, 5, 4)
    context = find(words, regions, mask, gamma1=9.0).context
    return torch.allclose(context, regions.mean(1, keepdim=True).expand(-1, 5, -1))


def test_words_compete_for_each_region_first():
    assert shares_regions_out(ground)


def test_regions_first_is_refused():
    def regions_first(words, regions, mask, *, gamma1):
        scores = words @ regions.mT
        weights = (gamma1 * scores.softmax(2)).softmax(2)
        return attngan.Looked(weights @ regions, weights)

    assert not shares_regions_out(regions_first)


def test_a_large_gamma1_picks_for_each_word_the_region_that_is_most_its_own():
    words, regions, mask = scene()
    found = ground(words, regions, mask, gamma1=1e4)
    scores = (words @ regions.mT).masked_fill(~mask[..., None], -torch.inf)
    best = scores.softmax(1).argmax(2)
    expected = regions[torch.arange(3)[:, None], best]
    assert torch.allclose(found.context[mask], expected[mask], atol=1e-4)
    even = ground(words, regions, mask, gamma1=0.0)
    assert torch.allclose(even.context, regions.mean(1, keepdim=True).expand(-1, 5, -1))


def cosines(words, regions, mask):
    return F.cosine_similarity(ground(words, regions, mask).context, words, dim=2)


def goes_to_the_best_word(find):
    """A large gamma2 leaves the word that is found best."""
    words, regions, mask = scene()
    best = cosines(words, regions, mask).masked_fill(~mask, -2).amax(1)
    found = find(words, regions, mask, gamma2=1e4)
    return torch.allclose(found, best, atol=1e-3)


def test_a_large_gamma2_is_the_best_word():
    assert goes_to_the_best_word(matching)


def test_scores_without_the_exponent_are_gamma2_times_as_large_and_are_refused():
    def released(words, regions, mask, *, gamma2):
        cosine = cosines(words, regions, mask)
        return (gamma2 * cosine).masked_fill(~mask, -torch.inf).logsumexp(1)

    given = scene()
    assert torch.allclose(released(*given, gamma2=5.0), 5 * matching(*given))
    assert not goes_to_the_best_word(released)


def ignores_padding(find):
    words, regions, mask = scene()
    noise = torch.where(mask[..., None], words, 7 * torch.randn(3, 5, 4))
    cut = find(words[:1, :2], regions[:1], mask[:1, :2])
    right = find(words, regions, mask)
    same = torch.allclose(find(noise, regions, mask), right, atol=1e-6)
    return same and torch.allclose(cut, right[:1], atol=1e-6)


def test_padding_words_change_nothing():
    assert ignores_padding(matching)


def test_padding_that_takes_part_is_refused():
    def unmasked(words, regions, mask):
        return matching(words, regions, torch.ones_like(mask))

    def masked_at_the_end_only(words, regions, mask):
        context = ground(words, regions, torch.ones_like(mask)).context
        cosine = F.cosine_similarity(context, words, dim=2)
        return (5 * cosine).masked_fill(~mask, -torch.inf).logsumexp(1) / 5

    torch.manual_seed(0)
    assert not ignores_padding(unmasked)
    assert not ignores_padding(masked_at_the_end_only)


def test_with_one_word_and_one_region_the_loss_is_a_contrast_of_cosines():
    words, regions, _ = scene(b=3, t=1, n=1)
    read = Read(words, words[:, 0], torch.ones(3, 1, dtype=torch.bool))
    table = attngan.matches(read, regions)
    cosine = F.normalize(regions[:, 0], dim=1) @ F.normalize(words[:, 0], dim=1).T
    assert torch.allclose(table, cosine, atol=1e-6)
    own = torch.arange(3)
    logits = 10 * cosine
    expected = F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
    assert torch.allclose(both_ways(table, torch.eye(3).bool()), expected, atol=1e-5)


def spares_twins(loss):
    """A twin's text is no stranger: how well it fits changes nothing."""
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]]).bool()
    table = torch.randn(3, 3, generator=generator(4))
    other = table.clone()
    other[0, 1] = other[1, 0] = 0.9
    return torch.allclose(loss(table, same), loss(other, same))


def test_equal_texts_are_no_strangers():
    assert spares_twins(both_ways)
    assert not spares_twins(lambda table, same: both_ways(table, torch.eye(3).bool()))


def test_a_table_of_matches_has_pictures_in_its_rows():
    words, regions, mask = scene()
    table = attngan.matches(Read(words, words[:, 0], mask), regions)
    for i, j in ((0, 2), (2, 1), (1, 1)):
        one = matching(words[j : j + 1], regions[i : i + 1], mask[j : j + 1])
        assert table[i, j].item() == pytest.approx(one.item(), abs=1e-5)


def weighs_as_released(loss):
    logits = [torch.zeros(2, requires_grad=True) for _ in range(5)]
    value = loss(*logits)
    value.backward()
    slopes = [x.grad.sum().item() for x in logits]
    fine = slopes == pytest.approx([-1 / 4, -1 / 4, 1 / 6, 1 / 6, 1 / 6])
    return fine and value.item() == pytest.approx(2 * math.log(2))


def test_a_discriminator_pays_a_half_for_each_true_and_a_third_for_each_false_pair():
    def sums(*logits):
        true, false = logits[:2], logits[2:]
        loss = sum(F.softplus(-x).mean() for x in true)
        return loss + sum(F.softplus(x).mean() for x in false)

    assert weighs_as_released(attngan.judge_loss)
    assert not weighs_as_released(sums)


def test_the_words_reach_the_large_picture_and_not_the_small_one():
    model = make()
    batch = AttnGAN.example_batch(model.config, 4, generator=generator(1))
    read = model.read(batch["tokens"], batch["mask"])
    other = read._replace(words=read.words.flip(1) * 3)
    with torch.no_grad():
        (small, large), _ = model.draw(read, generator(2))
        (still, moved), _ = model.draw(other, generator(2))
    assert torch.equal(small, still) and not torch.allclose(large, moved, atol=1e-4)
    assert (small.shape[-1], large.shape[-1]) == (8, 16)


def test_the_matching_net_stands_still_while_the_players_learn():
    model = make()
    batch = AttnGAN.example_batch(model.config, 4, generator=generator(1))
    fixed = {id(p) for p in model.trainable("damsm")}
    for phase in model.STAGES[1]:
        assert not fixed & {id(p) for p in model.trainable(phase)}
    found = model.loss(batch, phase="generator", generator=generator(0))
    assert found["damsm"] * model.config.weight < found["loss"]


def test_the_generator_is_paid_by_each_discriminator_twice_and_by_the_matching():
    model = make()
    batch = AttnGAN.example_batch(model.config, 4, generator=generator(1))
    read = model.read(batch["tokens"], batch["mask"])
    found = model.loss(batch, phase="generator", generator=generator(4))
    pictures, gaussian = model.draw(read, generator(4))
    expected = attngan.divergence(gaussian) + model.config.weight * found["damsm"]
    for judge, fake in zip(model.discriminator, pictures, strict=True):
        cells = judge.look(fake)
        for logits in (judge.real(cells), judge(cells, read.sentence)):
            expected = expected + F.softplus(-logits).mean() / 2
    assert torch.allclose(found["loss"], expected)


def test_a_wrong_pair_has_another_rows_sentence():
    model = make()
    batch = AttnGAN.example_batch(model.config, 4, generator=generator(1))
    rows, got = model.encode_text(batch["tokens"], batch["mask"]), []
    judge = model.discriminator[1]
    judge.fits.register_forward_pre_hook(lambda m, x: got.append(x[0][:, -12:, 0, 0]))
    model.loss(batch, phase="discriminator", generator=generator(4))
    own = [torch.allclose(text, rows) for text in got]
    assert own == [True, True, False]
    near = torch.cdist(got[2], rows).argmin(1)
    assert (near != torch.arange(4)).all()
