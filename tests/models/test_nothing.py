"""A mean over nothing is 0 / 0: losses say so before it is in all weights."""

import pytest
import torch

from mmdl_lib.core import generator, models
from mmdl_lib.lab.gendered import Seeing
from mmdl_lib.lab.masks import Masked, Tagger
from mmdl_lib.lab.three_senses import Local
from mmdl_lib.models.bert import BERT
from mmdl_lib.models.data2vec import Data2Vec
from mmdl_lib.models.scst import self_critical_loss
from mmdl_lib.models.transformer import Transformer

KINDS = models()
NO_CLASS = "label expected numbers from 0 to"


def tiny(kind, name="tiny", n=4):
    torch.manual_seed(0)
    model = kind.from_preset(name)
    return model, kind.example_batch(model.config, n, generator=generator(5))


@pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))
def test_no_loss_takes_a_batch_without_rows_and_nothing_moves(kind):
    for name in (name for name in kind.PRESETS if name.startswith("tiny")):
        model, batch = tiny(kind, name)
        nothing = {
            key: x[:0] if isinstance(x, torch.Tensor) and x.ndim else x
            for key, x in batch.items()
        }
        before = {key: x.clone() for key, x in model.state_dict().items()}
        for phase in model.phases():
            with pytest.raises(ValueError, match="batch expected at least one row"):
                model.loss(nothing, phase=phase)
        for key, x in model.state_dict().items():
            assert torch.equal(x, before[key]), key


def filled(key, value):
    """A change: the whole of a key, true or one number everywhere."""
    return lambda batch: {key: torch.full_like(batch[key], value)}


def first(key):
    """A change: only the first token of each row is real."""
    return lambda batch: {key: torch.arange(batch[key].shape[1]) < 0 * batch[key] + 1}


def lonely(batch):
    """One word of four has no neighbor."""
    return {"mask": torch.arange(4)[:, None].expand_as(batch["mask"]) > 0}


NOTHING = {
    "m2.M2": (first("mask"), "mask behind the start expected at least one True, got"),
    "vokenization.Vokenization": (first("mask"), "tokens that may be hidden expected"),
    "bert.BERT": (first("mask"), "tokens that may be hidden expected at least one"),
    "grounded_space.GroundedSpace": (first("after_mask"), "after_mask behind the star"),
    "grounded_space.StraightGrounding": (first("after_mask"), "after_mask behind the"),
    "word2vec.CBOW": (lonely, "mask of neighbors expected at least one True in each"),
    "glove.GloVe": (filled("count", 0), "log of the count expected finite numbers"),
} | {
    f"{module}.{name}": (filled("label", -100), NO_CLASS)
    for module, name in [
        *(("alexnet", "AlexNet"), ("efficientnet", "EfficientNet")),
        *(("resnet", "ResNet"), ("vit", "ViT")),
    ]
}


@pytest.mark.parametrize("label", list(NOTHING))
def test_what_nothing_is_scored_of_is_refused(label):
    change, words = NOTHING[label]
    model, batch = tiny(KINDS[label])
    assert torch.isfinite(model.loss(batch, generator=generator(0))["loss"])
    with pytest.raises(ValueError, match=words):
        model.loss(batch | change(batch), generator=generator(0))


def test_pairs_without_a_label_that_is_known_are_refused():
    model, batch = tiny(BERT)
    with pytest.raises(ValueError, match=f"{NO_CLASS} 1, got -100"):
        model.loss(batch | filled("label", -100)(batch))


@pytest.mark.parametrize("kind", [Data2Vec, Local])
def test_frames_alone_hide_nothing(kind):
    config = Data2Vec.PRESETS["tiny-text"]
    model, batch = kind(config), Data2Vec.example_batch(config, 4)
    with pytest.raises(ValueError, match="places that are hidden expected at least on"):
        model.loss(batch | first("mask")(batch))


@pytest.mark.parametrize("kind", ["causal", "prefix"])
def test_nets_of_three_masks_are_asked_some_word(kind):
    model, batch = tiny(Masked)
    model.kind = kind
    with pytest.raises(ValueError, match="mask of what is said expected at least one"):
        model.loss(batch | first("mask")(batch))


def test_a_tagger_is_told_some_tag():
    trunk, batch = tiny(BERT)
    tags = torch.full_like(batch["tokens"], -1)
    with pytest.raises(ValueError, match="known tags expected at least one True, got"):
        Tagger(trunk).loss(batch | {"tags": tags})


def test_a_reward_is_for_some_word():
    x = torch.zeros(2, 3, 4), torch.zeros(2, 3, 4).bool(), torch.ones(2, 3)
    with pytest.raises(ValueError, match="mask of what is said expected at least one"):
        self_critical_loss(*x, torch.zeros(2, 1))


def test_a_translator_that_sees_is_told_some_word():
    config = Transformer.PRESETS["tiny"]
    model, batch = Seeing(config, width_seen=4, blind=True), tiny(Transformer)[1]
    with pytest.raises(ValueError, match="mask behind the start expected at least one"):
        model.loss(batch | first("mask")(batch))
