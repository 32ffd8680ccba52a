"""Top-k accuracy: by hand, its laws, and what it refuses."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.top_k import top_k_accuracy


@st.composite
def tables(draw):
    """Scores with many ties, their labels, and a k."""
    b, classes = draw(st.integers(1, 8)), draw(st.integers(1, 6))
    g = generator(draw(st.integers(0, 10_000)))
    logits = torch.randint(-2, 3, (b, classes), generator=g).float()
    label = torch.randint(0, classes, (b,), generator=g)
    return logits, label, draw(st.integers(1, classes))


def test_an_example_by_hand():
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    label = torch.tensor([0, 1, 2])
    found = [top_k_accuracy(logits, label, k) for k in (1, 2, 3)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1])


def test_a_tie_is_won_by_the_class_that_comes_first_as_in_argmax():
    logits = torch.zeros(4, 4)
    assert top_k_accuracy(logits, torch.arange(4)) == 0.25
    assert top_k_accuracy(logits, torch.arange(4), 3) == 0.75
    assert top_k_accuracy(logits, torch.arange(4)) == top_k_accuracy(
        logits, torch.arange(4), k=1
    )


@given(tables())
def test_top_one_is_accuracy_and_more_guesses_never_hurt(table):
    logits, label, k = table
    assert top_k_accuracy(logits, label) == pytest.approx(
        (logits.argmax(1) == label).double().mean().item()
    )
    curve = [top_k_accuracy(logits, label, j + 1) for j in range(logits.shape[1])]
    assert curve == sorted(curve)
    assert curve[-1] == 1


@given(tables(), st.randoms(use_true_random=False))
def test_order_of_rows_copies_and_scale_do_not_matter(table, random):
    logits, label, k = table
    before = top_k_accuracy(logits, label, k)
    rows = list(range(len(label)))
    random.shuffle(rows)
    assert top_k_accuracy(logits[rows], label[rows], k) == pytest.approx(before)
    twice = torch.cat([logits, logits]), torch.cat([label, label])
    assert top_k_accuracy(*twice, k) == pytest.approx(before)
    assert top_k_accuracy(2 * logits + 1, label, k) == before


def test_half_precision_and_small_integers_work():
    logits = torch.eye(3).bfloat16()
    assert top_k_accuracy(logits, torch.arange(3).to(torch.uint8)) == 1


@pytest.mark.parametrize(
    ("logits", "label", "k", "sentence"),
    [
        (
            torch.zeros(0, 3),
            torch.zeros(0).long(),
            1,
            "rows of logits and labels expected at least one",
        ),
        (torch.zeros(2, 3), torch.zeros(3).long(), 1, "got 2 and 3"),
        (
            torch.zeros(2, 3),
            torch.tensor([0, 3]),
            1,
            "labels expected numbers from 0 to 2, got 0 to 3",
        ),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), 1, "from 0 to 2, got -1 to 0"),
        (
            torch.zeros(2, 3),
            torch.zeros(2).long(),
            4,
            "k expected a whole number from 1 to 3, got 4",
        ),
        (
            torch.zeros(2, 3),
            torch.zeros(2).long(),
            0,
            "k expected a whole number from 1 to 3, got 0",
        ),
        (torch.zeros(2, 3), torch.zeros(2), 1, "integers of shape"),
        (torch.zeros(2, 3).long(), torch.zeros(2).long(), 1, "floats of shape"),
        (torch.zeros(6), torch.zeros(6).long(), 1, r"floats of shape \(b, k\)"),
        (torch.full((2, 3), torch.nan), torch.zeros(2).long(), 1, "6 NaN or infinite"),
        (torch.tensor([[0, torch.inf]]), torch.tensor([0]), 1, "1 NaN or infinite"),
    ],
)
def test_bad_input_gets_one_clear_sentence(logits, label, k, sentence):
    with pytest.raises(ValueError, match=sentence):
        top_k_accuracy(logits, label, k)
