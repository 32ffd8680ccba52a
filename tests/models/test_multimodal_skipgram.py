"""The hinge against a loop, the identity as map, its sign, words without pictures."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.multimodal_skipgram import (
    MultimodalSkipGram,
    MultimodalSkipGramConfig,
    picture_hinge,
)
from mmdl_lib.models.word2vec import SkipGram

ALL = torch.ones(4, 3).bool()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def make():
    torch.manual_seed(0)
    return MultimodalSkipGram.from_preset("tiny")


def test_the_hinge_is_a_sum_over_wrong_pictures_and_a_mean_over_words():
    z, v, wrong = random(4, 5), random(4, 5, seed=1), random(4, 3, 5, seed=2)
    counted = torch.tensor([[1, 1, 0], [1, 0, 1], [0, 0, 0], [1, 1, 1]]).bool()
    total = 0.0
    for i in range(4):
        for k in range(3):
            right = F.cosine_similarity(z[i], v[i], dim=0)
            other = F.cosine_similarity(z[i], wrong[i, k], dim=0)
            if counted[i, k]:
                total += max(0.0, (0.5 - right + other).item())
    found = picture_hinge(z, v, wrong, counted, margin=0.5)
    assert found == pytest.approx(total / 4)


def test_the_identity_as_map_leaves_no_loss_and_no_gradient_beyond_the_margin():
    v = torch.eye(4).double()
    z = v.clone().requires_grad_()
    wrong = torch.stack([v[[j for j in range(4) if j != i]] for i in range(4)])
    loss = picture_hinge(z, v, wrong, ALL, margin=0.99)
    loss.backward()
    assert loss == 0 and z.grad.abs().max() == 0
    # three wrong pictures, each a right angle away: 3 (1.5 - 1 + 0)
    found = picture_hinge(v, v, wrong, ALL, margin=1.5)
    assert found == pytest.approx(1.5)


def test_going_down_turns_words_toward_their_own_pictures():
    z, v = random(4, 5).requires_grad_(), random(4, 5, seed=1)
    wrong = random(4, 3, 5, seed=2)
    picture_hinge(z, v, wrong, ALL, margin=2.5).backward()
    moved = z - 0.01 * z.grad
    nearer = F.cosine_similarity(moved, v) - F.cosine_similarity(z, v)
    gap = F.cosine_similarity(moved[:, None], wrong, dim=2).mean(1)
    gap -= F.cosine_similarity(z[:, None], wrong, dim=2).mean(1)
    assert (nearer - gap > 0).all()


def test_a_word_without_a_picture_has_no_gradient_and_is_no_wrong_picture():
    model = make()
    batch = model.example_batch(model.config, 8, generator=generator(0))
    batch["center"] = torch.arange(8)  # every second one has a picture
    terms = model.loss(batch, generator=generator(1))
    terms["hinge"].backward()
    grad = model.word.weight.grad
    assert (grad[1:8:2] == 0).all() and (grad[:8:2].abs().sum(1) > 0).any()
    other = batch | {"picture": batch["picture"].clone()}
    other["picture"][1::2] = 100 * random(4, 8).float()
    again = model.loss(other, generator=generator(1))["hinge"]
    assert again == terms["hinge"]
    none = batch | {"seen": torch.zeros(8).bool()}
    assert model.loss(none, generator=generator(1))["hinge"] == 0


def test_the_same_word_twice_is_no_wrong_picture_of_itself():
    model = make()
    batch = model.example_batch(model.config, 6, generator=generator(0))
    batch |= {"center": torch.zeros(6).long(), "seen": torch.ones(6).bool()}
    assert model.loss(batch, generator=generator(0))["hinge"] == 0


def test_its_text_is_that_of_skip_gram_and_the_hinge_is_added():
    model = make()
    batch = model.example_batch(model.config, 8, generator=generator(0))
    terms = model.loss(batch, generator=generator(2))
    plain = SkipGram.loss(model, batch, generator=generator(2))["loss"]
    assert terms["text"] == plain
    assert torch.equal(terms["loss"], terms["text"] + terms["hinge"])
    assert terms["hinge"] > 0


def test_bad_input_is_one_sentence(as_a_reader):
    z, wrong = torch.randn(4, 5), torch.randn(4, 3, 5)
    with pytest.raises(ValueError, match="z expected as many as picture"):
        picture_hinge(z, z[:3], wrong, ALL)
    with pytest.raises(ValueError, match="counted expected shape"):
        picture_hinge(z, z, wrong, ALL[:, :2])
    with pytest.raises(ValueError, match="counted expected bool"):
        picture_hinge(z, z, wrong, ALL.float())
    with pytest.raises(ValueError, match="margin expected a number from 0"):
        MultimodalSkipGram(MultimodalSkipGramConfig(vocab=9, margin=-1.0))


def test_rows_that_are_no_pairs_are_no_step(as_a_reader):
    model = MultimodalSkipGram.from_preset("tiny")
    batch = MultimodalSkipGram.example_batch(model.config, 6, generator=generator(1))
    bad = {
        "center expected as many as context, got 5 and 6": ("center", 5),
        "center expected as many as context, got 6 and 5": ("context", 5),
        "center expected as many as picture, got 6 and 5": ("picture", 5),
        "seen expected shape": ("seen", 5),
    }
    for words, (name, rows) in bad.items():
        with pytest.raises(ValueError, match=words):
            model.loss(batch | {name: batch[name][:rows]})
    for name in ("center", "context"):
        with pytest.raises(ValueError, match=f"{name} expected numbers from 0 to 39"):
            model.loss(batch | {name: batch[name] + 40})
    with pytest.raises(ValueError, match="picture expected finite"):
        model.loss(batch | {"picture": batch["picture"] * torch.nan})
    with pytest.raises(ValueError, match="two words or more, got one"):
        model.loss({name: values[:1] for name, values in batch.items()})
