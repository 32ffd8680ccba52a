"""Attention to color words: one that knows, one that is blind, and one that lies."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.shapes import to_float
from mmdl_lib.lab import text_to_image as t2i
from mmdl_lib.lab import word_looks
from mmdl_lib.models.attngan import AttnGAN
from mmdl_lib.pretrained import small


@pytest.fixture(scope="module")
def scenes():
    return t2i.sample(120, seed=9)


@pytest.fixture(scope="module")
def given(scenes):
    tokens, _ = t2i.tokenizer()(t2i.texts(scenes))
    return tokens, word_looks.shown(to_float(scenes.render()), 16)


def knowing(tokens, covered):
    """For each color word, the share of the cell that its color covers."""
    ids = torch.tensor([t2i.tokenizer().ids[color] for color in shapes.COLORS])
    return covered.mT @ (tokens[:, None] == ids[:, None]).float()


def test_a_cell_shows_what_the_scene_put_there(scenes, given):
    _, covered = given
    masks = scenes.instance_masks()
    for i, k in ((0, 0), (3, 0), (7, 0)):
        color = scenes.color[i, k]
        there = (masks[i] & (scenes.color[i] == color)[:, None, None]).any(0)
        cells = torch.nn.functional.avg_pool2d(there[None, None].float(), 2).flatten()
        # pixels at the edges are mixed, and the reader is stricter than the mask
        assert (covered[i, color] - cells).abs().mean() < 0.03
    assert covered.sum(1).max() <= 1


def test_a_looker_that_knows_is_always_right(given):
    found = word_looks.judged(knowing(*given), *given)
    assert found.own == 1 and found.lift > 5 and found.pairs > 50


def test_a_looker_that_lies_is_never_right(given):
    found = word_looks.judged(1 - knowing(*given), *given)
    assert found.own == 0 and found.lift < 1


def test_a_blind_looker_is_right_by_half(given):
    tokens, covered = given
    size = (len(tokens), covered.shape[2], tokens.shape[1])
    even = word_looks.judged(torch.ones(size), *given)
    assert even.own == 0.5 and even.lift == pytest.approx(1, abs=1e-5)
    place = torch.rand(1, size[1], 1, generator=generator(0)).expand(size)
    # the same places for each word and picture: of two colors one is right, one wrong
    assert word_looks.judged(place, *given).own == 0.5


def test_a_word_is_compared_with_itself_and_not_with_louder_words(given):
    loud = torch.linspace(0, 10, given[0].shape[1])
    assert word_looks.judged(knowing(*given) + loud, *given).own == 1


def test_a_color_that_is_named_twice_or_not_shown_is_left_out(given):
    tokens, covered = given
    ids = t2i.tokenizer().ids
    said = torch.tensor([[ids["red"], ids["red"], ids["blue"], ids["green"]]])
    three = torch.zeros(1, 8, 16)
    three[0, 0, :4], three[0, 2, 4:8], three[0, 1, 8:12] = 1, 1, 1
    assert word_looks.judged(torch.rand(1, 16, 4), said, three).pairs == 2
    found = word_looks.judged(knowing(*given), tokens, covered)
    hidden = covered.clone()
    hidden[:, 0] = 0
    fewer = word_looks.judged(knowing(tokens, hidden), tokens, hidden)
    assert 0 < fewer.pairs < found.pairs and fewer.own == 1
    none = word_looks.judged(knowing(*given), tokens, torch.zeros_like(covered))
    assert none == (0.5, 1.0, 0)


def test_both_measures_of_a_model_ask_its_own_attention(scenes):
    torch.manual_seed(0)
    model = AttnGAN.from_preset("shapes").eval()
    tokens, mask = t2i.tokenizer()(t2i.texts(scenes))
    image, weights = word_looks.drawn(model, scenes, seed=3)
    again = model.sample(tokens, mask, generator=generator(3))
    assert torch.allclose(image, again, atol=1e-6)
    assert weights.shape == (len(scenes), 256, tokens.shape[1])
    assert torch.allclose(weights.sum(2), torch.ones(len(scenes), 256), atol=1e-5)
    found = word_looks.finds(model, scenes)
    assert 0 < found.own < 0.9 and found.pairs > 50
    trained = small.load("attngan", "shapes").eval()
    assert word_looks.finds(trained, scenes).own > 0.9


def test_other_numbers_of_rows_are_refused_in_one_sentence(given, as_a_reader):
    tokens, covered = given
    with pytest.raises(ValueError, match="expected"):
        word_looks.judged(knowing(*given)[:3], tokens, covered)


def test_a_glow_is_brightest_in_the_cell_that_looks_most(given):
    tokens, _ = given
    word = t2i.tokenizer().words[tokens[0, 2] - 3]
    weights = torch.rand(16, tokens.shape[1], generator=generator(1)) / 4
    weights[6, 2] = 0.5
    found = word_looks.glow(weights, tokens[0], word)
    assert found.shape == (3, 8, 8) and (found[:, 2:4, 4:6] == 1).all()
    assert found[0, 0, 0].item() == pytest.approx(4 * weights[0, 2].item() - 1)
    with pytest.raises(ValueError, match="word expected one of the text, got 'a'"):
        word_looks.glow(weights, torch.zeros_like(tokens[0]), "a")
