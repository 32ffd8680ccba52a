"""Attention: who asks, who may be seen, what the weights sum to, the usual mistakes."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.bahdanau import Bahdanau, BahdanauConfig, Memory, attend

PRESETS = ["tiny", "tiny-dot", "tiny-general", "tiny-forward"]
each = pytest.mark.parametrize("name", PRESETS)


def make(name="tiny"):
    torch.manual_seed(0)
    return Bahdanau.from_preset(name).eval()


def batch_of(model, n=5):
    return Bahdanau.example_batch(model.config, n, generator=generator(1))


def given(batch):
    return batch["tokens"], batch["source"], batch["source_mask"]


@each
def test_padding_gets_no_weight_and_more_of_it_changes_nothing(name):
    model = make(name)
    tokens, source, mask = given(batch_of(model))
    assert not mask.all()
    weights = model.attention(tokens, source, mask)
    assert torch.allclose(weights.sum(-1), torch.ones(5, 7))
    assert (weights[~mask[:, None].expand_as(weights)] == 0).all()
    noise = F.pad(torch.where(mask, source, 9), (0, 4), value=11)
    longer = model.attention(tokens, noise, F.pad(mask, (0, 4)))
    assert torch.allclose(longer[..., :6], weights, atol=1e-6)
    assert torch.allclose(
        model.logits(tokens, noise, F.pad(mask, (0, 4))),
        model.logits(tokens, source, mask),
        atol=1e-5,
    )


@each
def test_a_permutation_of_the_states_permutes_the_weights(name):
    model = make(name)
    tokens, source, mask = given(batch_of(model))
    memory = model.memory(source, mask)
    order = torch.randperm(6, generator=generator(2))
    mixed = Memory(memory.values[:, order], memory.keys[:, order], mask[:, order])
    state = model.first(memory)
    _, weights, _ = model._walk(tokens, state, memory)
    looked, again, _ = model._walk(tokens, state, mixed)
    assert torch.allclose(again, weights[..., order], atol=1e-6)
    assert torch.allclose(looked, model._walk(tokens, state, memory)[0], atol=1e-5)


def test_scores_of_zero_give_uniform_weights_over_true_tokens_only():
    model = make()
    for weight in (model.score.query.weight, model.score.key.weight):
        weight.data.zero_()
    tokens, source, mask = given(batch_of(model))
    weights = model.attention(tokens, source, mask)
    want = (mask / mask.sum(1, keepdim=True))[:, None].expand_as(weights)
    assert torch.allclose(weights, want)


@each
def test_the_weights_depend_on_the_encoders_states(name):
    """The usual wrong version scores from the decoder alone."""
    model = make(name)
    tokens, source, mask = given(batch_of(model))
    memory = model.memory(source, mask)
    other = memory._replace(keys=memory.keys + torch.randn(5, 6, memory.keys.shape[2]))
    state = model.first(memory)
    before, after = (model._walk(tokens, state, m)[1][:, 0] for m in (memory, other))
    assert not torch.allclose(before, after, atol=1e-3)


def test_bahdanau_asks_with_the_state_before_the_word_is_read():
    """The word at position t moves the weights at t only with Luong's scores."""
    for name, moves in (("tiny", False), ("tiny-dot", True), ("tiny-general", True)):
        model = make(name)
        tokens, source, mask = given(batch_of(model))
        weights = model.attention(tokens, source, mask)
        changed = tokens.clone()
        changed[:, 2] = (changed[:, 2] + 5) % 50
        after = model.attention(changed, source, mask)
        assert torch.allclose(after[:, :2], weights[:, :2])
        assert torch.allclose(after[:, 2], weights[:, 2], atol=1e-6) != moves, name
        assert not torch.allclose(after[:, 3], weights[:, 3], atol=1e-6)


def test_each_score_by_its_formula():
    torch.manual_seed(0)
    s, h = torch.randn(2, 32), torch.randn(2, 6, 32)
    for name in ("tiny", "tiny-dot", "tiny-general"):
        score = make(name).score
        found = score(s, score.key(h))
        for b in range(2):
            for j in range(6):
                if name == "tiny":
                    w, u = score.query.weight, score.key
                    inner = (w @ s[b] + u.weight @ h[b, j] + u.bias).tanh()
                    want = score.v.weight[0] @ inner
                elif name == "tiny-dot":
                    want = s[b] @ h[b, j]
                else:
                    want = s[b] @ (score.key.weight @ h[b, j])
                assert torch.allclose(found[b, j], want, atol=1e-5)


def test_the_context_enters_bahdanaus_step_and_luongs_next_one():
    """Other values behind equal keys change the state at once, or one step later."""
    for name, at_once in (("tiny", True), ("tiny-dot", False)):
        model = make(name)
        tokens, source, mask = given(batch_of(model))
        memory = model.memory(source, mask)
        other = memory._replace(values=memory.values.flip(-1))
        state = model.first(memory)
        one, two = (model._walk(tokens[:, :1], state, m)[2][0] for m in (memory, other))
        assert torch.allclose(one, two, atol=1e-6) != at_once
        one, two = (model._walk(tokens[:, :2], state, m)[2][0] for m in (memory, other))
        assert not torch.allclose(one, two, atol=1e-6)


def test_what_is_read_out_is_made_of_state_and_context():
    for name in ("tiny", "tiny-dot"):
        model = make(name)
        tokens, source, mask = given(batch_of(model))
        memory = model.memory(source, mask)
        y = model.embedding(tokens[:, 0])
        step = model.before if name == "tiny" else model.after
        looked, weights, state = step(y, model.first(memory), memory)
        context = torch.stack(
            [(weights[b] @ memory.values[b]) for b in range(len(weights))]
        )
        parts = [state[0], y, context] if name == "tiny" else [context, state[0]]
        want = model.readout(torch.cat(parts, -1)).tanh()
        assert torch.allclose(looked, want, atol=1e-6)


def test_each_half_of_the_encoder_reads_from_its_own_end():
    """The forward half knows no later word, the backward half no earlier one."""
    model = make()
    _, source, mask = given(batch_of(model))
    mask = torch.ones_like(mask)
    before = model.encode_source(source, mask)
    changed = source.clone()
    changed[:, 3] = (changed[:, 3] + 5) % 50
    moved = (model.encode_source(changed, mask) - before).abs() > 1e-7
    ahead, back = moved[..., :16].any(-1), moved[..., 16:].any(-1)
    assert ahead.tolist() == [[False] * 3 + [True] * 3] * 5
    assert back.tolist() == [[True] * 4 + [False] * 2] * 5


@each
def test_step_by_step_is_the_same_as_all_at_once(name):
    model = make(name)
    tokens, source, mask = given(batch_of(model))
    whole = model.logits(tokens, source, mask)
    memory = model.memory(source, mask)
    state, parts = model.first(memory), []
    for t in range(7):
        logits, state = model.read(tokens[:, t : t + 1], state, memory)
        parts.append(logits)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-6)


def test_a_row_of_padding_gives_zeros_and_no_nan():
    memory = Memory(
        torch.randn(1, 3, 4), torch.randn(1, 3, 4), torch.zeros(1, 3).bool()
    )
    context, weights = attend(torch.randn(1, 3), memory)
    assert not weights.any() and not context.any()


def test_a_dot_of_unequal_widths_is_refused(as_a_reader):
    with pytest.raises(ValueError, match="one width, got 32 of the decoder and 40"):
        Bahdanau(BahdanauConfig(**_sizes(half=20, score="dot")))
    Bahdanau(BahdanauConfig(**_sizes(half=20, score="general")))


def _sizes(**changes):
    sizes = {"vocab_source": 50, "vocab": 50, "width": 32, "embed": 32}
    return sizes | changes


def test_a_mask_of_numbers_is_refused(as_a_reader):
    model = make()
    tokens, source, mask = given(batch_of(model))
    with pytest.raises(ValueError, match="source_mask expected"):
        model.attention(tokens, source, mask.float())
