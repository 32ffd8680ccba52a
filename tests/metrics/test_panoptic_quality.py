"""Panoptic quality: by hand, its laws, crowds and void, and what it refuses."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.metrics.panoptic_quality import Segments, panoptic_quality


def segments(rows, label, crowd=()):
    return Segments(torch.tensor(rows), label, crowd)


@st.composite
def pictures(draw):
    """A few blocks of pixels with ids 0 to 4 and a class each; guesses nearby."""
    g = generator(draw(st.integers(0, 10_000)))
    found, truth = [], []
    for _ in range(draw(st.integers(1, 3))):
        ids = torch.randint(0, 5, (3, 3), generator=g)
        ids[0, 0] = 1
        ids = ids.repeat_interleave(4, 0).repeat_interleave(4, 1)
        other = torch.where(torch.rand(12, 12, generator=g) < 0.25, ids.flip(0), ids)
        kinds = torch.randint(1, 3, (5,), generator=g).tolist()
        parts = [{k: kinds[k] for k in x.unique().tolist() if k} for x in (other, ids)]
        found.append(Segments(other, parts[0]))
        truth.append(Segments(ids, parts[1]))
    return found, truth


def test_an_example_by_hand():
    # class 1: one of two things found with IoU 3/4; class 2: only invented
    truth = segments([[1, 1, 1, 1], [2, 2, 2, 2], [3, 3, 3, 3]], {1: 1, 2: 1, 3: 3})
    found = segments([[1, 1, 1, 4], [4, 4, 4, 4], [3, 3, 3, 3]], {1: 1, 4: 2, 3: 3})
    out = panoptic_quality([found], [truth])
    assert out.by_class[1] == pytest.approx((0.75 / 1.5, 0.75, 1 / 1.5))
    assert out.by_class[2] == (0, 0, 0)
    assert out.by_class[3] == (1, 1, 1)
    assert out.pq == pytest.approx((0.5 + 0 + 1) / 3)


def test_one_half_is_no_match():
    truth = segments([[1, 1, 0, 0]], {1: 5})
    half = segments([[1, 0, 0, 0]], {1: 5})
    assert panoptic_quality([half], [truth]).by_class == {5: (0, 0, 0)}
    more = segments([[1, 1, 1, 1, 2]], {1: 5, 2: 6})
    most = segments([[1, 1, 1, 2, 2]], {1: 5, 2: 6})
    assert panoptic_quality([most], [more]).by_class[5] == (0.75, 0.75, 1)


def test_void_in_the_truth_is_taken_out_and_void_in_the_guess_is_not():
    truth = segments([[1, 1, 0, 0]], {1: 5})
    large = segments([[1, 1, 1, 1]], {1: 5})
    assert panoptic_quality([large], [truth]).pq == 1
    small = segments([[1, 1, 1, 0]], {1: 5})
    assert panoptic_quality([small], [large]).pq == 0.75


def test_a_segment_on_void_or_on_a_crowd_of_its_class_is_forgiven():
    truth = segments([[0, 0, 2, 2, 1, 1]], {1: 5, 2: 7}, (2,))
    on_void = segments([[3, 0, 0, 0, 1, 1]], {3: 5, 1: 5})
    assert panoptic_quality([on_void], [truth]).by_class == {5: (1, 1, 1)}
    on_crowd = segments([[0, 0, 3, 3, 1, 1]], {3: 7, 1: 5})
    assert panoptic_quality([on_crowd], [truth]).by_class == {5: (1, 1, 1)}
    other = segments([[0, 0, 3, 3, 1, 1]], {3: 5, 1: 5})
    assert panoptic_quality([other], [truth]).by_class[5] == pytest.approx(
        (1 / 1.5, 1, 1 / 1.5)
    )


def test_a_segment_that_lies_half_on_void_is_no_longer_forgiven():
    truth = segments([[1, 1, 2, 2, 0, 0, 0]], {1: 5, 2: 6})
    half = segments([[1, 1, 0, 3, 3, 0, 0]], {1: 5, 3: 5})
    assert panoptic_quality([half], [truth]).by_class[5] == (1 / 1.5, 1, 1 / 1.5)
    most = segments([[1, 1, 0, 3, 3, 3, 0]], {1: 5, 3: 5})
    assert panoptic_quality([most], [truth]).by_class[5] == (1, 1, 1)


def test_of_two_crowds_of_a_class_only_the_last_forgives():
    crowds = segments([[1, 1, 2, 2, 3]], {1: 5, 2: 5, 3: 6}, (1, 2))
    first = segments([[4, 4, 0, 0, 3]], {4: 5, 3: 6})
    last = segments([[0, 0, 4, 4, 3]], {4: 5, 3: 6})
    assert 5 in panoptic_quality([first], [crowds]).by_class
    assert 5 not in panoptic_quality([last], [crowds]).by_class


@given(pictures())
@settings(deadline=None)
def test_perfection_range_and_the_product(world):
    found, truth = world
    best = panoptic_quality(truth, truth)
    assert (best.pq, best.sq, best.rq) == (1, 1, 1)
    out = panoptic_quality(found, truth)
    assert 0 <= out.pq <= min(out.sq, out.rq) + 1e-12 <= 1 + 1e-9
    for pq, sq, rq in out.by_class.values():
        assert pq == pytest.approx(sq * rq)
        assert sq == 0 or sq > 0.5


@given(pictures(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_names_order_and_copies_do_not_matter(world, random):
    found, truth = world
    before = panoptic_quality(found, truth)
    table = torch.tensor([0, 90, 7, 300, 11])
    names = [
        Segments(table[f.ids], {int(table[k]): v for k, v in f.label.items()})
        for f in found
    ]
    assert panoptic_quality(names, truth)[:3] == pytest.approx(before[:3])
    order = list(range(len(found)))
    random.shuffle(order)
    mixed = [found[i] for i in order], [truth[i] for i in order]
    assert panoptic_quality(*mixed)[:3] == pytest.approx(before[:3])
    assert panoptic_quality(found * 2, truth * 2)[:3] == pytest.approx(before[:3])


def test_swapping_guess_and_truth_changes_nothing_without_void():
    g = generator(1)
    pair = [torch.randint(1, 4, (6, 6), generator=g) for _ in range(2)]
    pair[1][:5] = pair[0][:5]
    one, two = (Segments(ids, {1: 1, 2: 1, 3: 2}) for ids in pair)
    assert panoptic_quality([one], [two]) == panoptic_quality([two], [one])


def test_the_shapes_world_scores_one_with_itself():
    scenes = shapes.sample(10, seed=2)
    truth = []
    for i, masks in enumerate(scenes.instance_masks(32)):
        ids = (masks * torch.arange(2, 6)[:, None, None]).sum(0)
        ids[ids == 0] = 1
        shape = scenes.shape[i].tolist()
        label = {k: shape[k - 2] + 1 if k > 1 else 0 for k in ids.unique().tolist()}
        truth.append(Segments(ids, label))
    assert panoptic_quality(truth, truth).pq == 1


GOOD = segments([[1, 1, 0]], {1: 5})


@pytest.mark.parametrize(
    ("found", "truth", "sentence"),
    [
        ([], [], "pictures with guesses expected at least 1, got 0"),
        ([GOOD], [GOOD] * 2, "got 1 and 2"),
        ([GOOD], [segments([[1, 1]], {1: 5})], r"of one size, got \(1, 3\) and"),
        ([segments([[1, 2, 0]], {1: 5})], [GOOD], r"got segments \[1, 2\] and classes"),
        ([GOOD], [segments([[1, 1, 0]], {1: 5, 9: 5})], r"classes of \[1, 9\]"),
        ([GOOD], [segments([[1, 1, 0]], {1: 5}, (4,))], r"classes of \[1, 4\]"),
        (
            [segments([[0, 0]], {})],
            [segments([[0, 0]], {})],
            "segments expected at least one",
        ),
    ],
)
def test_bad_input_gets_one_clear_sentence(found, truth, sentence):
    with pytest.raises(ValueError, match=sentence):
        panoptic_quality(found, truth)
