"""What recipes of captioning share."""

import pytest
import torch

from mmdl_lib.data import shapes
from mmdl_lib.lab.captioning import exact, left_to_right, regions, scores, texts
from mmdl_lib.metrics.cider import rarity


@pytest.fixture(scope="module")
def scenes():
    return shapes.sample(60, seed=5, objects=(1, 4))


def test_objects_are_told_from_left_to_right_and_stay_what_they_are(scenes):
    ordered = left_to_right(scenes)
    assert any(a != b for a, b in zip(scenes.things(), ordered.things(), strict=True))
    for before, after in zip(scenes.things(), ordered.things(), strict=True):
        assert [t.x for t in after] == sorted(t.x for t in before)
        assert set(before) == set(after)
    # soft edges that touch are painted in another order
    change = ordered.render().int() - scenes.render().int()
    assert (change != 0).any(1).float().mean() < 3e-4 and change.abs().max() < 50


def test_captions_hold_what_stands_left_first(scenes):
    for things, said in zip(left_to_right(scenes).things(), texts(scenes), strict=True):
        bare = [f"{t.color} {t.shape}" for t in things]
        assert [part.split(maxsplit=1)[1] for part in said[0].split(" and ")] == bare
        assert len(said) == 5


def test_a_region_holds_the_pixels_of_its_box_and_its_place():
    scenes = shapes.sample(40, seed=1, objects=(1, 4), textures="solid")
    found = regions(scenes, seed=0)
    assert torch.equal(found.mask.sum(1), scenes.count)
    crop = found.feature[..., :192].unflatten(-1, (3, 8, 8))
    for i in range(len(scenes)):
        places = scenes.boxes()[i, : scenes.count[i]]
        for k in range(int(scenes.count[i])):
            near = (places - found.box[i, k]).abs().sum(1)
            own = int(near.argmin())
            assert near[own] < 1e-4
            if shapes.SHAPES[scenes.shape[i, own]] in ("circle", "square", "cross"):
                middle = (crop[i, k, :, 3:5, 3:5].mean((1, 2)) + 1) * 127.5
                assert (middle - scenes.rgb[i, own]).abs().max() < 40
    assert torch.equal(
        found.feature[..., 192:], (found.box / 16 - 1) * found.mask[..., None]
    )


def test_regions_come_in_another_order_by_another_seed_and_padding_is_zero(scenes):
    one, same, other = (regions(scenes, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.feature, same.feature)
    assert not torch.equal(one.feature, other.feature)
    for found in (one, other):
        assert not found.feature[~found.mask].any() and not found.box[~found.mask].any()
        assert torch.equal(found.mask, scenes.present)
        assert found.feature[found.mask].abs().sum(-1).min() > 0
    sums = [found.feature.sum(1) for found in (one, other)]
    assert torch.allclose(*sums, atol=1e-4)


def test_true_captions_are_exact_and_wrong_ones_are_not(scenes):
    for k in range(5):
        assert exact([five[k] for five in texts(scenes)], scenes) == 1
    said = [five[0].replace("red", "blue") for five in texts(scenes)]
    changed = sum("red" in five[0] for five in texts(scenes))
    assert exact(said, scenes) == 1 - changed / 60 < 1
    with pytest.raises(ValueError, match="captions expected as many as scenes"):
        exact(said[:3], scenes)


def test_scores_are_those_of_the_tables_and_highest_for_the_truth(scenes):
    five = texts(scenes)
    best = scores([t[2] for t in five], scenes)
    worse = scores([t[2] for t in [*five[1:], five[0]]], scenes)
    assert list(best) == ["BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D", "SPICE", "exact"]
    assert best["BLEU-4"] == pytest.approx(1) and best["METEOR"] > 0.99
    assert all(best[name] > 1.5 * worse[name] for name in best)
    known = rarity(texts(shapes.sample(200, seed=9, objects=(1, 4))))
    again = scores([t[2] for t in five], scenes, known=known)
    assert again["CIDEr-D"] != best["CIDEr-D"]
    assert {k: v for k, v in again.items() if k != "CIDEr-D"} == {
        k: v for k, v in best.items() if k != "CIDEr-D"
    }
