"""Captions whose words cannot be guessed."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data.shapes import COLORS, SHAPES
from mmdl_lib.lab import wording


def captions(n=600, seed=0, **options):
    g = generator(seed)
    color, shape = torch.randint(8, (2, n), generator=g)
    return color, shape, *wording.write(color, shape, generator=g, **options)


def test_every_word_stands_for_one_thing():
    assert set(wording.SAME) == {*COLORS, *SHAPES}
    words = wording.WORDS + wording.FILLERS
    assert len(set(words)) == len(words) == wording.VOCAB - wording.FIRST
    assert len(wording.WORDS) == 80 and len(wording.FILLERS) == 500


def test_each_caption_names_its_color_then_its_shape_and_nothing_else_of_the_kind():
    color, shape, tokens, _ = captions()
    said = [
        [w for w in text.split() if w in wording.WORDS] for text in wording.read(tokens)
    ]
    place = [[wording.WORDS.index(w) // wording.SYNONYMS for w in row] for row in said]
    assert place == [
        [c, 8 + s] for c, s in zip(color.tolist(), shape.tolist(), strict=True)
    ]


def test_all_synonyms_and_all_counts_and_places_of_fillers_occur():
    _, _, tokens, mask = captions(4000)
    assert set(wording.WORDS) <= set(" ".join(wording.read(tokens)).split())
    assert set(mask.sum(1).tolist()) == {4, 5, 6, 7, 8}
    name = (tokens >= wording.FIRST) & (tokens < wording.FIRST + 80)
    assert set(name.long().argmax(1).tolist()) == {1, 2, 3, 4, 5}


def test_the_end_is_the_last_real_token_and_padding_follows():
    _, _, tokens, mask = captions()
    rows = torch.arange(len(tokens))
    assert (tokens[:, 0] == wording.START).all()
    assert (tokens[rows, mask.sum(1) - 1] == wording.END).all()
    assert (tokens[~mask] == wording.PAD).all() and (tokens[mask] != wording.PAD).all()
    assert (tokens == wording.END).sum() == len(tokens) < mask.sum()


def test_plain_captions_are_the_two_names():
    color, shape, tokens, mask = captions(50, synonyms=1, most=0)
    pairs = zip(color.tolist(), shape.tolist(), strict=True)
    assert wording.read(tokens) == [f"{COLORS[c]} {SHAPES[s]}" for c, s in pairs]
    assert mask.all() and tokens.shape[1] == 4


def test_the_names_are_the_64_classes_in_their_order():
    said = wording.read(wording.names()[0])
    assert said == [f"{c} {s}" for c in COLORS for s in SHAPES]


def test_more_synonyms_than_there_are_are_refused():
    with pytest.raises(ValueError, match="synonyms expected .*, got 6"):
        captions(2, synonyms=6)
    with pytest.raises(ValueError, match="most expected .*, got 5"):
        captions(2, most=5)
