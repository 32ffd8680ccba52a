"""Isometry and shuffles, loops over triples, who gets a gradient, what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.grounded_space import (
    GroundedSpace,
    GroundedSpaceConfig,
    StraightGrounding,
    cluster_loss,
    cohesion,
    cosines,
    perceptual_loss,
    together,
)

LABEL = torch.tensor([0, 0, 1, 2, 1, 2, 2])


def random(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def make(kind=GroundedSpace, **change):
    torch.manual_seed(0)
    return kind(replace(kind.PRESETS["tiny"], **change)).double()


def batch_of(model, n=6):
    batch = type(model).example_batch(model.config, n, generator=generator(1))
    return {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}


def gradients(model, value):
    model.zero_grad()
    value.backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def test_an_isometric_copy_has_perceptual_loss_minus_one():
    picture = random(40, 5)
    turn = torch.linalg.qr(random(5, 5, seed=1))[0]
    assert perceptual_loss(3 * picture @ turn, picture) == pytest.approx(-1)
    wide = torch.cat([picture @ turn, torch.zeros(40, 3).double()], 1)
    assert perceptual_loss(wide, picture) == pytest.approx(-1)


def test_pictures_that_are_shuffled_or_turned_around_have_no_or_the_other_sign():
    picture = random(60, 5)
    found = []
    for seed in range(30):
        order = torch.randperm(60, generator=generator(seed))
        found.append(perceptual_loss(picture[order], picture).item())
    # 1,770 pairs of 60 free points: the deviation is near 0.02, that of the mean 0.005
    assert abs(np.mean(found)) < 0.02 and max(map(abs, found)) < 0.15
    # points whose cosines are those of the pictures with a minus: C = I - (A - I) / 9
    a = cosines(picture[:10])
    root = torch.linalg.cholesky(torch.eye(10) - (a - torch.eye(10)) / 9)
    assert perceptual_loss(root, picture[:10]) == pytest.approx(1)


def test_the_perceptual_loss_is_numpys_correlation_over_pairs():
    grounded, picture = random(9, 4), random(9, 6, seed=1)
    unit = [F.normalize(x, dim=1) for x in (grounded, picture)]
    pairs = [(i, j) for i in range(9) for j in range(i)]
    values = [[(x[i] @ x[j]).item() for i, j in pairs] for x in unit]
    expected = -np.corrcoef(*values)[0, 1]
    assert perceptual_loss(grounded, picture) == pytest.approx(expected)


@pytest.mark.parametrize("margin", [0.1, 0.5, 1.5])
def test_the_cluster_loss_is_a_mean_over_triples(margin):
    grounded = random(7, 4)
    total, count, c = 0.0, 0, cosines(grounded)
    for i in range(7):
        for j in range(7):
            for k in range(7):
                if i != j and LABEL[i] == LABEL[j] and LABEL[i] != LABEL[k]:
                    total += max(0.0, (margin - c[i, j] + c[i, k]).item())
                    count += 1
    found = cluster_loss(grounded, LABEL, margin=margin)
    assert count == 2 * 5 + 2 * 5 + 6 * 4
    assert found == pytest.approx(total / count)


def test_beyond_the_margin_nothing_is_pulled():
    grounded = torch.eye(3).double()[LABEL].requires_grad_()
    loss = cluster_loss(grounded, LABEL, margin=0.9)
    loss.backward()
    assert loss == 0 and grounded.grad.abs().max() == 0
    found = cluster_loss(grounded.detach(), LABEL, margin=1.25)
    assert found == pytest.approx(0.25)


def test_neither_lengths_nor_the_order_of_the_sentences_count():
    grounded, picture = random(7, 4), random(3, 5, seed=1)[LABEL]
    order = torch.tensor([3, 6, 0, 2, 5, 1, 4])
    longer = grounded * (1 + torch.arange(7)[:, None])
    for other, label in ((longer, LABEL), (grounded[order], LABEL[order])):
        found = cluster_loss(other, label)
        assert found == pytest.approx(cluster_loss(grounded, LABEL).item())
        found = perceptual_loss(other, picture if other is longer else picture[order])
        assert found == pytest.approx(perceptual_loss(grounded, picture).item())
        found = cohesion(other, label)
        assert found == pytest.approx(cohesion(grounded, LABEL))


def test_collapse_has_the_best_cohesion_and_no_loss_is_fooled():
    collapsed = torch.ones(7, 4).double() + 1e-9 * random(7, 4)
    assert cohesion(collapsed, LABEL) == pytest.approx(1)
    assert cohesion(random(7, 4), LABEL) < 0.9
    assert cluster_loss(collapsed, LABEL, margin=0.5) == pytest.approx(0.5)
    picture = random(3, 5)[LABEL]
    assert abs(perceptual_loss(torch.ones(7, 4).double(), picture)) < 1e-6


def test_cohesion_is_a_mean_over_pairs_of_one_picture():
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    label = torch.tensor([0, 0, 1, 1])
    assert cohesion(x, label) == pytest.approx((0 + 0.5**0.5) / 2)


def test_the_total_is_text_and_both_losses_by_their_weights():
    model = make(cluster=0.3, perceptual=0.7)
    terms = {k: v.item() for k, v in model.loss(batch_of(model)).items()}
    total = terms["text"] + 0.3 * terms["cluster"] + 0.7 * terms["perceptual"]
    assert terms["loss"] == pytest.approx(total)
    batch = batch_of(model)
    grounded = model.ground(model.encode_text(batch["caption"], batch["caption_mask"]))
    found = cluster_loss(grounded, batch["label"], margin=model.config.margin)
    assert terms["cluster"] == pytest.approx(found.item())
    found = perceptual_loss(grounded, batch["picture"])
    assert terms["perceptual"] == pytest.approx(found.item())


@pytest.mark.parametrize("kind", [GroundedSpace, StraightGrounding])
def test_with_weights_of_zero_it_is_the_text_objective(kind):
    alone = make(kind, cluster=0, perceptual=0)
    batch = batch_of(alone)
    terms = alone.loss(batch)
    assert set(terms) == {"loss", "text"} and terms["loss"] == terms["text"]
    both = make(kind)
    assert both.loss(batch)["text"] == terms["text"]
    found = gradients(alone, terms["loss"])
    assert not any(name.startswith("projection") for name in found)
    text = gradients(both, both.loss(batch)["text"])
    assert all(torch.equal(found[name], text[name]) for name in found)


def test_grounding_reaches_the_encoder_through_the_projection_only():
    model = make()
    batch = batch_of(model)
    terms = model.loss(batch)
    found = gradients(model, terms["cluster"] + terms["perceptual"])
    assert found["encoder.weight_hh_l0"].abs().max() > 0
    assert not {n for n in found if n.startswith(("decoder", "words"))}
    with torch.no_grad():
        model.projection[0].weight.zero_()
    terms = model.loss(batch)
    closed = gradients(model, terms["cluster"] + terms["perceptual"])
    for name, grad in closed.items():
        if name.startswith(("encoder", "embed")):
            assert grad.abs().max() == 0, name


def test_both_kinds_start_with_equal_encoders_and_the_control_has_no_space():
    one, other = make(), make(StraightGrounding)
    states = other.state_dict()
    for name, value in one.state_dict().items():
        if not name.startswith("projection"):
            assert torch.equal(value, states[name]), name
    assert not any(name.startswith("projection") for name in states)
    x = random(3, 32)
    assert torch.equal(other.ground(x), x) and one.ground(x).shape == (3, 16)


def test_the_text_loss_is_a_mean_over_real_words_in_order():
    model = make()
    batch = batch_of(model, 2)  # rows of six and of four words
    s = model.encode_text(batch["tokens"], batch["mask"])
    total, count = 0.0, 0
    for i, length in enumerate((6, 4)):
        state = s[i : i + 1][None]
        for t in range(length - 1):
            word = model.embed(batch["after"][i : i + 1, t : t + 1])
            out, state = model.decoder(word, state)
            scores = model.words(out[0, 0]).log_softmax(0)
            total -= scores[batch["after"][i, t + 1]].item()
            count += 1
    found = model.text_loss(s, batch["after"], batch["after_mask"]).item()
    assert found == pytest.approx(total / count)


def test_a_sentence_is_the_state_after_its_last_real_word():
    model = make()
    batch = batch_of(model, 2)
    s = model.encode_text(batch["tokens"], batch["mask"])
    for i, length in enumerate((6, 4)):
        row = batch["tokens"][i : i + 1, :length]
        _, last = model.encoder(model.embed(row))
        assert torch.allclose(s[i], last[0, 0])


def test_bad_input_is_one_sentence(as_a_reader):
    x, label = torch.randn(4, 3), torch.tensor([0, 0, 1, 1])
    with pytest.raises(ValueError, match="a picture with two sentences"):
        cluster_loss(x, torch.arange(4))  # one sentence for each picture
    with pytest.raises(ValueError, match="and another picture"):
        together(torch.zeros(4, dtype=torch.long))
    with pytest.raises(ValueError, match="grounded expected as many as label"):
        cluster_loss(x, label[:3])
    with pytest.raises(ValueError, match="grounded expected as many as picture"):
        perceptual_loss(x, torch.randn(3, 5))
    with pytest.raises(ValueError, match="features that differ"):
        perceptual_loss(x, torch.ones(4, 5))
    with pytest.raises(ValueError, match="picture expected three or more"):
        perceptual_loss(x[:2], torch.randn(2, 5))
    with pytest.raises(ValueError, match="picture expected finite"):
        perceptual_loss(x, torch.full((4, 5), torch.nan))
    with pytest.raises(ValueError, match="cluster expected a number from 0"):
        GroundedSpace(GroundedSpaceConfig(vocab=9, width=4, embed=4, cluster=-1.0))
    with pytest.raises(ValueError, match="margin expected a number from 0"):
        GroundedSpace(GroundedSpaceConfig(vocab=9, width=4, embed=4, margin=-1.0))
    model = GroundedSpace.from_preset("tiny")
    batch = GroundedSpace.example_batch(model.config, 4)
    with pytest.raises(ValueError, match="sentence expected as many as after"):
        model.loss(batch | {"after": batch["after"][:3]})
    with pytest.raises(ValueError, match="grounded expected as many as label"):
        model.loss(batch | {"label": batch["label"][:3]})
