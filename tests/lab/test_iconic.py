"""Iconic and non-iconic pictures are what their names say, and the AUC is sklearn's."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from mmdl_lib.data import shapes
from mmdl_lib.lab import iconic as ic


def test_an_iconic_object_is_alone_large_and_in_the_middle():
    scenes = ic.iconic(100, 0)
    assert (scenes.count == 1).all() and (scenes.size[:, 0] == 2).all()
    assert ((scenes.center[:, 0] - 16).abs() <= 1).all()
    assert (ic.named(scenes).sum(1) == 1).all()


def test_an_iconic_scene_hides_and_cuts_nothing():
    scenes = ic.iconic_scene(100, 0)
    whole = scenes.coverage(32) > 0.5
    assert torch.equal(whole[:, :2], scenes.instance_masks(32)[:, :2])
    boxes = scenes.boxes()[:, :2]
    assert boxes.min() >= 0 and boxes.max() <= 32
    assert (scenes.center[:, 0, 0] < scenes.center[:, 1, 0]).all()


def test_non_iconic_objects_hide_each_other_and_leave_the_frame():
    scenes = ic.non_iconic(200, 0)
    whole, shown = (scenes.coverage(32) > 0.5), scenes.instance_masks(32)
    assert (whole & ~shown).any((2, 3)).any(1).double().mean() > 0.5  # of the pictures
    boxes = scenes.boxes()
    outside = (boxes < 0).any(2) | (boxes > 32).any(2)
    assert 0.2 < outside.double().mean() < 0.8
    assert set(scenes.size.flatten().tolist()) == {0, 1, 2}
    assert (ic.non_iconic(20, 0, objects=1).count == 1).all()


def test_equal_seeds_give_equal_pictures_and_others_others():
    one, two, other = (ic.non_iconic(20, seed).render(32) for seed in (3, 3, 4))
    assert torch.equal(one, two) and not torch.equal(one, other)


def test_what_shows_too_little_is_not_named():
    scenes = ic.non_iconic(300, 1)
    pixels, shown = ic.visible(scenes), scenes.instance_masks(32).sum((2, 3))
    assert (shown[pixels == 0] < ic.SEEN).all() and (pixels > 0).any()
    assert torch.equal(pixels[pixels > 0], shown[pixels > 0])
    assert pixels[pixels > 0].min() == ic.SEEN and (shown[pixels == 0] > 0).any()
    for i in range(20):
        kinds = set(scenes.shape[i][pixels[i] > 0].tolist())
        assert set(ic.named(scenes)[i].nonzero()[:, 0].tolist()) == kinds


def test_the_net_learns_to_name_iconic_pictures():
    scenes = ic.iconic(64, 0)
    batch = {"image": shapes.to_float(scenes.render(32)), "there": ic.named(scenes)}
    model = ic.namer(0)
    sgd = torch.optim.Adam(model.parameters(), 1e-2)
    first = model.loss(batch)["loss"].item()
    for _ in range(30):
        sgd.zero_grad()
        model.loss(batch)["loss"].backward()
        sgd.step()
    assert model.loss(batch)["loss"].item() < 0.5 * first


def test_the_loss_is_the_mean_over_yes_and_no_answers():
    model = ic.namer(0).eval()
    batch = {"image": torch.zeros(2, 3, 32, 32), "there": torch.zeros(2, 8).bool()}
    batch["there"][0, 3] = True
    p = model(batch["image"]).sigmoid().double()
    right = torch.where(batch["there"], p, 1 - p).log().mean()
    assert model.loss(batch)["loss"].item() == pytest.approx(-right.item(), rel=1e-5)


@pytest.mark.parametrize("digits", [1, 6])
def test_the_auc_is_that_of_scikit_learn_with_and_without_ties(digits):
    g = torch.Generator().manual_seed(digits)
    score = (torch.randn(60, 4, generator=g) * 10**digits).round() / 10**digits
    there = torch.rand(60, 4, generator=g) < 0.3
    ours = ic.auc(score, there)
    assert ours == pytest.approx(roc_auc_score(there, score, average="macro"))


def test_an_auc_needs_both_kinds_of_pictures():
    with pytest.raises(ValueError, match="with and without it, got 3 and 0"):
        ic.auc(torch.zeros(3, 1), torch.ones(3, 1).bool())


def test_too_many_objects_are_named():
    with pytest.raises(ValueError, match="objects"):
        ic.non_iconic(3, 0, objects=5)
