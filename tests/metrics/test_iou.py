"""IoU and GIoU: by hand, their laws, and what they refuse."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.iou import area, giou, iou, mask_iou


@st.composite
def boxes(draw, most=6):
    n, g = draw(st.integers(1, most)), generator(draw(st.integers(0, 10_000)))
    start = torch.randint(-10, 10, (n, 2), generator=g)
    return torch.cat([start, start + torch.randint(1, 9, (n, 2), generator=g)], 1)


def drawn(boxes, size=32):
    masks = torch.zeros(len(boxes), size, size, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, (boxes + 12).tolist(), strict=True):
        mask[y0:y1, x0:x1] = True
    return masks


def test_an_example_by_hand():
    one = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    two = torch.tensor([[2.0, 2.0, 6.0, 6.0], [4.0, 0.0, 8.0, 4.0]])
    assert iou(one, two)[0].tolist() == pytest.approx([4 / 28, 0])
    assert giou(one, two)[0].tolist() == pytest.approx([4 / 28 - 8 / 36, 0])


@given(boxes(), boxes())
@settings(deadline=None)
def test_boxes_and_their_masks_have_the_same_iou(one, two):
    assert torch.allclose(iou(one, two), mask_iou(drawn(one), drawn(two)))
    pixels = drawn(one).sum((1, 2))
    assert torch.equal(area(one), pixels)


@given(boxes(), boxes())
@settings(deadline=None)
def test_range_symmetry_shift_and_scale(one, two):
    plain, general = iou(one, two), giou(one, two)
    assert plain.min() >= 0 and plain.max() <= 1
    assert general.min() > -1 and (general <= plain).all()
    assert torch.equal(plain, iou(two, one).T)
    assert torch.allclose(general, giou(two, one).T)
    for change in (3 * one, 3 * two), (one + 7, two + 7):
        assert torch.allclose(iou(*change), plain)
        assert torch.allclose(giou(*change), general)


@given(boxes())
@settings(deadline=None)
def test_a_box_is_itself(one):
    assert torch.equal(iou(one, one).diagonal(), torch.ones(len(one)).double())
    assert torch.equal(giou(one, one).diagonal(), torch.ones(len(one)).double())


def test_giou_falls_with_the_distance_where_iou_is_blind():
    one = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    far = torch.tensor([[x, 0.0, x + 1, 1.0] for x in (0.0, 0.5, 1.0, 2.0, 9.0)])
    values = giou(one, far)[0]
    assert (values.diff() < 0).all()
    assert iou(one, far)[0, 2:].tolist() == [0, 0, 0]


def test_against_a_crowd_only_the_own_area_counts():
    small, large = torch.tensor([[1, 1, 3, 3]]), torch.tensor([[0, 0, 10, 10]])
    assert iou(small, large).item() == pytest.approx(0.04)
    assert iou(small, large, crowd=torch.tensor([True])).item() == 1
    assert iou(large, small, crowd=torch.tensor([True])).item() == pytest.approx(0.04)
    masks = drawn(small), drawn(large)
    assert mask_iou(*masks, crowd=torch.tensor([True])).item() == 1


def test_bytes_and_probabilities_are_no_masks(as_a_reader):
    mask = drawn(torch.tensor([[0, 0, 4, 4]]))
    assert mask_iou(mask, mask).item() == 1
    for other in (mask.byte() * 255, mask.byte(), mask.long(), mask * 0.7):
        for pair in ((mask, other), (other, mask)):
            with pytest.raises(ValueError, match="masks expected bool, got [uif]"):
                mask_iou(*pair)


def test_nothing_overlaps_nothing():
    line = torch.tensor([[2.0, 2.0, 2.0, 5.0]])
    assert iou(line, line).item() == 0
    assert giou(line, line).item() == 0
    empty = torch.zeros(1, 4, 4, dtype=torch.bool)
    assert mask_iou(empty, empty).item() == 0
    assert iou(torch.zeros(0, 4), line).shape == (0, 1)


def test_giou_has_a_gradient_where_iou_has_none():
    one = torch.tensor([[0.0, 0.0, 1.0, 1.0], [5.0, 5.0, 5.0, 5.0]], requires_grad=True)
    two = torch.tensor([[3.0, 0.0, 4.0, 1.0], [5.0, 5.0, 5.0, 5.0]])
    (1 - giou(one, two).diagonal()).sum().backward()
    assert torch.isfinite(one.grad).all()
    # the right side is pulled to the right
    assert one.grad[0, 2] < 0


def test_whole_numbers_do_not_overflow():
    big = torch.tensor([[0, 0, 200, 200]], dtype=torch.uint8)
    assert iou(big, big).item() == 1


@pytest.mark.parametrize(
    ("box", "sentence"),
    [
        ([[3.0, 0.0, 1.0, 1.0]], r"x0 <= x1, y0 <= y1, got \[3.0, 0.0, 1.0, 1.0\]"),
        ([[0.0, 0.0, 1.0, -1.0]], r"got \[0.0, 0.0, 1.0, -1.0\]"),
        ([[0.0, 0.0, 1.0, torch.nan]], "boxes expected finite numbers, got 1 NaN"),
        ([[0.0, 0.0, 1.0, torch.inf]], "boxes expected finite numbers"),
    ],
)
@pytest.mark.parametrize("metric", [iou, giou])
def test_bad_boxes_get_one_clear_sentence(metric, box, sentence):
    good = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    with pytest.raises(ValueError, match=sentence):
        metric(torch.tensor(box), good)
    with pytest.raises(ValueError, match=sentence):
        metric(good, torch.tensor(box))


def test_bad_sizes_get_one_clear_sentence():
    one, two = (torch.zeros(1, n, 4, dtype=torch.bool) for n in (4, 5))
    with pytest.raises(
        ValueError, match=r"masks expected one size, got \(4, 4\) and \(5, 4"
    ):
        mask_iou(one, two)
    with pytest.raises(ValueError, match=r"crowd expected shape \(1,\), got \(2,\)"):
        mask_iou(one, one, crowd=torch.tensor([True, False]))
