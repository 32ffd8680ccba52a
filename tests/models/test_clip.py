"""CLIP: the loss in closed form, the border, and the usual wrong versions."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.clip import CLIP, contrastive_loss


@pytest.fixture(params=["tiny", "tiny-vit"])
def model(request):
    torch.manual_seed(0)
    return CLIP.from_preset(request.param).eval()


def batch_of(model, n=6):
    return CLIP.example_batch(model.config, n, generator=generator(1))


def test_equal_logits_give_the_log_of_the_batch_size():
    assert contrastive_loss(torch.zeros(8, 8))["loss"].item() == pytest.approx(
        math.log(8), abs=1e-6
    )


def test_each_direction_normalizes_over_its_own_axis():
    logits = torch.randn(5, 5, generator=generator(0))
    rows = sum(-F.log_softmax(logits[i], 0)[i] for i in range(5)) / 5
    columns = sum(-F.log_softmax(logits[:, i], 0)[i] for i in range(5)) / 5
    loss = contrastive_loss(logits)
    assert torch.allclose(loss["image_to_text"], rows, atol=1e-6)
    assert torch.allclose(loss["text_to_image"], columns, atol=1e-6)
    assert torch.allclose(loss["loss"], (rows + columns) / 2, atol=1e-6)
    assert abs(rows - columns) > 1e-2  # so that a wrong axis cannot pass


def test_features_have_length_one(model):
    batch = batch_of(model)
    out = model(batch["image"], batch["tokens"], batch["mask"])
    for features in (out.image, out.text):
        assert torch.allclose(features.norm(dim=-1), torch.ones(6), atol=1e-5)


def test_logits_are_cosines_times_the_exponential_of_the_scale(model):
    batch = batch_of(model)
    out = model(batch["image"], batch["tokens"], batch["mask"])
    cosines = F.cosine_similarity(out.image[:, None], out.text[None], dim=-1)
    assert torch.allclose(out.logits, cosines / 0.07, atol=1e-4)


def test_scale_never_exceeds_one_hundred(model):
    model.log_scale.data.fill_(10.0)
    model.after_step(0)
    assert model.logit_scale.item() == pytest.approx(100, rel=1e-5)


def test_padding_does_not_change_a_sentence(model):
    batch = batch_of(model)
    tokens, mask = batch["tokens"], batch["mask"]
    other = torch.where(mask, tokens, (tokens + 1) % model.config.vocab)
    longer = F.pad(other, (0, 5)), F.pad(mask, (0, 5))
    before, after = model.encode_text(tokens, mask), model.encode_text(*longer)
    assert torch.allclose(before, after, atol=1e-6)


def test_future_tokens_do_not_change_past_states(model):
    tokens = batch_of(model)["tokens"]
    changed = tokens.clone()
    changed[:, 6:] = (changed[:, 6:] + 1) % model.config.vocab
    before, after = model.text.hidden(tokens), model.text.hidden(changed)
    assert torch.allclose(before[:, :6], after[:, :6], atol=1e-6)
    assert not torch.allclose(before[:, 6:], after[:, 6:], atol=1e-3)


def test_rows_of_a_batch_are_independent(model):
    image = batch_of(model)["image"]
    alone = model.encode_image(image[:1])
    assert torch.allclose(model.encode_image(image)[:1], alone, atol=1e-5)


def test_every_parameter_learns_and_one_batch_is_memorized(model):
    model.train()
    batch = batch_of(model)
    optimizer = torch.optim.AdamW(model.trainable(), lr=1e-3)
    first = model.loss(batch)["loss"]
    first.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []
    for _ in range(40):
        optimizer.zero_grad()
        loss = model.loss(batch)["loss"]
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2 * first.item()


@pytest.mark.parametrize("name", CLIP.PAPER_PARAMS)
def test_released_sizes_have_the_released_parameter_counts(name):
    with torch.device("meta"):
        model = CLIP.from_preset(name)
    count = sum(p.numel() for p in model.parameters())
    assert count == CLIP.PAPER_PARAMS[name]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (torch.zeros(1, 3, 31, 32), r"shape \(b, 3, 32, 32\)"),
        (torch.zeros(1, 1, 32, 32), r"shape \(b, 3, 32, 32\)"),
        (torch.zeros(3, 32, 32), r"shape \(b, c, h, w\)"),
        (torch.full((1, 3, 32, 32), 255.0), r"pixels in \[-1, 1\]"),
        (torch.full((1, 3, 32, 32), math.nan), r"pixels in \[-1, 1\]"),
        (torch.zeros(1, 3, 32, 32, dtype=torch.uint8), "as floats"),
    ],
)
def test_a_wrong_picture_is_named_in_one_sentence(model, image, expected):
    with pytest.raises(ValueError, match=expected):
        model.encode_image(image)


def test_a_caption_beyond_the_context_is_an_error(model):
    tokens = torch.zeros(1, 25, dtype=torch.long)
    with pytest.raises(ValueError, match="at most 24 tokens"):
        model.encode_text(tokens, torch.ones_like(tokens, dtype=torch.bool))


def test_a_caption_without_tokens_is_an_error(model):
    tokens = torch.zeros(1, 4, dtype=torch.long)
    with pytest.raises(ValueError, match="a real token in each row"):
        model.encode_text(tokens, torch.zeros_like(tokens, dtype=torch.bool))


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(ValueError, match="ViT-B/32"):
        CLIP.from_preset("ViT-B/31")


def test_a_single_pair_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="expected two pairs or more, got one"):
        contrastive_loss(torch.zeros(1, 1))


def test_the_factor_never_exceeds_a_hundred():
    model = CLIP.from_preset("tiny")
    model.log_scale.data.fill_(5.5)
    assert model.logit_scale.item() == pytest.approx(100, rel=1e-5)
    model.log_scale.data.fill_(1.0)
    assert model.logit_scale.item() == pytest.approx(math.e, rel=1e-5)


@pytest.mark.parametrize("mask", [[[0, 1, 1]], [[1, 0, 1]], [[0, 0, 0]]])
def test_padding_on_the_left_or_in_between_is_refused(mask):
    model = CLIP.from_preset("tiny")
    with pytest.raises(ValueError, match="mask expected"):
        model.encode_text(torch.ones(1, 3, dtype=torch.long), torch.tensor(mask).bool())
