"""Generated birds: texts agree with pixels, splits with species, seeds with bytes."""

import pytest
import torch

from mmdl_lib.data import birds
from mmdl_lib.data.text import WordTokenizer

# a point of each part, in body lengths from the middle of a bird that looks right,
# where no other part lies above it
POINTS = {"body": (0.5, -0.05), "wing": (-0.3, -0.12), "belly": (0.0, 0.4)}
POINTS |= {"tail": (-1.4, -0.08)}
HEAD = {"crown": (0.72, -0.3), "beak": (1.28, 0.05)}


def color_at(found, image, x, y):
    """The named color next to the pixel of a point of each bird."""
    scale = image.shape[-1] / 32
    unit = 8 * torch.tensor(birds.SCALE)[found.value[:, 5]]
    x = torch.where(found.left == 1, -x, x)
    column = ((found.place[:, 0] + unit * x) * scale).floor().long()
    row = ((found.place[:, 1] + unit * y) * scale).floor().long()
    pixel = image[torch.arange(len(found)), :, row, column].long()
    return (pixel[:, None] - birds.RGB).square().sum(-1).argmin(1)


def test_every_part_has_the_color_that_the_captions_name():
    found = birds.sample(300, seed=4, split="all")
    image = found.render(96)
    for part, (x, y) in POINTS.items():
        x, y = torch.full((300,), x), torch.full((300,), y)
        column = birds.PARTS.index("wing" if part == "tail" else part)
        assert torch.equal(color_at(found, image, x, y), found.value[:, column]), part
    for part, (x, y) in HEAD.items():
        place = torch.full((300,), x), y - found.rise
        column = birds.PARTS.index(part)
        assert torch.equal(color_at(found, image, *place), found.value[:, column])


def test_ten_captions_are_true_and_name_everything_together():
    found = birds.sample(50, seed=5)
    for words, said in zip(found.attributes(), found.captions(), strict=True):
        assert len(said) == 10 == len(set(said))
        for part in ("wing", "belly", "crown", "beak"):
            noun = "wings" if part == "wing" else part
            here = [text for text in said if f" {noun}" in text]
            assert here and all(f"{words[part]} {noun}" in text for text in here)
        assert said[0].split()[1:] == [words["size"], words["body"], "bird"]
        assert all("a orange" not in text for text in said)


def test_larger_birds_cover_more_of_the_picture():
    shares = []
    for size in range(3):
        rows = (birds.species_table()[:, 5] == size).nonzero()[:, 0][:20]
        found = birds.sample(20, seed=6, split="all", species=rows)
        image = found.render(64).float()
        shares.append(((image - image[:, :, :1, :1]).abs().amax(1) > 8).float().mean())
    assert shares[0] * 1.2 < shares[1] and shares[1] * 1.2 < shares[2]


def test_no_bird_leaves_the_picture_by_body_head_or_legs():
    image = birds.sample(400, seed=7, split="all").render(32).float()
    corner = image[:, :, :1, :1]
    for edge in (image[:, :, :1], image[:, :, -1:]):
        assert (edge - corner).abs().max() < 3


def test_no_two_species_are_alike_and_the_splits_share_none():
    table = birds.species_table()
    assert len(table.unique(dim=0)) == len(table) == birds.SPECIES
    train, test = (birds.sample(2000, seed=1, split=s) for s in ("train", "test"))
    assert set(train.species.tolist()) == set(range(90))
    assert set(test.species.tolist()) == set(range(90, 120))
    known = {tuple(row) for row in train.value.tolist()}
    assert not known & {tuple(row) for row in test.value.tolist()}
    # each attribute of a new species is known from another one
    for column in range(6):
        new = set(table[90:, column].tolist())
        assert new <= set(table[:90, column].tolist())


def test_the_parts_of_a_body_can_be_told_apart():
    table = birds.species_table()
    assert (table[:, 0] != table[:, 2]).all() and (table[:, 0] != table[:, 1]).all()


def test_seeds_decide_and_parts_of_a_batch_are_what_they_were():
    one, two = birds.sample(30, seed=8), birds.sample(30, seed=8)
    assert torch.equal(one.render(), two.render())
    assert not torch.equal(one.render(), birds.sample(30, seed=9).render())
    assert torch.equal(one[3].render(), one.render()[3:4])
    assert torch.equal(one[[5, 2]].render(), one.render()[[5, 2]])


def test_a_mirrored_bird_is_the_mirrored_picture():
    from dataclasses import replace

    found = birds.sample(20, seed=10)
    place = torch.stack([32 - found.place[:, 0], found.place[:, 1]], 1)
    turned = replace(found, left=1 - found.left, place=place)
    change = turned.render(64).flip(3).int() - found.render(64).int()
    assert change.abs().max() <= 1


def test_words_of_the_captions_are_listed():
    found = birds.sample(400, seed=11, split="all")
    tokenizer = WordTokenizer(birds.caption_words())
    for said in found.captions():
        tokenizer(said)
    with pytest.raises(ValueError, match="got 'purple'; the nearest known word is"):
        tokenizer(["a purple bird"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": 0}, "n expected a whole number from 1 up, got 0"),
        ({"split": "val"}, "split expected one of 'train', 'test', 'all', got 'val'"),
        ({"species": torch.tensor([95, 3])}, "species expected 2 whole numbers from 0"),
        ({"species": torch.tensor([3])}, "species expected 2 whole numbers from 0"),
    ],
)
def test_bad_requests_get_one_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        birds.sample(**({"n": 2, "seed": 0} | options))


def test_a_picture_that_is_too_small_is_refused():
    with pytest.raises(ValueError, match="resolution expected a whole number from 16"):
        birds.sample(1, seed=0).render(8)
