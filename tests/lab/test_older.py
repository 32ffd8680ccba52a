"""Older ways to hear of pictures: whom each can reach, by laws."""

import pytest
import torch
import torch.nn.functional as F

from mmdl_lib.core import generator
from mmdl_lib.data import things
from mmdl_lib.lab import older


def test_two_thirds_show_their_picture_and_pictures_are_centered_on_them():
    some = older.split(0)
    assert some.shown.sum() == 2 * len(some.text) // 3
    for table in (some.text, some.picture):
        torch.testing.assert_close(table.norm(dim=1), torch.ones(len(table)))
    raw = F.normalize(things.load().picture, dim=1)
    centered = F.normalize(raw - raw[some.shown].mean(0), dim=1)
    torch.testing.assert_close(some.picture, centered)
    assert not torch.equal(some.shown, older.split(1).shown)


def test_a_table_moves_only_where_there_is_a_picture():
    some = older.split(0)
    rows = some.shown.nonzero()[:, 0]
    cluster = older.clusters(some.picture[rows], 5, 0)
    table = older.tuned_table(some.text, rows, cluster, steps=5)
    moved = (table - some.text).norm(dim=1)
    assert moved[~some.shown].max() == 0 < moved[some.shown].min()


def test_tuned_vectors_tell_their_cluster():
    some = older.split(0)
    rows = some.shown.nonzero()[:, 0]
    cluster = older.clusters(some.picture[rows], 5, 0)
    table = older.tuned_table(some.text, rows, cluster)
    same = cluster[:, None] == cluster
    unit = F.normalize(table[rows], dim=1)
    cosine = unit @ unit.T
    off = ~torch.eye(len(rows), dtype=torch.bool)
    assert cosine[same & off].mean() > 0.5 + cosine[~same].mean()


def test_each_picture_is_in_the_cluster_of_its_nearest_center():
    points = torch.tensor([0.0, 1.0, 9.0]).repeat_interleave(9)[:, None].expand(27, 3)
    points = points + 0.01 * torch.randn(27, 3, generator=generator(0))
    cluster = older.clusters(points, 3, 0).unflatten(0, (3, 9))
    assert (cluster == cluster[:, :1]).all()
    assert cluster[:, 0].unique().numel() == 3


def test_the_hinge_moves_shown_words_and_its_map_moves_all():
    some = older.split(0)
    table, mapped = older.hinged(some, 0, steps=30)
    assert torch.equal(table[~some.shown], some.text[~some.shown])
    assert (table - some.text)[some.shown].abs().amax(1).min() > 0
    cosine = F.cosine_similarity(mapped, some.picture)
    assert cosine[some.shown].mean() > 0.5 > cosine[~some.shown].mean() > 0


def test_following_is_one_for_the_pictures_themselves():
    some = older.split(0)
    said = older.follows(3 * some.picture, some)
    assert said == pytest.approx({"shown": 1, "new": 1}, abs=1e-5)


def test_shown_and_new_words_are_not_exchanged():
    some = older.split(0)
    noise = torch.randn(some.picture.shape, generator=generator(1))
    mixed = torch.where(some.shown[:, None], some.picture, noise)
    said = older.follows(mixed, some)
    assert said["shown"] > 0.99 and abs(said["new"]) < 0.2


def test_bad_rows_and_rates_are_refused():
    text, rows = torch.eye(4), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="rows expected"):
        older.tuned_table(text, torch.tensor([0, 4]), rows)
    with pytest.raises(ValueError, match="lr expected"):
        older.tuned_table(text, rows, rows, lr=0)
