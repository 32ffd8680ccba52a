"""Hard attention: the gradient is exact by enumeration, draws follow the weights."""

import itertools
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models import hard_attention
from mmdl_lib.models.bahdanau import Memory
from mmdl_lib.models.hard_attention import HardAttention, hard_loss
from mmdl_lib.models.seq2seq import END, START
from mmdl_lib.models.show_attend_tell import ShowAttendTell

TINY = replace(HardAttention.PRESETS["tiny"], expected=0.0, entropy=0.0)
CAPTION = torch.tensor([[START, 7, 5, END]])  # three words are chosen
WAYS = list(itertools.product(range(2), repeat=3))  # to look at two places


class TwoPlaces(HardAttention):
    """A picture has two places, and the test says which a look sees."""

    places = None

    def memory(self, image):
        return Memory(*(part[:, 5:7] for part in super().memory(image)))


def make(kind=HardAttention, **changes):
    """Weights far from those of a start, where all looks are alike."""
    torch.manual_seed(0)
    model = kind(replace(TINY, **changes)).double().eval()
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    return model


def batch_of(model, n=5, seed=1):
    batch = HardAttention.example_batch(model.config, n, generator=generator(seed))
    return batch | {"image": batch["image"].double()}


def one_picture(model):
    image = batch_of(model)["image"][:1]
    return {"image": image, "tokens": CAPTION, "mask": CAPTION > 0}


def forced(monkeypatch, places):
    """Looks see these places, one after the other."""
    left = iter(places)

    def draw(weights, count, *, generator=None):
        return torch.full((len(weights), count), next(left))

    monkeypatch.setattr(torch, "multinomial", draw)


def gradient(model, value):
    found = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
    flat = [
        torch.zeros(p.numel()).double() if g is None else g.flatten()
        for p, g in zip(model.parameters(), found, strict=True)
    ]
    return torch.cat(flat)


def all_ways(model, monkeypatch):
    """Log p(y | s) and log p(s) of each way to look, with their gradients."""
    drawn = []
    for places in WAYS:
        with monkeypatch.context() as patch:
            forced(patch, places)
            drawn.append(model.draw(one_picture(model)))
    return drawn


def estimated(model, drawn, baseline, entropy=0.0):
    words = torch.tensor([3.0]).double()
    given = {"words": words, "reinforce": 1.0, "entropy": entropy}
    loss = hard_loss(drawn, torch.tensor(baseline).double(), **given)
    return gradient(model, -3 * loss)


def test_the_mean_of_the_estimate_is_the_gradient_of_the_bound(monkeypatch):
    """Sum over all ways to look of p(s) log p(y | s), differentiated as it stands."""
    model = make(TwoPlaces)
    drawn = all_ways(model, monkeypatch)
    p = torch.stack([one.score.sum().exp() for one in drawn])
    assert p.sum().item() == pytest.approx(1) and p.max() < 0.9
    bound = sum(-q * one.nats.sum() for q, one in zip(p, drawn, strict=True))
    exact = gradient(model, bound)
    drawn = all_ways(model, monkeypatch)
    for baseline in (0.0, -2.0, 5.0):
        found = torch.stack([estimated(model, one, baseline) for one in drawn])
        assert torch.allclose(p.detach() @ found, exact, atol=1e-9)
        drawn = all_ways(model, monkeypatch)
    # the wrong version, where only the places that were drawn are told
    only = torch.stack([gradient(model, -one.nats.sum()) for one in drawn])
    assert (p.detach() @ only - exact).norm() > 0.05 * exact.norm()


def test_a_baseline_near_the_reward_makes_the_estimate_vary_less(monkeypatch):
    model, spread = make(TwoPlaces), {}
    for baseline in ("none", "mean"):
        drawn = all_ways(model, monkeypatch)
        p = torch.stack([one.score.sum().exp() for one in drawn]).detach()
        told = torch.stack([-one.nats.sum() for one in drawn]).detach()
        b = 0.0 if baseline == "none" else (p @ told / 3).item()
        found = torch.stack([estimated(model, one, b) for one in drawn])
        away = (found - p @ found).square().sum(1)
        spread[baseline] = (p @ away).item()
    assert spread["mean"] < 0.5 * spread["none"]


def test_no_gradient_runs_through_the_advantage(monkeypatch):
    model = make(TwoPlaces)
    with monkeypatch.context() as patch:
        forced(patch, (1, 0, 1))
        drawn = model.draw(one_picture(model))
    told = -drawn.nats.sum()
    hand = told + (told.item() + 6.0) * drawn.score.sum()  # b = -2 for each word
    expected = gradient(model, hand)
    with monkeypatch.context() as patch:
        forced(patch, (1, 0, 1))
        found = estimated(model, model.draw(one_picture(model)), -2.0)
    assert torch.allclose(found, expected, atol=1e-9)


def test_the_loss_is_in_nats_a_word_whatever_was_drawn():
    """The score has a gradient and no value, so that curves can be compared."""
    model = make()
    for seed in range(3):
        terms = model.loss(batch_of(model), generator=generator(seed))
        assert torch.allclose(terms["loss"], terms["nats"])
    model = make(entropy=0.5)
    terms = model.loss(batch_of(model), generator=generator(0))
    assert torch.allclose(terms["loss"], terms["nats"] - 0.5 * terms["entropy"])


def test_places_are_drawn_as_often_as_they_weigh():
    model = make(TwoPlaces)
    n = 4000
    one = one_picture(model)
    many = {k: v.expand(n, *v.shape[1:]) for k, v in one.items()}
    drawn = model.draw(many, generator=generator(0))
    weights = model.attention(one["tokens"], one["image"])[0, 0]
    first = torch.isclose(drawn.score[:, 0], weights[0].log()).double().mean()
    second = torch.isclose(drawn.score[:, 0], weights[1].log()).double().mean()
    assert first + second == 1 and abs(weights[0] - 0.5) > 0.02
    error = (weights[0] * weights[1] / n).sqrt()
    assert abs(first - weights[0]) < 4 * error


def test_where_the_mean_is_always_taken_it_is_soft_attention():
    model = make(expected=1.0)
    soft = ShowAttendTell(replace(ShowAttendTell.PRESETS["tiny"], doubly=0.0)).double()
    kept = {k: v for k, v in model.state_dict().items() if k != "baseline"}
    soft.load_state_dict(kept)
    batch = batch_of(model)
    found, expected = (m.loss(batch)["loss"] for m in (model, soft))
    assert torch.allclose(found, expected)
    # no place was drawn, so none is rewarded
    assert (model.draw(batch).score == 0).all()
    one, two = gradient(model, found), gradient(soft, expected)
    assert torch.allclose(one, two, atol=1e-9)


def test_the_coin_is_tossed_for_each_picture_and_its_share_is_as_said():
    model = make(expected=0.25)
    batch = batch_of(model, n=2000)
    score = model.draw(batch, generator=generator(3)).score
    real = batch["mask"][:, 1:]
    drawn = (score != 0) & real
    whole, none = drawn.sum(1) == real.sum(1), drawn.sum(1) == 0
    assert (whole | none).all()
    assert abs(none.double().mean() - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5


def test_padding_is_neither_told_nor_rewarded():
    model = make(entropy=0.1)
    batch = batch_of(model)
    tokens = F.pad(batch["tokens"], (0, 3), value=9)
    longer = batch | {"tokens": tokens, "mask": F.pad(batch["mask"], (0, 3))}
    drawn = model.draw(longer, generator=generator(0))
    real = longer["mask"][:, 1:]
    for part in drawn:
        assert (part[~real] == 0).all() and (part[real] != 0).all()
    losses = [model.loss(b, generator=generator(0)) for b in (batch, longer)]
    for key in ("loss", "nats", "entropy"):
        assert torch.allclose(losses[0][key], losses[1][key]), key
    found = [gradient(model, terms["loss"]) for terms in losses]
    assert torch.allclose(*found, atol=1e-9)


def test_the_entropy_of_equal_weights_is_log_n_and_is_asked_for():
    model = make()
    model.score.v.weight.data.zero_()
    terms = model.loss(batch_of(model))
    expected = torch.tensor(16.0).double().log()
    assert torch.allclose(terms["entropy"], expected)
    model = make(entropy=1e3, reinforce=0.0)
    batch, before = batch_of(model), None
    optimizer = torch.optim.SGD(model.score.parameters(), lr=1e-3)
    for _ in range(20):
        terms = model.loss(batch, generator=generator(0))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        before = before or terms["entropy"].item()
    assert before < terms["entropy"] < expected


def test_without_training_the_likeliest_place_is_seen():
    model = make()
    batch = batch_of(model)
    memory = model.memory(batch["image"])
    state, y = model.first(memory), model.embedding(batch["tokens"][:, 0])
    best = model.look(state.h, memory)[1].argmax(1)
    others = torch.arange(16) != best[:, None]
    values = memory.values.masked_fill(others[..., None], 50.0)
    found = model.step(y, state, memory)[0]
    # what the other places hold is not seen
    assert torch.allclose(
        found, model.step(y, state, memory._replace(values=values))[0]
    )
    assert not torch.allclose(found, ShowAttendTell.step(model, y, state, memory)[0])


def test_of_one_place_alone_hard_and_soft_say_the_same():
    model = make()
    batch = batch_of(model)
    memory = Memory(*(part[:, :1] for part in model.memory(batch["image"])))
    state, y = model.first(memory), model.embedding(batch["tokens"][:, 0])
    hard = model.step(y, state, memory)[0]
    assert torch.allclose(hard, ShowAttendTell.step(model, y, state, memory)[0])


def test_the_baseline_moves_by_a_tenth_and_only_in_training():
    model = make()
    batch = batch_of(model)
    assert model.baseline.item() == pytest.approx(-torch.tensor(40.0).log().item())
    terms = model.eval().loss(batch, generator=generator(0))
    assert model.baseline == terms["baseline"]
    model.train().loss(batch, generator=generator(0))
    expected = 0.9 * terms["baseline"] - 0.1 * terms["nats"]
    assert torch.allclose(model.baseline, expected)
    assert hard_attention.MEMORY == 0.9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"expected": 1.5}, "expected expected a number from 0 to 1, got 1.5"),
        ({"doubly": 1.0}, "doubly expected"),
        ({"look": "mean"}, "look as one of 'soft', got 'mean'"),
    ],
)
def test_what_is_for_soft_looks_alone_is_refused(change, words, as_a_reader):
    with pytest.raises(ValueError, match=words):
        HardAttention(replace(TINY, **change))
