"""COCO's AP and AR: by hand, their laws, and what they refuse."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.metrics.mean_ap import Detections, Truth, interpolate, mean_ap

LABEL = torch.ones(1).long()


def boxes_of(n, g):
    start = torch.randint(0, 200, (n, 2), generator=g)
    return torch.cat([start, start + torch.randint(4, 150, (n, 2), generator=g)], 1)


@st.composite
def worlds(draw):
    """Pictures with objects, and detections of them with scores that differ."""
    g = generator(draw(st.integers(0, 10_000)))
    pictures = draw(st.integers(1, 4))
    truth, found = [], []
    for _ in range(pictures):
        n, extra = draw(st.integers(1, 4)), draw(st.integers(0, 3))
        box, label = boxes_of(n, g), torch.randint(0, 3, (n,), generator=g)
        truth.append(Truth(box, label))
        near = box + torch.randint(-2, 2, (n, 4), generator=g)
        guess = torch.cat([near, boxes_of(extra, g)])
        labels = torch.cat([label, torch.randint(0, 3, (extra,), generator=g)])
        score = torch.rand(n + extra, generator=g, dtype=torch.float64)
        found.append(Detections(guess, labels, score))
    return found, truth


def perfect(truth):
    return [Detections(t.region, t.label, torch.ones(len(t.label))) for t in truth]


def same(one, two):
    assert list(one.values()) == pytest.approx(list(two.values()), abs=1e-12)


def test_precision_by_hand():
    # one object of four is found; before it, a miss: precision 1/2 up to recall 1/4
    square = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    four = torch.cat([square + 50 * i for i in range(4)])
    guess = torch.cat([square + 25, square])
    found = Detections(guess, LABEL.repeat(2), torch.tensor([0.9, 0.8]))
    out = mean_ap([found], [Truth(four, LABEL.repeat(4))])
    assert out["AP"] == pytest.approx(0.5 * 26 / 101)
    assert out["AR 1"] == 0
    assert out["AR 10"] == out["AR 100"] == out["AR medium"] == 0.25
    assert out["AP small"] == out["AP large"] == -1


def test_iou_of_point_six_passes_three_thresholds():
    truth = Truth(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), LABEL)
    found = Detections(torch.tensor([[0.0, 0.0, 6.0, 10.0]]), LABEL, torch.ones(1))
    out = mean_ap([found], [truth])
    assert (out["AP"], out["AP50"], out["AP75"]) == pytest.approx((0.3, 1, 0))
    for width, ap75 in ((7.2, 0), (7.6, 1)):
        box = torch.tensor([[0.0, 0.0, width, 10.0]])
        out = mean_ap([Detections(box, LABEL, torch.ones(1))], [truth])
        assert out["AP75"] == pytest.approx(ap75)


def test_a_detection_gives_no_object_that_counts_up_for_a_crowd():
    thing = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    region = torch.tensor([[0.0, 0.0, 60.0, 60.0]])
    truth = Truth(
        torch.cat([region, thing]), LABEL.repeat(2), torch.tensor([True, False])
    )
    # IoU with the crowd is 1, with the thing 0.6
    found = Detections(torch.tensor([[0.0, 0.0, 6.0, 10.0]]), LABEL, torch.ones(1))
    assert mean_ap([found], [truth])["AP50"] == pytest.approx(1)


def test_a_crowd_takes_many_detections_and_a_thing_only_one():
    box, three = torch.tensor([[0.0, 0.0, 10.0, 10.0]]), LABEL.repeat(3)
    more = Truth(
        torch.cat([box, box + 20]), LABEL.repeat(2), torch.tensor([True, False])
    )
    guess = torch.cat([box, box, box + 20])
    found = Detections(guess, three, torch.tensor([0.9, 0.8, 0.7]))
    assert mean_ap([found], [more])["AP"] == pytest.approx(1)
    plain = mean_ap([found], [more._replace(crowd=None)])
    # hit, miss, hit: 1 up to recall 1/2, then 2/3
    assert plain["AP"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_twelfth_detection_counts_and_not_for_the_recall_of_ten():
    box = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    away = box + 50 * torch.arange(1, 12)[:, None]
    scores = torch.linspace(0, 1, 12)  # the object is found last of all
    found = Detections(torch.cat([box, away]), LABEL.repeat(12), scores)
    out = mean_ap([found], [Truth(box, LABEL)])
    assert (out["AR 10"], out["AR 100"]) == (0, 1)
    assert out["AP"] == pytest.approx(1 / 12)


def test_an_object_of_32_x_32_is_small_and_medium():
    box = torch.tensor([[0.0, 0.0, 32.0, 32.0]])
    out = mean_ap([Detections(box, LABEL, torch.ones(1))], [Truth(box, LABEL)])
    assert out["AP small"] == pytest.approx(1)
    assert out["AP medium"] == pytest.approx(1)
    assert out["AP large"] == -1


def test_the_area_that_is_given_decides_on_the_class_of_sizes():
    box = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    truth = Truth(box, LABEL, area=torch.tensor([100.0]))
    out = mean_ap([Detections(box, LABEL, torch.ones(1))], [truth])
    assert (out["AR small"], out["AR medium"]) == (1, -1)


def test_nothing_found_is_zero_and_nothing_to_find_is_minus_one():
    box, none = torch.tensor([[0.0, 0.0, 9.0, 9.0]]), torch.zeros(0, 4)
    nothing = Detections(none, torch.zeros(0).long(), torch.zeros(0))
    out = mean_ap([nothing], [Truth(box, LABEL)])
    assert (out["AP"], out["AR 100"], out["AP large"]) == (0, 0, -1)
    guess = Detections(box, LABEL, torch.ones(1))
    empty = mean_ap([guess], [Truth(none, torch.zeros(0).long())])
    assert set(empty.values()) == {-1}


NONE = Detections(torch.zeros(0, 4), torch.zeros(0).long(), torch.zeros(0))
TWO = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 20.0, 40.0, 40.0]])


def test_flags_are_bool_whatever_else_could_be_meant():
    found = Detections(TWO[:1], LABEL, torch.ones(1))
    crowd = torch.tensor([False, True])
    truth = Truth(TWO, LABEL.repeat(2), crowd)
    # one of two objects that count is found; pycocotools has 0.50495, or 51 / 101
    out = mean_ap([found, NONE], [truth] * 2)
    assert out["AP"] == pytest.approx(51 / 101)
    for other in (crowd.byte(), crowd.byte() * 255, crowd.long(), crowd * 0.7):
        with pytest.raises(ValueError, match="crowds of picture 0 expected bool, got"):
            mean_ap([found, NONE], [truth._replace(crowd=other)] * 2)


def test_recall_counts_the_objects_of_pictures_without_detections():
    found = Detections(TWO[:1], LABEL, torch.ones(1))
    crowd = torch.tensor([False, True])
    truth = [Truth(TWO[:1], LABEL), Truth(TWO, LABEL.repeat(2), crowd)]
    out = mean_ap([found, NONE], truth)
    assert (out["AR 1"], out["AR 100"]) == (0.5, 0.5)


@given(worlds())
@settings(deadline=None, max_examples=40)
def test_the_truth_is_perfect_and_all_is_between_zero_and_one(world):
    found, truth = world
    best = mean_ap(perfect(truth), truth)
    # two equal boxes of a class may not be told apart, but each is found once
    assert best["AP"] == pytest.approx(1)
    assert best["AR 100"] == pytest.approx(1)
    out = mean_ap(found, truth)
    assert all(v == -1 or 0 <= v <= 1 + 1e-12 for v in out.values())
    assert out["AP50"] >= out["AP"] - 1e-12 and out["AP50"] >= out["AP75"] - 1e-12
    assert out["AR 1"] <= out["AR 10"] <= out["AR 100"]


@given(worlds(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_order_does_not_matter_where_scores_differ(world, random):
    found, truth = world
    before = mean_ap(found, truth)
    rows = list(range(len(found)))
    random.shuffle(rows)
    same(mean_ap([found[i] for i in rows], [truth[i] for i in rows]), before)
    mixed = []
    for f in found:
        order = list(range(len(f.score)))
        random.shuffle(order)
        mixed.append(Detections(*(x[order] for x in f)))
    same(mean_ap(mixed, truth), before)


@given(worlds())
@settings(deadline=None, max_examples=40)
def test_only_the_order_of_scores_counts_and_classes_may_be_renamed(world):
    found, truth = world
    before = mean_ap(found, truth)
    other = [
        f._replace(score=(f.score * 3 - 9).exp(), label=7 - f.label) for f in found
    ]
    same(mean_ap(other, [t._replace(label=7 - t.label) for t in truth]), before)


@given(worlds())
@settings(deadline=None, max_examples=40)
def test_wrong_detections_after_all_others_never_help_and_never_hurt_recall(world):
    found, truth = world
    before = mean_ap(found, truth)
    away = torch.tensor([[1000.0, 1000.0, 1001.0, 1001.0]])
    worse = [
        Detections(
            torch.cat([f.region.double(), away]),
            torch.cat([f.label, truth[i].label[:1]]),
            torch.cat([f.score, torch.tensor([-1.0])]),
        )
        for i, f in enumerate(found)
    ]
    same(mean_ap(worse, truth), before)
    first = [f._replace(score=f.score.flip(0).flip(0)) for f in worse]
    first = [
        f._replace(score=torch.cat([f.score[:-1], torch.ones(1) * 2])) for f in first
    ]
    assert mean_ap(first, truth)["AP"] <= before["AP"] + 1e-12
    assert mean_ap(first, truth)["AR 100"] == pytest.approx(before["AR 100"])


@given(worlds())
@settings(deadline=None, max_examples=30)
def test_a_detection_made_twice_costs_precision_and_no_recall(world):
    found, truth = world
    before = mean_ap(found, truth)
    twice = [Detections(*(torch.cat([x, x]) for x in f)) for f in found]
    after = mean_ap(twice, truth)
    assert after["AP"] <= before["AP"] + 1e-12
    assert after["AR 100"] >= before["AR 100"] - 1e-12


def test_interpolation_takes_the_best_precision_to_come():
    recall = np.array([[0.2, 0.2, 0.4, 0.6]])
    curve = interpolate(recall, np.array([[0.5, 0.1, 0.9, 0.3]]))[0]
    assert curve[:41].tolist() == [0.9] * 41
    assert curve[41:61].tolist() == [0.3] * 20
    assert curve[61:].tolist() == [0] * 40


BOX = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
MASK = torch.ones(1, 4, 4, dtype=torch.bool)
GOOD = Detections(BOX, LABEL, torch.ones(1)), Truth(BOX, LABEL)


@pytest.mark.parametrize(
    ("found", "truth", "sentence"),
    [
        ([], [], "pictures with detections expected at least 1, got 0"),
        ([GOOD[0]], [GOOD[1]] * 2, "got 1 and 2"),
        ([GOOD[0]._replace(region=BOX[:, [2, 1, 0, 3]])], [GOOD[1]], "x0 <= x1"),
        (
            [GOOD[0]],
            [GOOD[1]._replace(region=BOX * torch.nan)],
            "regions of picture 0 expected finite numbers, got 4 NaN",
        ),
        (
            [GOOD[0]._replace(score=torch.tensor([torch.nan]))],
            [GOOD[1]],
            "scores of pic",
        ),
        (
            [GOOD[0]._replace(score=torch.ones(2))],
            [GOOD[1]],
            r"one entry for each region, got shapes \[\(1, 4\), \(1,\), \(2,\)\]",
        ),
        ([GOOD[0]._replace(region=MASK)], [GOOD[1]], "the same for detections and"),
        (
            [GOOD[0]._replace(region=MASK)],
            [GOOD[1]._replace(region=torch.ones(1, 5, 4, dtype=torch.bool))],
            "masks expected one size",
        ),
        (
            [GOOD[0]],
            [GOOD[1]._replace(crowd=torch.tensor([True] * 2))],
            "one entry for each region",
        ),
        ([GOOD[0]], [GOOD[1]._replace(area=torch.tensor([torch.nan]))], "areas of pic"),
    ],
)
def test_bad_input_gets_one_clear_sentence(found, truth, sentence):
    with pytest.raises(ValueError, match=sentence):
        mean_ap(found, truth)
