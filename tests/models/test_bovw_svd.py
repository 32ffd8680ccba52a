"""Bag of visual words and the mixed table: hand examples, limits, laws."""

import sys

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.models.bovw_svd import BoVWSVD, VisualWords, bag, k_means, lloyd, sift
from mmdl_lib.models.concat_fusion import fuse
from mmdl_lib.models.ppmi import shifted_ppmi


def counts(n=20, c=30, k=12, seed=0):
    g = generator(seed)
    make = lambda m: torch.poisson(4 * torch.rand(n, m, generator=g), generator=g)  # noqa: E731
    return make(c), make(k)


def joined(gamma=0.5):
    text, image = counts()
    return fuse(shifted_ppmi(text), shifted_ppmi(image), gamma)


def cosine(table):
    unit = F.normalize(table.double(), dim=1)
    return unit @ unit.T


def blobs(seed=0):
    g = generator(seed)
    place = torch.tensor([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0]])
    return place, (place[:, None] + torch.randn(3, 40, 2, generator=g)).flatten(0, 1)


def test_clusters_that_stand_apart_are_found_from_every_start():
    place, points = blobs()
    for seed in range(5):
        centers = k_means(points, 3, generator=generator(seed))
        gap = torch.cdist(place, centers).amin(1)
        assert gap.max() < 1


def test_a_round_never_makes_the_distances_larger():
    points = torch.randn(200, 5, generator=generator(0))
    centers, before = points[:6], float("inf")
    for _ in range(10):
        now = torch.cdist(points, centers).amin(1).square().sum().item()
        assert now <= before + 1e-4
        before, centers = now, lloyd(points, centers)


def test_a_center_that_nothing_is_near_stays():
    points = torch.tensor([[0.0], [2.0]])
    moved = lloyd(points, torch.tensor([[0.0], [99.0]]))
    assert moved.tolist() == [[1.0], [99.0]]


def test_the_start_spreads_out():
    """All first centers in one blob would be left with two blobs shared."""
    _, points = blobs()
    for seed in range(8):
        start = k_means(points, 3, rounds=1, generator=generator(seed))
        assert torch.pdist(start).min() > 45


def test_a_bag_counts_and_forgets_the_order():
    centers = torch.tensor([[0.0], [10.0], [20.0]])
    some = torch.tensor([[1.0], [9.0], [11.0], [8.0]])
    assert bag(some, centers).tolist() == [1.0, 3.0, 0.0]
    assert torch.equal(bag(some.flip(0), centers), bag(some, centers))
    assert bag(some[:0], centers).tolist() == [0.0, 0.0, 0.0]


def test_a_step_with_its_own_rate_is_one_of_lloyds_rounds():
    _, points = blobs()
    net = VisualWords.of(points[[0, 1, 90]])
    net.loss({"descriptors": points})["loss"].backward()
    count = net.bag(points)[:, None]
    moved = net.centers - len(points) / (2 * count) * net.centers.grad
    torch.testing.assert_close(moved.detach(), lloyd(points, net.centers.detach()))


def board(turn=0):
    g = generator(1)
    plain = torch.randint(0, 2, (1, 8, 8), generator=g).repeat(3, 1, 1) * 255
    big = plain.repeat_interleave(16, 1).repeat_interleave(16, 2).to(torch.uint8)
    return big.rot90(turn, (1, 2))


def test_sift_hardly_changes_where_a_picture_is_turned():
    one, other = sift(board()), sift(board(1))
    assert one.shape[1] == 128 and len(one) > 20
    assert (one.norm(dim=1) - 1).abs().max() < 0.1 and one.min() >= 0
    near = torch.cdist(F.normalize(one, dim=1), F.normalize(other, dim=1)).amin(1)
    assert (near < 0.25).float().mean() > 0.8


def test_a_flat_picture_has_no_descriptors():
    assert sift(torch.full((3, 64, 64), 200, dtype=torch.uint8)).shape == (0, 128)


def test_all_directions_keep_all_cosines_of_the_fused_table():
    table = joined(0.7)
    whole = BoVWSVD.mix(table, 20)
    torch.testing.assert_close(cosine(whole.vectors), cosine(table), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.rebuilt(), table, atol=1e-5, rtol=0)


def test_counts_are_weighed_joined_and_mixed():
    text, image = counts()
    found = BoVWSVD.fit(text, image, 5, gamma=0.7)
    assert torch.equal(found.vectors, BoVWSVD.mix(joined(0.7), 5).vectors)


def test_what_is_cut_off_are_the_small_singular_values():
    table = joined()
    s = torch.linalg.svdvals(table)
    for width in (3, 9):
        lost = (table - BoVWSVD.mix(table, width).rebuilt()).square().sum()
        torch.testing.assert_close(lost, s[width:].square().sum(), atol=1e-4, rtol=0)
        half = BoVWSVD.mix(table, width, root=0.5)
        again = (table - half.rebuilt()).square().sum()
        torch.testing.assert_close(again, lost, atol=1e-4, rtol=0)


@pytest.mark.parametrize("root", [0, 0.5, 1])
def test_words_of_the_fit_are_placed_where_they_are(root):
    found = BoVWSVD.mix(joined(), 6, root=root)
    torch.testing.assert_close(found.place(joined()), found.vectors, atol=1e-4, rtol=0)
    length = found.vectors.norm(dim=0)
    torch.testing.assert_close(length, found.strength**root, atol=1e-4, rtol=0)


def test_few_directions_mix_what_the_parts_have_in_common():
    """Rank one of two parts that agree: each part is rebuilt from the other's axis."""
    g = generator(2)
    hidden = torch.randn(40, 1, generator=g)
    parts = [hidden @ torch.randn(1, 9, generator=g) for _ in range(2)]
    noisy = [p + 0.3 * torch.randn(40, 9, generator=g) for p in parts]
    rebuilt = BoVWSVD.mix(torch.cat(noisy, 1), 1).rebuilt()
    alone = BoVWSVD.mix(noisy[0], 1).rebuilt()
    error = lambda table: (table[:, :9] - parts[0]).square().mean()  # noqa: E731
    assert error(rebuilt) < error(alone) < error(noisy[0])


def test_a_word_whose_neighbors_are_all_by_chance_is_refused():
    text, image = counts()
    text[3] = 0
    with pytest.raises(ValueError, match="text expected .* got zeros in row 3"):
        BoVWSVD.fit(text, image, 4)
    with pytest.raises(ValueError, match="count expected numbers from 0"):
        BoVWSVD.fit(-text, image, 4)


def test_too_many_directions_and_rows_of_another_length_are_refused():
    table = joined()
    with pytest.raises(ValueError, match="width expected a whole number from 1 to 20"):
        BoVWSVD.mix(table, 21)
    with pytest.raises(ValueError, match="rows of 42 numbers, got 41"):
        BoVWSVD.mix(table, 4).place(table[:, 1:])
    with pytest.raises(ValueError, match="root expected"):
        BoVWSVD.mix(table, 4, root=2)


def test_bad_descriptors_are_refused():
    with pytest.raises(ValueError, match="3 different descriptors or more"):
        k_means(torch.tensor([[0.0], [1.0], [1.0], [0.0]]), 3)
    with pytest.raises(ValueError, match="k expected a whole number from 1 to 4"):
        k_means(torch.zeros(4, 2), 5)
    with pytest.raises(ValueError, match=r"got torch.float32 of shape \(3, 8, 8\)"):
        sift(torch.zeros(3, 8, 8))


def test_without_scikit_image_the_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-image"):
        sift(torch.zeros(3, 8, 8, dtype=torch.uint8))
