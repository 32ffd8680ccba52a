"""FLAVA: what each encoder sees, which losses ask for what, and sizes."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.bert import BERT
from mmdl_lib.models.flava import FLAVA, masked_loss, pairing
from mmdl_lib.models.vit import ViT

PAIR = ("image", "tokens", "mask")


def fresh(seed=0, **changed):
    """A tiny net whose every parameter is random, so that none can be forgotten."""
    torch.manual_seed(seed)
    model = FLAVA(dataclasses.replace(FLAVA.PRESETS["tiny"], **changed)).eval()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator(3))
    return model


def batch_of(model, n=6):
    return FLAVA.example_batch(model.config, n, generator=generator(5))


@torch.no_grad()
def test_more_padding_changes_nothing_in_any_encoder():
    model = fresh()
    batch = batch_of(model)
    image, tokens, mask = (batch[key] for key in PAIR)
    short = model(image, tokens, mask)
    wide = model(image, F.pad(tokens, (0, 4), value=7), F.pad(mask, (0, 4)))
    assert torch.allclose(short.text[mask], wide.text[:, :-4][mask], atol=1e-5)
    real = torch.cat([mask.new_ones(6, 18), mask], 1)
    assert torch.allclose(short.both[real], wide.both[:, :-4][real], atol=1e-5)


@torch.no_grad()
def test_the_third_encoder_alone_lets_picture_and_text_meet():
    model = fresh()
    batch = batch_of(model)
    image, tokens, mask = (batch[key] for key in PAIR)
    before = model(image, tokens, mask)
    other = model(image.flip(0), tokens, mask)
    words = slice(18, None)
    assert torch.equal(before.text, other.text)
    assert not torch.allclose(before.both[:, words], other.both[:, words], atol=1e-3)
    other = model(image, tokens.roll(1, 0), mask.roll(1, 0))
    assert torch.equal(before.image, other.image)
    assert not torch.allclose(before.both[:, 1:18], other.both[:, 1:18], atol=1e-3)


@torch.no_grad()
def test_what_stood_at_a_hidden_patch_is_not_seen_and_its_place_is():
    model = fresh()
    image = batch_of(model)["image"]
    hidden = torch.zeros(6, 16, dtype=torch.bool)
    hidden[:, 5] = True
    noisy = image.clone()
    noisy[:, :, 4:8, 4:8] = 0.3  # the patch in row 1, column 1
    one, other = (model.image(x, hidden) for x in (image, noisy))
    assert torch.equal(one, other)
    assert not torch.allclose(model.image(image), model.image(noisy), atol=1e-3)
    moved = model.image(image, hidden.roll(1, 1))
    assert not torch.allclose(moved, one, atol=1e-3)


def test_half_of_the_texts_are_exchanged_and_never_for_the_own():
    found = pairing(4000, generator=generator(0))
    own = found.text == torch.arange(4000)
    assert torch.equal(own, found.match.bool())
    assert 0.47 < own.float().mean() < 0.53
    for seed in range(30):  # of few rows a shift by none would be seen
        few = pairing(3, generator=generator(seed))
        assert torch.equal(few.text == torch.arange(3), few.match.bool())
        assert few.text.max() < 3


def test_only_places_that_are_asked_count_and_none_gives_zero():
    logits = torch.zeros(2, 3, 4)
    logits[0, 1, 2] = 5.0
    target = torch.tensor([[0, 2, 1], [3, 3, 3]])
    asked = torch.zeros(2, 3, dtype=torch.bool)
    assert masked_loss(logits, target, asked) == 0
    asked[0, 1] = True
    by_hand = math.log(3 + math.exp(5)) - 5
    assert masked_loss(logits, target, asked).item() == pytest.approx(by_hand, rel=1e-4)
    asked[1, 0] = True
    both = (by_hand + math.log(4)) / 2
    assert masked_loss(logits, target, asked).item() == pytest.approx(both, rel=1e-5)


def test_a_loss_without_weight_asks_for_nothing_and_moves_nothing():
    model = fresh(mmm=0.0, itm=0.0, mim=0.0, mlm=0.0)
    batch = {key: batch_of(model)[key] for key in PAIR}
    terms = model.loss(batch, generator=generator(0))
    assert set(terms) == {"loss", "contrast"}
    terms["loss"].backward()
    parts = (model.both, model.mim, model.mlm, model.mmm_image, model.itm)
    assert all(p.grad is None for part in parts for p in part.parameters())


def test_the_losses_are_weighted_and_added():
    model = fresh(mmm=0.5, mim=2.0)
    terms = model.loss(batch_of(model), generator=generator(0))
    total = sum(
        getattr(model.config, name) * value
        for name, value in terms.items()
        if name != "loss"
    )
    assert set(terms) == {"loss", "contrast", "mmm", "itm", "mim", "mlm"}
    assert torch.allclose(terms["loss"], total)


def test_hidden_words_of_exchanged_texts_are_not_asked(monkeypatch):
    model = fresh()
    asked = []

    def noted(logits, target, where):
        asked.append(where)
        return masked_loss(logits, target, where)

    monkeypatch.setattr("mmdl_lib.models.flava.masked_loss", noted)
    model.loss(batch_of(model, 40), generator=generator(0))
    g = generator(0)
    model.hide_patches(40, torch.device("cpu"), g)
    batch = batch_of(model, 40)
    model._hide_words(batch["tokens"], batch["mask"], g)
    own = pairing(40, generator=g).match.bool()
    patches, words = asked[:2]
    for where in (patches, words):
        assert torch.equal(where.any(1), own)
    assert (patches[own].sum(1) == round(75 / 196 * 16)).all()


def test_no_special_token_is_hidden():
    model = fresh()
    batch = batch_of(model, 200)
    config = model.config
    _, chosen = model._hide_words(batch["tokens"], batch["mask"], generator(0))
    special = {config.cls_token, config.sep_token, 0}
    assert not special & set(batch["tokens"][chosen].tolist())
    assert chosen.any(1).all()


@torch.no_grad()
def test_match_is_the_log_odds_of_the_class_of_true_pairs():
    model = fresh()
    given = [batch_of(model)[key] for key in PAIR]
    share = model.itm(model.encode_pair(*given)).softmax(1)[:, 1]
    assert torch.allclose(model.match(*given).sigmoid(), share, atol=1e-6)


def test_image_and_text_encoder_have_the_size_of_vit_and_bert():
    with torch.device("meta"):
        model, vit, bert = (kind.from_preset(name) for kind, name in (
            (FLAVA, "base"), (ViT, "B/16"), (BERT, "base")))  # fmt: skip

    def count(part):
        return sum(p.numel() for p in part.parameters())

    # the mask token in place of the head
    assert count(model.image) == count(vit) - count(vit.head) + 768
    # no second segment, no pooler and heads, one norm more
    heads = (bert.pool, bert.transform, bert.norm_words, bert.follows)
    rest = sum(map(count, heads)) + bert.bias.numel()
    assert count(model.text) == count(bert) - rest - 2 * 768 + 2 * 768
    assert count(model.both.transformer) * 2 == count(model.image.transformer)


def test_wrong_pictures_single_pairs_and_unknown_codes_are_refused(as_a_reader):
    model = fresh()
    batch = batch_of(model)
    with pytest.raises(ValueError, match="16, 16"):
        model.encode_image(torch.zeros(1, 3, 32, 32))
    with pytest.raises(ValueError, match="two pairs"):
        model.loss({key: value[:1] for key, value in batch.items()})
    with pytest.raises(ValueError, match="codes"):
        model.loss(batch | {"codes": batch["codes"] + 32})
    with pytest.raises(ValueError, match="picture_codes"):
        model.loss(batch | {"picture_codes": batch["picture_codes"] + 32})
