import numpy as np
import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.lab import grounded


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed)).numpy()


def test_a_word_is_always_in_the_same_twentieth_and_all_are_used():
    assert grounded.fold("lemon") == grounded.fold("lemon")
    folds = {grounded.fold(f"word {i}") for i in range(1000)}
    assert folds == set(range(20))


def test_pilots_and_measured_seeds_never_share_a_twentieth():
    parts = [grounded.part(s) for s in (*range(16), 100, 101, 102, 103)]
    assert sorted(parts) == list(range(20))
    for seed in (16, 99, 104, -1):
        with pytest.raises(ValueError, match="seed expected"):
            grounded.part(seed)


def test_the_color_is_that_of_what_is_drawn_and_not_of_its_ground():
    image = torch.full((2, 3, 8, 8), 255, dtype=torch.uint8)
    image[0, :, 2:4, 2:4] = torch.tensor([255, 255, 0], dtype=torch.uint8)[
        :, None, None
    ]
    image[1, :, :6] = 0
    lightness, red, yellow = grounded.mean_color(image)[0]
    assert 96 < lightness < 98 and -23 < red < -20 and yellow > 90
    assert np.abs(grounded.mean_color(image)[1]).max() < 1e-3


def test_a_linear_law_is_told_and_noise_is_not():
    x = noise(200, 5)
    y = np.concatenate([x @ noise(5, 2, seed=1), noise(200, 1, seed=2)], 1)
    said = grounded.told(x, y, np.arange(150), np.arange(150, 200))
    assert grounded.correlation(said[:, :2], y[150:, :2]) > 0.999
    assert abs(grounded.correlation(said[:, 2:], y[150:, 2:])) < 0.3


def test_what_is_asked_is_not_learned_from():
    x, y = noise(40, 3), noise(40, 2, seed=1)
    seen, asked = np.arange(30), np.arange(30, 40)
    first = grounded.told(x, y, seen, asked)
    y[30:] += 100
    assert np.array_equal(grounded.told(x, y, seen, asked), first)


def test_a_single_number_can_be_told():
    x = noise(60, 4)
    said = grounded.told(x, x[:, :1], np.arange(40), np.arange(40, 60))
    assert said.shape == (20, 1)
    assert np.abs(said - x[40:, :1]).max() < 0.1


def test_correlation_agrees_with_numpy_and_constants_count_as_zero():
    a, b = noise(9, 2), noise(9, 2, seed=1)
    hand = np.mean([np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(2)])
    assert grounded.correlation(a, b) == pytest.approx(hand)
    a[:, 1] = 2.0
    assert grounded.correlation(a, b) == pytest.approx(
        np.corrcoef(a[:, 0], b[:, 0])[0, 1] / 2
    )


def test_pairs_are_matched_by_hand():
    true = np.eye(3)
    assert grounded.matched(true, true) == 1.0
    assert grounded.matched(true[[1, 0, 2]], true) == pytest.approx(2 / 3)
    assert grounded.matched(np.ones((3, 3)), true) == 0.5
    assert grounded.matched(5 * true, true) == 1.0


def test_guesses_match_half_of_the_pairs():
    share = grounded.matched(noise(200, 9), noise(200, 9, seed=1))
    assert abs(share - 0.5) < 0.08


def test_some_rows_are_rows_each_once():
    rows = np.array([3, 5, 8, 13])
    assert sorted(grounded.some(rows, 4, 0)) == [3, 5, 8, 13]
    assert set(grounded.some(rows, 2, 1)) <= set(rows.tolist())


def test_things_are_chosen_by_row():
    columns = [np.arange(4)] * 6
    part = grounded.Things(*columns)[np.array([2, 0])]
    assert len(part) == 2 and part.topic.tolist() == [2, 0]
