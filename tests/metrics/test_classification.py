"""ReaL, F1, Matthews and calibration: by hand, their laws, what they refuse."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.calibration import expected_calibration_error
from mmdl_lib.metrics.f1 import f1
from mmdl_lib.metrics.matthews import matthews
from mmdl_lib.metrics.real import real_accuracy

AVERAGES = ("binary", "macro", "micro")


@st.composite
def guesses(draw, most=5):
    """Predictions and labels of up to `most` classes."""
    b, classes = draw(st.integers(1, 12)), draw(st.integers(1, most))
    g = generator(draw(st.integers(0, 10_000)))
    return tuple(torch.randint(0, classes, (b,), generator=g) for _ in range(2))


@st.composite
def distributions(draw):
    """Rows of probabilities and labels."""
    b, classes = draw(st.integers(1, 30)), draw(st.integers(2, 5))
    g = generator(draw(st.integers(0, 10_000)))
    logits = 3 * torch.randn(b, classes, generator=g, dtype=torch.float64)
    return logits.softmax(1), torch.randint(0, classes, (b,), generator=g)


def test_real_counts_any_accepted_label_and_passes_over_empty_sets():
    predicted = torch.tensor([0, 1, 2, 3])
    assert real_accuracy(predicted, [{0, 9}, {1}, {5}, []]) == pytest.approx(2 / 3)
    assert real_accuracy(predicted, [[0], [1], [2], [3]]) == 1


@given(guesses(), st.randoms(use_true_random=False))
def test_real_is_accuracy_on_sets_of_one_and_grows_with_the_sets(pair, random):
    predicted, label = pair
    single = [{y} for y in label.tolist()]
    found = real_accuracy(predicted, single)
    assert found == pytest.approx((predicted == label).double().mean().item())
    wider = [{y, random.randrange(5)} for y in label.tolist()]
    assert real_accuracy(predicted, wider) >= found


def test_f1_by_hand_in_all_three_averages():
    predicted = torch.tensor([0, 0, 1, 1, 2, 2])
    label = torch.tensor([0, 0, 0, 1, 1, 2])
    # class 0: TP 2 FN 1; class 1: TP 1 FP 1 FN 1; class 2: TP 1 FP 1
    assert f1(predicted, label, average="macro") == pytest.approx(
        (4 / 5 + 2 / 4 + 2 / 3) / 3
    )
    assert f1(predicted, label, average="micro") == pytest.approx(4 / 6)
    assert f1(torch.tensor([1, 1, 0]), torch.tensor([1, 0, 1])) == 0.5


def test_f1_without_any_positive_is_zero_and_absent_classes_do_not_count():
    zeros = torch.zeros(3).long()
    assert f1(zeros, zeros) == 0
    far = torch.tensor([0, 4])
    assert f1(far, far, average="macro") == 1


@given(guesses())
def test_micro_f1_is_accuracy_and_names_of_classes_do_not_matter(pair):
    predicted, label = pair
    accuracy = (predicted == label).double().mean().item()
    assert f1(predicted, label, average="micro") == pytest.approx(accuracy)
    turn = torch.tensor([3, 0, 4, 1, 2])
    for average in ("macro", "micro"):
        found = f1(predicted, label, average=average)
        assert f1(turn[predicted], turn[label], average=average) == pytest.approx(found)
    assert matthews(turn[predicted], turn[label]) == pytest.approx(
        matthews(predicted, label)
    )


@given(guesses(most=2), st.randoms(use_true_random=False))
def test_order_and_copies_and_sides_do_not_matter(pair, random):
    predicted, label = pair
    rows = list(range(len(label)))
    random.shuffle(rows)
    scores = [lambda p, y, a=a: f1(p, y, average=a) for a in AVERAGES]
    for score in (*scores, matthews):
        found = score(predicted, label)
        assert -1 <= found <= 1
        assert score(predicted[rows], label[rows]) == pytest.approx(found)
        assert score(predicted.repeat(2), label.repeat(2)) == pytest.approx(found)
        # precision and recall change places, TP stays
        assert score(label, predicted) == pytest.approx(found)


@given(guesses())
def test_a_perfect_guess_scores_one(pair):
    _, label = pair
    assert f1(label, label, average="macro") == pytest.approx(1)
    assert f1(label, label, average="micro") == 1
    assert matthews(label, label) == pytest.approx(float(len(set(label.tolist())) > 1))


def test_matthews_by_hand_its_lowest_value_and_its_zero():
    label = torch.tensor([0, 0, 1, 1])
    assert matthews(1 - label, label) == pytest.approx(-1)
    assert matthews(torch.ones(4).long(), label) == 0
    # R_K of three classes: c 2, s 4, said (2, 1, 1), true (1, 2, 1)
    predicted, label = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])
    found = (3 * 4 - 5) / ((16 - 6) * (16 - 6)) ** 0.5
    assert matthews(predicted, label) == pytest.approx(found)


@given(guesses(most=2))
def test_matthews_of_two_classes_is_pearson_of_zeros_and_ones(pair):
    predicted, label = pair
    x, y = predicted.double(), label.double()
    x, y = x - x.mean(), y - y.mean()
    norm = x.norm() * y.norm()
    found = (x @ y / norm).item() if norm > 1e-9 else 0
    assert matthews(predicted, label) == pytest.approx(found, abs=1e-9)


def test_calibration_by_hand():
    probability = torch.tensor([[0.95, 0.05]] * 4 + [[0.55, 0.45]] * 2)
    label = torch.tensor([0, 0, 0, 1, 0, 0])
    # four at 0.95 with three right, two at 0.55 that are both right
    found = 4 / 6 * 0.2 + 2 / 6 * 0.45
    assert expected_calibration_error(probability, label, bins=10) == pytest.approx(
        found, abs=1e-6
    )
    # in one bin the gaps are averaged before they are measured
    assert expected_calibration_error(probability, label, bins=1) == pytest.approx(
        abs(5 / 6 - (4 * 0.95 + 2 * 0.55) / 6), abs=1e-6
    )


def test_a_confidence_between_two_bins_belongs_to_the_upper_one():
    probability = torch.tensor([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [0.6, 0.4, 0.0]])
    label = torch.tensor([0, 1, 1])
    # with 0.5 in the lower of two bins, it would be (0.5 + 0.75 + 0.6) / 3
    assert expected_calibration_error(probability, label, bins=2) == pytest.approx(
        abs(1 - 0.5 - 0.75 - 0.6) / 3
    )


@given(distributions(), st.integers(1, 20))
def test_calibration_is_a_share_and_no_less_than_the_gap_of_one_bin(case, bins):
    probability, label = case
    found = expected_calibration_error(probability, label, bins=bins)
    single = expected_calibration_error(probability, label, bins=1)
    assert single - 1e-9 <= found <= 1
    twice = torch.cat([probability] * 2), label.repeat(2)
    assert expected_calibration_error(*twice, bins=bins) == pytest.approx(found)


@given(distributions())
def test_sure_and_right_is_calibrated_sure_and_wrong_is_not(case):
    probability, label = case
    sure = torch.nn.functional.one_hot(label, probability.shape[1]).double()
    assert expected_calibration_error(sure, label) == 0
    assert expected_calibration_error(sure.roll(1, 1), label) == 1


LONG, FLOAT = torch.zeros(2).long(), torch.full((2, 2), 0.5)
NAN = torch.full((2, 2), torch.nan)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: real_accuracy(LONG, [{1}]), "label sets, got 2 and 1"),
        (lambda: real_accuracy(LONG[:0], []), "at least one of predictions"),
        (lambda: real_accuracy(LONG, [set(), set()]), "accepted label, got only"),
        (lambda: real_accuracy(FLOAT[0], [{1}, {1}]), "predictions as integers"),
        (lambda: f1(LONG, LONG[:1]), "labels, got 2 and 1"),
        (lambda: f1(LONG[:0], LONG[:0]), "at least one of predictions"),
        (lambda: f1(LONG + 2, LONG), "predictions from 0 to 1, got 2 to 2"),
        (lambda: f1(LONG - 1, LONG, average="macro"), "from 0 up, got -1 to -1"),
        (lambda: f1(LONG, LONG, average="weighted"), "micro, got 'weighted'"),
        (lambda: matthews(LONG, LONG[:1]), "labels, got 2 and 1"),
        (lambda: matthews(LONG[:0], LONG[:0]), "at least one of predictions"),
        (lambda: matthews(FLOAT[0], LONG), "predictions as integers"),
        (lambda: expected_calibration_error(NAN, LONG), "4 NaN or infinite"),
        (lambda: expected_calibration_error(FLOAT * 2, LONG), "sum to 1"),
        (
            lambda: expected_calibration_error(
                torch.tensor([[1.5, -0.5], [0.5, 0.5]]), LONG
            ),
            "sum to 1",
        ),
        (lambda: expected_calibration_error(FLOAT, LONG[:1]), "labels, got 2 and 1"),
        (lambda: expected_calibration_error(FLOAT, LONG + 2), "0 to 1, got 2 to 2"),
        (lambda: expected_calibration_error(FLOAT, LONG, bins=0), "one bin, got 0"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
