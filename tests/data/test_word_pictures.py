"""Words with pictures: what belongs to what, and what a damaged file says."""

import numpy as np
import pytest
import torch

from mmdl_lib.data import clipart, word_pictures, words

DATA = word_pictures.load()


def test_every_word_has_a_picture_and_every_picture_a_word():
    assert set(DATA.word.tolist()) == set(range(len(DATA.words)))
    assert set(DATA.picture.tolist()) == set(range(len(DATA.code)))
    assert len(set(zip(DATA.picture.tolist(), DATA.word.tolist(), strict=True))) == len(
        DATA.word
    )


def test_words_are_sorted_and_known_to_glove_and_to_the_norms():
    assert DATA.words == sorted(set(DATA.words))
    glove, felt = words.glove(), words.senses()
    assert all(word in glove and word in felt for word in DATA.words)


def test_each_table_has_a_row_for_each():
    p = len(DATA.code)
    assert DATA.feature.shape == (p, 128) and DATA.count.shape == (p, 200)
    assert len(DATA.row) == p and len(DATA.kind) == len(DATA.words)
    assert len(DATA.looked) == len(DATA.color) == len(DATA.outline)
    assert (DATA.count == DATA.count.round()).all() and DATA.count.min() == 0


def test_a_drawing_shows_the_words_of_its_name():
    names = clipart.load().name
    rows = {row: i for i, row in enumerate(DATA.row.tolist()) if row >= 0}
    for word in ("penguin", "guitar"):
        mine = set(DATA.of(word))
        for row, name in enumerate(names):
            if name == word:
                assert rows[row] in mine


def test_a_picture_is_a_drawing_or_an_emoji():
    for code, row in zip(DATA.code, DATA.row.tolist(), strict=True):
        assert (row < 0) == bool(code)


def test_features_are_centered_and_near_for_twins():
    assert DATA.feature.mean(0).abs().max() < 0.01
    unit = torch.nn.functional.normalize(DATA.feature, dim=1)
    own = [unit[DATA.of(w)] for w in ("penguin", "butterfly", "guitar")]
    inside = torch.stack([(x @ x.T).mean() for x in own]).mean()
    between = torch.stack([(x @ y.T).mean() for x in own for y in own if x is not y])
    assert inside > between.mean() + 0.2


def test_pairs_of_some_words():
    some = ["guitar", "apple"]
    picture, place = DATA.only(some)
    assert picture[place == 0].tolist() == DATA.of("guitar")
    assert picture[place == 1].tolist() == DATA.of("apple")


def test_kinds_and_colors_are_as_one_expects():
    kind = dict(zip(DATA.words, DATA.kind, strict=True))
    assert kind["penguin"] == "animal" and kind["guitar"] == "artifact"
    assert set(DATA.kind) == {"", "animal", "artifact", "food or plant", "person"}
    named = {DATA.words[w]: i for i, w in enumerate(DATA.looked.tolist())}
    red, green = (DATA.color[named[w], 1] for w in ("tomato", "broccoli"))
    assert red > 20 and green < -10


@pytest.mark.parametrize("word", ["zzz", "of", ""])
def test_a_word_without_picture_is_named(word):
    with pytest.raises(KeyError, match="words with a picture, got"):
        DATA.of(word)


def test_no_words_are_refused():
    with pytest.raises(KeyError, match="at least one word"):
        DATA.only([])


@pytest.mark.parametrize("cut", [0, 100, -10])
def test_a_missing_or_cut_file_is_noticed(tmp_path, monkeypatch, cut):
    path = tmp_path / "word_pictures.npz"
    if cut:
        path.write_bytes(word_pictures.FILE.read_bytes()[:cut])
    monkeypatch.setattr(word_pictures, "FILE", path)
    with pytest.raises(ValueError, match="missing or damaged"):
        word_pictures.load.__wrapped__()


def test_the_file_keeps_to_its_budget():
    assert word_pictures.FILE.stat().st_size <= 1_500_000
    with np.load(word_pictures.FILE) as file:
        assert file["feature"].dtype == np.float16
