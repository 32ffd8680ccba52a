"""The ends of lambda are the single models; in between both learn."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.iace import IACE, IACEConfig, mixed
from mmdl_lib.train import fit

SIZES = {"text": 12, "picture": 8, "classes": 4}


def make(weight):
    torch.manual_seed(0)
    return IACE(IACEConfig(weight=weight, **SIZES))


def batch(n=30):
    return IACE.example_batch(IACEConfig(**SIZES), n, generator=generator(1))


def trained(weight, **changed):
    model, data = make(weight), batch() | changed
    fit(model, lambda step: data, steps=20, lr=1e-2, weight_decay=0.0)
    return model


@pytest.mark.parametrize(("weight", "side"), [(0.0, "language"), (1.0, "imagination")])
def test_at_the_ends_the_loss_and_its_gradient_are_those_of_one_side(weight, side):
    model, data = make(weight), batch()
    terms = model.loss(data)
    assert torch.equal(terms["loss"], terms[side])
    terms["loss"].backward()
    other = {"language": "imagination", "imagination": "language"}[side]
    assert getattr(model, side).weight.grad.abs().max() > 0
    assert getattr(model, other).weight.grad.abs().max() == 0


def test_without_weight_pictures_change_nothing_and_with_all_of_it_texts_do_not():
    data, other = batch(), torch.randn(30, 8, generator=generator(9))
    one, two = trained(0.0), trained(0.0, picture=other)
    said = one.probabilities(data["text"], data["picture"])
    assert torch.equal(said, two.probabilities(data["text"], other))
    assert torch.equal(said, one(data["text"], other).language.softmax(1))
    texts = torch.randn(30, 12, generator=generator(9))
    one, two = trained(1.0), trained(1.0, text=texts)
    said = one.probabilities(data["text"], data["picture"])
    assert torch.equal(said, two.probabilities(texts, data["picture"]))


def test_the_single_models_are_plain_classifiers():
    data = batch()
    torch.manual_seed(0)
    alone = torch.nn.Linear(12, 4)
    model = make(0.0)
    model.language.load_state_dict(alone.state_dict())
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    other = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        for net, step, loss in (
            (alone, optimizer, F.cross_entropy(alone(data["text"]), data["label"])),
            (model, other, model.loss(data)["loss"]),
        ):
            net.zero_grad()
            loss.backward()
            step.step()
    assert torch.equal(alone.weight, model.language.weight)


def test_the_loss_is_lambda_of_the_imagination_and_the_rest_of_the_language():
    model, data = make(0.25), batch()
    said, label = model(data["text"], data["picture"]), data["label"]
    one, other = F.cross_entropy(said[0], label), F.cross_entropy(said[1], label)
    assert torch.allclose(model.loss(data)["loss"], 0.25 * one + 0.75 * other)
    assert torch.allclose(said.imagination, model.imagination(data["picture"]))


def test_mixed_answers_are_probabilities():
    model, data = make(0.3), batch()
    said = model.probabilities(data["text"], data["picture"])
    assert torch.allclose(said.sum(1), torch.ones(30))
    both = model(data["text"], data["picture"])
    expected = 0.3 * both.imagination.softmax(1) + 0.7 * both.language.softmax(1)
    assert torch.allclose(said, expected)


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_outside_of_zero_to_one_is_refused(weight):
    with pytest.raises(ValueError, match="weight expected"):
        make(weight)
    with pytest.raises(ValueError, match="weight expected"):
        mixed(torch.zeros(2), torch.zeros(2), weight)


def test_unpaired_and_broken_batches_are_refused(as_a_reader):
    model = make(0.5)
    with pytest.raises(ValueError, match="3|2"):
        model(torch.zeros(3, 12), torch.zeros(2, 8))
    with pytest.raises(ValueError, match="picture"):
        model(torch.zeros(3, 12), torch.full((3, 8), torch.nan))
    with pytest.raises(ValueError, match="text expected"):
        model(torch.zeros(3, 12, dtype=torch.long), torch.zeros(3, 8))
    batch = IACE.example_batch(model.config, 4)
    with pytest.raises(ValueError, match="text expected as many as label, got 4 and 3"):
        model.loss(batch | {"label": batch["label"][1:]})
    with pytest.raises(ValueError, match="label expected numbers"):
        model.loss(batch | {"label": batch["label"] + 100})
