"""FOIL's three tasks: by hand, on foils of shapes, their laws, and refusals."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.metrics.foil import classification, correction, detection, foil_word


def test_classification_by_hand():
    said = torch.tensor([True, False, True, False, False])
    true = torch.tensor([True, True, False, False, False])
    assert classification(said, true) == pytest.approx((0.6, 2 / 3, 0.5))


@given(st.integers(1, 30), st.integers(0, 10_000), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_laws_of_classification(n, seed, random):
    g = generator(seed)
    said, true = (torch.rand(n, generator=g) < 0.5 for _ in range(2))
    out = classification(said, true)
    share = true.double().mean().item()
    parts = [0 if math.isnan(x) else x for x in out[1:]]
    assert out.overall == pytest.approx((1 - share) * parts[0] + share * parts[1])
    assert classification(true, true).overall == 1
    assert classification(~said, true).overall == pytest.approx(1 - out.overall)
    order = list(range(n))
    random.shuffle(order)
    mixed = classification(said[order], true[order])
    assert mixed == pytest.approx(out, nan_ok=True)


def test_a_model_that_calls_everything_right_gets_half_and_no_foil():
    true = torch.tensor([True, False]).repeat(50)
    assert classification(torch.zeros(100).bool(), true) == (0.5, 1, 0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_laws_of_detection_and_correction(pairs):
    said, true = map(list, zip(*pairs, strict=True))
    value = detection(said, true)
    words = [[f"wörd {i}" for i in x] for x in (said, true)]
    assert correction(*words) == value == detection(true, said)
    assert detection(true, true) == 1
    assert detection(said * 2, true * 2) == pytest.approx(value)
    assert 0 <= value <= 1


def test_nouns_of_shapes_are_found_and_put_right():
    pairs = shapes.foils(shapes.sample(300, seed=1), "noun")
    places = [foil_word(caption, foil) for _, caption, foil in pairs]
    assert len(pairs) > 20
    right = [c.split()[p] for (_, c, _), p in zip(pairs, places, strict=True)]
    assert {*right} <= {*shapes.SHAPES}
    assert detection(places, places) == correction(right, right) == 1
    wrong = [f.split()[p] for (_, _, f), p in zip(pairs, places, strict=True)]
    assert correction(wrong, right) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: classification(torch.zeros(0).bool(), torch.zeros(0).bool()), "none"),
        (
            lambda: classification(torch.zeros(2).bool(), torch.zeros(3).bool()),
            "2 and 3",
        ),
        (lambda: detection([], []), "predictions and foils expected at least one"),
        (lambda: detection([1], [1, 2]), "got 1 and 2"),
        (lambda: correction([], []), "predictions expected at least 1"),
        (lambda: correction("dog", ["d", "o", "g"]), "list of strings, got str 'dog'"),
        (lambda: foil_word("a b", "a b"), "one word that differs, got 0"),
        (lambda: foil_word("a b", "c d"), "one word that differs, got 2"),
        (lambda: foil_word("a b", "a"), "equally many words, got 2 and 1"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
