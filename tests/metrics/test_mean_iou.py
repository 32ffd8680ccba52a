"""Mean IoU: by hand, its laws, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.metrics.iou import mask_iou
from mmdl_lib.metrics.mean_iou import class_iou, confusion, mean_iou, pixel_accuracy


@st.composite
def maps(draw):
    classes, n = draw(st.integers(1, 5)), draw(st.integers(1, 40))
    g = generator(draw(st.integers(0, 10_000)))
    return classes, *(torch.randint(0, classes, (n,), generator=g) for _ in range(2))


def test_an_example_by_hand():
    truth = torch.tensor([[0, 0, 0, 0], [1, 1, 255, 255]])
    found = torch.tensor([[0, 0, 0, 1], [1, 2, 0, 1]])
    counts = confusion(found, truth, classes=4, ignore=255)
    assert counts.tolist() == [[3, 1, 0, 0], [0, 1, 1, 0], [0] * 4, [0] * 4]
    assert class_iou(counts)[:3].tolist() == pytest.approx([3 / 4, 1 / 3, 0])
    assert class_iou(counts)[3].isnan()
    assert mean_iou(counts) == pytest.approx((3 / 4 + 1 / 3) / 3)
    assert pixel_accuracy(counts) == pytest.approx(4 / 6)


@given(maps())
@settings(deadline=None)
def test_each_class_has_the_iou_of_its_masks(drawn):
    classes, found, truth = drawn
    values = class_iou(confusion(found, truth, classes=classes))
    for k in range(classes):
        pair = ((x == k)[None, None] for x in (found, truth))
        occurs = (found == k).any() or (truth == k).any()
        want = mask_iou(*pair).item() if occurs else float("nan")
        assert values[k].item() == pytest.approx(want, nan_ok=True)


@given(maps(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_range_order_copies_and_perfection(drawn, random):
    classes, found, truth = drawn
    counts = confusion(found, truth, classes=classes)
    value = mean_iou(counts)
    assert 0 <= value <= 1
    assert value <= 1 and pixel_accuracy(counts) <= 1
    order = list(range(len(found)))
    random.shuffle(order)
    assert torch.equal(confusion(found[order], truth[order], classes=classes), counts)
    assert mean_iou(3 * counts) == pytest.approx(value)
    assert mean_iou(confusion(truth, truth, classes=classes)) == 1
    assert (value == 1) == torch.equal(found, truth)


@given(maps())
@settings(deadline=None)
def test_parts_add_up(drawn):
    classes, found, truth = drawn
    whole = confusion(found, truth, classes=classes)
    parts = zip(found.split(7), truth.split(7), strict=True)
    assert torch.equal(sum(confusion(*p, classes=classes) for p in parts), whole)


def test_what_is_guessed_on_ignored_pixels_does_not_matter():
    g = generator(0)
    truth = torch.randint(0, 3, (50,), generator=g)
    for ignore in (2, -1, 255):
        marked = truth.clone()
        marked[:9] = ignore
        one, two = (torch.randint(0, 3, (50,), generator=g) for _ in range(2))
        two[marked != ignore] = one[marked != ignore]
        both = [confusion(x, marked, classes=3, ignore=ignore) for x in (one, two)]
        assert torch.equal(*both)


def test_shapes_on_the_ground_show_why_accuracy_is_not_enough():
    truth = shapes.sample(50, seed=0).semantic_masks(32)
    counts = confusion(torch.zeros_like(truth), truth, classes=9)
    assert pixel_accuracy(counts) > 0.7
    assert mean_iou(counts) == pytest.approx(pixel_accuracy(counts) / 9)


@pytest.mark.parametrize(
    ("found", "truth", "sentence"),
    [
        ([], [], "maps expected one shape and pixels"),
        ([0, 1], [0], r"maps expected one shape and pixels, got \(2,\) and \(1,\)"),
        ([0, 3], [0, 1], "guessed classes expected numbers from 0 to 2, got 0 to 3"),
        ([0, 1], [0, -1], "true classes expected numbers from 0 to 2, got -1 to 0"),
    ],
)
def test_bad_input_gets_one_clear_sentence(found, truth, sentence):
    pair = (torch.tensor(x).long() for x in (found, truth))
    with pytest.raises(ValueError, match=sentence):
        confusion(*pair, classes=3)


def test_large_counts_keep_their_digits():
    # in float32, 2^25 - 1 of 2^25 pixels are all pixels
    counts = torch.tensor([[2**25 - 1, 1], [0, 0]])
    assert pixel_accuracy(counts) == 1 - 2**-25
    assert class_iou(counts)[0].item() == 1 - 2**-25


def test_floats_are_no_classes(as_a_reader):
    with pytest.raises(ValueError, match="guessed classes expected integers, got floa"):
        confusion(torch.tensor([0.0, 1.9]), torch.tensor([0, 1]), classes=2)


def test_nothing_but_ignored_pixels_is_refused():
    truth = torch.full((4,), 255)
    counts = confusion(torch.zeros(4).long(), truth, classes=3, ignore=255)
    for metric in (mean_iou, pixel_accuracy):
        with pytest.raises(ValueError, match="a pixel that is not ignored"):
            metric(counts)
