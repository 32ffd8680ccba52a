"""Translations that only a picture decides: grammar, pictures, and the net's memory."""

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.lab import gendered as g


@pytest.fixture(scope="module")
def mixed():
    return g.sample(200, 3, left_out=0.5)


@pytest.mark.parametrize(
    ("shape", "german"),
    [
        ("star", "ein kleiner blauer stern"),
        ("moon", "ein kleiner blauer mond"),
        ("cross", "ein kleines blaues kreuz"),
        ("square", "ein kleines blaues quadrat"),
    ],
)
def test_both_adjectives_follow_the_gender_of_the_noun(shape, german):
    assert g.said("small", "blue", shape, left_out=False)[1] == german
    left_out = g.said("small", "blue", shape, left_out=True)
    assert left_out == ("a small blue one", german.rsplit(" ", 1)[0])


def test_half_of_the_shapes_have_either_gender():
    assert set(g.NOUNS) == set(shapes.SHAPES)
    assert len(g.MASCULINE) == len(g.NEUTER) == 4


def test_every_word_is_known_once():
    assert len(set(g.WORDS)) == len(g.WORDS)
    for size in g.SIZES:
        for color in g.COLORS:
            for shape in g.NOUNS:
                for gone in (True, False):
                    english, german = g.said(size, color, shape, left_out=gone)
                    g.TOKENIZER.encode(english), g.TOKENIZER.encode(german)


@pytest.mark.parametrize("share", [0, 1])
def test_the_share_of_sentences_without_a_noun(share, mixed):
    assert g.sample(30, 5, left_out=share).left_out.float().mean() == share
    assert 0.4 < mixed.left_out.float().mean() < 0.6


def test_sentence_and_scene_agree(mixed):
    for (thing,), gone, english in zip(
        mixed.scenes.things(), mixed.left_out.tolist(), mixed.english, strict=True
    ):
        noun = "one" if gone else thing.shape
        assert english == f"a {thing.size} {thing.color} {noun}"


def test_a_share_above_one_is_refused():
    with pytest.raises(ValueError, match=r"left_out expected .*1"):
        g.sample(4, 0, left_out=1.5)


def test_who_reads_says_the_same_whatever_the_picture(mixed):
    for blind in (True, False):
        net = g.net(0, blind=blind).eval()
        batch = dict(mixed.batch)
        tokens, mask = batch["tokens"], batch["mask"]
        one = net.said(batch, tokens, mask)
        other = net.said(batch | {"seen": batch["seen"].flip(0)}, tokens, mask)
        assert torch.equal(one, other) == blind


def test_padding_of_the_sentence_changes_nothing(mixed):
    net = g.net(0, blind=False).eval()
    batch = mixed.batch
    tokens, mask = batch["tokens"], batch["mask"]
    wide = {"source": torch.nn.functional.pad(batch["source"], (0, 3))}
    wide |= {"source_mask": torch.nn.functional.pad(batch["source_mask"], (0, 3))}
    one, other = (net.said(b, tokens, mask) for b in (batch, batch | wide))
    assert (one - other).abs().max() < 1e-5


def test_no_german_word_sees_the_next(mixed):
    net = g.net(0, blind=False).eval()
    tokens, mask = mixed.batch["tokens"], mixed.batch["mask"]
    changed = tokens.clone()
    changed[:, 3] = 7
    one, other = (net.said(mixed.batch, some, mask) for some in (tokens, changed))
    assert torch.allclose(one[:, :3], other[:, :3], atol=1e-6)
    assert not torch.allclose(one[:, 3:], other[:, 3:], atol=1e-3)


def test_what_counts_as_right(mixed):
    wanted = mixed.batch["tokens"]
    assert all(ok.all() for ok in g.right(wanted, wanted).values())
    # behind the end anything may stand
    noisy = torch.where(wanted == 0, 9, wanted)
    assert g.right(noisy, wanted)["right"].all()
    # the other ending of the color is wrong, but for endings it is right
    er, es = (g.TOKENIZER.ids["rot" + e] for e in g.ENDINGS)
    told = torch.where(wanted == er, es, torch.where(wanted == es, er, wanted))
    red = ((wanted == er) | (wanted == es)).any(1)
    found = g.right(told, wanted)
    assert torch.equal(found["right"], ~red) and found["but for endings"].all()
    # another color is wrong in both
    blue = g.TOKENIZER.ids["blauer"]
    found = g.right(torch.where(wanted == er, blue, wanted), wanted)
    assert torch.equal(found["but for endings"], ~(wanted == er).any(1))


def test_a_sentence_that_goes_on_is_wrong(mixed):
    wanted = mixed.batch["tokens"]
    noun = g.TOKENIZER.ids["stern"]
    end = (wanted == 2) & mixed.left_out[:, None]
    found = g.right(torch.where(end, noun, wanted), wanted)["right"]
    assert torch.equal(found, ~mixed.left_out)


def test_each_word_told_is_the_likeliest_after_those_before(mixed):
    for blind in (True, False):
        net = g.net(1, blind=blind)
        told = net.translated(mixed.batch)
        assert told.shape == mixed.batch["tokens"].shape and (told[:, 0] == 1).all()
        with torch.no_grad():
            logits = net.said(
                mixed.batch, told[:, :-1], torch.ones_like(told[:, :-1]) > 0
            )
        ended = (told[:, :-1] == 2).cumsum(1) > 0
        assert ((logits.argmax(-1) == told[:, 1:]) | ended).all()
