"""Show, attend and tell: looks that sum to one, the doubly stochastic term."""

from dataclasses import replace

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.bahdanau import Memory
from mmdl_lib.models.seq2seq import END, START
from mmdl_lib.models.show_attend_tell import (
    Grid,
    ShowAttendTell,
    State,
    averaged,
    check_ended,
    doubly_stochastic,
)
from mmdl_lib.nn import decode

TINY = ShowAttendTell.PRESETS["tiny"]


def make(**changes):
    torch.manual_seed(0)
    return ShowAttendTell(replace(TINY, **changes)).eval()


def batch_of(model, n=5, seed=1):
    return ShowAttendTell.example_batch(model.config, n, generator=generator(seed))


def padded(batch, by=3):
    """The same captions with more padding, full of words."""
    tokens = torch.nn.functional.pad(batch["tokens"], (0, by), value=9)
    mask = torch.nn.functional.pad(batch["mask"], (0, by))
    return batch | {"tokens": tokens, "mask": mask}


def some_memory(model, n=6, real=4, seed=3):
    """Annotations of which the last two are no place at all."""
    width = model.config.stages[-1]
    values = torch.randn(5, n, width, generator=generator(seed))
    mask = (torch.arange(n) < real).expand(5, -1)
    return Memory(values, model.score.key(values), mask)


def test_looks_that_are_everywhere_alike_leave_the_rest_of_a_look_for_each_place():
    for places, words in ((4, 4), (16, 4), (16, 10), (196, 12)):
        weights = torch.full((3, words, places), 1 / places)
        mask = torch.ones(3, words, dtype=torch.bool)
        found = doubly_stochastic(weights, mask)
        expected = places * (1 - words / places) ** 2
        assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_each_place_looked_at_once_costs_nothing_and_one_place_at_all_times_much():
    once, mask = torch.eye(6)[None], torch.ones(1, 6, dtype=torch.bool)
    assert doubly_stochastic(once, mask) == 0
    always = torch.zeros(1, 6, 6)
    always[:, :, 2] = 1
    # five places of zero looks, one of six: 5 + 25
    assert doubly_stochastic(always, mask) == 30


def test_the_term_is_a_mean_over_pictures_and_a_sum_over_places():
    weights = torch.rand(2, 4, 9, generator=generator(0)).softmax(-1)
    mask = torch.ones(2, 4, dtype=torch.bool)
    one, other = (doubly_stochastic(weights[i : i + 1], mask[:1]) for i in (0, 1))
    assert doubly_stochastic(weights, mask) == pytest.approx((one + other).item() / 2)


def test_padding_adds_no_looks_and_changes_no_loss():
    model = make(doubly=1.0)
    batch = batch_of(model)
    before, after = (model.loss(b) for b in (batch, padded(batch)))
    for key in ("loss", "nats", "doubly"):
        assert torch.allclose(before[key], after[key], atol=1e-6), key
    # the wrong version, which counts the looks of padding
    weights = model.attention(padded(batch)["tokens"], batch["image"])
    every = torch.ones(weights.shape[:2], dtype=torch.bool)
    assert (doubly_stochastic(weights, every) - after["doubly"]).abs() > 0.1


def test_the_term_counts_one_look_for_each_word_that_is_predicted():
    model = make(doubly=1.0, look="mean")
    batch = batch_of(model)
    words = batch["mask"].sum(1) - 1  # the start is given
    places = model.config.places
    expected = (places * (1 - words / places) ** 2).mean()
    assert torch.allclose(model.loss(batch)["doubly"], expected)


def test_lambda_weighs_the_term_and_zero_leaves_the_nats():
    batch = batch_of(make())
    for doubly in (0.0, 0.5, 2.0):
        terms = make(doubly=doubly).loss(batch)
        expected = terms["nats"] + doubly * terms["doubly"]
        assert torch.allclose(terms["loss"], expected)


def test_weights_sum_to_one_over_true_places_and_are_zero_elsewhere():
    model = make()
    memory = some_memory(model)
    context, weights = model.look(torch.randn(5, 32), memory)
    assert torch.allclose(weights.sum(1), torch.ones(5))
    assert (weights[:, 4:] == 0).all() and (weights[:, :4] > 0).all()
    assert context.shape == (5, 16)


def test_what_is_no_place_changes_nothing_not_even_the_start():
    model = make()
    memory = some_memory(model)
    noisy = memory.values.masked_fill(~memory.mask[..., None], 50.0)
    other = Memory(noisy, model.score.key(noisy), memory.mask)
    tokens = batch_of(model)["tokens"]
    assert torch.allclose(model.told(tokens, memory), model.told(tokens, other))
    # the wrong version: zero rows enter the mean that the LSTM starts from
    assert torch.allclose(averaged(other), memory.values[:, :4].mean(1), atol=1e-6)
    assert not torch.allclose(averaged(other), other.values.mean(1))


def test_permuted_places_permute_the_weights_and_leave_the_caption():
    model = make()
    memory, order = some_memory(model, real=6), torch.tensor([3, 5, 0, 1, 4, 2])
    other = Memory(*(part[:, order] for part in memory))
    h = torch.randn(5, 32, generator=generator(2))
    (_, one), (_, two) = (model.look(h, m) for m in (memory, other))
    assert torch.allclose(one[:, order], two, atol=1e-6)
    tokens = batch_of(model)["tokens"]
    found = [model.told(tokens, m) for m in (memory, other)]
    assert torch.allclose(*found, atol=1e-5)


def test_one_vector_for_all_words_is_the_mean_and_soft_looks_differ_by_word():
    mean, soft = make(look="mean"), make()
    batch = batch_of(mean)
    weights = mean.attention(batch["tokens"], batch["image"])
    assert torch.allclose(weights, torch.full_like(weights, 1 / 16))
    weights = soft.attention(batch["tokens"], batch["image"])
    assert (weights[:, 0] - weights[:, 2]).abs().max() > 1e-5


def test_a_step_by_hand_gives_the_logits():
    """The paper's equations written out once more, with torch's functions alone."""
    model = make()
    batch = batch_of(model)
    a = model.encoder(batch["image"])
    c = torch.tanh(a.mean(1) @ model.init_c[0].weight.T + model.init_c[0].bias)
    h = torch.tanh(a.mean(1) @ model.init_h[0].weight.T + model.init_h[0].bias)
    for t in range(3):
        y = model.embedding.weight[batch["tokens"][:, t]]
        inner = h @ model.score.query.weight.T
        inner = inner[:, None] + a @ model.score.key.weight.T + model.score.key.bias
        alpha = (inner.tanh() @ model.score.v.weight[0]).softmax(1)
        beta = torch.sigmoid(h @ model.gate.weight[0] + model.gate.bias)
        z = beta[:, None] * torch.einsum("bn,bnd->bd", alpha, a)
        cell = model.lstm
        gates = torch.cat([y, z], 1) @ cell.weight_ih.T + cell.bias_ih
        i, f, g, o = (gates + h @ cell.weight_hh.T + cell.bias_hh).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        said = y + h @ model.from_h.weight.T + model.from_h.bias
        said = said + z @ model.from_z.weight.T
        expected = said @ model.out.weight.T
        found = model.logits(batch["tokens"], batch["image"])[:, t]
        assert torch.allclose(found, expected, atol=1e-5)


def test_the_gate_is_one_number_for_each_picture_and_scales_the_whole_context():
    model = make()
    assert model.gate(torch.randn(3, 32)).shape == (3, 1)
    state, memory = State(torch.randn(5, 32), torch.zeros(5, 32)), some_memory(model)
    model.gate.weight.data.zero_()
    found = []
    for bias in (-50.0, 50.0):
        model.gate.bias.data.fill_(bias)
        found.append(model.step(torch.zeros(5, 16), state, memory)[0])
    other = Memory(memory.values * 0, memory.keys, memory.mask)
    closed = model.step(torch.zeros(5, 16), state, other)[0]
    assert torch.allclose(found[0], closed, atol=1e-6)
    assert not torch.allclose(found[1], closed, atol=1e-3)


def test_the_score_of_what_is_said_is_that_of_teacher_forcing():
    model = make()
    batch = batch_of(model)
    memory = model.memory(batch["image"])
    found = model.search(memory, decode.beam_search, beams=3, max_length=8)
    said, mask = found.tokens[:, 0], found.mask[:, 0]
    tokens = torch.cat([torch.full((5, 1), START), said], 1)
    log_p = model.logits(tokens[:, :-1], batch["image"]).log_softmax(-1)
    total = (log_p.gather(-1, said[..., None])[..., 0] * mask).sum(1)
    assert torch.allclose(found.log_prob[:, 0], total, atol=1e-4)


def test_a_caption_without_its_end_is_refused(as_a_reader):
    model = make()
    batch = batch_of(model)
    batch["tokens"] = batch["tokens"].masked_fill(batch["tokens"] == END, 7)
    with pytest.raises(ValueError, match="end with the token 2, got 5 without"):
        model.loss(batch)


def test_more_beams_than_words_and_pictures_of_another_size_are_refused(as_a_reader):
    model = make()
    image = batch_of(model)["image"]
    with pytest.raises(ValueError, match="beams expected .* 1 to 40, got 41"):
        model.generate(image, beams=41)
    for bad in (torch.zeros(2, 3, 32, 32), torch.zeros(2, 1, 16, 16)):
        with pytest.raises(ValueError, match="image expected shape"):
            model.generate(bad)
    with pytest.raises(ValueError, match="image expected pixels"):
        model.generate(image * 255)


def test_cells_of_the_grid_stand_line_by_line():
    torch.manual_seed(0)
    grid = Grid(32, (8, 16)).eval()
    image = torch.zeros(1, 3, 32, 32)
    still = grid(image)
    image[..., 12:16, 24:28] = 1.0  # in the cell of row 3, column 6
    moved = (grid(image) - still).norm(dim=-1)[0]
    row, column = divmod(int(moved.argmax()), 8)
    assert abs(row - 3) <= 1 and abs(column - 6) <= 1  # not 6 and 3


def test_a_caption_ends_with_its_end_token_wherever_its_padding_begins():
    tokens = torch.tensor([[1, 5, 2, 0], [1, 4, 4, 2], [1, 2, 7, 7]])
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]).bool()
    check_ended(tokens, mask)
    # an end in the middle or in padding is none
    for row, place, count in ((0, 2, 1), (1, 3, 1)):
        other = tokens.clone()
        other[row, place] = 9
        with pytest.raises(ValueError, match=f"got {count} without their end"):
            check_ended(other, mask)
    with pytest.raises(ValueError, match="got 1 without"):
        check_ended(tokens, mask & (torch.arange(4) < 3))
