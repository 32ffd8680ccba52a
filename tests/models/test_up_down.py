"""Up-Down: laws of its looks, a step by hand, and regions that are no regions."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.bahdanau import Memory
from mmdl_lib.models.seq2seq import START
from mmdl_lib.models.up_down import TwoStates, UpDown
from mmdl_lib.nn import decode


def make():
    torch.manual_seed(0)
    return UpDown.from_preset("tiny").eval()


def batch_of(model, n=5, seed=1):
    return UpDown.example_batch(model.config, n, generator=generator(seed))


def seen(batch):
    return batch["regions"], batch["region_mask"]


def some_state(model, n=5, seed=2):
    parts = torch.randn(4, n, model.config.width, generator=generator(seed)).unbind()
    top, language = model.first(model.memory(*seen(batch_of(model, n))))
    return TwoStates(type(top)(*parts[:2]), type(language)(*parts[2:]))


def test_where_all_scores_are_equal_the_look_is_the_mean_of_true_regions():
    model, batch = make(), batch_of(make())
    model.score.v.weight.data.zero_()
    weights = model.attention(batch["tokens"], *seen(batch))
    real = batch["region_mask"].float()
    expected = (real / real.sum(1, keepdim=True))[:, None].expand_as(weights)
    assert torch.allclose(weights, expected) and (real.sum(1) < 5).any()


def test_a_step_by_hand_gives_the_logits():
    """The paper's equations written out once more, with torch's functions alone."""
    model = make()
    batch = batch_of(model)
    v, mask = seen(batch)
    mean = torch.stack([row[real].mean(0) for row, real in zip(v, mask, strict=True)])
    h1 = c1 = h2 = c2 = torch.zeros(5, 32)
    for t in range(3):
        y = model.embedding.weight[batch["tokens"][:, t]]
        h1, c1 = lstm(model.top, torch.cat([h2, mean, y], 1), h1, c1)
        inner = F.linear(h1, model.score.query.weight)[:, None]
        inner = inner + F.linear(v, model.score.key.weight, model.score.key.bias)
        a = (inner.tanh() @ model.score.v.weight[0]).masked_fill(~mask, -1e9)
        look = torch.einsum("bn,bnf->bf", a.softmax(1), v)
        h2, c2 = lstm(model.language, torch.cat([look, h1], 1), h2, c2)
        expected = F.linear(h2, model.out.weight, model.out.bias)
        found = model.logits(batch["tokens"], v, mask)[:, t]
        assert torch.allclose(found, expected, atol=1e-5)


def lstm(cell, x, h, c):
    gates = F.linear(x, cell.weight_ih, cell.bias_ih)
    gates = gates + F.linear(h, cell.weight_hh, cell.bias_hh)
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def test_shuffled_regions_shuffle_the_weights_and_leave_the_logits():
    model, order = make(), torch.tensor([3, 0, 4, 2, 1])
    batch = batch_of(model)
    other = batch | {k: batch[k][:, order] for k in ("regions", "region_mask")}
    one, two = (model.attention(b["tokens"], *seen(b)) for b in (batch, other))
    assert torch.allclose(one[..., order], two, atol=1e-6)
    one, two = (model.logits(b["tokens"], *seen(b)) for b in (batch, other))
    assert torch.allclose(one, two, atol=1e-5)


@pytest.mark.parametrize("noise", [0.0, 50.0])
def test_rows_that_are_no_regions_change_nothing(noise):
    """Neither in the attention nor in the mean."""
    model = make()
    batch = batch_of(model)
    more = F.pad(batch["regions"], (0, 0, 0, 3), value=noise)
    mask = F.pad(batch["region_mask"], (0, 3))
    more = more.masked_fill(~mask[..., None], noise)
    padded = batch | {"regions": more, "region_mask": mask}
    one, two = (model.logits(b["tokens"], *seen(b)) for b in (batch, padded))
    assert torch.allclose(one, two, atol=1e-6)
    losses = [model.loss(b)["loss"] for b in (batch, padded)]
    assert torch.allclose(*losses)
    said = [model.generate(*seen(b), max_length=6) for b in (batch, padded)]
    assert torch.equal(*said)
    # the wrong version: rows of zeros are regions, too
    every = torch.ones_like(mask)
    wrong = model.logits(batch["tokens"], more, every)
    assert not torch.allclose(one, wrong, atol=1e-3)


def test_told_at_once_is_told_step_by_step():
    model = make()
    batch = batch_of(model)
    memory = model.memory(*seen(batch))
    state, found = model.first(memory), []
    for t in range(batch["tokens"].shape[1]):
        logits, state = model.read(batch["tokens"][:, t : t + 1], state, memory)
        found.append(logits)
    whole = model.logits(batch["tokens"], *seen(batch))
    assert torch.allclose(torch.cat(found, 1), whole, atol=1e-6)


def test_the_score_of_what_is_said_is_that_of_teacher_forcing():
    model = make()
    batch = batch_of(model)
    memory = model.memory(*seen(batch))
    found = model.search(memory, decode.beam_search, beams=3, max_length=8)
    said, mask = found.tokens[:, 0], found.mask[:, 0]
    tokens = torch.cat([torch.full((5, 1), START), said], 1)
    log_p = model.logits(tokens[:, :-1], *seen(batch)).log_softmax(-1)
    total = (log_p.gather(-1, said[..., None])[..., 0] * mask).sum(1)
    assert torch.allclose(found.log_prob[:, 0], total, atol=1e-4)


def test_the_look_comes_after_the_first_lstm_and_knows_the_last_word():
    """In `show_attend_tell` the look of a step knows only what was told before."""
    model = make()
    batch = batch_of(model)
    other = batch["tokens"].clone()
    other[:, 1] = (other[:, 1] + 5) % 30 + 3
    one, two = (model.attention(t, *seen(batch)) for t in (batch["tokens"], other))
    assert torch.equal(one[:, 0], two[:, 0])
    assert not torch.allclose(one[:, 1], two[:, 1], atol=1e-7)


def test_the_first_lstm_reads_what_the_second_said_and_the_second_where_it_looked():
    model, state = make(), some_state(make())
    memory = model.memory(*seen(batch_of(model)))
    y = torch.zeros(5, 16)
    logits, weights, _ = model.step(y, state, memory)
    silent = state._replace(language=state.language._replace(h=torch.zeros(5, 32)))
    assert not torch.allclose(model.step(y, silent, memory)[1], weights, atol=1e-7)
    # regions of other content under the same keys and mean
    swapped = memory.values.clone()
    swapped[:, :2] = swapped[:, :2].flip(1)
    other = Memory(swapped, memory.keys, memory.mask)
    found = model.step(y, state, other)
    assert torch.allclose(found[1], weights, atol=1e-6)
    assert not torch.allclose(found[0], logits, atol=1e-5)


def test_both_lstms_start_at_zero_and_the_sizes_are_counted_by_hand():
    model = make()
    first = model.first(model.memory(*seen(batch_of(model))))
    assert all((part == 0).all() for state in first for part in state)
    lstms = sum(4 * 32 * (x + 32 + 2) for x in (32 + 6 + 16, 6 + 32))
    score = 32 * 16 + (6 + 1) * 16 + 16
    expected = lstms + score + 40 * 16 + (32 + 1) * 40
    assert sum(p.numel() for p in model.parameters()) == expected


def test_no_region_at_all_and_regions_of_another_width_are_refused(as_a_reader):
    model = make()
    regions, mask = seen(batch_of(model))
    with pytest.raises(ValueError, match="a real region in each row, got 1 rows"):
        model.generate(regions, mask & (torch.arange(5) > 0)[:, None])
    with pytest.raises(ValueError, match=r"regions expected shape \(b, n, 6\)"):
        model.generate(regions[..., :5], mask)
