"""The Transformer: equations by hand, masks, decoding, schedule, smoothing, counts."""

import math
from inspect import signature

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.transformer import KEYS, Transformer, noam, smoothed_nats
from mmdl_lib.nn.decode import beam_search, gnmt, greedy


def make(preset="tiny", *, shaken=True):
    """In evaluation mode; shaken, so that no bias or gain can be forgotten."""
    torch.manual_seed(0)
    model = Transformer.from_preset(preset).eval()
    g = generator(2)
    for parameter in model.parameters() if shaken else ():
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=g)
    return model


def talkative():
    """A fresh model repeats itself, as its output is like its input; this one not."""
    model = make()
    signs = torch.randn(64, generator=generator(5)).sign()
    model.decoder.blocks[-1].norm2.weight.data *= signs
    return model


def batch_of(n=4, seed=1, preset="tiny"):
    config = Transformer.PRESETS[preset]
    return Transformer.example_batch(config, n, generator=generator(seed))


def given(batch):
    return [batch[key] for key in KEYS]


def norm(x, layer):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (var + 1e-5).sqrt() * layer.weight + layer.bias


def heads(q, k, v, allowed):
    """Four heads of 16 channels, and what each query may see."""
    q, k, v = (x.view(len(x), -1, 4, 16).transpose(1, 2) for x in (q, k, v))
    scores = (q @ k.transpose(-1, -2) / 4).masked_fill(~allowed, -torch.inf)
    mixed = scores.softmax(-1) @ v
    return mixed.transpose(1, 2).flatten(2)


def attend(layer, x, memory, allowed):
    if memory is None:
        q, k, v = layer.qkv(x).chunk(3, -1)
    else:
        q, (k, v) = layer.q(x), layer.kv(memory).chunk(2, -1)
    return layer.out(heads(q, k, v, allowed))


def block_by_hand(block, x, allowed, memory=None, memory_allowed=None):
    """LayerNorm(x + Sublayer(x)), the paper's section 3.1."""
    x = norm(x + attend(block.attention, x, None, allowed), block.norm1)
    if memory is not None:
        y = attend(block.cross, x, memory, memory_allowed)
        x = norm(x + y, block.norm_cross)
    hidden = (x @ block.fc1.weight.T + block.fc1.bias).clamp(min=0)
    return norm(x + hidden @ block.fc2.weight.T + block.fc2.bias, block.norm2)


def embed_by_hand(model, tokens):
    table = torch.zeros(tokens.shape[1], 64)
    for place in range(tokens.shape[1]):
        for i in range(32):
            angle = place / 10000 ** (2 * i / 64)
            table[place, 2 * i] = math.sin(angle)
            table[place, 2 * i + 1] = math.cos(angle)
    return model.embedding.weight[tokens] * 8 + table


@torch.no_grad()
def test_section_3_written_out_gives_the_same_numbers():
    model, batch = make(), batch_of()
    tokens, _, source, source_mask = given(batch)
    real = source_mask[:, None, None]
    past = torch.ones(7, 7, dtype=torch.bool).tril()
    memory = embed_by_hand(model, source)
    for block in model.encoder.blocks:
        memory = block_by_hand(block, memory, real)
    x = embed_by_hand(model, tokens)
    for block in model.decoder.blocks:
        x = block_by_hand(block, x, past, memory, real)
    expected = x @ model.embedding.weight.T
    mask = torch.ones_like(tokens, dtype=torch.bool)
    found = model.logits(tokens, mask, source, source_mask)
    assert torch.allclose(found, expected, atol=1e-4)


@torch.no_grad()
def test_embeddings_are_multiplied_by_the_root_of_the_width_and_not_divided():
    model = make("tiny-none")
    tokens = torch.arange(6).view(2, 3)
    assert torch.equal(model.embed(tokens), 8 * model.embedding.weight[tokens])
    # fresh, a vector then has variance one, and the first logits have it too
    fresh = make("tiny-none", shaken=False)
    x = fresh.embed(torch.arange(64)[None])
    assert x.var().item() == pytest.approx(1, abs=0.05)
    logits = fresh.read_out(F.layer_norm(torch.randn(500, 1, 64), (64,)))
    assert logits.var().item() == pytest.approx(1, abs=0.1)


@torch.no_grad()
def test_a_norm_has_the_biased_variance_and_its_epsilon_under_the_root():
    x = torch.randn(400, 8, generator=generator(0))
    layer = make().encoder.blocks[0].norm1
    layer.weight.data, layer.bias.data = torch.ones(64), torch.zeros(64)
    wide = torch.randn(50, 64, generator=generator(0))
    assert torch.allclose(layer(wide), norm(wide, layer), atol=1e-5)
    # the best-known copy divides by (unbiased deviation + epsilon)
    mean, std = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    copied = (x - mean) / (std + 1e-6)
    gap = (copied - F.layer_norm(x, (8,))).abs().max()
    assert 0.1 < gap < 0.25
    mean, std = wide.mean(-1, keepdim=True), wide.std(-1, keepdim=True)
    assert not torch.allclose(layer(wide), (wide - mean) / (std + 1e-6), atol=1e-3)


@torch.no_grad()
def test_every_block_ends_with_a_norm_and_nothing_stands_behind_the_last():
    model = make(shaken=False)
    source = torch.arange(10).view(2, 5)
    memory = model.encode(source, source >= 0)
    # post-norm: mean zero and variance one at the end, without a further norm
    assert torch.allclose(memory.mean(-1), torch.zeros(2, 5), atol=1e-5)
    assert torch.allclose(memory.var(-1, correction=0), torch.ones(2, 5), atol=1e-3)
    assert not [name for name, _ in model.named_children() if "norm" in name]


@torch.no_grad()
def test_padding_moves_no_logit_and_neither_does_more_of_it():
    model, batch = make(), batch_of()
    before = model.logits(*given(batch))
    longer = {}
    for key, filler in (("tokens", 9), ("mask", False)):
        longer[key] = F.pad(batch[key], (0, 3), value=filler)
    for key, filler in (("source", 9), ("source_mask", False)):
        longer[key] = F.pad(batch[key], (0, 2), value=filler)
    source = torch.where(batch["source_mask"], batch["source"], 40)
    longer["source"][:, :5] = source
    after = model.logits(*given(longer))[:, :7]
    real = batch["mask"]
    assert torch.allclose(before[real], after[real], atol=1e-5)
    loss = [model.loss(x)["loss"] for x in (batch, longer)]
    assert torch.allclose(*loss, atol=1e-6)


@torch.no_grad()
def test_a_real_source_token_moves_all_logits():
    model, batch = make(), batch_of()
    other = batch | {"source": batch["source"].clone()}
    other["source"][:, 0] = (other["source"][:, 0] + 1) % 64
    change = model.logits(*given(batch)) - model.logits(*given(other))
    assert (change.abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_the_loss_predicts_each_next_token_and_leaves_padding_out():
    model, batch = make(), batch_of()
    logits, total, count = model.logits(*given(batch)), 0.0, 0
    for row in range(4):
        for t in range(6):
            if batch["mask"][row, t + 1]:
                log_p = logits[row, t].log_softmax(-1)
                total -= log_p[batch["tokens"][row, t + 1]].item()
                count += 1
    assert count < 4 * 6
    assert model.loss(batch)["nats"].item() == pytest.approx(total / count, abs=1e-4)


def test_a_target_of_starts_only_is_refused():
    model, batch = make(), batch_of()
    only = batch | {"mask": (torch.arange(7) == 0).expand(4, 7)}
    with pytest.raises(ValueError, match="behind the start expected at least one True"):
        model.loss(only)


def test_smoothing_is_that_of_torch_and_not_that_of_the_annotated_transformer():
    logits = 3 * torch.randn(50, 11, generator=generator(0))
    target = torch.randint(11, (50,), generator=generator(1))
    log_p = logits.log_softmax(-1)
    found = smoothed_nats(log_p, target, smoothing=0.1)
    options = {"label_smoothing": 0.1, "reduction": "none"}
    assert torch.allclose(found, F.cross_entropy(logits, target, **options), atol=1e-5)
    plain = smoothed_nats(log_p, target, smoothing=0.0)
    assert torch.allclose(plain, F.cross_entropy(logits, target, reduction="none"))
    copied = torch.full((50, 11), 0.1 / 9).scatter(1, target[:, None], 0.9)
    copied[:, 0] = 0
    other = -(copied * log_p).sum(-1)[target > 0]
    assert not torch.allclose(found[target > 0], other, atol=1e-3)


def test_the_smallest_smoothed_loss_is_the_entropy_of_its_target_and_not_zero():
    share = torch.full((20,), 0.1 / 20)
    share[3] += 0.9
    entropy = -(share * share.log()).sum()
    target = torch.tensor([3])
    best = smoothed_nats(share.log()[None], target, smoothing=0.1)
    assert torch.allclose(best, entropy) and entropy > 0.5
    for sure in (0.8, 0.99, 0.9999):
        p = torch.full((20,), (1 - sure) / 19)
        p[3] = sure
        assert smoothed_nats(p.log()[None], target, smoothing=0.1) > best


def test_the_rate_rises_to_its_peak_at_the_end_of_the_warmup_and_knows_the_width():
    rates = [noam(step, width=512) for step in range(1, 20_001)]
    assert rates.index(max(rates)) == 3999
    assert max(rates) == pytest.approx(6.99e-4, rel=1e-3)
    assert rates[0] == pytest.approx(1.7469e-7, rel=1e-4)
    assert noam(16_000, width=512) == pytest.approx(max(rates) / 2)
    assert noam(2000, width=512) == pytest.approx(max(rates) / 2)
    # a peak of init_lr, whatever the width, is the usual mistake
    assert noam(4000, width=128) == pytest.approx(2 * max(rates))
    assert noam(100, width=512, warmup=100) == pytest.approx(512**-0.5 / 10)
    with pytest.raises(ValueError, match="step expected .* 1"):
        noam(0, width=512)
    with pytest.raises(ValueError, match="warmup expected .* 1"):
        noam(1, width=512, warmup=0)


@torch.no_grad()
def test_without_positions_the_encoder_is_a_bag_and_with_them_it_is_not():
    order = torch.tensor([3, 0, 4, 1, 2])
    source = torch.tensor([[5, 9, 9, 30, 41], [7, 8, 20, 21, 22]])
    mask = torch.ones_like(source, dtype=torch.bool)
    blind, tiny = make("tiny-none"), make()
    moved = blind.encode(source[:, order], mask)
    assert torch.allclose(moved, blind.encode(source, mask)[:, order], atol=1e-5)
    moved = tiny.encode(source[:, order], mask)
    assert not torch.allclose(moved, tiny.encode(source, mask)[:, order], atol=1e-2)


@torch.no_grad()
def test_reading_token_by_token_gives_the_logits_of_the_whole():
    model, batch = make(), batch_of()
    state = model.begin(batch["source"], batch["source_mask"])
    found = []
    for t in range(7):
        logits, state = model.step(batch["tokens"][:, t], state)
        found.append(logits)
    whole = model.logits(batch["tokens"], batch["tokens"] >= 0, *given(batch)[2:])
    assert torch.allclose(torch.stack(found, 1), whole, atol=1e-4)


def uncached(model, batch):
    """A step that reads everything anew, for comparison."""

    def step(token, state):
        said, source, mask = state
        said = torch.cat([said, token[:, None]], 1)
        logits = model.logits(said, said >= 0, source, mask)
        return logits[:, -1], (said, source, mask)

    empty = batch["source"].new_zeros(len(batch["source"]), 0)
    return step, (empty, batch["source"], batch["source_mask"])


@torch.no_grad()
@pytest.mark.parametrize("beams", [1, 4])
def test_translations_are_those_of_a_search_that_reads_everything_anew(beams):
    model, batch = talkative(), batch_of(6)
    step, state = uncached(model, batch)
    start = torch.zeros(6, dtype=torch.long)
    options = {"end": 1, "max_length": 9}
    if beams == 1:
        expected = greedy(step, start, state, **options).tokens
    else:
        options |= {"beams": beams, "penalty": gnmt(0.6)}
        expected = beam_search(step, start, state, **options).tokens[:, 0]
    found = model.generate(*given(batch)[2:], beams=beams, max_length=9)
    assert torch.equal(found, expected)


@torch.no_grad()
def test_the_length_penalty_reaches_the_search():
    model, batch = talkative(), batch_of(30)
    model.embedding.weight[1] = 0.8 * model.embedding.weight[39]  # a likely end
    state = model.begin(*given(batch)[2:])
    start, made = torch.zeros(30, dtype=torch.long), []
    for alpha in (0.0, 0.6, 6.0):
        options = {"end": 1, "max_length": 9, "beams": 4, "penalty": gnmt(alpha)}
        expected = beam_search(model.step, start, state, **options).tokens[:, 0]
        made.append(
            model.generate(*given(batch)[2:], beams=4, alpha=alpha, max_length=9)
        )
        assert torch.equal(made[-1], expected)
    assert not torch.equal(made[0], made[2])
    assert signature(model.generate).parameters["alpha"].default == 0.6


@torch.no_grad()
def test_a_translation_has_at_most_fifty_tokens_more_than_its_source():
    model, batch = make(), batch_of(2)
    model.embedding.weight[1] = 0  # the end is never the likeliest
    assert model.generate(*given(batch)[2:]).shape == (2, 55)


@torch.no_grad()
def test_attention_weights_keep_to_the_masks_and_give_the_outputs():
    model, batch = make(), batch_of()
    found = model.attention(*given(batch))
    assert found.encoder.shape == (4, 2, 4, 5, 5)
    assert found.decoder.shape == (4, 2, 4, 7, 7)
    assert found.cross.shape == (4, 2, 4, 7, 5)
    for weights in found:
        assert torch.allclose(weights.sum(-1), torch.ones(()), atol=1e-5)
    assert not found.decoder.triu(1).any()
    unreal = ~batch["source_mask"][:, None, None, None]
    assert not found.cross.masked_select(unreal).any()
    assert not found.encoder.masked_select(unreal).any()
    # the last cross-attention, from its weights
    memory = model.encode(*given(batch)[2:])
    x = model.embed(batch["tokens"])
    last = model.decoder.blocks[-1]
    x = model.decoder.blocks[0](
        x, batch["mask"], causal=True, memory=memory, memory_mask=batch["source_mask"]
    )
    y = last.norm1(x + last.attention(x, batch["mask"], causal=True))
    v = last.cross.kv(memory)[..., 64:].view(4, 5, 4, 16).transpose(1, 2)
    mixed = (found.cross[:, -1] @ v).transpose(1, 2).flatten(2)
    expected = last.cross(y, batch["source_mask"], memory=memory)
    assert torch.allclose(last.cross.out(mixed), expected, atol=1e-5)


def count(name, **changes):
    with torch.device("meta"):
        model = Transformer.from_preset(name)
    return sum(p.numel() for p in model.parameters())


def test_counts_and_the_vocabularies_that_the_printed_ones_would_need():
    def blocks(d):  # encoder 12 d^2 + 13 d, decoder 16 d^2 + 19 d, six times
        return 6 * (28 * d**2 + 32 * d)

    assert count("base") == blocks(512) + 37_000 * 512 == 63_082_496
    assert count("big") == blocks(1024) + 37_000 * 1024 == 214_245_376
    assert round((65e6 - blocks(512)) / 512) == 40_745
    assert round((213e6 - blocks(1024)) / 1024) == 35_784
    assert set(Transformer.PAPER_PARAMS) == {"big"}


def test_one_matrix_serves_both_languages_and_the_last_layer():
    model, batch = make(), batch_of()
    names = [n for n, p in model.named_parameters() if 64 in p.shape and "emb" in n]
    assert names == ["embedding.weight"]
    before = model.encode(*given(batch)[2:])
    model.embedding.weight.data *= 2
    assert not torch.allclose(model.encode(*given(batch)[2:]), before, atol=1e-2)


def test_queries_keys_and_values_start_each_by_themselves():
    model = make(shaken=False)
    end = (6 / 128) ** 0.5
    for block in (*model.encoder.blocks, *model.decoder.blocks):
        for layer in (block.attention, block.cross):
            for weight in [] if layer is None else layer.projections():
                assert 0.99 * end < weight.abs().max() <= end


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"source": torch.zeros(2, 0, dtype=torch.long)},
            "real token in each row, got none",
        ),
        ({"source": torch.full((2, 3), 64)}, "source expected"),
        ({"source": torch.zeros(2, 3)}, "source expected"),
        ({"source_mask": torch.ones(2, 3)}, "source_mask expected"),
        (
            {"source_mask": torch.ones(2, 4, dtype=torch.bool)},
            "mask expected shape",
        ),
        (
            {"source_mask": torch.tensor([[False, True, True]] * 2)},
            "on the left",
        ),
        ({"beams": 0}, "beams expected"),
        ({"max_length": 0}, "max_length, got"),
    ],
)
def test_what_cannot_be_translated_is_named(change, words):
    case = {"source": torch.full((2, 3), 5), "source_mask": torch.ones(2, 3) > 0}
    case |= change
    if case["source"].numel() == 0:
        case["source_mask"] = torch.ones(2, 0, dtype=torch.bool)
    with pytest.raises(ValueError, match=words):
        make().generate(case.pop("source"), case.pop("source_mask"), **case)
