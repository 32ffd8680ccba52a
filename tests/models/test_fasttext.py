"""fastText: pieces, buckets, means, and negatives that differ from the target."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.fasttext import (
    FastText,
    FastTextConfig,
    bucket,
    draw_other,
    pieces,
)
from mmdl_lib.models.word2vec import running_sums

WORDS = ["where", "there", "walk", "of"]


def make(words=WORDS, buckets=50, count=None, **more):
    config = FastTextConfig(vocab=len(words), width=8, buckets=buckets, **more)
    model = FastText(config, words, count)
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator(3))
    return model


def test_the_pieces_of_where_are_those_of_the_paper():
    assert pieces("where", 3, 3) == ["<wh", "whe", "her", "ere", "re>"]


def test_ends_tell_her_the_word_from_her_the_piece():
    assert "<her>" in pieces("her") and "<her>" not in pieces("where")
    assert "her" in pieces("where")


def test_a_single_end_is_no_piece_and_a_short_word_may_be_one():
    assert pieces("a", 1, 3) == ["<a", "<a>", "a", "a>"]
    assert pieces("of") == ["<of", "<of>", "of>"]
    assert pieces("a", 4, 6) == []


def test_letters_count_and_not_bytes():
    assert pieces("ño", 3, 3) == ["<ño", "ño>"]


def plain_fnv(piece):
    found = 2166136261
    for byte in piece.encode():
        found = ((found ^ byte) * 16777619) % 2**32
    return found


def test_bytes_are_signed_so_letters_beyond_ascii_hash_in_their_own_way():
    n = 2**32
    assert bucket("<wh", n) == plain_fnv("<wh")
    assert bucket("ño>", n) != plain_fnv("ño>")


def test_the_vector_of_an_unseen_word_is_the_mean_of_its_pieces():
    model = make()
    rows = [4 + bucket(piece, 50) for piece in pieces("walked")]
    expected = model.piece.weight[rows].mean(0)
    torch.testing.assert_close(model.vectors(["walked"])[0], expected)


def test_a_known_word_has_a_row_of_its_own_beside_its_pieces():
    model = make()
    rows = [2] + [4 + bucket(piece, 50) for piece in pieces("walk")]
    expected = model.piece.weight[rows].mean(0)
    torch.testing.assert_close(model.vectors()[2], expected)
    torch.testing.assert_close(model.vectors(["walk"])[0], expected)


def test_words_of_unequal_length_do_not_disturb_each_other():
    model = make()
    for number, word in enumerate(WORDS):
        torch.testing.assert_close(model.vectors([word])[0], model.vectors()[number])


def test_with_one_bucket_unrelated_words_share_all_but_their_own_row():
    model = make(buckets=1)
    shared = model.piece.weight[4]
    assert torch.allclose(model.vectors(["quite"])[0], shared)
    assert torch.allclose(model.vectors(["other"])[0], shared)
    n = len(pieces("walk"))
    expected = (model.piece.weight[2] + n * shared) / (n + 1)
    torch.testing.assert_close(model.vectors()[2], expected)


def test_negatives_go_with_the_square_root_and_never_hit_the_target():
    count = torch.tensor([900, 100, 25, 0, 1])
    noise = running_sums(count, FastTextConfig(vocab=5).power)
    target = torch.arange(5).repeat(20_000)
    drawn = draw_other(noise, target, 3, generator=generator(0))
    assert (drawn != target[:, None]).all()
    for word in range(5):
        share = drawn[target == word].flatten().bincount(minlength=5).double()
        expected = count.double().sqrt()
        expected[word] = 0
        torch.testing.assert_close(
            share / share.sum(), expected / expected.sum(), atol=0.01, rtol=0
        )


def test_the_loss_is_that_of_skip_gram_on_means():
    model = make(count=torch.tensor([0, 0, 0, 1]), negatives=2)  # always "of"
    batch = {"center": torch.tensor([0]), "context": torch.tensor([1])}
    v = model.vectors(["where"])[0]
    right, wrong = model.context.weight[1] @ v, model.context.weight[3] @ v
    expected = -F.logsigmoid(right) - 2 * F.logsigmoid(-wrong)
    torch.testing.assert_close(model.loss(batch)["loss"], expected)


def test_a_piece_learns_from_every_word_that_has_it():
    model = make()
    batch = {"center": torch.tensor([0]), "context": torch.tensor([2])}
    model.loss(batch, generator=generator(0))["loss"].backward()
    there = [4 + bucket(piece, 50) for piece in pieces("there")]
    shared = 4 + bucket("here>", 50)
    assert shared in there and model.piece.weight.grad[shared].any()
    assert not model.piece.weight.grad[1].any()  # the row of "there" itself


def test_what_is_not_named_is_as_in_the_released_code():
    c = FastTextConfig(vocab=1)
    assert (c.shortest, c.longest, c.buckets) == (3, 6, 2_000_000)
    assert (c.negatives, c.power) == (5, 0.5)


def test_bad_words_and_lengths_are_named():
    for words in ([], "hello"):
        with pytest.raises(ValueError, match="words expected"):
            make().vectors(words)
    with pytest.raises(ValueError, match="'a': it has no pieces"):
        make(shortest=4).vectors(["a"])
    with pytest.raises(ValueError, match="expected 4 words and counts, got 2 and 4"):
        FastText(FastTextConfig(vocab=4, buckets=5), ["a", "b"])
    with pytest.raises(ValueError, match="shortest expected"):
        pieces("word", 4, 3)
