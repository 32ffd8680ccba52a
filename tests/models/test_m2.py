"""M2: equations by hand, laws of slots, levels, gates and masks, counts."""

import math

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.m2 import M2, START, M2Config, MemoryAttention
from tests.models.making_m2 import batch_of, given, longer, make, talkative


def norm(x, layer):
    mean, var = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (var + 1e-5).sqrt() * layer.weight + layer.bias


def heads(q, k, v, allowed):
    """Four heads of 8 channels, and what each query may see."""
    q, k, v = (x.view(len(x), -1, 4, 8).transpose(1, 2) for x in (q, k, v))
    scores = (q @ k.transpose(-1, -2) / math.sqrt(8)).masked_fill(~allowed, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2), scores.softmax(-1)


def encode_by_hand(model, regions, mask):
    levels, weights = [], []
    linear = model.project
    x = norm((regions @ linear.weight.T + linear.bias).clamp(min=0), model.norm)
    for block in model.encoder:
        layer = block.attention
        q, k, v = layer.qkv(x).chunk(3, -1)
        # the slots as they are, behind what was projected; no mask reaches them
        k = torch.cat([k, layer.memory_keys.expand(len(x), -1, -1)], 1)
        v = torch.cat([v, layer.memory_values.expand(len(x), -1, -1)], 1)
        open_ = torch.ones(len(x), len(layer.memory_keys), dtype=torch.bool)
        allowed = torch.cat([mask, open_], 1)[:, None, None]
        mixed, weight = heads(q, k, v, allowed)
        weights.append(weight)
        x = norm(x + layer.out(mixed), block.norm1)
        x = norm(x + block.fc2(block.fc1(x).clamp(min=0)), block.norm2)
        levels.append(x)
    return levels, torch.stack(weights, 1)


def decode_by_hand(model, tokens, levels, mask):
    width, t = model.config.width, tokens.shape[1]
    place = torch.arange(1, t + 1)[:, None] / 10000 ** (
        torch.arange(0, width, 2) / width
    )
    y = model.words.weight[tokens] + torch.stack([place.sin(), place.cos()], -1).view(
        t, width
    )
    past, seen = torch.ones(t, t, dtype=torch.bool).tril(), []
    for block in model.decoder:
        q, k, v = block.attention.qkv(y).chunk(3, -1)
        y = norm(y + block.attention.out(heads(q, k, v, past)[0]), block.norm1)
        total = torch.zeros_like(y)
        for level, gate in zip(levels, block.gates, strict=True):
            k, v = block.cross.kv(level).chunk(2, -1)
            c, weight = heads(block.cross.q(y), k, v, mask[:, None, None])
            c = block.cross.out(c)
            if model.config.form == "released":
                c = norm(y + c, block.norm_cross)
            alpha = 1 / (1 + (-gate(torch.cat([y, c], -1))).exp())
            total = total + alpha * c
            seen.append((weight, alpha))
        if model.config.form == "released":
            z = total / math.sqrt(len(levels))
        else:
            z = norm(y + total, block.norm_cross)
        y = norm(z + block.fc2(block.fc1(z).clamp(min=0)), block.norm2)
    return y @ model.out.weight.T, seen


@torch.no_grad()
@pytest.mark.parametrize("form", ["paper", "released"])
def test_the_equations_written_out_give_the_same_numbers(form):
    model = make(form=form)
    tokens, mask, regions, region_mask = given(batch_of(model))
    levels, weights = encode_by_hand(model, regions, region_mask)
    found = model.encode_regions(regions, region_mask)
    assert torch.allclose(found, torch.stack(levels, 1), atol=1e-5)
    expected, seen = decode_by_hand(model, tokens, levels, region_mask)
    logits = model.logits(tokens, mask, regions, region_mask)
    assert torch.allclose(logits[mask], expected[mask], atol=1e-4)
    # and what is shown is what was computed
    looks = model.looks(tokens, mask, regions, region_mask)
    assert torch.allclose(looks.encoder, weights, atol=1e-5)
    rows = mask[:, None, :, None]
    for i, (cross, gate) in enumerate(seen):
        place = divmod(i, 2)
        gap = (looks.cross[:, *place] - cross) * rows
        assert gap.abs().max() < 1e-5
        assert ((looks.gate[:, *place] - gate) * rows[:, 0]).abs().max() < 1e-5


def test_each_projection_of_an_attention_starts_by_itself():
    torch.manual_seed(0)
    model = M2(M2Config(vocab=9, region_width=8, slots=0))
    # q, k and v drawn as one would have a bound of sqrt(6 / 2048), not sqrt(6 / 1024)
    for block in (model.encoder[0], model.decoder[0]):
        for weight in block.attention.projections():
            assert weight.abs().max().item() == pytest.approx(
                (6 / 1024) ** 0.5, rel=0.01
            )
    assert model.encoder[0].attention.qkv.bias.abs().max() == 0


def test_the_two_forms_are_not_the_same():
    one, other = make(), make(form="released")
    batch = batch_of(one)
    assert not torch.allclose(
        one.logits(*given(batch)), other.logits(*given(batch)), atol=0.05
    )


@torch.no_grad()
def test_one_open_gate_and_all_others_closed_is_plain_cross_attention():
    meshed, plain = make(), make(connection="last")
    plain.load_state_dict(meshed.state_dict(), strict=False)
    for block in meshed.decoder:
        for i, gate in enumerate(block.gates):
            gate.weight.data.zero_()
            gate.bias.data.fill_(math.inf if i == 1 else -math.inf)
    batch = batch_of(meshed)
    found, expected = (model.logits(*given(batch)) for model in (meshed, plain))
    assert torch.allclose(found, expected, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(
    ("connection", "read"),
    [("meshed", [{0, 1}, {0, 1}]), ("one-to-one", [{0}, {1}]), ("last", [{1}, {1}])],
)
def test_each_decoder_layer_reads_the_levels_that_its_connection_names(
    connection, read
):
    model = make(connection=connection)
    batch = batch_of(model)
    levels = model.encode_regions(batch["regions"], batch["region_mask"])
    y = model.embed(batch["tokens"])
    for i, block in enumerate(model.decoder):
        before = block(y, batch["mask"], levels[:, model.reads(i)], None)
        for level in range(2):
            other = levels.clone()
            other[:, level] = other[:, level].flip(-1)
            after = block(y, batch["mask"], other[:, model.reads(i)], None)
            assert (level in read[i]) == (not torch.equal(before, after))


def test_gates_are_single_numbers_between_0_and_1_and_need_not_sum_to_one():
    model = make()
    gate = model.looks(*given(batch_of(model))).gate
    assert gate.shape == (4, 2, 2, 7, 32)
    assert gate.min() > 0 and gate.max() < 1
    assert (gate.sum(2) - 1).abs().max() > 0.2
    # one matrix for each level, another one in each layer
    gates = [gate.weight for block in model.decoder for gate in block.gates]
    assert len({id(weight) for weight in gates}) == 4
    plain = make("tiny-plain")
    assert plain.looks(*given(batch_of(plain))).gate.unique().tolist() == [1]


@torch.no_grad()
def test_the_encoder_is_equivariant_and_what_is_said_invariant():
    model = talkative()
    batch = batch_of(model)
    order = torch.tensor([3, 0, 4, 1, 2])
    mixed = batch | {k: batch[k][:, order] for k in ("regions", "region_mask")}
    levels, moved = (
        model.encode_regions(x["regions"], x["region_mask"]) for x in (batch, mixed)
    )
    assert torch.allclose(levels[:, :, order], moved, atol=1e-5)
    # equivariant and not invariant: the outputs move with the regions
    assert not torch.allclose(levels, moved, atol=0.1)
    assert torch.allclose(
        model.logits(*given(batch)), model.logits(*given(mixed)), atol=1e-5
    )
    said = [model.generate(x["regions"], x["region_mask"]) for x in (batch, mixed)]
    assert torch.equal(*said)


@torch.no_grad()
@pytest.mark.parametrize("preset", ["tiny", "tiny-released", "tiny-plain"])
def test_what_stands_in_padded_regions_changes_no_bit(preset):
    model = make(preset)
    batch = batch_of(model)
    noise = 9 * torch.randn(batch["regions"].shape, generator=generator(3))
    other = torch.where(batch["region_mask"][..., None], batch["regions"], noise)
    assert not torch.equal(other, batch["regions"])
    before, after = (
        model.logits(*given(batch | {"regions": x})) for x in (batch["regions"], other)
    )
    assert torch.equal(before, after)


@torch.no_grad()
def test_more_padding_changes_neither_loss_nor_caption():
    model = talkative()
    batch = batch_of(model)
    one, other = (model.logits(*given(x)) for x in (batch, longer(batch)))
    assert torch.allclose(one, other, atol=1e-5)
    losses = [model.loss(x)["loss"].item() for x in (batch, longer(batch))]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    said = [
        model.generate(x["regions"], x["region_mask"]) for x in (batch, longer(batch))
    ]
    assert torch.equal(*said)


def guessed(model, regions):
    """The released code's mask: False where features sum to zero behind the norm."""
    x = model.norm(model.project(regions).relu())
    return x.sum(-1) != 0


@torch.no_grad()
def test_a_mask_guessed_from_sums_behind_the_norm_fails_the_test_of_padding():
    model = make()
    batch = longer(batch_of(model, 200))
    mask = guessed(model, batch["regions"])
    # it finds no padding, since the norm has a bias
    padding = ~batch["region_mask"]
    assert padding.sum() > 600 and (padding & ~mask).sum() < 0.02 * padding.sum()
    wrong = [
        model.logits(*given(x | {"region_mask": guessed(model, x["regions"])}))
        for x in (batch_of(model, 200), batch)
    ]
    assert (wrong[0] - wrong[1]).abs().max() > 0.05


@torch.no_grad()
def test_such_a_guess_hides_real_regions_by_chance_before_training():
    torch.manual_seed(0)
    # released layers start with a bias in the projection and none in the norm
    project, layer = torch.nn.Linear(64, 512), torch.nn.LayerNorm(512)
    x = layer(project(torch.randn(4000, 64)).relu())
    share = (x.sum(-1) == 0).double().mean().item()
    assert 0.001 < share < 0.1


@torch.no_grad()
def test_without_slots_equal_regions_cannot_be_counted_and_with_slots_they_can():
    for slots, blind in ((0, True), (1, False), (4, False)):
        model = make(slots=slots)
        region = torch.randn(1, 1, 12, generator=generator(4))
        tokens = torch.tensor([[START, 5, 6]])
        mask = torch.ones_like(tokens, dtype=torch.bool)
        said = []
        for count in (1, 2, 5):
            some = region.expand(1, count, 12)
            open_ = torch.ones(1, count, dtype=torch.bool)
            said.append(model.logits(tokens, mask, some, open_))
        change = max((said[0] - other).abs().max().item() for other in said[1:])
        assert (change < 1e-5) == blind, slots
        assert blind or change > 1e-3


@torch.no_grad()
def test_keys_that_no_query_likes_remove_the_memory():
    model, without = make(), make(slots=0)
    for block in model.encoder:
        layer = block.attention
        q_w, k_w, _ = layer.qkv.weight.data.chunk(3)
        q_b, k_b, _ = layer.qkv.bias.data.chunk(3)
        # the first channel of a head: always 1 in queries, 0 in keys, -1e4 in slots
        for row in range(0, 32, 8):
            q_w[row], q_b[row], k_w[row], k_b[row] = 0, 1, 0, 0
            layer.memory_keys.data[:, row] = -1e4
    without.load_state_dict(model.state_dict(), strict=False)
    batch = batch_of(model)
    found, expected = (m.logits(*given(batch)) for m in (model, without))
    assert torch.allclose(found, expected, atol=1e-6)
    before = make().logits(*given(batch))
    assert not torch.allclose(before, make(slots=0).logits(*given(batch)), atol=0.05)


def test_slots_start_with_the_spread_that_the_released_code_gives_them():
    torch.manual_seed(0)
    layer = MemoryAttention(512, 8, slots=40)
    assert layer.memory_keys.std().item() == pytest.approx(1 / 8, rel=0.02)
    assert layer.memory_values.std().item() == pytest.approx(40**-0.5, rel=0.02)


def test_slots_are_not_projected_and_never_masked():
    model = make()
    batch = batch_of(model)
    looks = model.looks(*given(batch))
    n, m = 5, model.config.slots
    assert looks.encoder.shape == (4, 2, 4, n, n + m)
    assert torch.allclose(looks.encoder.sum(-1), torch.ones(4, 2, 4, n), atol=1e-5)
    hidden = ~batch["region_mask"][:, None, None, None].expand(-1, 2, 4, n, -1)
    assert (looks.encoder[..., :n][hidden] == 0).all()
    assert (looks.encoder[..., n:] > 0).all()
    assert (looks.cross.sum(-1) - 1).abs().max() < 1e-5
    assert (
        looks.cross[
            ~batch["region_mask"][:, None, None, None, None].expand_as(looks.cross)
        ]
        == 0
    ).all()


def test_places_are_counted_from_one_and_words_are_not_scaled():
    model = make()
    x = model.embed(torch.tensor([[3, 3]]))[0] - model.words.weight[3]
    assert x[0, :2].tolist() == pytest.approx([math.sin(1), math.cos(1)])
    assert x[1, :2].tolist() == pytest.approx([math.sin(2), math.cos(2)])
    assert model.out.bias is None


def count(part):
    return sum(p.numel() for p in part.parameters())


def test_counts_at_the_size_of_the_paper():
    with torch.device("meta"):
        model = M2.from_preset("coco")
    encoder = [model.project, model.norm, model.encoder]
    assert sum(map(count, encoder)) == 10_630_144
    assert count(model.decoder) == 17_335_296
    assert count(model) == 10_630_144 + 17_335_296 + 2 * 10_201 * 512
    assert round(count(model) / 1e6, 2) == 38.41
    slots = [p.numel() for name, p in model.named_parameters() if "memory_" in name]
    assert sum(slots) == 122_880


@torch.no_grad()
def test_the_loss_is_the_mean_over_real_words_and_the_end():
    model = make()
    batch = batch_of(model)
    logits, total, number = model.logits(*given(batch)), 0.0, 0
    for row in range(4):
        for t in range(6):
            if batch["mask"][row, t + 1]:
                log_p = logits[row, t].log_softmax(-1)
                total -= log_p[batch["tokens"][row, t + 1]].item()
                number += 1
    assert number < 24
    assert model.loss(batch)["loss"].item() == pytest.approx(total / number, abs=1e-5)
