"""Transformer captioners: masks at every use, sets without order, caches, bad input."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.models.captioner import Captioner, RegionCaptioner
from mmdl_lib.nn import decode

KINDS = [Captioner, RegionCaptioner]
each = pytest.mark.parametrize("kind", KINDS)


def make(kind=RegionCaptioner):
    torch.manual_seed(0)
    model = kind.from_preset("tiny").eval()
    for parameter in model.parameters():  # small weights would hide what they do
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return model


def batch_of(model, n=5):
    return type(model).example_batch(model.config, n, generator=generator(1))


def seen(model, batch):
    return [batch[key] for key in model.SEEN]


def more(batch, by=3, value=0.0):
    """The same sets with more rows that are no regions."""
    regions = torch.nn.functional.pad(batch["regions"], (0, 0, 0, by), value=value)
    mask = torch.nn.functional.pad(batch["region_mask"], (0, by))
    return batch | {"regions": regions, "region_mask": mask}


def captions(model, batch, **options):
    return model.generate(*seen(model, batch), max_length=9, **options)


@pytest.mark.parametrize("value", [0.0, 4.0])
def test_rows_that_are_no_regions_change_neither_loss_nor_caption(value):
    model = make()
    batch = batch_of(model)
    other = more(batch, value=value)
    # other sizes are summed in another order: float32 rounding, and no more
    found = [model.loss(b)["loss"] for b in (batch, other)]
    assert torch.allclose(*found, atol=1e-6)
    assert torch.equal(captions(model, batch), captions(model, other))
    beams = [captions(model, b, beams=3) for b in (batch, other)]
    assert torch.equal(*beams)


def test_what_masked_rows_hold_changes_not_one_bit():
    model = make()
    batch = batch_of(model)
    noise = torch.randn(batch["regions"].shape, generator=generator(8))
    real = batch["region_mask"][..., None]
    other = batch | {"regions": torch.where(real, batch["regions"], noise)}
    assert not real.all()
    assert torch.equal(model.loss(batch)["loss"], model.loss(other)["loss"])
    pair = [
        model.encode_regions(b["regions"], b["region_mask"]) for b in (batch, other)
    ]
    assert torch.equal(*pair)


def test_a_mask_that_is_lost_on_the_way_is_noticed():
    """The wrong versions: zero rows seen by the decoder, or by the encoder."""
    model = make()
    batch = batch_of(model)
    regions, mask = batch["regions"], batch["region_mask"]
    right = model.logits(batch["tokens"], regions, mask)
    every = torch.ones_like(mask)
    memory = model.memory(regions, mask)
    wrong = model.told(batch["tokens"], memory._replace(mask=every))
    assert (wrong - right).abs().max() > 1e-3
    inside = model.encoded(model.project(regions), every)._replace(mask=mask)
    assert (model.told(batch["tokens"], inside) - right).abs().max() > 1e-3


def test_a_set_has_no_order():
    model = make()
    batch = batch_of(model)
    order = torch.tensor([3, 0, 4, 2, 1])
    regions, mask = batch["regions"][:, order], batch["region_mask"][:, order]
    other = batch | {"regions": regions, "region_mask": mask}
    found = [model.loss(b)["loss"] for b in (batch, other)]
    assert torch.allclose(*found, atol=1e-6)
    assert torch.equal(captions(model, batch), captions(model, other))


def test_cells_of_a_picture_have_an_order():
    model = make(Captioner)
    batch = batch_of(model)
    with torch.no_grad():
        right = model.memory(batch["image"]).values
        turned = model.memory(batch["image"].flip(-1)).values
    assert not torch.allclose(right.sum(1), turned.sum(1), atol=1e-3)


@each
def test_looks_sum_to_one_over_what_is_real_and_are_those_of_the_model(kind):
    model = make(kind)
    batch = batch_of(model)
    weights = model.attention(batch["tokens"], *seen(model, batch))
    assert weights.shape[:4] == (5, 1, 2, 7)
    assert torch.allclose(weights.sum(-1), torch.ones(5, 1, 2, 7))
    mask = model.known(batch).mask
    assert (weights * ~mask[:, None, None, None]).sum() == 0
    # the same weights, put in by hand, give what the block's attention gives
    block, memory = model.decoder.blocks[0], model.known(batch)
    x = model.embedded(batch["tokens"])
    x = x + block.attention(block.norm1(x), causal=True)
    given = {"memory": memory.values}
    expected = block.cross(block.norm_cross(x), memory.mask, **given)
    values = block.cross.kv(memory.values).chunk(2, -1)[1].unflatten(-1, (2, 16))
    mixed = torch.einsum("bhtn,bnhd->bthd", weights[:, 0], values).flatten(2)
    assert torch.allclose(block.cross.out(mixed), expected, atol=1e-5)


@each
def test_word_by_word_with_a_cache_is_the_whole_caption_at_once(kind):
    model = make(kind)
    batch = batch_of(model)
    whole = model.logits(batch["tokens"], *seen(model, batch))
    memory = model.known(batch)
    state, found = model.first(memory), []
    for token in batch["tokens"].unbind(1):
        logits, state = model.read(token[:, None], state, memory)
        found.append(logits[:, 0])
    assert torch.allclose(torch.stack(found, 1), whole, atol=1e-5)


@each
def test_the_score_of_a_beam_is_that_of_teacher_forcing(kind):
    model = make(kind)
    batch = batch_of(model)
    found = model.search(model.known(batch), decode.beam_search, beams=3, max_length=8)
    said, mask = found.tokens[:, 0], found.mask[:, 0]
    tokens = torch.cat([torch.ones(5, 1, dtype=torch.long), said], 1)[:, :-1]
    log_p = model.logits(tokens, *seen(model, batch)).log_softmax(-1)
    total = (log_p.gather(-1, said[..., None])[..., 0] * mask).sum(1)
    assert torch.allclose(found.log_prob[:, 0], total, atol=1e-4)


def test_sets_without_a_region_and_rows_that_are_all_masked_are_refused(as_a_reader):
    model = make()
    batch = batch_of(model)
    regions, mask = batch["regions"], batch["region_mask"]
    bad = {
        "n of at least 1, got": (regions[:, :0], mask[:, :0]),
        "shape \\(b, n, 6\\)": (regions[..., :4], mask),
        "got 5 rows": (regions, mask & False),
        "region_mask expected bool": (regions, mask.long()),
        "region_mask expected shape": (regions, mask[:, :3]),
        "regions expected finite": (regions / 0, mask),
    }
    for words, given in bad.items():
        with pytest.raises(ValueError, match=words):
            model.generate(*given)


def test_a_caption_longer_than_the_positions_and_too_many_beams_are_refused(
    as_a_reader,
):
    model = make()
    batch = batch_of(model)
    with pytest.raises(ValueError, match="positions from 0 to 31"):
        model.logits(torch.full((5, 33), 4), *seen(model, batch))
    with pytest.raises(ValueError, match="beams expected"):
        captions(model, batch, beams=41)


def test_as_many_beams_as_words_are_searched():
    model = make()
    assert captions(model, batch_of(model), beams=40).shape[0] == 5
