"""Joining word and image vectors: the law of gamma, pooling, what is refused."""

import math

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.concat_fusion import (
    balanced,
    check_pairs,
    dispersion,
    fuse,
    fused_cosine,
    nearest,
    pool,
    text_share,
)


def tables(n=12, d=50, m=300, seed=0):
    g = generator(seed)
    return torch.randn(n, d, generator=g), 40 * torch.rand(n, m, generator=g)


def cosine(table):
    unit = F.normalize(table.double(), dim=1)
    return unit @ unit.T


@pytest.mark.parametrize("gamma", [0, 0.1, 0.5, 0.8, 1])
def test_the_cosine_of_fused_words_follows_the_squares_of_gamma(gamma):
    text, image = tables()
    whole = cosine(fuse(text, image, gamma))
    g, h = gamma**2, (1 - gamma) ** 2
    by_hand = (g * cosine(text) + h * cosine(image)) / (g + h)
    torch.testing.assert_close(whole, by_hand, atol=1e-6, rtol=0)
    torch.testing.assert_close(fused_cosine(cosine(text), cosine(image), gamma),
                               by_hand, atol=1e-12, rtol=0)  # fmt: skip


def test_the_ends_are_text_alone_and_pictures_alone():
    text, image = tables()
    assert torch.equal(fuse(text, image, 1)[:, 50:], torch.zeros(12, 300))
    assert torch.equal(fuse(text, image, 0)[:, :50], torch.zeros(12, 50))
    torch.testing.assert_close(cosine(fuse(text, image, 1)), cosine(text))
    torch.testing.assert_close(cosine(fuse(text, image, 0)), cosine(image))


def test_neither_width_nor_scale_of_the_image_part_matters():
    text, image = tables()
    plain = cosine(fuse(text, image, 0.4))
    wide = image.repeat(1, 20)  # twenty copies: the same directions, 6,000 numbers
    torch.testing.assert_close(cosine(fuse(text, wide, 0.4)), plain)
    torch.testing.assert_close(cosine(fuse(9 * text, image / 7, 0.4)), plain)


def test_all_fused_words_have_one_length():
    length = fuse(*tables(), 0.3).norm(dim=1)
    torch.testing.assert_close(length, torch.full((12,), math.sqrt(0.09 + 0.49)))


def test_the_text_counts_by_its_square():
    assert text_share(0.5) == 0.5 and text_share(0) == 0 and text_share(1) == 1
    assert text_share(0.6) == pytest.approx(0.36 / 0.52)
    assert text_share(0.3) == pytest.approx(1 - text_share(0.7))


def test_at_the_balanced_weight_both_parts_move_the_cosine_equally_far():
    text, image = (cosine(table) for table in tables(60))
    gamma = balanced(text.std().item(), image.std().item())
    share = text_share(gamma)
    moved = [(share * text).std().item(), ((1 - share) * image).std().item()]
    assert moved[0] == pytest.approx(moved[1], rel=1e-6)
    assert balanced(3, 3) == 0.5 and balanced(1, 4) > 0.5


def test_a_mean_gives_each_picture_of_a_word_one_vote():
    features = torch.tensor([[100.0, 0.0], [0.0, 2.0], [3.0, 4.0]])
    picture, word = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 0, 1, 2])
    found = pool(features, picture, word, 3)
    torch.testing.assert_close(
        found, torch.tensor([[0.5, 0.5], [0.6, 0.8], [0.6, 0.8]])
    )


def test_a_maximum_is_taken_feature_by_feature_also_below_zero():
    features = torch.tensor([[1.0, -5.0], [-2.0, -3.0], [7.0, 7.0]])
    found = pool(features, torch.tensor([0, 1]), torch.tensor([0, 0]), 1, how="max")
    assert found.tolist() == [[1.0, -3.0]]


def test_pooling_does_not_ask_for_an_order():
    features, _ = tables(30, 8)
    g = generator(3)
    picture, word = torch.arange(30), torch.arange(30) % 7
    order = torch.randperm(30, generator=g)
    for how in ("mean", "max"):
        one = pool(features, picture, word, 7, how=how)
        other = pool(features, picture[order], word[order], 7, how=how)
        torch.testing.assert_close(one, other)


def test_dispersion_is_one_less_the_mean_cosine_of_two_pictures():
    _, image = tables()
    pairs = cosine(image)[tuple(torch.triu_indices(12, 12, 1))]
    assert dispersion(image) == pytest.approx(1 - pairs.mean().item(), abs=1e-6)
    assert dispersion(image[:1].repeat(4, 1)) == pytest.approx(0, abs=1e-6)


def test_the_nearest_are_those_of_the_whole_table_without_the_word_itself():
    text, _ = tables(600, 20)
    cosines, rows = nearest(text, torch.arange(600), 3)
    whole = cosine(text).fill_diagonal_(-9).topk(3)
    assert torch.equal(rows, whole.indices)
    torch.testing.assert_close(cosines.double(), whole.values, atol=1e-6, rtol=0)


def test_a_word_and_its_twin_find_each_other_and_not_themselves():
    text = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert nearest(text, torch.tensor([1, 0]), 1)[1].tolist() == [[0], [1]]


@pytest.mark.parametrize("gamma", [-0.1, 1.01, 2, True, math.nan])
def test_a_weight_outside_zero_and_one_is_refused(gamma):
    for run in (lambda: fuse(*tables(), gamma), lambda: text_share(gamma)):
        with pytest.raises(ValueError, match="gamma expected a number from 0 to 1"):
            run()


def test_words_without_a_vector_unpaired_rows_and_no_words_are_refused():
    text, image = tables()
    hole = image.clone()
    hole[4] = 0
    with pytest.raises(ValueError, match="image expected .* got zeros in row 4"):
        fuse(text, hole)
    with pytest.raises(ValueError, match="got 12 and 11 rows"):
        check_pairs(text, image[1:])
    with pytest.raises(ValueError, match="at least one row and one number"):
        check_pairs(text[:0], image[:0])
    with pytest.raises(ValueError, match="finite"):
        fuse(text / 0, image)
    with pytest.raises(ValueError, match=r"both cosines of each pair, got \(3,\) and"):
        fused_cosine(torch.zeros(3), torch.zeros(4), 0.5)
    assert fused_cosine(torch.zeros(3), 1.0, 0.5).tolist() == [0.5] * 3


def test_pooling_refuses_a_word_without_picture_and_unpaired_rows():
    features = torch.eye(3)
    rows = torch.arange(3)
    with pytest.raises(ValueError, match="got none of 1, such as number 3"):
        pool(features, rows, rows, 4)
    with pytest.raises(ValueError, match="row by row, got 3 and 2"):
        pool(features, rows, rows[:2], 2)
    with pytest.raises(ValueError, match="word expected numbers from 0 to 1"):
        pool(features, rows, rows, 2)
    with pytest.raises(ValueError, match="picture expected at least one number"):
        pool(features, rows[:0], rows[:0], 2)
    with pytest.raises(ValueError, match="how expected"):
        pool(features, rows, rows, 3, how="median")


@pytest.mark.parametrize("spread", [0, -1, math.inf, True])
def test_a_part_that_never_changes_has_no_balanced_weight(spread):
    for pair in ((spread, 1), (1, spread)):
        with pytest.raises(ValueError, match="spread_.* expected a number above 0"):
            balanced(*pair)


def test_dispersion_and_neighbors_refuse_too_little():
    with pytest.raises(ValueError, match="two pictures or more, got 1"):
        dispersion(torch.ones(1, 3))
    with pytest.raises(ValueError, match="k expected a whole number from 1 to 2"):
        nearest(torch.eye(3), torch.tensor([0]), 3)
