"""R-precision: by brute force, chance, texts that say the same, what it refuses."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.metrics.features import Features
from mmdl_lib.metrics.r_precision import r_precision


def noise(n, d, seed):
    return torch.randn(n, d, generator=generator(seed))


def pair(x, t):
    return Features(x, "a CLIP"), Features(t, "a CLIP")


def test_all_others_as_distractors_is_recall_at_one():
    x, t = noise(80, 6, 0), noise(80, 6, 1)
    x = x + t
    table = F.normalize(x, dim=1) @ F.normalize(t, dim=1).T
    want = (table.argmax(1) == torch.arange(80)).double().mean().item()
    assert 0.1 < want < 0.9
    assert r_precision(*pair(x, t), candidates=80).value == pytest.approx(want)


def test_pictures_that_fit_their_texts_win_and_unrelated_ones_have_chance():
    x, t = noise(4000, 8, 2), noise(4000, 8, 3)
    assert r_precision(*pair(x, 3 * x), candidates=100).value == 1
    found = [
        r_precision(*pair(x, t), candidates=k, generator=generator(k)).value
        for k in (2, 10)
    ]
    assert found == pytest.approx([0.5, 0.1], abs=0.03)  # four deviations


def test_the_length_of_features_does_not_matter():
    x, t = noise(60, 5, 4), noise(60, 5, 5)
    t = t + x
    options = {"candidates": 20}
    one = r_precision(*pair(x, t), generator=generator(0), **options)
    two = r_precision(*pair(7 * x, t * 9), generator=generator(0), **options)
    assert one == two and (one.candidates, one.source) == (20, "a CLIP")


def test_more_candidates_make_it_harder():
    x, t = noise(500, 6, 6), noise(500, 6, 7)
    t = t + x
    values = [
        r_precision(*pair(x, t), candidates=k, generator=generator(1)).value
        for k in (2, 10, 100)
    ]
    assert values[0] > values[1] > values[2]


def test_a_text_that_says_the_same_is_no_distractor_and_a_tie_is_a_miss():
    t = torch.eye(3).repeat(2, 1)  # each text twice
    assert r_precision(*pair(t, t), candidates=6).value == 0
    group = torch.arange(3).repeat(2)
    assert r_precision(*pair(t, t), candidates=5, group=group).value == 1


def test_no_distractor_is_the_text_itself_or_comes_twice():
    # pictures 0 and 1 are equally near to both of their texts, so each is beaten where
    # the other's is among the eight of nine that are drawn; all others always are
    x, t = torch.zeros(10, 10), torch.eye(10) + 1e-3
    x[:, 0], t[1] = 1, 2 * t[0]
    found = [
        r_precision(*pair(x, t), candidates=9, generator=generator(s)).value
        for s in range(400)
    ]
    assert sum(found) / 400 == pytest.approx(0.2 / 9, abs=0.01)


def test_parts_of_the_table_change_nothing(monkeypatch):
    from mmdl_lib.metrics import r_precision as module

    x, t = noise(50, 5, 8), noise(50, 5, 9)
    before = r_precision(*pair(x, t + x), candidates=50)
    monkeypatch.setattr(module, "ROWS", 7)
    assert r_precision(*pair(x, t + x), candidates=50) == before


@pytest.mark.usefixtures("as_a_reader")
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"candidates": 7}, "texts expected 6 that say something else, .* got 5"),
        ({"candidates": 1}, "candidates expected a whole number from 2 up, got 1"),
        ({"group": torch.zeros(6).long()}, "texts expected 1 that say .* got 0"),
        ({"group": torch.arange(5)}, "groups expected as many as texts, got 5 and 6"),
    ],
)
def test_bad_input_gets_one_sentence(options, sentence):
    x = noise(6, 3, 0)
    with pytest.raises(ValueError, match=sentence):
        r_precision(*pair(x, x), **({"candidates": 2} | options))
