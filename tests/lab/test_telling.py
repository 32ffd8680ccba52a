"""Batches of captions, what counts as true, where words look."""

import pytest
import torch

from mmdl_lib.core import generator
from mmdl_lib.data import shapes
from mmdl_lib.data.text import WordTokenizer
from mmdl_lib.lab import captioning, telling
from mmdl_lib.models.captioner import CaptionerConfig, RegionCaptioner
from mmdl_lib.models.show_attend_tell import Grid


@pytest.fixture(scope="module")
def told():
    return telling.told(40, 5, objects=(1, 4), regions=True)


def test_all_captions_can_be_said_and_are_those_of_the_scenes(told):
    words = telling.tokenizer()
    assert len(told.texts) == 5
    for k, (tokens, _) in enumerate(told.texts):
        found = [telling.sentence(row[1:], words) for row in tokens.tolist()]
        assert found == [texts[k] for texts in captioning.texts(told.scenes)]


def test_a_gap_keeps_neighbors_apart_and_gives_as_many_scenes():
    scenes = telling.told(60, 1, objects=(1, 3), gap=4.0, forms=1).scenes
    x = scenes.center[..., 0]
    near = ((x[:, 1:] - x[:, :-1]) < 4) & scenes.present[:, 1:]
    assert len(scenes) == 60 and not near.any()
    assert scenes.present.sum(1).unique().tolist() == [1, 2, 3]


def test_a_batch_has_one_kind_of_caption_without_needless_padding(told):
    batches = telling.batches(told, 16, 0)
    for step in range(6):
        batch = batches(step)
        assert batch["mask"].sum(1).max() == batch["tokens"].shape[1]
        assert batch["regions"].shape == (16, 4, captioning.REGION_WIDTH)
        texts = [
            telling.sentence(r[1:], telling.tokenizer())
            for r in batch["tokens"].tolist()
        ]
        assert len({t.startswith("a photo of") for t in texts}) == 1


def test_all_captions_of_a_scene_are_its_references(told):
    tokens, mask = telling.references(told)
    assert tokens.shape == mask.shape and tokens.shape[:2] == (40, 5)
    for k, (one, real) in enumerate(told.texts):
        assert torch.equal(tokens[:, k][mask[:, k]], one[real])


def test_true_captions_are_true_and_one_wrong_word_is_noticed(told):
    for i, texts in enumerate(captioning.texts(told.scenes)):
        for text in texts[:4]:
            assert telling.true_to_scene(text, told.scenes, i), text
        things = told.scenes[i : i + 1].things()[0]
        for a, b in ((things[0].color, "green"), (things[-1].shape, "ring")):
            other = b if a != b else ("red" if b == "green" else "star")
            wrong = texts[0].split()
            wrong[[j for j, w in enumerate(wrong) if w == a][0]] = other
            assert not telling.true_to_scene(" ".join(wrong), told.scenes, i)


def test_too_few_too_many_and_wrong_places_are_not_true():
    scenes = telling.told(1, 5, objects=2).scenes  # a pink ring left of a cyan circle
    for text in ("a pink ring", "a pink ring and a cyan circle and a cyan circle",
                 "a pink ring right of a cyan circle", "a cyan circle and a pink ring",
                 "a small pink ring and a cyan circle", ""):  # fmt: skip
        assert not telling.true_to_scene(text, scenes, 0), text
    assert telling.true_to_scene(
        "there is a large pink ring and a cyan circle", scenes, 0
    )
    assert telling.truth(["a pink ring and a cyan circle"], scenes) == 1


def test_kinds_of_sentences_and_numbers_of_objects_are_told_apart():
    said = {
        "a red star and a blue ring": "bare",
        "a photo of a red star": "a photo of",
        "a picture with a small solid red star": "a picture with",
        "a red star left of a blue ring": "place",
        "a small red star": "sizes",
        "there is a small red star": "there is",
    }
    assert {text: telling.form(text) for text in said} == said
    assert [telling.objects(text) for text in said] == [2, 1, 1, 2, 1, 1]


def test_what_is_said_does_not_depend_on_the_batch(told):
    torch.manual_seed(0)
    sizes = {"region": captioning.REGION_WIDTH, "vocab": telling.tokenizer().vocab}
    sizes |= {"width": 32, "encoder": 1, "decoder": 1, "heads": 2, "dropout": 0.0}
    model = RegionCaptioner(CaptionerConfig(**sizes))
    every = telling.said(model, told.seen, at_once=40)
    assert telling.said(model, told.seen, at_once=7) == every
    assert 0 <= telling.pointed_regions(model, told) <= 1


class Pointing(torch.nn.Module):
    """Looks at the cell in which the middle of the object lies that is named."""

    def __init__(self, scenes, shift=0):
        super().__init__()
        self.scenes, self.shift = scenes, shift

    def attention(self, tokens, image):
        weights = torch.zeros(len(tokens), tokens.shape[1], 64)
        for i, things in enumerate(self.scenes.things()):
            for k in range(len(things)):
                thing = things[(k + self.shift) % len(things)]
                cell = int(thing.y // 4) * 8 + int(thing.x // 4)
                for row in (4 * k + 1, 4 * k + 2):
                    weights[i, row, cell] = 1
        return weights


def test_looks_at_the_own_object_count_and_looks_at_another_do_not():
    data = telling.told(30, 2, objects=2, sizes="small", forms=1, gap=12.0)
    assert telling.pointed(Pointing(data.scenes), data) == 1
    assert telling.pointed(Pointing(data.scenes, shift=1), data) == 0
    uneven = telling.told(30, 2, objects=(1, 3), sizes="small", forms=1, gap=2.0)
    assert telling.pointed(Pointing(uneven.scenes), uneven) == 1


class PointingAtRegions(torch.nn.Module):
    """Looks at the region whose box is that of the object that is named."""

    def __init__(self, scenes, shift=0):
        super().__init__()
        self.boxes, self.count, self.shift = scenes.boxes(), scenes.count, shift

    def attention(self, tokens, regions, mask):
        weights = torch.zeros(len(tokens), 1, 1, tokens.shape[1], 4)
        for i, count in enumerate(self.count.tolist()):
            for k in range(count):
                box = self.boxes[i, (k + self.shift) % count] / 16 - 1
                near = (regions[i, :, -4:] - box).abs().sum(-1)
                own = near.masked_fill(~mask[i], torch.inf).argmin()
                weights[i, 0, 0, [4 * k + 1, 4 * k + 2], own] = 1
        return weights


def test_looks_at_the_own_region_count_wherever_zero_rows_would_stand(told):
    assert telling.pointed_regions(PointingAtRegions(told.scenes), told) == 1
    many = telling.told(30, 3, objects=(2, 4), regions=True)
    assert telling.pointed_regions(PointingAtRegions(many.scenes), many) == 1
    assert telling.pointed_regions(PointingAtRegions(many.scenes, 1), many) == 0


def test_a_convnet_learns_to_name_single_objects_from_its_start(monkeypatch):
    torch.manual_seed(0)
    grid = Grid(32, (16, 32))
    before = [p.clone() for p in grid.layers.parameters()]
    options = {"sizes": "large", "textures": "solid", "colors": ("red", "blue")}
    found = telling.recognize(grid, 0, steps=40, n=500, **options)
    assert found > 0.2  # of sixteen names
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before, grid.layers.parameters(), strict=True)
    ]
    assert all(moved)


def test_drawings_are_nameable_by_known_words_only():
    names = ["red apple", "Green apple", "bat"]
    assert telling.nameable(names, ["red", "apple", "green"]) == [0, 1]
    assert telling.words_of("cat's Toy, red") == ["cat's", "toy", "red"]


def test_a_mirror_turns_all_pictures_of_a_batch_or_none():
    image = torch.rand(4, 3, 8, 8, generator=generator(0))
    found = set()
    for seed in range(8):
        batch = telling.mirrored({"image": image}, generator(seed))["image"]
        found.add("same" if torch.equal(batch, image) else "turned")
        assert torch.equal(batch, image) or torch.equal(batch, image.flip(-1))
    assert found == {"same", "turned"}


def test_the_words_are_those_of_the_grammar():
    assert isinstance(telling.tokenizer(), WordTokenizer)
    assert telling.tokenizer().words == shapes.caption_words()
