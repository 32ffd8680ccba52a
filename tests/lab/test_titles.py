"""Folds keep a kind on one side, words stay GloVe's, both lines share a drawing."""

import pytest
import torch

from mmdl_lib.data import words
from mmdl_lib.lab import titles as ti
from mmdl_lib.models.grounded_space import GroundedSpace


@pytest.fixture(autouse=True, scope="module")
def unseen():
    """Features by chance: what EfficientNet sees is tested elsewhere."""
    g = torch.Generator().manual_seed(0)

    def looked(image):
        return torch.randn(len(image), 8, generator=g).numpy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ti, "_seen", looked)
        ti.titles.cache_clear()
        ti.tokenizer.cache_clear()
        yield
    ti.titles.cache_clear()
    ti.tokenizer.cache_clear()


def test_names_and_tags_are_words_that_glove_knows_and_share_none():
    found, glove = ti.titles(), words.glove()
    assert len(found.name) == len(found.tags) == len(found.picture) == 1405
    for name, tags in zip(found.name, found.tags, strict=True):
        assert all(w in glove for w in [*name.split(), *tags.split()])
        assert not {*name.split()} & {*tags.split()}
        assert 0 < len(tags.split()) <= ti.LONGEST


def test_a_fold_holds_out_whole_kinds_and_another_seed_others():
    found = ti.titles()
    folds = [ti.fold(seed) for seed in range(3)]
    for fold in folds:
        inside = {found.group[i] for i in fold.nonzero().flatten().tolist()}
        outside = {found.group[i] for i in (~fold).nonzero().flatten().tolist()}
        assert not inside & outside
        assert 0.02 < fold.double().mean() < 0.25
    assert not torch.equal(folds[0], folds[1]) and not torch.equal(folds[1], folds[2])


def test_words_are_gloves_and_stay():
    made, read = ti.model(GroundedSpace), ti.tokenizer()
    for word in ("dog", "house", "red"):
        vector = made.embed.weight[read.ids[word]]
        assert torch.allclose(vector, words.glove()[word])
    assert not made.embed.weight.requires_grad


def test_a_batch_shows_both_lines_of_drawings_outside_the_fold():
    found, read, batch = ti.titles(), ti.tokenizer(), ti.batches(0, size=8)(1)
    assert batch["label"][:4].equal(batch["label"][4:])
    assert not ti.fold(0)[batch["label"]].any()
    for i, label in enumerate(batch["label"].tolist()):
        line = (found.name if i < 4 else found.tags)[label]
        tokens = batch["caption"][i][batch["caption_mask"][i]]
        assert tokens.tolist() == read.encode(line)
        assert torch.equal(batch["picture"][i], found.picture[label])


def test_measures_are_of_held_out_names_once_each():
    torch.manual_seed(0)
    found = ti.measured(ti.model(GroundedSpace), 0)
    rows = ti.fold(0).nonzero().flatten().tolist()
    assert found["asked"] == len({ti.titles().name[i] for i in rows})
    # features by chance: nothing follows them, and words still know categories
    assert all(abs(found[k]["like"]) < 0.15 for k in ("sentence", "grounded", "words"))
    assert found["words"]["category"] > 0.4
