"""Encoder and decoder: units, masks, order of the source, decoding, the border."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models import seq2seq
from mmdl_lib.models.seq2seq import (
    GRU,
    LSTM,
    ChoGRU,
    Seq2Seq,
    Seq2SeqConfig,
    backwards,
)
from mmdl_lib.nn import decode

PRESETS = ["tiny", "tiny-cho", "tiny-lstm"]
each = pytest.mark.parametrize("name", PRESETS)


def make(name="tiny", **changes):
    torch.manual_seed(0)
    return Seq2Seq.from_preset(name).eval()


def batch_of(model, n=5):
    return Seq2Seq.example_batch(model.config, n, generator=generator(1))


def pair(batch):
    return batch["source"], batch["source_mask"]


def longer(source, mask, more, fill):
    """The same sentences with more padding, filled with any token."""
    source = torch.where(mask, source, fill)
    return F.pad(source, (0, more), value=fill), F.pad(mask, (0, more))


@each
def test_padding_of_the_source_changes_nothing(name):
    model = make(name)
    batch = batch_of(model)
    assert not batch["source_mask"].all()
    before = model.logits(batch["tokens"], *pair(batch))
    after = model.logits(batch["tokens"], *longer(*pair(batch), 4, fill=9))
    assert torch.allclose(before, after, atol=1e-6)


@each
def test_the_last_state_is_that_of_the_last_real_token(name):
    model = make(name)
    batch = batch_of(model)
    whole = model.encode_source(*pair(batch))
    for i, size in enumerate(batch["source_mask"].sum(1)):
        alone = batch["source"][i : i + 1, :size]
        found = model.encode_source(alone, torch.ones_like(alone).bool())
        assert torch.allclose(whole[i : i + 1], found, atol=1e-6)


def test_padding_of_the_target_is_not_in_the_loss():
    model = make()
    batch = batch_of(model)
    assert not batch["mask"].all()
    before = model.loss(batch)["loss"]
    noise = torch.where(batch["mask"], batch["tokens"], 7)
    assert model.loss(batch | {"tokens": noise})["loss"] == before
    more = {"tokens": F.pad(noise, (0, 3)), "mask": F.pad(batch["mask"], (0, 3))}
    assert torch.allclose(model.loss(batch | more)["loss"], before, atol=1e-6)


def test_the_loss_is_the_mean_over_real_words_of_minus_log_p():
    model = make()
    batch = batch_of(model)
    log_p = model.logits(batch["tokens"], *pair(batch)).log_softmax(-1)
    said = [
        -log_p[b, t, batch["tokens"][b, t + 1]]
        for b in range(5)
        for t in range(6)
        if batch["mask"][b, t + 1]
    ]
    assert torch.allclose(model.loss(batch)["loss"], torch.stack(said).mean())


def test_a_target_of_starts_only_is_refused():
    model = make()
    batch = batch_of(model)
    first = torch.arange(batch["mask"].shape[1]) == 0
    only = batch | {"mask": first.expand_as(batch["mask"])}
    with pytest.raises(ValueError, match="behind the start expected at least one True"):
        model.loss(only)


def test_a_row_backwards_keeps_its_padding_behind():
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]).bool()
    x = torch.tensor([[4, 5, 6, 0, 0], [1, 2, 3, 4, 5]])
    want = torch.tensor([[6, 5, 4, 0, 0], [5, 4, 3, 2, 1]])
    assert torch.equal(backwards(x, mask), want)
    assert torch.equal(backwards(backwards(x, mask), mask), x)
    deep = torch.stack([x, -x], -1).float()
    assert torch.equal(backwards(deep, mask)[..., 1], -want.float())


def test_a_reversed_source_is_read_from_its_end():
    model = make("tiny-lstm")
    batch = batch_of(model)
    forward = Seq2Seq(
        Seq2SeqConfig.from_dict(model.config.to_dict() | {"order": "forward"})
    )
    forward.load_state_dict(model.state_dict())
    turned = backwards(*pair(batch))
    assert torch.equal(
        model.encode_source(*pair(batch)),
        forward.encode_source(turned, batch["source_mask"]),
    )
    assert not torch.equal(
        model.encode_source(*pair(batch)), forward.encode_source(*pair(batch))
    )


def test_the_summary_is_all_that_the_decoder_knows():
    """Sources with equal last states give equal words, whatever stood in them."""
    for name in PRESETS:
        model = make(name)
        batch = batch_of(model)
        memory = model.memory(*pair(batch))
        first = seq2seq.Summary(
            decode.select(memory.states, torch.zeros(5, dtype=torch.long)),
            decode.select(memory.vector, torch.zeros(5, dtype=torch.long)),
        )
        tokens = batch["tokens"][:1].expand(5, -1)
        logits = model.read(tokens, model.first(first), first)[0]
        assert torch.allclose(logits, logits[:1].expand_as(logits), atol=1e-6)


def test_the_summary_at_every_step_is_the_last_layers_state():
    model = make("tiny-cho")
    memory = model.memory(*pair(batch_of(model)))
    assert len(memory.states) == 2
    assert torch.equal(memory.vector, memory.states[1])


def test_context_at_every_step_reaches_each_word_past_the_state():
    """With all memory of the decoder cut off, only "always" still knows the source."""
    for name, knows in (("tiny", True), ("tiny-lstm", False)):
        model = make(name)
        batch = batch_of(model)
        for layer in model.decoder.layers:
            layer.weight_hh.data.zero_()
            if name == "tiny-lstm":  # a forget gate that is shut
                layer.bias_hh.data[32:64] = -60.0
            else:  # an update gate that is open
                layer.bias_hh.data[32:64] = -60.0
        same = batch["tokens"][:1].expand(5, -1)
        last = model.logits(same, *pair(batch))[:, -1]
        assert torch.allclose(last, last[:1].expand_as(last), atol=1e-6) != knows


def test_both_units_reset_and_both_copy_the_past_behind_a_closed_gate():
    torch.manual_seed(0)
    x, h = torch.randn(4, 3, 5), torch.randn(4, 6)
    for unit in (GRU(5, 6), ChoGRU(5, 6)):
        unit.bias_ih.data[6:12] = 60.0  # update gate 1: nothing is let in
        assert torch.allclose(unit(x, h)[1], h)
        unit.bias_ih.data[6:12] = -60.0  # update gate 0, and reset gate 0
        unit.bias_ih.data[:6] = -60.0
        unit.bias_hh.data[12:] = 0  # torch's reset gate also shuts this bias out
        assert torch.allclose(unit(x, h)[1], unit(x, -3 * h)[1], atol=1e-6)


def test_the_published_unit_is_torchs_where_nothing_is_reset_and_another_elsewhere():
    torch.manual_seed(0)
    ours, theirs, x = ChoGRU(5, 6), GRU(5, 6), torch.randn(4, 3, 5)
    theirs.load_state_dict(ours.state_dict())
    h = torch.randn(4, 6)
    assert (ours(x, h)[0] - theirs(x, h)[0]).abs().max() > 1e-3
    for unit in (ours, theirs):
        unit.bias_ih.data[:6] = 60.0
    assert torch.allclose(ours(x, h)[0], theirs(x, h)[0], atol=1e-6)


def test_the_published_unit_by_hand():
    """One input, one number of memory, weights of one: both gates and the candidate."""
    unit = ChoGRU(1, 1)
    for value in unit.parameters():
        value.data.fill_(1.0)
    for value in (unit.bias_ih, unit.bias_hh):
        value.data.zero_()
    h, x = torch.tensor([[0.5]]), torch.tensor([[1.0]])
    gate = torch.tensor(1.5).sigmoid()
    want = gate * 0.5 + (1 - gate) * (1 + gate * 0.5).tanh()
    assert torch.allclose(unit.step(unit.inputs(x), h), want)


@each
def test_step_by_step_is_the_same_as_all_at_once(name):
    model = make(name)
    batch = batch_of(model)
    whole = model.logits(batch["tokens"], *pair(batch))
    memory = model.memory(*pair(batch))
    state, parts = model.first(memory), []
    for t in range(whole.shape[1]):
        logits, state = model.read(batch["tokens"][:, t : t + 1], state, memory)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)


def small():
    """Few words, and weights that make them differ."""
    torch.manual_seed(3)
    sizes = Seq2Seq.PRESETS["tiny"].to_dict() | {"vocab": 4}
    model = Seq2Seq(Seq2SeqConfig.from_dict(sizes)).eval()
    for value in model.parameters():
        value.data *= 2.5
    return model


def scored(model, source, mask, words):
    """log p of the words, teacher-forced."""
    tokens = torch.tensor([[seq2seq.START, *words]])
    log_p = model.logits(tokens, source, mask)[0, :-1].log_softmax(-1)
    return log_p[range(len(words)), words].sum()


def test_beam_search_with_every_beam_is_exact_search():
    model, t = small(), 3
    source, mask = (x[:1] for x in pair(batch_of(model)))
    every = [
        words
        for n in range(1, t + 1)
        for words in itertools.product(range(4), repeat=n)
        if seq2seq.END not in words[:-1] and (words[-1] == seq2seq.END or n == t)
    ]
    best = max(every, key=lambda words: scored(model, source, mask, words))
    found = model.search(source, mask, decode.beam_search, beams=4**t, max_length=t)
    said = tuple(found.tokens[0, 0][found.mask[0, 0]].tolist())
    assert said == best
    # the score that is returned is that of the words, given one after the other
    for said, real, log_p in zip(
        found.tokens[0], found.mask[0], found.log_prob[0], strict=True
    ):
        if real.any():
            want = scored(model, source, mask, tuple(said[real].tolist()))
            assert torch.allclose(log_p, want, atol=1e-5)


def test_more_beams_never_find_a_less_likely_sentence_here():
    model = small()
    batch = batch_of(model)
    best = [
        model.search(*pair(batch), decode.beam_search, beams=k, max_length=4).log_prob[
            :, 0
        ]
        for k in (1, 2, 4, 16, 64)
    ]
    for less, more in itertools.pairwise(best):
        assert (more >= less - 1e-5).all()


def test_parameters_of_sutskever_by_arithmetic():
    """160,000 and twice 80,000 words of 1,000 numbers, and eight LSTM layers."""
    words = (160_000 + 2 * 80_000) * 1000 + 80_000
    layers = 8 * 4 * (1000 * (1000 + 1000) + 2 * 1000)
    with torch.device("meta"):
        model = Seq2Seq.from_preset("sutskever")
    assert sum(p.numel() for p in model.parameters()) == words + layers


def test_what_the_summary_of_sutskever_holds():
    """Four layers with a state and a cell of 1,000 each: 8,000 numbers."""
    with torch.device("meta"):
        model = Seq2Seq.from_preset("sutskever")
        batch = Seq2Seq.example_batch(model.config, 2)
        kept = model.encode_source(*pair({k: v for k, v in batch.items()}))
    assert kept.shape == (2, 8000)


def test_a_mask_of_numbers_is_refused(as_a_reader):
    model = make()
    batch = batch_of(model)
    with pytest.raises(ValueError, match="source_mask expected"):
        model.logits(batch["tokens"], batch["source"], batch["source_mask"].long())


def test_an_lstm_forgets_and_shows_by_its_gates():
    torch.manual_seed(0)
    unit, x = LSTM(5, 6), torch.randn(4, 2, 5)
    begin = torch.randn(4, 6), torch.randn(4, 6)
    unit.bias_ih.data[6:12] = 60.0  # forget nothing
    unit.bias_ih.data[:6] = -60.0  # let nothing in
    assert torch.allclose(unit(x, begin)[1][1], begin[1])
    unit.bias_ih.data[18:] = -60.0  # show nothing
    assert torch.allclose(unit(x, begin)[0], torch.zeros(4, 2, 6))
